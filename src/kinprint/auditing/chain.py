"""The chain as its owner states it: checkpoints in order, with steps and dates where these are stated.

A file of a chain is TOML or JSON:

    [[checkpoint]]
    path = "checkpoints/step0"     # folder, file, hub id or .kinprint file; relative to the file's folder
    step = 0
    date = 2026-03-01
"""

from __future__ import annotations

import datetime
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from kinprint.checkpoints.json_text import parse_object
from kinprint.errors import ChainError, CheckpointError, printable

LARGEST = 1 << 22
"""Bytes of the largest file of a chain that is read."""

MOST = 10_000
"""Checkpoints of a chain, at most."""


@dataclass(frozen=True)
class Stage:
    """One checkpoint of a chain.

    Attributes:
        place: where it lies: what a user may call a model.
        name: what people call it.
        step: of the training, as the owner states it; None where it is not stated.
        date: ISO 8601, as the owner states it; "" where it is not stated.
    """

    place: str
    name: str
    step: int | None = None
    date: str = ""

    @property
    def label(self) -> str:
        """What a report calls it."""
        return self.name if self.step is None else f"step {self.step:,}"

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "step": self.step, "date": self.date or None}


def named(places: Sequence[str]) -> list[Stage]:
    """Checkpoints of which nothing is stated but their order."""
    return [Stage(place, _name(place)) for place in places]


def read_chain(path: str | os.PathLike[str]) -> list[Stage]:
    """The chain in a file.

    Raises:
        ChainError: the file cannot be read, or does not state a chain.
    """
    file = Path(path)
    try:
        with open(file, "rb") as opened:
            data = opened.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise ValueError(f"more than {LARGEST >> 20} MiB")
        stated = parse_object(data, file) if file.suffix == ".json" else tomllib.loads(data.decode())
    except OSError as error:
        raise ChainError(file, f"cannot be read: {error.strerror or error}") from error
    except CheckpointError as error:
        raise ChainError(file, error.problem, error.remedy) from error
    except (ValueError, RecursionError) as error:
        raise ChainError(
            file, f"is no chain ({printable(error, 120)})", "write TOML with [[checkpoint]] tables, or JSON"
        ) from error
    entries = stated.get("checkpoint")
    if not isinstance(entries, list) or not 0 < len(entries) <= MOST or not all(isinstance(each, Mapping) for each in entries):
        raise ChainError(file, f"states no list `checkpoint` of 1 to {MOST:,} tables", "see docs/audit.md for an example")
    return [_stage(file, number, entry) for number, entry in enumerate(entries, 1)]


def require_order(stages: Sequence[Stage]) -> None:
    """Refuse what is no chain: fewer than two checkpoints, steps that do not rise, dates that fall.

    Raises:
        ChainError: says which.
    """
    if len(stages) < 2:
        raise ChainError(stages[0].name if stages else "chain", "a chain takes two checkpoints or more", "name the start first")
    for a, b in pairwise(stages):
        if a.step is not None and b.step is not None and b.step <= a.step:
            raise ChainError(b.name, f"step {b.step} stands behind step {a.step}", "list checkpoints from start to release")
        if a.date and b.date and b.date < a.date:
            raise ChainError(b.name, f"{b.date} stands behind {a.date}", "list checkpoints from start to release")


def _stage(file: Path, number: int, entry: Mapping[str, Any]) -> Stage:
    where = f"{file}, checkpoint {number}"
    path, step, date = entry.get("path"), entry.get("step"), entry.get("date", "")
    if not isinstance(path, str) or not path:
        raise ChainError(where, "states no path", 'write path = "FOLDER"')
    if step is not None and (type(step) is not int or step < 0):
        raise ChainError(where, f"states {printable(step, 40)} as its step", "write a whole number, 0 for the start")
    beside = file.parent / path
    place = str(beside) if os.path.exists(beside) else path  # a hub id, a URL, or nothing, which opening refuses
    return Stage(place, _name(path), step, _date(where, date))


def _date(where: str, stated: object) -> str:
    """A date or a time of TOML, or an ISO 8601 text, as a day: times of different zones have no order as texts."""
    if stated == "":
        return ""
    try:
        if isinstance(stated, str):
            stated = datetime.datetime.fromisoformat(stated)
        if isinstance(stated, datetime.datetime):
            stated = stated.date()
        if isinstance(stated, datetime.date):
            return stated.isoformat()
    except ValueError:
        pass
    raise ChainError(where, f"states {printable(stated, 40)} as its date", "write it as 2026-03-01")


def _name(place: str) -> str:
    return printable(Path(place).name.removesuffix(".kinprint") or place, 100)
