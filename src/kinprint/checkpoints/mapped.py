"""A tensor whose bytes lie somewhere in a file, mapped when it is read."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinprint.checkpoints.source import ByteSource, Span
from kinprint.errors import CheckpointError

MAX_RANK = 32  # numpy's own limit in version 1
MAX_NAME = 1024
MAX_TENSORS = 200_000  # in one file


@dataclass(frozen=True, slots=True)
class MappedTensor:
    """A tensor stored uncompressed in a file.

    Attributes:
        name, dtype, shape: as `Tensor` says.
        source: the file.
        file_size: its size when the checkpoint was opened, against which `offset` and `strides` were checked.
        offset: where the first element lies, in bytes.
        strides: bytes between neighbours along each axis, as numpy counts them; None for a contiguous tensor.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    source: ByteSource
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
        data = self.source.map(self.offset, self.offset + self._extent(), self.file_size)
        array: NDArray[Any] = np.ndarray(self.shape, self.dtype, data, 0, self.strides)
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
    def spans(self) -> tuple[tuple[ByteSource, Span], ...]:
        """The bytes that `read` needs."""
        return ((self.source, (self.offset, self.offset + self._extent())),) if self.nbytes else ()

    def _extent(self) -> int:
        """Bytes from the first element to the end of the last one."""
        if self.strides is None:
            return self.nbytes
        steps = sum((n - 1) * stride for n, stride in zip(self.shape, self.strides, strict=True))
        return steps + self.dtype.itemsize


def check_name(name: str, source: ByteSource) -> None:
    """Raise CheckpointError unless `name` is text that a tensor may be called."""
    if len(name) > MAX_NAME:
        raise CheckpointError(source, f"a tensor name of {len(name):,} characters", f"at most {MAX_NAME} are allowed")
    if any("\ud800" <= c <= "\udfff" for c in name):
        raise CheckpointError(source, f"the tensor name {name!r} is not valid Unicode", "rename the tensor")
