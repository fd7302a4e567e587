"""Reading an array in pieces, and giving mapped pages back: what keeps memory small whatever the checkpoint's size."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinprint.fingerprints.kernels import BLOCK_ROWS, contiguous, widened

PIECE = 1 << 19
"""Entries of a piece, about: it stays in the processor's cache from the digest to the kernel."""

SLAB = 1 << 20
"""Entries of each matrix of the neurons handled at a time: they stay in the processor's cache."""

RELEASE = 32 << 20
"""Bytes after which the pages of a mapped array are given back."""


def pieces(matrix: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Consecutive rows of a matrix, contiguous, a multiple of BLOCK_ROWS but for the last piece.

    The cuts depend on the shape alone, so that sums over pieces do not depend on how the matrix is stored.
    """
    step = max(PIECE // max(matrix.shape[1], 1) // BLOCK_ROWS, 1) * BLOCK_ROWS
    unreleased = 0
    for start in range(0, len(matrix), step):
        piece = np.ascontiguousarray(matrix[start : start + step])
        yield piece
        unreleased += piece.nbytes
        if unreleased >= RELEASE:
            release(matrix)
            unreleased = 0


def blocks(matrix: NDArray[Any], count: int, dtype: type[np.float32 | np.float64]) -> Iterator[NDArray[Any]]:
    """`count` equal blocks of rows of a matrix, such as heads, widened one at a time; the last rows that make no block are
    left out.

    All blocks come in one array, which is the caller's to write on until the next one: fresh memory for each would cost more
    than filling it.
    """
    width, unreleased = matrix.shape[0] // count, 0
    turned = matrix.strides[0] < matrix.strides[1]  # the rows lie side by side: copy along memory, then turn
    wide = np.empty((matrix.shape[1], width) if turned else (width, matrix.shape[1]), dtype)
    for start in range(0, count * width, width):
        part = matrix[start : start + width]
        yield widened(part.T, dtype, wide).T if turned else widened(part, dtype, wide)
        unreleased += part.nbytes
        if unreleased >= RELEASE:
            release(matrix)
            unreleased = 0


def neuron_slabs(*matrices: NDArray[Any]) -> Iterator[tuple[slice, list[NDArray[Any]]]]:
    """Some neurons at a time: which, and their rows of what reads and their columns of what writes.

    Args:
        matrices: (neurons, hidden) each, and (hidden, neurons) as the last.
    """
    *readers, down = matrices
    # An odd number of cache lines, or rows of a slab of `down` would drive each other out of the cache.
    step = max(SLAB // max(readers[0].shape[1], 1), 64) | 32
    unreleased = 0
    for start in range(0, len(readers[0]), step):
        here = slice(start, start + step)
        parts = [*(array[here] for array in readers), contiguous(down[:, here])]
        yield here, parts
        unreleased += parts[0].nbytes
        if unreleased >= RELEASE:
            unreleased = 0
            for array in readers:
                release(array)
    for array in matrices:
        release(array)


def release(array: NDArray[Any]) -> None:
    """Drop the pages of a mapped file from this process; they come back, from the page cache, when they are touched."""
    memory = _memory(array)
    if isinstance(memory, mmap.mmap) and hasattr(memory, "madvise"):
        memory.madvise(mmap.MADV_DONTNEED)


def own_bytes(array: NDArray[Any]) -> int:
    """Bytes of the memory behind an array; 0 of a mapped file."""
    memory = _memory(array)
    return 0 if isinstance(memory, mmap.mmap) else max(array.nbytes, getattr(memory, "nbytes", 0))


def _memory(array: NDArray[Any]) -> Any:
    """What an array is a view of in the end."""
    base: Any = array
    while isinstance(base, np.ndarray | memoryview):
        below = base.base if isinstance(base, np.ndarray) else base.obj
        if below is None:
            break
        base = below
    return base
