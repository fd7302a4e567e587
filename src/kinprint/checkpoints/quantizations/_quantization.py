"""What a quantisation scheme declares about itself, and tensors that are computed from stored ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinprint.checkpoints.checkpoint import Tensor

Tensors = Mapping[str, Tensor]
Config = Mapping[str, Any]
Rows = Callable[[int, int], NDArray[Any]]
"""First row and the one after the last -> those rows of a decoded tensor."""

ELEMENTS_AT_A_TIME = 2**20


@dataclass(frozen=True, slots=True)
class DecodedTensor:
    """A tensor that is computed from stored ones whenever it is read.

    Attributes:
        name, dtype, shape: as `Tensor` says.
        decode: returns the whole array.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    decode: Callable[[], NDArray[Any]]

    def read(self) -> NDArray[Any]:
        array = self.decode()
        array.flags.writeable = False
        return array


@dataclass(frozen=True, slots=True)
class DecodedRows:
    """The same, computed some rows at a time: besides the result, decoding takes a few megabytes (or one row).

    Attributes:
        name, dtype, shape: as `Tensor` says; at least one axis.
        load: opens the stored tensors and returns what computes rows from them, of `dtype`.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    load: Callable[[], Rows]

    def read(self) -> NDArray[Any]:
        """The whole tensor.

        Raises:
            CheckpointError: a stored tensor cannot be read, or holds values that mean nothing.
        """
        return self.read_rows(0, self.shape[0])

    def read_rows(self, start: int, stop: int) -> NDArray[Any]:
        """Some rows; of the stored tensors no more than they need. Raises as `read`."""
        start, stop, _ = slice(start, stop).indices(self.shape[0])
        array = np.empty((max(stop - start, 0), *self.shape[1:]), self.dtype)
        step = max(ELEMENTS_AT_A_TIME // max(math.prod(self.shape[1:]), 1), 1)
        rows = self.load()
        for first in range(start, stop, step):
            last = min(first + step, stop)
            array[first - start : last - start] = rows(first, last)
        array.flags.writeable = False
        return array


@dataclass(frozen=True)
class Quantization:
    """One scheme.

    Attributes:
        name: for people.
        applies: tensors and configuration -> whether the model is stored so. The method that the configuration names decides;
            without one, the tensors.
        decode: tensors, configuration and source -> tensors with the parts of each quantised weight replaced by the weight,
            under the name that it has in an unquantised checkpoint, and what to tell the user ("GPTQ, 4 bits, groups of 128").
            Everything that has to fit is checked here, nothing of size is read. CheckpointError for what does not fit.
    """

    name: str
    applies: Callable[[Tensors, Config], bool]
    decode: Callable[[Tensors, Config, object], tuple[dict[str, Tensor], str]]
