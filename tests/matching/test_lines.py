"""Rows of a matrix, whichever way it lies in memory."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from kinprint.matching.lines import lines


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, np.float16, ml_dtypes.float8_e4m3fn, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(300, 333), (12, 7), (300, 64)])
def test_rows_of_a_matrix_and_of_its_transpose(dtype: type, shape: tuple[int, int]) -> None:
    chance = np.random.default_rng(0)
    matrix = chance.standard_normal(shape).astype(dtype)
    chosen = np.sort(chance.permutation(shape[0])[: max(shape[0] * 4 // 5, 1)])
    expected = matrix[chosen].astype(np.float32)
    turned = np.ascontiguousarray(matrix.T).T
    for stored in (matrix, turned, np.stack([matrix, matrix])[1], np.stack([matrix.T, matrix.T], axis=2)[..., 1].T):
        found = lines(stored, chosen)
        assert found.flags.c_contiguous
        assert found.dtype == np.float32
        assert np.array_equal(found, expected)


def test_what_is_found_is_a_copy() -> None:
    matrix = np.ones((4, 3), np.float32)
    lines(matrix, np.arange(4))[:] = 0
    assert matrix.all()


def test_nothing_is_asked_for() -> None:
    assert lines(np.ones((4, 3), np.float32), np.empty(0, np.int64)).shape == (0, 3)
