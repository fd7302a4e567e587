"""What a quantisation scheme declares about itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinprint.checkpoints.checkpoint import Tensor

Tensors = Mapping[str, Tensor]
Config = Mapping[str, Any]


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


@dataclass(frozen=True)
class Quantization:
    """One scheme.

    Attributes:
        name: for people.
        applies: tensors and configuration -> what to tell the user ("GPTQ, 4 bits, groups of 128"), or "" if the model is
            not stored so.
        decode: tensors, configuration and source -> tensors with the parts of each quantised weight replaced by the weight,
            under the name that it has in an unquantised checkpoint; everything that has to fit is checked here, nothing of
            size is read. CheckpointError for what does not fit.
    """

    name: str
    applies: Callable[[Tensors, Config], str]
    decode: Callable[[Tensors, Config, object], dict[str, Tensor]]
