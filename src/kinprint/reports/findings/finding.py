"""One statement about one model, and all of those that a command makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from kinprint.errors import ReportError

if TYPE_CHECKING:
    from datetime import date

    from kinprint.checkpoints.hashes import FileHash

Outcome = Literal["contradicted", "shared", "clear", "open"]
"""What a finding asks of a reader: something that was stated does not hold; weights are shared, which may be as it should;
nothing was found; it could not be told."""


@dataclass(frozen=True)
class Model:
    """A model as a finding names it.

    Attributes:
        name: what it is called.
        digest: BLAKE3 of its fingerprint; "" where there is none.
        place: where it lies, as the user named it; "" where it is known by its name alone.
    """

    name: str
    digest: str = ""
    place: str = ""


@dataclass(frozen=True)
class Finding:
    """One statement.

    Attributes:
        model: what it is about.
        other: what the model was held against; None where the statement is about the model alone.
        word: the verdict, status or state, in the words of the command.
        outcome: what it asks of a reader.
        log10_p: corrected for all that was tried; None where no p-value belongs to it.
        sentence: the statement in plain words.
        accepted: why whoever runs the command is not told of it again, and until when; None if nobody said so.
    """

    model: Model
    other: Model | None
    word: str
    outcome: Outcome
    log10_p: float | None
    sentence: str
    accepted: tuple[str, date] | None = None


def _no_files() -> Sequence[FileHash]:
    return ()


@dataclass(frozen=True)
class Findings:
    """All statements of one run.

    Attributes:
        command: that made them: "identify".
        sentence: all of it in plain words.
        findings: one by one.
        document: the object that the command prints as JSON.
        files: gives the files of the model that all findings are about, with digests; none where they are about several models.
        own: format -> gives the document of this command in that format, where it has one of its own.
    """

    command: str
    sentence: str
    findings: tuple[Finding, ...]
    document: Callable[[], Mapping[str, Any]]
    files: Callable[[], Sequence[FileHash]] = _no_files
    own: Mapping[str, Callable[[], str]] = field(default_factory=dict)

    def about_one(self, document: str) -> Model:
        """The model that all findings are about.

        Args:
            document: what asks, in words.

        Raises:
            ReportError: they are about several.
        """
        models = {finding.model for finding in self.findings}
        if len(models) != 1:
            remedy = "use --format json, or examine the models one by one"
            raise ReportError(self.command, f"{document} is about one model", remedy)
        return models.pop()
