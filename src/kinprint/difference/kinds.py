"""What kind of change one matrix went through, by rules that follow from how such changes are made."""

from __future__ import annotations

from typing import Literal

from kinprint.difference.tensor_change import TensorChange

Kind = Literal["none", "rounded", "low-rank", "noise", "pruned", "sparse", "replaced", "dense"]

UNSTRUCTURED = 0.9
"""`structure` from which a change is like random signs. Rounding and noise have 1; training moves rows together."""

NEAREST = 0.9
"""Share of entries at the level nearest to the reference's from which a grid explains a change that has structure. Rounding to
nearest has 1; what was trained before it was rounded has less."""

EVEN = 2.3
"""`evenness` up to which it is like rounding to a grid, whose errors are uniform (1.8); normal noise has 3."""

UNITS = 0.9
"""Share of the rows or columns that change up to which a rank is a rank: that of a change in a few units is their number."""

ANSWERING = 0.8
"""Share of the rows, and of the columns, that must answer the reference's; else some were replaced."""

ZEROED = 0.05
"""Share of the entries that became zero from which a matrix counts as pruned."""

LOST = 0.5
"""Slope of the suspect's small entries on the reference's up to which these count as pruned and trained anew. Training moves
small and large entries alike: their slope is then the same."""

SPARSE = 0.05
"""Share of entries that did not change at all from which a change counts as sparse ..."""

BEYOND = 0.5
"""... if at most so many of the others changed by no more than a few roundings, and fewer than did not change: changes that are
too small to move an entry have many neighbours that are just large enough."""


def kind(change: TensorChange) -> Kind:
    """Of a matrix that answers the reference's."""
    told = change.directions
    if not change.changed or told is None:
        return "none"
    if change.grid is not None and (told.structure >= UNSTRUCTURED or change.grid.nearest >= NEAREST):
        return "rounded"
    if change.zeroed >= ZEROED and change.grid is None:
        return "pruned"
    if told.clear and told.rank is not None and told.rank < UNITS * min(change.rows_changed, change.columns_changed):
        return "low-rank"
    if change.units_answering < ANSWERING:
        return "replaced"
    if change.kept_small <= LOST < change.cosine:
        return "pruned"
    if 1 - change.share >= SPARSE and change.near <= BEYOND and change.share * change.near < 1 - change.share:
        return "sparse"
    if told.structure >= UNSTRUCTURED:
        return "rounded" if change.evenness is not None and change.evenness <= EVEN else "noise"
    return "dense"
