from __future__ import annotations

import gc
import mmap
import os
from pathlib import Path

import numpy as np
import pytest

from kinprint.checkpoints.mapped import MappedTensor
from kinprint.checkpoints.source import LocalFile
from kinprint.errors import CheckpointError


def tensor(path: Path, dtype: str, shape: tuple[int, ...], offset: int, strides: tuple[int, ...] | None = None):
    return MappedTensor("w", np.dtype(dtype), shape, LocalFile(path), path.stat().st_size, offset, strides)


@pytest.fixture
def numbers(tmp_path: Path) -> Path:
    path = tmp_path / "numbers"
    path.write_bytes(np.arange(100_000, dtype="<u4").tobytes())
    return path


@pytest.mark.parametrize("first", [0, 1, mmap.ALLOCATIONGRANULARITY // 4 - 1, mmap.ALLOCATIONGRANULARITY // 4, 99_000])
def test_any_offset_gives_the_right_elements(numbers: Path, first: int) -> None:
    array = tensor(numbers, "<u4", (10, 100), 4 * first).read()
    np.testing.assert_array_equal(array, np.arange(first, first + 1000).reshape(10, 100))


def test_an_array_is_a_read_only_view_that_outlives_everything_else(numbers: Path) -> None:
    array = tensor(numbers, "<u4", (5,), 40).read()
    gc.collect()
    numbers.unlink()
    assert array.tolist() == [10, 11, 12, 13, 14]
    assert not array.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1


def test_strides_are_those_of_the_file(numbers: Path) -> None:
    np.testing.assert_array_equal(tensor(numbers, "<u4", (4, 3), 0, (4, 16)).read(), np.arange(12).reshape(3, 4).T)
    np.testing.assert_array_equal(tensor(numbers, "<u4", (2, 3), 8, (0, 4)).read(), [[2, 3, 4]] * 2)


def test_unaligned_elements_are_copied_into_line(numbers: Path) -> None:
    array = tensor(numbers, "<u4", (3,), 1).read()
    assert array.flags.aligned
    assert not array.flags.writeable
    np.testing.assert_array_equal(array, np.frombuffer(numbers.read_bytes()[1:13], "<u4"))


def test_empty_tensors_need_no_bytes(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()
    assert tensor(path, "<f4", (0, 3), 0).read().shape == (0, 3)
    assert not tensor(path, "<f4", (0,), 0).read().flags.writeable


@pytest.mark.parametrize("size", [0, 4096, 399_999, 400_001])
def test_a_file_of_another_size_is_an_error_and_not_a_bus_error(numbers: Path, size: int) -> None:
    whole = tensor(numbers, "<u4", (100_000,), 0)
    os.truncate(numbers, size)
    with pytest.raises(CheckpointError, match="changed while it was being read"):
        whole.read()


def test_a_file_that_is_gone_is_an_error(numbers: Path) -> None:
    whole = tensor(numbers, "<u4", (100_000,), 0)
    numbers.unlink()
    with pytest.raises(CheckpointError, match="no such file"):
        whole.read()


def test_reading_leaves_no_file_open(numbers: Path) -> None:
    folder = Path("/proc/self/fd")
    if not folder.exists():
        pytest.skip("needs /proc")
    before = len(list(folder.iterdir()))
    for first in range(200):
        tensor(numbers, "<u4", (10,), 4 * first).read()
    gc.collect()
    assert len(list(folder.iterdir())) <= before + 1
