"""A suspect of a black-box test, as commands are told of it: opened, with its budget, its answers and a bar."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from kinprint.checkpoints.places import require_there
from kinprint.cli._progress import count_bar

if TYPE_CHECKING:
    from kinprint.blackbox.asking import Asker
    from kinprint.observation.questions import Question


def require_suspect(suspect: str, api: str | None) -> None:
    """Refuse a path that is not there, unless a server knows what the name means."""
    if api is None:
        require_there(suspect)


@contextmanager
def asker(
    suspect: str,
    *,
    api: str | None,
    timeout: float,
    max_requests: int | None,
    max_tokens: int | None,
    answers: Path | None,
    device: str = "cpu",
    batch: int = 8,
) -> Iterator[Asker]:
    """What asks SUSPECT, with a bar on stderr."""
    from kinprint.blackbox.opening import opened

    with count_bar(suspect) as progress:
        yield opened(
            suspect,
            {
                "api": api,
                "timeout": timeout,
                "max_requests": max_requests,
                "max_tokens": max_tokens,
                "answers": answers,
                "device": device,
                "batch": batch,
                "progress": progress,
            },
        )


def prompts_of(texts: Path | None, count: int) -> list[str]:
    """The first texts of a file, or of those that come with kinprint."""
    from kinprint.observation import read_texts, shipped

    return list((read_texts(texts) if texts is not None else shipped().texts)[:count])


def say_cost(asking: Asker, questions: Sequence[Question]) -> None:
    """Print what the questions will cost at most, before any is asked, on stderr."""
    typer.echo(f"kinprint: {asking.cost(questions)}", err=True)
