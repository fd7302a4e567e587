"""kinprint black-box palimpsest TRANSCRIPT SUSPECT"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kinprint.cli._findings import chosen, publish
from kinprint.cli._options import (
    AlphaOption,
    AnswersOption,
    ApiOption,
    BatchOption,
    DeviceOption,
    FormatOption,
    JsonOption,
    MaxRequestsOption,
    MaxTokensOption,
    TemperatureOption,
    TimeoutOption,
    TsaCertificateOption,
)
from kinprint.cli._suspects import asker, require_suspect, say_cost
from kinprint.terms import ALPHA


def command(
    transcript: Annotated[Path, typer.Argument(help="JSON lines with text and position: the order of a training run.")],
    suspect: Annotated[str, typer.Argument(help="A folder or a hub id; with --api what the server calls the model.")],
    api: ApiOption = None,
    control: Annotated[
        list[str] | None,
        typer.Option(help="A model (folder, hub id) that is not of the run, to see more; can be given several times."),
    ] = None,
    sample: Annotated[int | None, typer.Option(min=20, help="Ask so many texts, chosen by chance; all by default.")] = None,
    writing: Annotated[
        int | None, typer.Option(min=2, metavar="N", help="Use N texts that SUSPECT writes instead: it sees much less.")
    ] = None,
    temperature: TemperatureOption = 1.0,
    max_requests: MaxRequestsOption = None,
    max_tokens: MaxTokensOption = None,
    answers: AnswersOption = None,
    timestamp: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The time stamp (RFC 3161) of TRANSCRIPT: by when its order was fixed.")
    ] = None,
    tsa_certificate: TsaCertificateOption = None,
    timeout: TimeoutOption = 60.0,
    device: DeviceOption = "cpu",
    batch: BatchOption = 8,
    alpha: AlphaOption = ALPHA,
    form: FormatOption = "table",
    as_json: JsonOption = False,
) -> None:
    """Test whether SUSPECT was made by the training run whose shuffled order TRANSCRIPT holds.

    Each line of TRANSCRIPT is {"text": ..., "position": ...}, with "source" and "date" where they are known. A server must give
    log-probabilities of a text that it is sent (vLLM and llama-cpp-python do). The order must have been committed to before
    SUSPECT could be asked (docs/black-box.md). OPENAI_API_KEY is sent to --api if it is set.

    Example: kinprint black-box palimpsest transcript.jsonl examples/models/finetune --control examples/models/twin
    """
    form = chosen(form, as_json, untested="black-box palimpsest")
    require_suspect(suspect, api)
    if writing is not None and control:
        raise typer.BadParameter("takes no --control", param_hint="--writing")
    if writing is None and temperature != 1.0:
        raise typer.BadParameter("goes with --writing only", param_hint="--temperature")
    for each in control or []:
        require_suspect(each, None)
    from kinprint.blackbox.asking import Asker
    from kinprint.blackbox.palimpsest import palimpsest, palimpsest_of_writing, questions
    from kinprint.blackbox.transcripts import read_transcript
    from kinprint.blackbox.writing import samples
    from kinprint.reports import black_box_text
    from kinprint.reports.findings import of_black_box

    read = read_transcript(transcript)
    stamp = None
    if timestamp is not None:
        from kinprint.library.declarations.time_stamps import read_stamp

        stamp = read_stamp(timestamp, transcript.read_bytes(), tsa_certificate)
    read = read.first(sample) if sample is not None else read
    loaded: list[Asker] = []
    for each in control or []:
        from kinprint.observation.loaded import Loaded

        loaded.append(Asker(Loaded(each, device=device, batch=batch)))
    with asker(
        suspect,
        api=api,
        timeout=timeout,
        max_requests=max_requests,
        max_tokens=max_tokens,
        answers=answers,
        device=device,
        batch=batch,
    ) as asking:
        if api is not None:
            say_cost(asking, questions(read, repeats=True) if writing is None else samples(writing, temperature))
        if writing is None:
            result = palimpsest(read, asking, loaded, stamp=stamp, alpha=alpha)
        else:
            result = palimpsest_of_writing(read, asking, writing, temperature=temperature, stamp=stamp, alpha=alpha)
    publish(of_black_box(result, "" if api is not None else suspect), form, lambda: black_box_text(result))
