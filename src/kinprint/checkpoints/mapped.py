"""A tensor whose bytes lie somewhere in a file, mapped when it is read."""

from __future__ import annotations

import math
import mmap
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinprint.checkpoints.files import Span, open_regular, present
from kinprint.errors import CheckpointError

MAX_RANK = 32  # numpy's own limit in version 1
MAX_NAME = 1024
MAX_TENSORS = 200_000  # in one file


@dataclass(frozen=True, slots=True)
class MappedTensor:
    """A tensor stored uncompressed in a file.

    Attributes:
        name, dtype, shape: as `Tensor` says.
        path: the file.
        file_size: its size when the checkpoint was opened, against which `offset` and `strides` were checked.
        offset: where the first element lies, in bytes.
        strides: bytes between neighbours along each axis, as numpy counts them; None for a contiguous tensor.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    path: Path
    file_size: int
    offset: int
    strides: tuple[int, ...] | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of the whole tensor once read."""
        return math.prod(self.shape) * self.dtype.itemsize

    def read(self) -> NDArray[Any]:
        """The tensor, of `shape` and `dtype`, read-only: a view of a mapping that lives as long as the array.

        Copied only where the file leaves its elements unaligned, which compiled loops cannot use.

        Raises:
            CheckpointError: if the file is gone or no longer of the size it had.
        """
        if not self.nbytes:
            empty = np.empty(self.shape, self.dtype)
            empty.flags.writeable = False
            return empty
        start = self.offset - self.offset % mmap.ALLOCATIONGRANULARITY
        with open_regular(self.path) as file:
            # Touching a page beyond the end of the file would kill the process, so a changed file is an error here.
            if os.fstat(file.fileno()).st_size != self.file_size:
                raise CheckpointError(self.path, "changed while it was being read", "try again when it is complete")
            present(file, (self.offset, self.offset + self._extent()))
            mapping = _map(file.fileno(), self.offset + self._extent() - start, start)
        array: NDArray[Any] = np.ndarray(self.shape, self.dtype, mapping, self.offset - start, self.strides)
        if not array.flags.aligned:
            array = array.copy()
            array.flags.writeable = False
        return array

    def read_rows(self, start: int, stop: int) -> NDArray[Any]:
        """`read()[start:stop]`, which needs the bytes of these rows only.

        Raises:
            CheckpointError: as `read`.
        """
        start, stop, _ = slice(start, stop).indices(self.shape[0])
        row = self.strides[0] if self.strides else math.prod(self.shape[1:]) * self.dtype.itemsize
        shape = (max(stop - start, 0), *self.shape[1:])
        return replace(self, shape=shape, offset=self.offset + start * row).read()

    @property
    def spans(self) -> tuple[tuple[Path, Span], ...]:
        """The bytes that `read` needs."""
        return ((self.path, (self.offset, self.offset + self._extent())),) if self.nbytes else ()

    def _extent(self) -> int:
        """Bytes from the first element to the end of the last one."""
        if self.strides is None:
            return self.nbytes
        steps = sum((n - 1) * stride for n, stride in zip(self.shape, self.strides, strict=True))
        return steps + self.dtype.itemsize


def check_name(name: str, path: Path) -> None:
    """Raise CheckpointError unless `name` is text that a tensor may be called."""
    if len(name) > MAX_NAME:
        raise CheckpointError(path, f"a tensor name of {len(name):,} characters", f"at most {MAX_NAME} are allowed")
    if any("\ud800" <= c <= "\udfff" for c in name):
        raise CheckpointError(path, f"the tensor name {name!r} is not valid Unicode", "rename the tensor")


def _map(descriptor: int, length: int, offset: int) -> mmap.mmap:
    if sys.version_info >= (3, 13):  # otherwise every mapping keeps a file descriptor of its own
        return mmap.mmap(descriptor, length, access=mmap.ACCESS_READ, offset=offset, trackfd=False)
    return mmap.mmap(descriptor, length, access=mmap.ACCESS_READ, offset=offset)
