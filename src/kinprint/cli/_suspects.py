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
    from kinprint.observation.loaded import Loaded
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
    from kinprint.blackbox.asking import Asker
    from kinprint.observation.budget import Budget
    from kinprint.observation.kept_answers import KeptAnswers
    from kinprint.observation.suspects import Served

    budget = Budget(max_requests, max_tokens)
    if api is not None:
        opened: Served | Loaded = Served(api, suspect, timeout, budget)
    else:
        from kinprint.observation.loaded import Loaded

        opened = Loaded(suspect, device=device, batch=batch, budget=budget)
    with count_bar(suspect) as progress:
        yield Asker(opened, KeptAnswers(answers, opened.name, opened.where), progress)


def prompts_of(texts: Path | None, count: int) -> list[str]:
    """The first texts of a file, or of those that come with kinprint."""
    from kinprint.observation import read_texts, shipped

    return list((read_texts(texts) if texts is not None else shipped().texts)[:count])


def say_cost(asking: Asker, questions: Sequence[Question]) -> None:
    """Print what the questions will cost at most, before any is asked, on stderr."""
    typer.echo(f"kinprint: {asking.cost(questions)}", err=True)
