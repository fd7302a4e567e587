"""Some rows of a matrix as float32, whichever way it lies in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinprint.arrays import Float32s, Int64s
from kinprint.compiled import compiled
from kinprint.fingerprints.encodings import BITS, value
from kinprint.fingerprints.kernels import SMALL, picked

ENTRIES = 64
"""Of every line, that are turned at a time: those of some thousand lines stay in the second-level cache."""

ODD = 16
"""More entries than lines in a row of them: of a power of two all would share few places of the cache."""


def lines(matrix: NDArray[Any], chosen: Int64s) -> Float32s:
    """(n, length) contiguous.

    Args:
        matrix: (lines, length), or the transpose of a matrix that lies in memory by rows.
        chosen: (n,) ascending, so that memory is read in its order.
    """
    if matrix.strides[0] >= matrix.strides[1]:
        return picked(matrix, chosen, axis=0)
    if matrix.dtype not in BITS or len(chosen) * matrix.shape[1] <= SMALL or not matrix.T.flags.c_contiguous:
        return np.ascontiguousarray(picked(matrix.T, chosen, axis=1))
    found = np.empty((len(chosen), matrix.shape[1]), np.float32)
    _turned(_read_only(matrix.T.view(BITS[matrix.dtype])), chosen, np.empty((ENTRIES, len(chosen) + ODD), np.float32), found)
    return found


def _read_only(bits: NDArray[Any]) -> NDArray[Any]:
    """Whatever the array is, because each kind would be compiled for itself."""
    seen = bits.view()
    seen.flags.writeable = False
    return seen


@compiled()
def _turned(bits: Any, chosen: Any, some: Any, found: Any) -> None:
    """Some columns of a matrix, read in the order of memory, and turned while they are in the cache."""
    length = bits.shape[0]
    for begin in range(0, length, ENTRIES):
        count = ENTRIES if begin + ENTRIES < length else length - begin
        for entry in range(count):
            for line in range(chosen.size):
                some[entry, line] = value(bits[begin + entry, chosen[line]])
        for line in range(chosen.size):
            for entry in range(count):
                found[line, begin + entry] = some[entry, line]
