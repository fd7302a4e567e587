"""Files that each hold a part of every matrix, as Meta trains on several processors: the parts joined.

`consolidated.00.pth`, `consolidated.01.pth` ... hold the same names. Matrices that read the residual stream are cut along their
outputs, those that write it along their inputs, the embedding along its tokens or its channels; vectors are whole in every
file. How long the residual stream is, the gains say.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinprint.checkpoints.checkpoint import Tensor, read_rows
from kinprint.checkpoints.source import ByteSource
from kinprint.errors import CheckpointError

PART = re.compile(r"consolidated\.(?P<number>[0-9]{2})\.(pth|pt)", re.ASCII)
WRITES = (".wo.weight", ".w2.weight")
EMBEDDING = "tok_embeddings.weight"
_AGAIN = "download all the files again, from one revision"


@dataclass(frozen=True, slots=True)
class JoinedTensor:
    """A matrix whose parts lie in several files.

    Attributes:
        parts: in order.
        axis: along which they follow each other.
    """

    parts: tuple[Tensor, ...]
    axis: int

    @property
    def name(self) -> str:
        return self.parts[0].name

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.parts[0].dtype

    @property
    def shape(self) -> tuple[int, ...]:
        sizes = [part.shape[self.axis] for part in self.parts]
        return tuple(sum(sizes) if axis == self.axis else n for axis, n in enumerate(self.parts[0].shape))

    @property
    def spans(self) -> tuple[Any, ...]:
        """The bytes that `read` needs."""
        return tuple(span for part in self.parts for span in getattr(part, "spans", ()))

    def read(self) -> NDArray[Any]:
        return self.read_rows(0, self.shape[0])

    def read_rows(self, start: int, stop: int) -> NDArray[Any]:
        """Some rows; of the files no more than they need."""
        start, stop, _ = slice(start, stop).indices(self.shape[0])
        if self.axis == 1:
            found = np.concatenate([read_rows(part, start, stop) for part in self.parts], axis=1)
        else:
            pieces, first = [], 0
            for part in self.parts:
                last = first + part.shape[0]
                if start < last and first < stop:
                    pieces.append(read_rows(part, max(start - first, 0), min(stop, last) - first))
                first = last
            found = np.concatenate(pieces) if pieces else read_rows(self.parts[0], 0, 0)
        found.flags.writeable = False
        return found


def joined(files: Sequence[tuple[ByteSource, dict[str, Tensor]]]) -> dict[str, Tensor]:
    """The tensors of a model from those of its files, in their order.

    Raises:
        CheckpointError: the files do not hold the same names, or parts that do not fit together.
    """
    first, own = files[0]
    for source, tensors in files[1:]:
        if different := tensors.keys() ^ own.keys():
            raise CheckpointError(source, f"does not hold the same tensors as {first.name} ({min(different)})", _AGAIN)
    if len(files) == 1:
        return dict(own)
    width = _width(own)
    return {name: _joined(tuple(tensors[name] for _, tensors in files), width, files[0][0]) for name in sorted(own)}


def _width(tensors: dict[str, Tensor]) -> int:
    """Channels of the residual stream: how long the gains are."""
    return max((t.shape[0] for name, t in tensors.items() if len(t.shape) == 1 and "norm" in name), default=0)


def _joined(parts: tuple[Tensor, ...], width: int, source: ByteSource) -> Tensor:
    shape, count = parts[0].shape, len(parts)
    if any(part.shape != shape or part.dtype != parts[0].dtype for part in parts):
        raise CheckpointError(source, f"the parts of {parts[0].name} are not of one shape", _AGAIN)
    if len(shape) != 2:
        return parts[0]
    writes = parts[0].name.endswith(WRITES)
    if shape[0 if writes else 1] == width:
        return JoinedTensor(parts, 1 if writes else 0)
    if parts[0].name.endswith(EMBEDDING) and shape[1] * count == width:
        return JoinedTensor(parts, 1)
    raise CheckpointError(source, f"the parts of {parts[0].name}, of shape {shape}, are not those of {count} files", _AGAIN)
