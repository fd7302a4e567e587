"""kinprint observe MODEL"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kinprint.cli._models import announce
from kinprint.cli._options import (
    ApiOption,
    BatchOption,
    CacheOption,
    DeviceOption,
    FingerprintOption,
    QuestionsOption,
    TextsOption,
    TimeoutOption,
)
from kinprint.cli._output import require_writable
from kinprint.cli._progress import count_bar
from kinprint.cli._suspects import asker, require_suspect, say_cost
from kinprint.errors import NotApplicable, ObservationError, printable

if TYPE_CHECKING:
    from kinprint.fingerprints import Fingerprint


def command(
    model: Annotated[str, typer.Argument(help="A folder or a hub id; with --api what the server calls the model.")],
    output: FingerprintOption = None,
    texts: TextsOption = None,
    questions: QuestionsOption = 60,
    device: DeviceOption = "cpu",
    dtype: Annotated[str, typer.Option(help="auto (as stored; float32 on a CPU), float32, bfloat16 or float16.")] = "auto",
    batch: BatchOption = 8,
    longest: Annotated[int, typer.Option("--tokens", min=2, help="Read at most so many tokens of a text.")] = 256,
    memory: Annotated[str, typer.Option(help="With --device auto: memory for weights, as 8GB; the rest stays on disk.")] = "",
    api: ApiOption = None,
    timeout: TimeoutOption = 60.0,
    transcript: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Ask for the log-likelihoods of its texts and nothing else; -o is a JSON lines file."
        ),
    ] = None,
    cache: CacheOption = True,
) -> None:
    """Run MODEL over a probe set and write its fingerprint with what it did: activations, hidden states, logits, answers.

    Example: kinprint observe examples/models/base -o base.kinprint

    prints: base.kinprint: observed on 240 texts and 60 questions, 106 512 tokens in 12 s

    Compare two such files with `kinprint compare`. Code of a model is never run. OPENAI_API_KEY is sent to --api if it is set.
    With --transcript, NAME.answers.jsonl is written, and `kinprint black-box palimpsest --answers` tests it.
    """
    require_writable(output)
    require_suspect(model, api)
    if api is None:
        announce(model)
    if transcript is not None:
        _likelihoods(model, transcript, output, api, timeout, device, batch)
        return
    from kinprint import observation
    from kinprint.checkpoints.files import file_name

    probe = observation.shipped()
    probe = replace(probe, texts=observation.read_texts(texts) if texts else probe.texts, questions=probe.questions[:questions])
    with count_bar(model) as progress:
        if api is not None:
            observed = observation.observe_endpoint(api, model, probe, timeout=timeout, progress=progress)
        else:
            request = observation.Request(probe, device, dtype, batch, longest, memory)
            observed = observation.observe(model, request, cache=cache, progress=progress)
    target = output or Path(f"{file_name(observed.name)}.kinprint")
    observed.save(target)
    typer.echo(_line(target, observed, len(probe.texts) if api is None else 0, len(probe.questions)))


def _likelihoods(
    model: str, transcript: Path, output: Path | None, api: str | None, timeout: float, device: str, batch: int
) -> None:
    """Keep what the model says of the texts of a transcript, as `kinprint black-box palimpsest` asks for it."""
    from kinprint.blackbox.palimpsest import questions
    from kinprint.blackbox.transcripts import read_transcript
    from kinprint.checkpoints.files import file_name

    read = read_transcript(transcript)
    target = output or Path(f"{file_name(Path(model).name if api is None else model)}.answers.jsonl")
    with asker(
        model, api=api, timeout=timeout, max_requests=None, max_tokens=None, answers=target, device=device, batch=batch
    ) as asking:
        plan = questions(read, repeats=api is not None)
        if api is not None:
            say_cost(asking, plan)
        try:
            asking.ask(plan)
        except NotApplicable as reason:
            raise ObservationError(model, str(reason), "ask another server") from None
    typer.echo(f"{printable(target)}: log-likelihoods of {len(read.texts):,} texts")


def _line(target: Path, observed: Fingerprint, texts: int, questions: int) -> str:
    cost = observed.provenance["observation"]
    asked = " and ".join(f"{count} {what}" for count, what in ((texts, "texts"), (questions, "questions")) if count)
    line = f"{printable(target)}: observed on {asked}, {cost['forward_tokens']:,} tokens in {cost['seconds']:.0f} s"
    return "\n".join([line, *(f"  {printable(note)}" for note in cost["notes"])])
