"""From a model to a fingerprint with behaviour traits."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kinprint.arrays import Array
from kinprint.checkpoints.places import without_hub
from kinprint.checkpoints.remote import hub
from kinprint.errors import ObservationError, printable
from kinprint.fingerprints import Fingerprint, fingerprint
from kinprint.observation.answers import ANSWER_TOKENS, ask
from kinprint.observation.endpoint import Endpoint
from kinprint.observation.hidden import chosen_tokens, gram, outside, tested_tokens
from kinprint.observation.probe import Probe, shipped
from kinprint.observation.running import Runner

Progress = Callable[[int, int], None]
"""Called with prompts done and prompts in all."""


@dataclass(frozen=True)
class Request:
    """How a model is run.

    Attributes:
        probe: what it is asked.
        device: where: "cpu", "cuda", or "auto" for accelerate to place what fits where, the rest on disk.
        dtype: "auto" for the checkpoint's own (float32 on a CPU), or "float32", "bfloat16", "float16".
        batch: texts at a time.
        longest: tokens of a text that are read at most.
        memory: with "auto", what weights may take of the main memory, as "8GB"; all there is if it is empty.
    """

    probe: Probe = field(default_factory=shipped)
    device: str = "cpu"
    dtype: str = "auto"
    batch: int = 8
    longest: int = 256
    memory: str = ""


def observe(
    model: str | os.PathLike[str],
    request: Request | None = None,
    *,
    cache: bool = True,
    progress: Progress = lambda done, total: None,
) -> Fingerprint:
    """The fingerprint of a checkpoint with what it does on a probe set. `observe_endpoint` asks a server instead.

    Args:
        model: a folder or a hub id, with its tokenizer.
        request: how to run it.
        cache: of the fingerprint of its weights, as `kinprint.fingerprint`.
        progress: called with prompts done and prompts in all.

    Returns:
        the fingerprint of its weights with the traits of its behaviour besides, which the methods on observed models compare.

    Raises:
        MissingExtraError: torch or transformers is not installed.
        ObservationError: it cannot be run.
        CheckpointError, ArchitectureError: its weights cannot be fingerprinted.

    Example:
        >>> import kinprint
        >>> from kinprint.observation import Probe, Request
        >>> probe = Probe(texts=("The sea is calm tonight.", "Bread is baked early."), questions=(), followups=())
        >>> observed = kinprint.observe("examples/models/base", Request(probe))
        >>> observed.traits["activations.norms"].shape
        (4, 2)
    """
    request = request or Request()
    place = os.fspath(model)
    weights = fingerprint(place, scores=True, cache=cache)
    start = time.perf_counter()
    name, _, revision = without_hub(place).partition("@") if hub.means_repository(place) else (place, "", "")
    runner = Runner(
        name,
        revision=revision or None,
        device=request.device,
        dtype=request.dtype,
        longest=request.longest,
        memory=request.memory,
    )
    tell = _counter(request.probe, progress)
    traits = _read(runner, request, tell)
    if request.probe.questions:
        traits["answers.yes"] = ask(runner, request.probe, tell)
    facts = {**weights.facts, **_facts(request.probe), "observed_tokens": request.longest, "observed_dtype": runner.dtype}
    cost = {
        "seconds": round(time.perf_counter() - start, 3),
        "forward_tokens": runner.forward_tokens,
        "device": request.device,
        "generation": f"greedy, at most {ANSWER_TOKENS} tokens",
        "notes": _notes(traits, runner.shortened),
    }
    provenance = {**weights.provenance, "observation": cost}
    return Fingerprint(weights.name, {**weights.traits, **_kept(traits)}, facts, provenance)


def observe_endpoint(
    url: str, model: str, probe: Probe | None = None, *, timeout: float = 60.0, progress: Progress = lambda done, total: None
) -> Fingerprint:
    """The fingerprint of a model behind an OpenAI-compatible server: its answers alone.

    Raises:
        ObservationError: the server cannot be reached, refuses, or answers with something else.
    """
    probe = probe or shipped()
    if not probe.questions:
        raise ObservationError(url, "a server can only be observed by its answers", "ask at least one question")
    start, server = time.perf_counter(), Endpoint(url, model, timeout)
    traits = {"answers.yes": ask(server, probe, _counter(probe, progress, texts=False))}
    cost = {
        "seconds": round(time.perf_counter() - start, 3),
        "forward_tokens": server.forward_tokens,
        "yes": "sampled answers" if server.sampled else "log-probabilities",
        "generation": f"greedy, at most {ANSWER_TOKENS} tokens",
        "notes": _notes(traits, 0),
    }
    provenance = {"source": f"{model} at a server", "observation": cost}
    return Fingerprint(printable(model), _kept(traits), _facts(probe), provenance)


def _read(runner: Runner, request: Request, tell: Callable[[int], None]) -> dict[str, Array]:
    """Traits of what the model does while it reads."""
    ids, hashes = chosen_tokens(runner.vocabulary, runner.head_size())
    reading = runner.read(request.probe.texts, ids, request.batch, tell)
    means = reading.norm_sums / reading.tokens
    traits: dict[str, Array] = {
        "activations.norms": np.stack([means[:, 0], np.sqrt(np.maximum(means[:, 1] - means[:, 0] ** 2, 0))], axis=1),
        "hidden.grams": np.stack([gram(states) for states in reading.states]),
        "logits.tokens": hashes,
        "logits.probe": reading.logits,
    }
    tested = ids[: tested_tokens(len(ids), reading.states.shape[2])]
    head = runner.head(tested) if len(tested) else None
    beyond = outside(head) if head is not None and np.isfinite(head).all() else None
    return traits if beyond is None else traits | {"logits.outside": beyond}


def _counter(probe: Probe, progress: Progress, *, texts: bool = True) -> Callable[[int], None]:
    total = len(probe.texts) * texts + len(probe.questions) * (1 + len(probe.followups))
    done = 0

    def tell(count: int) -> None:
        nonlocal done
        done += count
        progress(done, total)

    tell(0)
    return tell


def _facts(probe: Probe) -> dict[str, Any]:
    return {"probe_texts": probe.texts_digest, "probe_questions": probe.questions_digest}


def _kept(traits: Mapping[str, Array]) -> dict[str, Array]:
    """As a fingerprint holds them: float32, NaN for what is not finite, nothing that is empty."""
    kept = {}
    for name, values in traits.items():
        if values.dtype.kind == "f":
            with np.errstate(over="ignore"):
                values = values.astype(np.float32)
            values = np.where(np.isfinite(values), values, np.float32(np.nan))
        if values.size:
            kept[name] = values
    return kept


def _notes(traits: Mapping[str, Array], shortened: int) -> list[str]:
    notes = []
    broken = [name for name, values in traits.items() if values.dtype.kind == "f" and not np.isfinite(values).all()]
    if broken:
        notes.append(f"the model gives values that are not finite: {', '.join(broken)}")
    if shortened:
        notes.append(f"{shortened} prompts did not fit the context window and lost their beginning")
    return notes
