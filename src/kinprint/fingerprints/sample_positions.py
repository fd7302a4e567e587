"""Entries of a matrix at fixed pseudo-random positions, which depend on nothing but its role and shape."""

from __future__ import annotations

import struct
from functools import lru_cache

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray


@lru_cache(maxsize=256)
def positions(role: str, shape: tuple[int, ...], count: int) -> NDArray[np.int64]:
    """(count,) flat positions in a C-ordered array of `shape`.

    Position i is floor(size * r_i / 2^32), with r_i the i-th little-endian 32-bit word of the BLAKE3 output stream of
    "kinprint sample <role> <d0>x<d1>...". Sizes of 2^32 and more use two words, r = low + 2^32 high, and 2^64.
    """
    size, words = int(np.prod(shape, dtype=object)), 1
    if size >= 1 << 32:
        words = 2
    stream = blake3(f"kinprint sample {role} {'x'.join(map(str, shape))}".encode()).digest(length=4 * words * count)
    numbers = struct.unpack(f"<{count}{'Q' if words == 2 else 'I'}", stream)
    return np.array([size * number >> 32 * words for number in numbers], dtype=np.int64)
