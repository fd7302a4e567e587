"""A part of a model as a difference reads it: float32 rows, some at a time, its units in the order of the other model's."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import ml_dtypes
import numpy as np

from kinprint.architectures import Lines, Part
from kinprint.arrays import Array, Float32s, Int64s
from kinprint.fingerprints.kernels import widened
from kinprint.fingerprints.pieces import release

WHOLE = 1 << 24
"""Entries up to which a part is read as a whole: what has to be decoded is then decoded once."""

SAMPLED = 64
"""Rows that stand for a matrix where a look at some is enough."""

TYPES = (np.dtype(ml_dtypes.bfloat16), np.dtype(np.float16))
"""Number types narrower than float32, the commoner first."""


@dataclass(frozen=True, eq=False)
class Matrix:
    """A part, and which of its rows and columns are compared. A vector is a matrix of one row.

    Attributes:
        part: where it is read.
        rows, columns: (n,) int64 which, and in which order; None for all as they are.
        gain: (columns,) float32 that columns are multiplied by; None for none.
    """

    part: Part
    rows: Int64s | None = None
    columns: Int64s | None = None
    gain: Float32s | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Of what is compared."""
        height, width = self.part.shape if len(self.part.shape) == 2 else (1, self.part.shape[0])
        return height if self.rows is None else len(self.rows), width if self.columns is None else len(self.columns)

    @property
    def axes(self) -> tuple[str, str]:
        """The spaces of its rows and columns."""
        return (self.part.axes[0], self.part.axes[1]) if len(self.part.axes) == 2 else ("", self.part.axes[0])

    def taking(self, rows: Int64s | None, columns: Int64s | None) -> Matrix:
        """The same with its units in another order."""
        return replace(self, rows=rows, columns=columns)

    def opened(self) -> Opened:
        """Ready to be read.

        Raises:
            CheckpointError: it cannot be read.
        """
        lines = self._lines()
        if lines is not None and self.rows is None:
            return Opened(self, lines.read, None)
        whole = self.part.read()
        whole = whole.reshape(1, -1) if whole.ndim == 1 else whole
        return Opened(self, lambda start, stop: whole[start:stop], whole)

    def sampled(self) -> Float32s:
        """(SAMPLED, columns) rows, evenly spread; all if there are no more.

        Raises:
            CheckpointError: they cannot be read.
        """
        wanted = sample_of(self.shape[0])
        lines = self._lines()
        if lines is not None:
            found = wanted if self.rows is None else self.rows[wanted]
            return self.finished(np.concatenate([lines.read(int(row), int(row) + 1) for row in found]))
        opened = self.opened()
        rows = np.concatenate([opened.read(int(row), int(row) + 1) for row in wanted])
        opened.close()
        return rows

    def _lines(self) -> Lines | None:
        """How rows of a large matrix are read without the others."""
        lines = self.part.lines
        return lines if lines is not None and lines.axis == 0 and math.prod(self.part.shape) > WHOLE else None

    def finished(self, rows: Array) -> Float32s:
        """Rows as they were read, as they are compared."""
        wide = widened(rows if self.columns is None else rows[:, self.columns])
        return wide if self.gain is None else wide * self.gain


@dataclass(frozen=True, eq=False)
class Opened:
    """A matrix that is being read."""

    matrix: Matrix
    stored: Callable[[int, int], Array]
    whole: Array | None

    def read(self, start: int, stop: int) -> Float32s:
        """(stop - start, columns) contiguous, which the caller must not write on."""
        rows = self.matrix.rows
        if rows is None:
            return self.matrix.finished(self.stored(start, stop))
        wanted = rows[start:stop]
        assert self.whole is not None
        run = len(wanted) and wanted[-1] - wanted[0] == len(wanted) - 1 and bool((np.diff(wanted) == 1).all())
        found = self.whole[wanted[0] : wanted[-1] + 1] if run else self.whole[wanted]
        return self.matrix.finished(found)

    def close(self) -> None:
        """Give mapped pages back."""
        if self.whole is not None:
            release(self.whole)


def sample_of(rows: int) -> Int64s:
    """The rows that stand for a matrix."""
    return np.unique(np.linspace(0, rows - 1, min(rows, SAMPLED)).round().astype(np.int64))


def number_type(values: Float32s, stored: np.dtype[Any]) -> np.dtype[Any]:
    """The type that weights were last rounded to, as far as some of them tell: a narrow one may lie in a wide file."""
    if stored.itemsize < 4:
        return stored
    return next((kind for kind in TYPES if np.array_equal(rounded(values, kind), values)), np.dtype(np.float32))


def rounded(values: Float32s, kind: np.dtype[Any]) -> Float32s:
    """Rounded to a type and back."""
    if kind.itemsize >= 4:
        return values
    with np.errstate(over="ignore"):
        return widened(values.astype(kind))
