"""kinprint black-box palimpsest TRANSCRIPT SUSPECT"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kinprint.cli._options import (
    AnswersOption,
    ApiOption,
    BatchOption,
    DeviceOption,
    JsonOption,
    MaxRequestsOption,
    MaxTokensOption,
    TimeoutOption,
)
from kinprint.cli._suspects import asker, require_suspect


def command(
    transcript: Annotated[Path, typer.Argument(help="JSON lines with text and position: the order of a training run.")],
    suspect: Annotated[str, typer.Argument(help="A folder or a hub id; with --api what the server calls the model.")],
    api: ApiOption = None,
    timeout: TimeoutOption = 60.0,
    max_requests: MaxRequestsOption = None,
    max_tokens: MaxTokensOption = None,
    answers: AnswersOption = None,
    device: DeviceOption = "cpu",
    batch: BatchOption = 8,
    as_json: JsonOption = False,
) -> None:
    """Test whether SUSPECT comes from the training run whose order TRANSCRIPT holds.

    Example: kinprint black-box palimpsest transcript.jsonl examples/models/finetune
    """
    require_suspect(suspect, api)
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
        raise NotImplementedError(asking, as_json, transcript)
