"""The directions of a change: its rank above rounding, its effective rank, and the first direction.

A change D of a few thousand rows and columns is not decomposed. It is multiplied by random vectors (Halko, Martinsson and
Tropp, 2011): Y = D W / sqrt(k) with W of k normal columns has the rank of D as long as that is below k, and its first left
direction. Where one side of D has at most `EXACT` units, W is the identity and everything is exact.

**Effective rank** is (sum s^2)^2 / sum s^4 of the singular values s: how many directions of one size would hold as much. Of
two random vectors u and v, u'D'Dv squared is sum s^4 on average, u'D'Du and v'D'Dv are each sum s^2: the ratio of the sums over
all pairs of columns of W estimates it without bias in either part, and is exact where the rank is 1.

**Structure** compares the effective rank with what it would be if every entry of D kept its size and had a random sign:
sum s^4 is then sum of the squared energies of the rows and of the columns, less sum d^4. Rounding and noise have about 1,
whatever their sizes by row and column; training moves rows together and has far less.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from kinprint.arrays import Float32s, Float64s

EXACT = 256
"""Units of the smaller side up to which everything is exact."""

PROBES = 136
"""Random vectors otherwise: ranks up to `MOST` are told."""

MOST = 128

ALONG = 8
"""Random sums of rows, which give the first direction of the columns."""

CLEAR = 1.5
"""A singular value counts if it is so many times the largest that roundings alone have."""

GAP = 3.0
"""A rank is clear if its last singular value is so many times that."""

FLOOR = {True: 1e-6, False: 1e-5}
"""What float32 arithmetic leaves of the largest singular value where there is nothing: with all vectors, with random ones."""


@dataclass(frozen=True)
class Directions:
    """What is known of the directions of a change that is not zero.

    Attributes:
        rank: how many singular values stand above roundings; None if more than can be told (`MOST`, or half of the units).
        clear: whether the last of them stands far above, so that the rank is no cut through a falling curve.
        effective_rank: as above.
        structure: as above; 1 for rounding and noise.
        first: (residual,) float32 unit vector of the first direction on the residual stream, of a change of rank 1; else None.
    """

    rank: int | None
    clear: bool
    effective_rank: float
    structure: float
    first: Float32s | None


class Sketch:
    """Takes a change block by block.

    Args:
        rows, columns: of the change.
        residual_rows: whether its rows are residual channels; else its columns are.
    """

    def __init__(self, rows: int, columns: int, *, residual_rows: bool) -> None:
        self.rows, self.columns, self.residual_rows = rows, columns, residual_rows
        self.exact = min(rows, columns) <= EXACT
        self.turned = columns > EXACT and self.exact
        size = rows if self.turned else columns if self.exact else PROBES
        self._inner = np.zeros((size, size))
        self._products: list[Float32s] = []
        self._along = np.zeros((ALONG, columns), np.float32)

    def add(self, start: int, change: Float32s) -> None:
        """Some rows of the change from number `start` on; all of them at once if there are no more than `EXACT`."""
        product = change.T if self.turned else change if self.exact else change @ _probes(self.columns)
        wide = product.astype(np.float64)
        self._inner += wide.T @ wide
        if not self.residual_rows:
            weights = np.random.default_rng([start, ALONG]).standard_normal((ALONG, len(change)), np.float32)
            self._along += weights @ change
        elif not self.turned:
            self._products.append(product)

    def found(self, *, noise: float, squares: float, random_fourths: float) -> Directions:
        """What is known now that all rows were added; the change is not zero.

        Args:
            squares: sum of the change's squares.
            noise: variance of what roundings add to an entry.
            random_fourths: sum of s^4 if signs were random.
        """
        values, vectors = np.linalg.eigh(self._inner)
        sizes = np.sqrt(np.maximum(values[::-1], 0))
        effective_rank = self._effective_rank()
        edge = CLEAR * self._edge(noise) + FLOOR[self.exact] * sizes[0]
        rank = int(np.sum(sizes > edge))
        told = 0 < rank <= (min(self.rows, self.columns) // 2 if self.exact else MOST)
        return Directions(
            rank=rank if told else None,
            clear=told and bool(sizes[rank - 1] >= GAP / CLEAR * edge),
            effective_rank=effective_rank,
            structure=effective_rank * random_fourths / squares**2,
            first=self._first(vectors[:, -1]) if told and rank == 1 else None,
        )

    def _effective_rank(self) -> float:
        own = np.diag(self._inner)
        if self.exact:
            return float(own.sum() ** 2 / np.sum(self._inner**2))
        return float((own.sum() ** 2 - np.sum(own**2)) / (np.sum(self._inner**2) - np.sum(own**2)))

    def _edge(self, noise: float) -> float:
        """The largest singular value of roundings alone."""
        spread = math.sqrt(noise)
        if self.exact:
            return spread * (math.sqrt(self.rows) + math.sqrt(self.columns))
        return spread * (math.sqrt(self.columns / PROBES) + 1) * (math.sqrt(self.rows) + math.sqrt(PROBES))

    def _first(self, vector: Float64s) -> Float32s | None:
        """The first direction on the residual stream; `vector` is that of the inner products."""
        if not self.residual_rows:
            found = np.linalg.svd(self._along, full_matrices=False)[2][0]
        elif self.turned:
            found = vector
        else:
            found = np.concatenate(self._products) @ vector.astype(np.float32)
        size = float(np.linalg.norm(found))
        return (found / size).astype(np.float32) if size else None


@lru_cache(maxsize=8)
def _probes(columns: int) -> Float32s:
    """(columns, PROBES) float32, the same at every call."""
    drawn = np.random.default_rng([columns, PROBES]).standard_normal((columns, PROBES), np.float32)
    return np.asarray(drawn / np.float32(math.sqrt(PROBES)))
