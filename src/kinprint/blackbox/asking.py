"""Questions put to a suspect: those that were answered before come from the file, the others are asked within the budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kinprint.observation.kept_answers import KeptAnswers
from kinprint.observation.questions import Answer, Question
from kinprint.observation.suspects import Suspect

Progress = Callable[[int, int], None]
"""Called with questions answered and questions in all."""


@dataclass(frozen=True)
class Cost:
    """What questions take at most: those whose answers are kept take nothing."""

    requests: int
    tokens: int
    kept: int

    def __str__(self) -> str:
        kept = f"; {self.kept:,} answers are there already" if self.kept else ""
        return f"at most {self.requests:,} requests and {self.tokens:,} tokens{kept}"


class Asker:
    """A suspect, the file of its answers and the count of both.

    Args:
        suspect: the model.
        kept: where its answers are kept; in memory alone if it is None.
        progress: see above.
    """

    def __init__(
        self, suspect: Suspect, kept: KeptAnswers | None = None, progress: Progress = lambda done, total: None
    ) -> None:
        self.suspect, self.progress = suspect, progress
        self._kept = kept or KeptAnswers(None, suspect.name, suspect.where)
        self.reused = 0
        """Answers that were there before this run asked."""
        self.cut = False
        """Whether the budget left questions without an answer."""

    @property
    def name(self) -> str:
        """What the suspect is called: of a folder its own name."""
        name = self.suspect.name
        return Path(name).resolve().name if not self.suspect.where and Path(name).is_dir() else name

    def cost(self, questions: Sequence[Question]) -> Cost:
        missing = [question for question in questions if self._kept.get(question) is None]
        return Cost(len(missing), sum(question.most_tokens for question in missing), len(questions) - len(missing))

    def ask(self, questions: Sequence[Question]) -> list[Answer | None]:
        """The answers in order, None where the budget ended; every answer is kept as soon as it is there.

        Raises:
            ObservationError, NotApplicable: see `Suspect`.
        """
        found: list[Answer | None] = [self._kept.get(question) for question in questions]
        waiting = [number for number, answer in enumerate(found) if answer is None]
        self.reused += len(questions) - len(waiting)
        self.progress(len(questions) - len(waiting), len(questions))
        for start in range(0, len(waiting), self.suspect.batch):
            chosen = waiting[start : start + self.suspect.batch]
            answers = self.suspect.answer([questions[number] for number in chosen])
            for number, answer in zip(chosen, answers, strict=True):
                found[number] = answer
                if answer is not None:
                    self._kept.keep(questions[number], answer)
            self.progress(len(questions) - len(waiting) + start + len(chosen), len(questions))
            if any(answer is None for answer in answers):
                self.cut = True
                break
        return found
