"""Published lists of labelled pairs of hub models, shipped as data: which pairs, whose labels, what was published of them.

A label that contradicts the models' own cards or files is corrected, and the list says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any

from kinprint import engines
from kinprint.benchmark.pairs import Pairs, pairs_of
from kinprint.checkpoints.remote import hub
from kinprint.checkpoints.weight_choice import choose_weights

FOLDER = files(__package__) / "lists"

LOOKUPS = 8
"""Questions to the hub at once."""


@dataclass(frozen=True)
class PublishedList:
    """A list of pairs, and what its authors say.

    Attributes:
        name: as `--list` takes it.
        what: which pairs, in words.
        source: who labelled them.
        result: what its authors, or those who ran it, publish.
        corrected: labels that were wrong, and what stands for them here.
        notes: what a reader of the figures should know.
        pairs: the pairs; models are hub ids.
    """

    name: str
    what: str
    source: str
    result: str
    corrected: tuple[str, ...]
    notes: tuple[str, ...]
    pairs: Pairs

    def lines(self) -> list[str]:
        """What stands beside the figures of a run."""
        told = [f"{self.name}: {self.what}.", f"Labels: {self.source}. Published: {self.result}."]
        told += [f"Corrected: {each}." for each in self.corrected]
        return told + [f"Note: {each}." for each in self.notes]


@dataclass(frozen=True)
class Ahead:
    """What a run will read.

    Attributes:
        models: whose files the hub lists.
        nbytes: of their weights, as they will be chosen.
        missing: (model, why) of those it does not list.
    """

    models: int
    nbytes: int
    missing: tuple[tuple[str, str], ...]


def names() -> tuple[str, ...]:
    """The lists that there are."""
    return tuple(sorted(entry.name.removesuffix(".json") for entry in FOLDER.iterdir() if entry.name.endswith(".json")))


def published(name: str) -> PublishedList:
    """A list by its name.

    Raises:
        KeyError: there is none of this name.
    """
    if name not in names():
        raise KeyError(name)
    told: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    rows = [{**row, "source": told["source"]} for row in told["pairs"]]
    corrected, notes = tuple(told["corrected"]), tuple(told["notes"])
    bare = PublishedList(name, told["what"], told["source"], told["result"], corrected, notes, pairs_of(rows, name))
    return replace(bare, pairs=replace(bare.pairs, notes=tuple(bare.lines())))


def ahead(pairs: Pairs, progress: Callable[[int, int], None] = lambda done, total: None) -> Ahead:
    """Ask the hub which files every model has: nothing of any file is read."""
    nbytes, listed, missing = 0, 0, list[tuple[str, str]]()
    places = list(pairs.models.values())
    for number, outcome in enumerate(engines.named("threads").run(_weights, places, LOOKUPS), 1):
        progress(number, len(places))
        if outcome.result is None:
            missing.append((outcome.item, str(outcome.error)))
        else:
            listed, nbytes = listed + 1, nbytes + outcome.result
    return Ahead(listed, nbytes, tuple(sorted(missing)))


def _weights(place: str) -> int:
    """Bytes of the weights that will be chosen.

    Raises:
        KinprintError: the hub does not list it.
    """
    sizes = hub.listed(place).sizes
    return sum(sizes[name] for name in choose_weights(sizes.keys(), place).files)
