"""What the trait families are given: one layer, every part of it already read once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
from blake3 import blake3

from kinprint.architectures import Part
from kinprint.arrays import Array
from kinprint.fingerprints.kernels import Sums, sums
from kinprint.fingerprints.pieces import own_bytes, pieces

KEPT = 1 << 28
"""Bytes of a layer that stay in memory while it is measured."""


@dataclass(frozen=True)
class Scan:
    """What one pass over a part found.

    Attributes:
        part: the part.
        digest: BLAKE3 of its dtype, shape and entries.
        sums: of all its entries, rows and columns; a vector is one row.
    """

    part: Part
    digest: bytes
    sums: Sums


@dataclass
class Layer:
    """The parts of one layer, or a single part outside the layers (`index` None).

    Attributes:
        index: of the layer.
        facts: of the anatomy.
        scans: in the order of the anatomy.
        notes: what a family could not measure, and why; families add to it.
        kept: what several families need, so that it is computed once.
    """

    index: int | None
    facts: Mapping[str, Any]
    scans: list[Scan]
    notes: list[str] = field(default_factory=list)
    kept: dict[str, Array] = field(default_factory=dict)

    @cached_property
    def roles(self) -> dict[str, list[Scan]]:
        """The scans of each role, in the order of the experts."""
        by_role: dict[str, list[Scan]] = {}
        for scan in self.scans:
            by_role.setdefault(scan.part.role, []).append(scan)
        return by_role

    def first(self, *roles: str) -> list[Part] | None:
        """The part of each role, of the first expert where there are several; None if a role is absent."""
        if not all(role in self.roles for role in roles):
            return None
        return [self.roles[role][0].part for role in roles]


def scanned(parts: Iterable[Part], tell: Callable[[int], None]) -> list[Scan]:
    """Read every part of a layer once; `tell` is given the bytes of each piece.

    What is no mapped file (codes that are decoded, parts that lie apart in a tensor) stays in memory with the scan, KEPT bytes
    of a layer at most: families read a part several times.
    """
    scans, left = [], KEPT
    for part in parts:
        array = part.read()
        taken = own_bytes(array)
        if 0 < taken <= left:
            left -= taken
            part = replace(part, read=partial(_same, array))
        scans.append(_scan(part, array, tell))
    return scans


def _same(array: Array) -> Array:
    return array


def scan(part: Part, tell: Callable[[int], None]) -> Scan:
    """Read a part once, piece by piece: digest and sums. `tell` is given the bytes of each piece."""
    return _scan(part, part.read(), tell)


def _scan(part: Part, array: Array, tell: Callable[[int], None]) -> Scan:
    digest = blake3(f"{array.dtype.name} {array.shape}\n".encode())
    matrix = array.reshape(-1, array.shape[-1]) if array.ndim > 1 else array.reshape(1, -1)
    total = Sums(np.zeros(8), np.zeros(matrix.shape[0]), np.zeros(matrix.shape[1]), np.zeros(matrix.shape[1]))
    start = 0
    for piece in pieces(matrix):
        digest.update(piece.view(np.uint8).data)
        more = sums(piece)
        largest = max(total.totals[5], more.totals[5])
        total.totals[:] += more.totals
        total.totals[5] = largest
        total.row_squares[start : start + len(piece)] = more.row_squares
        total.column_squares[:] += more.column_squares
        total.column_sums[:] += more.column_sums
        start += len(piece)
        tell(piece.nbytes)
    return Scan(part, digest.digest(), total)


def finite(values: Array) -> Array:
    """NaN, which marks what is absent, in the place of infinities."""
    return np.where(np.isfinite(values), values, np.nan)
