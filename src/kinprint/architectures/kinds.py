"""What each layer of a model is made of, and what of it is not measured."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from kinprint.architectures import roles
from kinprint.architectures.anatomy import Part
from kinprint.architectures.table import Skip

NOTHING = "nothing known"


@dataclass(frozen=True)
class Passed:
    """Where a tensor stands that a table knows and gives no role, and what it belongs to."""

    skip: Skip
    layer: int | None
    second: bool = False


def kinds(parts: Iterable[Part], skipped: Iterable[Passed], layers: int) -> list[str]:
    """Of every layer, in order, what it is made of: "attention + dense", "mamba mixer + experts".

    Args:
        parts: of the whole model.
        skipped: what the table knows and does not measure.
        layers: how many there are.
    """
    known: list[set[str]] = [set() for _ in range(layers)]
    for part in parts:
        if part.layer is not None and (piece := _piece(part)):
            known[part.layer].add(piece)
    passed: list[set[str]] = [set() for _ in range(layers)]
    for item in skipped:
        if item.layer is not None and item.skip.what and not item.skip.layer:
            passed[item.layer].add(item.skip.what)
    order = ("attention", "cross-attention", "dense", "experts")
    return [
        " + ".join([*(p for p in order[:2] if p in pieces), *sorted(other), *(p for p in order[2:] if p in pieces)]) or NOTHING
        for pieces, other in zip(known, passed, strict=True)
    ]


def _piece(part: Part) -> str:
    if part.role == "q" or part.role == roles.LATENT["q"].up:
        return "attention"
    if part.role == "cross_q":
        return "cross-attention"
    if part.role == "up":
        return "dense" if part.expert is None else "experts"
    return ""


def passed_over(skipped: Mapping[str, Passed], parts: Iterable[Part]) -> list[str]:
    """A note for each kind of thing that is known and not measured, or only in part, with the layers it is in.

    Args:
        skipped: by the names of the tensors.
        parts: of the whole model.
    """
    measured = {_module(part.tensor) for part in parts if part.role.startswith("mixer_")}
    places: dict[str, set[int]] = {}
    for name, item in skipped.items():
        if item.skip.what:
            text = f"{'measured in part' if _module(name) in measured else 'not measured'}: {item.skip.what}"
            places.setdefault(text, set()).update([] if item.layer is None else [item.layer])
    return [text + (f" of layers {spans(sorted(layers))}" if layers else "") for text, layers in places.items()]


def _module(name: str) -> str:
    """What stands in a name up to the step behind the number of the layer."""
    found = re.match(r".*?\.\d+\.[^.]+", name, re.ASCII)
    return found[0] if found else name


def spans(numbers: Sequence[int]) -> str:
    """[0, 1, 2, 5] as "0-2, 5"; ascending."""
    runs = [[n for _, n in run] for _, run in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0])]
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
