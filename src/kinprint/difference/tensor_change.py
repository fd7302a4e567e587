"""What changed from one matrix to the one that answers it: measured in one pass, some rows at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import ml_dtypes
import numpy as np

from kinprint.architectures import Place
from kinprint.arrays import Float32s, Float64s
from kinprint.difference.entries import Sums
from kinprint.difference.grid import Grid, grid
from kinprint.difference.matrix import SAMPLED, Opened, number_type, rounded, sample_of
from kinprint.difference.pairing import Pair
from kinprint.difference.spectrum import EXACT, Directions, Sketch
from kinprint.difference.units import cosines

BLOCK = 1 << 20
"""Entries of a block, about."""

SMALL = 0.25
"""Entries below this share of the reference's root mean square are small: a fifth of normal ones."""

ROUNDINGS = 4.0
"""Changes up to so many roundings of their number type are near to it."""

ROW_ANSWERS = 0.3
"""Cosine from which a row is that of the reference."""

UNIFORM = 0.541
"""Mean square of the spacing of floating-point numbers, as a share of (largest relative spacing times number) squared."""


@dataclass(frozen=True)
class TensorChange:
    """One matrix or vector of the suspect beside the reference's.

    Attributes:
        place, of: layer, role and expert in the suspect, and in the reference.
        shape: of what was compared; a vector has one row.
        entries: that are finite in both.
        changed: entries that differ; where number types differ, those that are not each other's rounding.
        norm: Frobenius norm of the reference's matrix; change_norm: of the change; cosine: of the two matrices.
        largest: size of the largest change.
        near: share of the changed entries that moved by no more than `ROUNDINGS` roundings.
        rows_changed, columns_changed: how many have a changed entry.
        rows_answering: share of the rows that point as the reference's do; units_answering: of the rows or of the columns, as
            far as sampled rows tell, whichever is less.
        kept_small: slope of the suspect's on the reference's entries where these are small: 1 where they were kept.
        zeroed: share of the entries that were not zero and became so.
        evenness: kurtosis of the change within rows: 1.8 for rounding to a grid, 3 for normal noise; None without a change.
        scaled: share of the change that one factor a row, or one a column, explains.
        directions: of a changed matrix; None of vectors, and where nothing changed.
        grid: that the suspect's values lie on and the reference's do not.
        types: number types that both were rounded to, as far as some entries tell.
        order: as of `Pair`. added, gone: tokens.
        not_finite: entries that are NaN or infinite in either.
    """

    place: Place
    of: Place
    shape: tuple[int, int]
    entries: int
    changed: int
    norm: float
    change_norm: float
    cosine: float
    largest: float
    near: float
    rows_changed: int
    columns_changed: int
    rows_answering: float
    units_answering: float
    kept_small: float
    zeroed: float
    evenness: float | None
    scaled: float
    directions: Directions | None
    grid: Grid | None
    types: tuple[str, str]
    order: str = ""
    added: int = 0
    gone: int = 0
    not_finite: int = 0
    residual_axis: int | None = field(default=None, repr=False)

    @property
    def layer(self) -> int | None:
        return self.place[0]

    @property
    def role(self) -> str:
        return self.place[1]

    @property
    def share(self) -> float:
        """Of the entries that changed."""
        return self.changed / self.entries if self.entries else 0.0

    @property
    def relative(self) -> float:
        """Norm of the change against that of the reference; infinite for a change of nothing but zeros."""
        return self.change_norm / self.norm if self.norm else math.inf if self.change_norm else 0.0

    def to_json(self) -> dict[str, Any]:
        """What JSON can hold."""
        told = self.directions
        return {
            "layer": self.place[0],
            "role": self.place[1],
            "expert": self.place[2],
            "reference": {"layer": self.of[0], "role": self.of[1], "expert": self.of[2]},
            "shape": list(self.shape),
            "entries": self.entries,
            "changed": self.changed,
            "share_changed": self.share,
            "norm": self.norm,
            "change_norm": self.change_norm,
            "relative_change": self.relative if math.isfinite(self.relative) else None,
            "largest_change": self.largest,
            "cosine": self.cosine,
            "rank": told.rank if told else None,
            "rank_is_clear": told.clear if told else None,
            "effective_rank": told.effective_rank if told else None,
            "structure": told.structure if told else None,
            "grid": {"block": self.grid.block, "levels": self.grid.levels, "nearest": self.grid.nearest} if self.grid else None,
            "evenness": self.evenness,
            "near_rounding": self.near,
            "zeroed": self.zeroed,
            "kept_small": self.kept_small,
            "rows_changed": self.rows_changed,
            "columns_changed": self.columns_changed,
            "rows_answering": self.rows_answering,
            "units_answering": self.units_answering,
            "number_types": list(self.types),
            "order": self.order or "same",
            "tokens_added": self.added,
            "tokens_gone": self.gone,
            "not_finite": self.not_finite,
        }


def measured(pair: Pair) -> TensorChange:
    """Measure a pair whose entries answer each other.

    Raises:
        CheckpointError: a part cannot be read.
    """
    rows, columns = pair.suspect.shape
    ours, theirs = pair.reference.opened(), pair.suspect.opened()
    try:
        return _measured(pair, ours, theirs, rows, columns)
    finally:
        ours.close()
        theirs.close()


def _measured(pair: Pair, ours: Opened, theirs: Opened, rows: int, columns: int) -> TensorChange:
    some = [_sample(side, rows) for side in (ours, theirs)]
    kinds = [number_type(values, side.matrix.part.dtype) for values, side in zip(some, (ours, theirs), strict=True)]
    exact = pair.reference.gain is None and pair.suspect.gain is None
    spacing = float(ml_dtypes.finfo(kinds[1]).eps)  # type: ignore[no-untyped-call]
    small = SMALL * float(np.sqrt(np.mean(some[0].astype(np.float64) ** 2))) if some[0].size else 0.0
    sums, sketch = Sums(rows, columns), Sketch(rows, columns, residual_rows=pair.suspect.axes[0] == "residual")
    vector = rows == 1
    step = max(BLOCK // max(columns, 1), EXACT)
    change = np.empty((min(step, rows), columns), np.float32)
    for start in range(0, rows, step):
        stop = min(start + step, rows)
        a, b = ours.read(start, stop), theirs.read(start, stop)
        if exact and kinds[0] != kinds[1]:
            b = np.where((rounded(a, kinds[1]) == b) | (rounded(b, kinds[0]) == a), a, b)
        moved = change[: stop - start]
        sums.add(start, a, b, moved, small=small, rounding=ROUNDINGS * spacing)
        if not vector:
            sketch.add(start, moved)
    entries, changed, squares = int(sums["entries"]), int(sums["changed"]), sums["squares"]
    directions = None
    if changed and not vector and squares > 0:
        fourths = float(np.sum(sums.row_changes**2) + np.sum(sums.column_changes**2)) - sums["fourths"]
        noise = UNIFORM * spacing**2 / 12 * sums["b_squares"] / max(entries, 1)
        directions = sketch.found(noise=noise, squares=squares, random_fourths=fourths)
    here = [rounded(some[0], kinds[1]) if exact else some[0], some[1]]
    sizes = sums["a_squares"] * sums["b_squares"]
    return TensorChange(
        place=pair.place,
        of=pair.of,
        shape=(rows, columns),
        entries=entries,
        changed=changed,
        norm=math.sqrt(sums["a_squares"]),
        change_norm=math.sqrt(squares),
        cosine=sums["inner"] / math.sqrt(sizes) if sizes > 0 else 0.0,
        largest=sums["largest"],
        near=sums["near"] / changed if changed else 0.0,
        rows_changed=int(np.count_nonzero(sums.row_changes)),
        columns_changed=int(np.count_nonzero(sums.column_changes)),
        rows_answering=_answering(sums),
        units_answering=min(_answering(sums), _columns_answering(*some)),
        kept_small=sums["small_inner"] / sums["small_squares"] if sums["small_squares"] > 0 else 1.0,
        zeroed=sums["zeroed"] / sums["kept"] if sums["kept"] else 0.0,
        evenness=_evenness(some[1] - some[0]) if changed else None,
        scaled=_scaled(*some) if changed and not vector else 0.0,
        directions=directions,
        grid=grid(*here) if changed and not vector and exact else None,
        types=(kinds[0].name, kinds[1].name),
        order=pair.order,
        added=pair.added,
        gone=pair.gone,
        not_finite=int(sums["not_finite"]),
    )


def _sample(side: Opened, rows: int) -> Float32s:
    found = np.concatenate([side.read(int(row), int(row) + 1) for row in sample_of(rows)])
    return np.where(np.isfinite(found), found, np.float32(0))


def _answering(sums: Sums) -> float:
    """The share of the rows that point as the reference's do."""
    sizes = np.sqrt(sums.row_a * sums.row_b)
    known = sizes > 0
    return float(np.mean(sums.row_inner[known] >= ROW_ANSWERS * sizes[known])) if known.any() else 1.0


def _columns_answering(ours: Float32s, theirs: Float32s) -> float:
    """The share of the columns that do, in sampled rows; 1 where these are too few to say."""
    if len(ours) < SAMPLED:
        return 1.0
    known = ours.any(axis=0) & theirs.any(axis=0)
    found = cosines(np.ascontiguousarray(ours.T[known]), np.ascontiguousarray(theirs.T[known]))
    return float(np.mean(found >= ROW_ANSWERS)) if len(found) else 1.0


def _evenness(change: Float32s) -> float | None:
    """Kurtosis of the change, every row at its own size."""
    squares = change.astype(np.float64) ** 2
    mean = squares.mean(axis=1)
    known = mean > 0
    return float(np.mean((squares[known] ** 2).mean(axis=1) / mean[known] ** 2)) if known.any() else None


def _scaled(ours: Float32s, theirs: Float32s) -> float:
    """The share of a change's squares that one factor for each row explains, or one for each column."""
    total = float(np.sum((theirs - ours).astype(np.float64) ** 2))
    if not total:
        return 0.0
    left = [_beyond_factors(*sides) for sides in ((ours, theirs), (ours.T, theirs.T)) if sides[0].shape[1] > 8]
    return max((1 - each / total for each in left), default=0.0)


def _beyond_factors(ours: Float32s, theirs: Float32s) -> float:
    """Squares that are left when every row of the reference is brought to the suspect's by a factor."""
    sizes: Float64s = np.einsum("ij,ij->i", theirs, theirs, dtype=np.float64)
    return float(np.sum(sizes * (1 - np.minimum(cosines(np.ascontiguousarray(ours), np.ascontiguousarray(theirs)) ** 2, 1))))
