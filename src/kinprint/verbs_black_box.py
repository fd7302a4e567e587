"""What the commands of `kinprint black-box` do, for Python programs: each asks a suspect, and gives a `BlackBoxResult`.

A suspect is a folder or a hub id, which is run here (that needs the extra `behaviour`), or with `api` the name of a model of an
OpenAI-compatible server. How it is asked is said alike in all of them (`kinprint.blackbox.opening.Asked`): `api`, `timeout`,
`max_requests`, `max_tokens`, `answers`, `device`, `batch`, `progress`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

from kinprint.blackbox.asking import Asker
from kinprint.blackbox.beginnings import beginnings
from kinprint.blackbox.controls import controls as closer
from kinprint.blackbox.head_span import head_span as spanned
from kinprint.blackbox.opening import Asked, opened
from kinprint.blackbox.output_heads import output_head
from kinprint.blackbox.palimpsest import palimpsest as follows_order
from kinprint.blackbox.palimpsest import palimpsest_of_writing
from kinprint.blackbox.result import BlackBoxResult
from kinprint.blackbox.same_endpoint import plan
from kinprint.blackbox.same_endpoint import same_endpoint as same_texts
from kinprint.blackbox.transcripts import read_transcript
from kinprint.library.declarations.time_stamps import read_stamp
from kinprint.observation.probe import shipped
from kinprint.terms import ALPHA

AnyPath = str | os.PathLike[str]


def palimpsest(
    transcript: AnyPath,
    suspect: str,
    controls: Sequence[str] = (),
    *,
    sample: int | None = None,
    writing: int | None = None,
    temperature: float = 1.0,
    timestamp: AnyPath | None = None,
    tsa_certificate: AnyPath | None = None,
    alpha: float = ALPHA,
    **asked: Unpack[Asked],
) -> BlackBoxResult:
    """Test whether a suspect was made by the training run whose shuffled order a transcript holds.

    Args:
        transcript: JSON lines with `text` and `position` (docs/black-box.md).
        suspect: a folder or a hub id; with `api` what the server calls the model.
        controls: folders or hub ids of models that are not of the run, to see more.
        sample: ask so many texts, chosen by chance; all by default.
        writing: use so many texts that the suspect writes instead of its log-probabilities; takes no controls.
        temperature: at which it writes them.
        timestamp: a time stamp (RFC 3161) of the transcript: by when its order was fixed.
        tsa_certificate: root certificates (PEM) that are trusted.
        alpha: largest p-value that is called descent.
        **asked: how (`kinprint.blackbox.opening.Asked`): `api`, `max_requests`, `max_tokens`, `answers` and others.

    Returns:
        `descends`, `no-evidence`, or `untestable` with the reason.

    Raises:
        ProbeError: the transcript cannot be read, or has too few texts.
        ObservationError: a model cannot be reached or run.

    Example:
        >>> import json, random, kinprint
        >>> order = random.Random(0).sample(range(40), 40)
        >>> lines = (json.dumps({"text": f"Ship {i + 10} sails at dawn.", "position": order[i]}) for i in range(40))
        >>> _ = open("run.jsonl", "w").write("\\n".join(lines))
        >>> kinprint.palimpsest("run.jsonl", "examples/models/base").verdict
        'no-evidence'
    """
    path = Path(transcript)
    certificates = None if tsa_certificate is None else Path(tsa_certificate)
    stamp = None if timestamp is None else read_stamp(Path(timestamp), path.read_bytes(), certificates)
    read = read_transcript(path)
    read = read if sample is None else read.first(sample)
    asking = opened(suspect, asked)
    if writing is not None:
        return palimpsest_of_writing(read, asking, writing, temperature=temperature, stamp=stamp, alpha=alpha)
    return follows_order(read, asking, [_beside(each, asked) for each in controls], stamp=stamp, alpha=alpha)


def head_span(
    reference: str,
    suspect: str,
    *,
    texts: Sequence[str] | None = None,
    prompts: int = 4,
    order: bool = False,
    alpha: float = ALPHA,
    **asked: Unpack[Asked],
) -> BlackBoxResult:
    """Test whether a suspect answers with a reference's output head, which is read from its weights.

    Args:
        reference: folder, file or hub id of the model whose head it is; it is not run.
        suspect: a folder or a hub id; with `api` what the server calls the model.
        texts: what it is asked about; those that come with kinprint by default.
        prompts: how many of them.
        order: use the order of tokens alone, not their probabilities.
        alpha: largest p-value that is called the same head.
        **asked: how (`kinprint.blackbox.opening.Asked`): `api`, `max_requests`, `max_tokens`, `answers` and others.

    Returns:
        `same-head`, `refuted`, `no-evidence`, or `untestable` with the reason.

    Raises:
        CheckpointError, ArchitectureError: the reference's head cannot be read.
        ObservationError: the suspect cannot be reached or run.

    Example:
        >>> import kinprint
        >>> kinprint.head_span("examples/models/base", "examples/models/twin").verdict
        'refuted'
    """
    head = output_head(reference)
    return spanned(head, opened(suspect, asked), _texts(texts, prompts), order_alone=order, alpha=alpha)


def same_endpoint(
    reference: str,
    suspect: str,
    *,
    texts: Sequence[str] | None = None,
    prompts: int = 40,
    samples: int = 10,
    length: int = 24,
    temperature: float = 1.0,
    alpha: float = ALPHA,
    **asked: Unpack[Asked],
) -> BlackBoxResult:
    """Test whether a suspect still serves a reference: whether it writes texts of the same distribution.

    Args:
        reference: a folder or a hub id; it is run here.
        suspect: a folder or a hub id; with `api` what the server calls the model.
        texts: what both go on with; those that come with kinprint by default.
        prompts: how many of them.
        samples: texts that either writes to each.
        length: tokens of each at most.
        temperature: at which they are asked for.
        alpha: largest p-value that counts.
        **asked: how (`kinprint.blackbox.opening.Asked`): `api`, `max_requests`, `max_tokens`, `answers` and others.

    Returns:
        `same-deployment`, `refuted`, `no-evidence`, or `untestable` with the reason.

    Raises:
        ObservationError: a model cannot be reached or run.

    Example:
        >>> import kinprint
        >>> base = "examples/models/base"
        >>> kinprint.same_endpoint(base, base, prompts=10, samples=4, length=8).verdict
        'same-deployment'
    """
    wanted = plan(_texts(texts, prompts), samples=samples, tokens=length, temperature=temperature)
    return same_texts(_beside(reference, asked), opened(suspect, asked), wanted, alpha=alpha)


def controls(
    reference: str,
    suspect: str,
    controls: Sequence[str],
    *,
    texts: Sequence[str] | None = None,
    prompts: int = 1000,
    genes: int = 0,
    alpha: float = ALPHA,
    **asked: Unpack[Asked],
) -> BlackBoxResult:
    """Test whether a suspect says what a reference says more often than what any control says.

    Args:
        reference: a folder or a hub id; it is run here.
        suspect: a folder or a hub id; with `api` what the server calls the model.
        controls: models like the suspect that it does not come from; they are run here.
        texts: whose beginnings all go on with; those that come with kinprint by default.
        prompts: how many of them.
        genes: texts to each of 128 beginnings for PhyloLM's score; 0 for none.
        alpha: largest p-value that is called closer.
        **asked: how (`kinprint.blackbox.opening.Asked`): `api`, `max_requests`, `max_tokens`, `answers` and others.

    Returns:
        `closer-than-controls`, `no-evidence`, or `untestable` with the reason.

    Raises:
        ObservationError: a model cannot be reached or run.

    Example:
        >>> import kinprint
        >>> base, finetune, twin = (f"examples/models/{name}" for name in ("base", "finetune", "twin"))
        >>> kinprint.controls(base, finetune, [twin], prompts=60).verdict
        'no-evidence'
    """
    begun = beginnings(_texts(texts, prompts))
    others = [_beside(each, asked) for each in controls]
    return closer(_beside(reference, asked), opened(suspect, asked), others, begun, samples=genes, alpha=alpha)


def _texts(texts: Sequence[str] | None, count: int) -> list[str]:
    return list((shipped().texts if texts is None else texts)[:count])


def _beside(model: str, asked: Asked) -> Asker:
    """A model that is run here beside the suspect, without limits."""
    return opened(model, {"device": asked.get("device", "cpu"), "batch": asked.get("batch", 8)})
