"""kinprint verify --all DIR"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from kinprint import engines
from kinprint.cli._progress import tracked
from kinprint.errors import KinprintError, printable
from kinprint.fingerprints import Fingerprint, fingerprint
from kinprint.library.declarations.declared import Declared, read_declared
from kinprint.library.declarations.verify import Options, Verification, circles, models_in_mirror, verify

FORMAT = "kinprint-verifications/1"


@dataclass(frozen=True)
class Mirror:
    """What was found about the models of a mirror.

    Attributes:
        folder: of the mirror.
        verifications: of each model that can be read, by name.
        unreadable: name of each other -> why.
        circles: models that declare each other as their bases.
    """

    folder: Path
    verifications: tuple[Verification, ...]
    unreadable: dict[str, str]
    circles: tuple[tuple[str, ...], ...]

    def to_json(self) -> dict[str, Any]:
        """The object that `kinprint verify --all DIR --json` prints."""
        return {
            "format": FORMAT,
            "folder": printable(self.folder),
            "models": [verification.to_json() for verification in self.verifications],
            "unreadable": [{"model": name, "problem": problem} for name, problem in sorted(self.unreadable.items())],
            "circles": [list(circle) for circle in self.circles],
        }


def verify_mirror(folder: Path, options: Options, *, engine: str, jobs: int | None, cache: bool) -> Mirror:
    """Verify every model of a mirror, with a bar on stderr: one that cannot be read is named, and the others are verified.

    Raises:
        CheckpointError: the folder cannot be listed.
        EngineError: there is no such engine.
    """
    names = list(models_in_mirror(folder))
    outcomes = engines.named(engine).run(partial(_verified, folder, options, cache), names, jobs)
    verified: dict[str, Verification] = {}
    unreadable: dict[str, str] = {}
    for outcome in tracked(outcomes, "verifying", len(names)):
        if outcome.error is not None:
            unreadable[outcome.item] = str(outcome.error)
        elif outcome.result is not None:
            verified[outcome.item] = outcome.result
    ordered = tuple(verified[name] for name in names if name in verified)
    return Mirror(folder, ordered, unreadable, tuple(circles({name: _declared(folder / name) for name in verified})))


def _verified(folder: Path, options: Options, cache: bool, name: str) -> Verification:
    def open_model(place: str, quick: bool) -> Fingerprint:
        return fingerprint(place, quick=quick, cache=cache, offline=options.offline)

    return verify(str(folder / name), options, name=name, open_model=open_model)


def _declared(place: Path) -> Declared:
    try:
        return read_declared(str(place))
    except KinprintError:
        return Declared()
