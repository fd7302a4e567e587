"""The numbers of a difference in words, the same in a terminal and on a page: a line for each role, a cell for each layer."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from kinprint.architectures.kinds import spans
from kinprint.architectures.roles import MATRICES
from kinprint.difference import MEANS, Changes, TensorChange
from kinprint.difference.kinds import kind


@dataclass(frozen=True)
class Role:
    """All tensors of one role.

    Attributes:
        name: of the role.
        tensors: of it, by layer.
        share: of their entries that changed.
        relative: norm of the change against theirs.
        rank: "8" where every changed matrix is of that rank at most, "~ 38" for the median effective rank, "" for vectors.
        kind: of most changed matrices; "" for vectors, "unchanged" where nothing changed.
        layers: layer -> norm of the change against that of the weights.
    """

    name: str
    tensors: tuple[TensorChange, ...]
    share: float
    relative: float
    rank: str
    kind: str
    layers: dict[int, float]


def roles(changes: Changes) -> list[Role]:
    """The roles of a difference, matrices of layers first, then what stands outside of layers, then vectors."""
    by_role: dict[str, list[TensorChange]] = defaultdict(list)
    for change in changes.tensors:
        by_role[change.role].append(change)

    def order(name: str) -> tuple[bool, bool, int, str]:
        place = list(MATRICES).index(name) if name in MATRICES else 0
        return name not in MATRICES, by_role[name][0].layer is None, place, name

    return [_role(name, by_role[name]) for name in sorted(by_role, key=order)]


def relative(tensors: Sequence[TensorChange]) -> float:
    """Norm of the change of some tensors against their norm."""
    total = sum(change.norm**2 for change in tensors)
    moved = sum(change.change_norm**2 for change in tensors)
    return math.sqrt(moved / total) if total else math.inf if moved else 0.0


def _role(name: str, tensors: Sequence[TensorChange]) -> Role:
    by_layer: dict[int, list[TensorChange]] = defaultdict(list)
    for change in tensors:
        if change.layer is not None:
            by_layer[change.layer].append(change)
    entries = sum(change.entries for change in tensors)
    told = [change.directions for change in tensors if change.directions is not None]
    ranks = [each.rank if each.clear else None for each in told]
    rank = ""
    if told:
        low = [rank for rank in ranks if rank is not None]
        rank = str(max(low)) if len(low) == len(told) else f"~ {median(each.effective_rank for each in told):.0f}"
    kinds = [kind(change) for change in tensors if change.changed and change.directions is not None]
    if not any(change.changed for change in tensors):
        said = "unchanged"
    else:
        said = max(sorted(set(kinds)), key=kinds.count) if kinds else ""
    return Role(
        name=name,
        tensors=tuple(tensors),
        share=sum(change.changed for change in tensors) / entries if entries else 0.0,
        relative=relative(tensors),
        rank=rank,
        kind=said,
        layers={layer: relative(each) for layer, each in sorted(by_layer.items())},
    )


def number(value: float) -> str:
    """A size in few letters."""
    if not math.isfinite(value):
        return "new"
    return "0" if value == 0 else f"{value:.3f}" if value >= 0.001 else f"{value:.0e}"


def percent(share: float) -> str:
    """A share, never rounded to nothing or all."""
    if share in (0, 1):
        return f"{share:.0%}"
    if share < 0.001:
        return "< 0.1 %"
    return f"{100 * share:.1f} %" if share <= 0.999 else "> 99.9 %"


def accuracy(changes: Changes) -> str:
    """How often the word was right, in a sentence."""
    right = changes.reading.right
    means = f"“{changes.reading.word}” means: {MEANS[changes.reading.word]}."
    if right is None:
        return f"{means} How often it is right was not measured. A description, not a test."
    return f"{means} Right in {right[0]} of {right[1]} small models of known lineage. A description, not a test."


def left_out(changes: Changes) -> list[str]:
    """What is not in the numbers, a line each."""
    lines = []
    if list(changes.layer_map) != list(range(len(changes.layer_map))):
        shown = " ".join("·" if layer is None else str(layer) for layer in changes.layer_map)
        lines.append(f"Layers of the reference, by suspect layer: {shown}")
    groups = (
        ("Not compared", changes.not_compared),
        ("Only in the reference", changes.missing),
        ("Only in the suspect", changes.added),
    )
    for title, places in groups:
        by_role: dict[str, set[int]] = defaultdict(set)
        for layer, role, _ in places:
            by_role[role].update([] if layer is None else [layer])
        if by_role:
            named = (f"{role} {spans(sorted(layers))}".strip() for role, layers in by_role.items())
            lines.append(f"{title}: {'; '.join(named)}")
    if broken := sum(change.not_finite for change in changes.tensors):
        lines.append(f"{broken:,} entries are NaN or infinite in one of the models, and are not compared")
    return lines
