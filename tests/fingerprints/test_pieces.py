"""Reading in pieces: the same cuts however a matrix is stored, and pages that are given back."""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np
import pytest

from kinprint.fingerprints import pieces as module
from kinprint.fingerprints.kernels import BLOCK_ROWS
from kinprint.fingerprints.pieces import own_bytes, pieces, release


@pytest.mark.parametrize("shape", [(1, 1), (63, 5), (1000, 4096), (130, 1 << 20), (0, 4)])
def test_pieces_are_the_matrix(shape: tuple[int, int]) -> None:
    matrix = np.broadcast_to(np.arange(shape[0], dtype=np.uint8)[:, None], shape)
    cuts = [len(piece) for piece in pieces(matrix)]
    assert sum(cuts) == shape[0]
    assert all(cut % BLOCK_ROWS == 0 for cut in cuts[:-1])


def test_strided_views_are_cut_alike() -> None:
    wide = np.random.default_rng(0).normal(size=(300, 8192)).astype(np.float32)
    for view in (wide[:, ::2], np.asfortranarray(wide[:, :4096])):
        plain = list(pieces(np.ascontiguousarray(view)))
        for mine, other in zip(pieces(view), plain, strict=True):
            assert mine.flags.c_contiguous
            np.testing.assert_array_equal(mine, other)


def test_released_pages_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mapped array reads the same after its pages were given back; others are left alone."""
    values = np.arange(1 << 18, dtype=np.uint16).reshape(256, -1)
    path = tmp_path / "values"
    path.write_bytes(values.tobytes())
    with open(path, "rb") as file:
        mapped = np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint16).reshape(256, -1)
    monkeypatch.setattr(module, "RELEASE", 1)
    for _ in range(2):
        np.testing.assert_array_equal(np.concatenate(list(pieces(mapped[:, 3:900]))), values[:, 3:900])
    release(values)
    np.testing.assert_array_equal(values, mapped)


def test_memory_behind_an_array(tmp_path: Path) -> None:
    """A mapped file has none of its own, a view that of the whole array."""
    path = tmp_path / "values"
    path.write_bytes(bytes(4096))
    with open(path, "rb") as file:
        mapped = np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.float32)
        assert own_bytes(mapped.reshape(4, -1)[1:]) == 0
    assert own_bytes(np.zeros((8, 4), np.float32)[2:3].T) == 128
