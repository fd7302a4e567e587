"""What a build wrote down: each model with its commit, licence, digest, bytes and seconds, and why others are not there.

The file is written again after each model, so that a build that is killed leaves what it had.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kinprint.checkpoints.files import read_bounded, replacing
from kinprint.checkpoints.json_text import parse_object
from kinprint.errors import CheckpointError, LibraryError

FORMAT = "kinprint-build/1"
NAME = "kinprint-build.json"
MAX_BYTES = 64_000_000
RECENT = 10
"""Models of an earlier build that say how fast the next one will be."""


@dataclass(frozen=True)
class Built:
    """A model that was measured.

    Attributes:
        id: `org/name`.
        revision: the commit that was read.
        licence: as its card states it at that commit, else as the list does; empty if neither does.
        licence_from: "card", the list's key of the source, or empty.
        digest: of the fingerprint.
        bytes: of the weights, as far as they were read.
        seconds: fetched and measured.
        quick: about 1 % of the weights was read.
    """

    id: str
    revision: str
    licence: str
    licence_from: str
    digest: str
    bytes: int
    seconds: float
    quick: bool


class Manifest:
    """The file; it need not exist yet.

    Raises:
        LibraryError: the file is there and is none, or cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        content = _read(path) if path.exists() else {}
        self._models = {(row["id"], row["quick"]): row for row in content.get("models", [])}
        self._skipped = {row["id"]: row for row in content.get("skipped", [])}

    def rate(self, quick: bool) -> float | None:
        """Bytes a second of one model in earlier builds that read as much: the median of the last ones."""
        rates = [row["bytes"] / row["seconds"] for row in self._models.values() if row["quick"] == quick and row["seconds"] > 0]
        return statistics.median(rates[-RECENT:]) if rates else None

    def add(self, built: Built) -> None:
        """Write down a model that is in the library."""
        self._models.pop((built.id, built.quick), None)  # to the end: what was measured last says how fast it is
        self._models[built.id, built.quick] = asdict(built)
        self._skipped.pop(built.id, None)
        self._write()

    def skip(self, reasons: Mapping[str, str]) -> None:
        """Write down why models are not there, by id; what an earlier build said of them is forgotten."""
        self._skipped |= {name: {"id": name, "reason": reason} for name, reason in reasons.items()}
        self._write()

    def _write(self) -> None:
        content = {"format": FORMAT, "models": list(self._models.values()), "skipped": list(self._skipped.values())}
        try:
            with replacing(self.path) as file:
                file.write((json.dumps(content, indent=1) + "\n").encode())
        except OSError as error:
            raise LibraryError(self.path, f"cannot be written: {error.strerror or error}", "give another --manifest") from error


def _read(path: Path) -> dict[str, Any]:
    """What the file holds, as far as a build needs it in its form."""
    try:
        content = parse_object(read_bounded(path, MAX_BYTES), path, strict=True)
    except CheckpointError as error:
        raise LibraryError(path, error.problem, error.remedy) from error
    rows, skipped = content.get("models"), content.get("skipped")
    whole = content.get("format") == FORMAT and isinstance(rows, list) and isinstance(skipped, list)
    if not whole or not all(map(_is_built, rows or ())) or not all(map(_is_skipped, skipped or ())):
        raise LibraryError(path, f"is there and is no {FORMAT}", "move it away, or give another --manifest")
    return content


def _is_built(row: Any) -> bool:
    kinds: dict[str, type | tuple[type, ...]] = {"id": str, "quick": bool, "bytes": int, "seconds": (int, float)}
    return isinstance(row, dict) and all(isinstance(row.get(key), kind) for key, kind in kinds.items())


def _is_skipped(row: Any) -> bool:
    return isinstance(row, dict) and isinstance(row.get("id"), str)
