"""What a checkpoint is to the rest of kinprint: named tensors plus configuration, none of it executed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from kinprint.checkpoints.folders import ModelFolder
from kinprint.checkpoints.source import ByteSource
from kinprint.errors import CheckpointError

K = TypeVar("K")
V = TypeVar("V")


class Tensor(Protocol):
    """One named tensor that has not been read yet."""

    @property
    def name(self) -> str: ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Element type as stored; bfloat16 and fp8 are those of `ml_dtypes`."""
        ...

    @property
    def shape(self) -> tuple[int, ...]: ...

    def read(self) -> NDArray[Any]:
        """The whole tensor as a read-only array of `shape` and `dtype`.

        Usually a view of a mapping made for this call: it costs address space, not memory, and is released with the
        last reference to the array. It may be non-contiguous; it is always aligned.

        Raises:
            CheckpointError: if the file is gone or has changed since it was opened.
        """
        ...


def read_rows(tensor: Tensor, start: int, stop: int) -> NDArray[Any]:
    """Some of a tensor along its first axis; a tensor that has a `read_rows` of its own reads no more than that.

    Raises:
        CheckpointError: as `Tensor.read`.
    """
    own: Callable[[int, int], NDArray[Any]] | None = getattr(tensor, "read_rows", None)
    return tensor.read()[start:stop] if own is None else own(start, stop)


def bytes_of_rows(tensor: Tensor, rows: int) -> int:
    """Bytes of a tensor that `read_rows` reads for so many rows: all of it where the tensor cannot read a part."""
    row = math.prod(tensor.shape[1:]) * tensor.dtype.itemsize
    return row * (rows if hasattr(tensor, "read_rows") else tensor.shape[0])


class Deferred(Mapping[K, V]):
    """A mapping that is read when it is first needed, for what a checkpoint can do without.

    Where `load` raises CheckpointError the mapping is empty, and `problem` says why.
    """

    def __init__(self, load: Callable[[], Mapping[K, V]]) -> None:
        self._load = load

    @cached_property
    def _content(self) -> tuple[Mapping[K, V], str]:
        try:
            return self._load(), ""
        except CheckpointError as error:
            return {}, str(error)

    @property
    def problem(self) -> str:
        return self._content[1]

    def __getitem__(self, key: K) -> V:
        return self._content[0][key]

    def __iter__(self) -> Iterator[K]:
        return iter(self._content[0])

    def __len__(self) -> int:
        return len(self._content[0])


@dataclass(frozen=True)
class Checkpoint:
    """A model on disk.

    Attributes:
        name: short name for people: the folder's or the file's name, or `org/name` on a hub.
        source: what the user gave, unchanged.
        config: the parsed `config.json`; empty where there is none.
        tensors: every tensor by name, in the order of the names.
        folder: where its files lie; None for a model that was never on disk.
        files: every file that takes part (weights, index, configuration, tokenizer): what a cache must watch.
        tokenizer: token string -> id, read when first used; empty where there is none.
        card: the front matter of the model card (`base_model` and so on), read when first used; empty where there is
            none.
        revision: the commit, where the model comes from a hub.
        quantization: how the weights are stored where that is not as floating-point numbers ("GPTQ, 4 bits"); tensors are
            those that the stored codes stand for.
    """

    name: str
    source: str
    tensors: Mapping[str, Tensor]
    config: Mapping[str, Any] = field(default_factory=dict)
    folder: ModelFolder | None = None
    files: tuple[ByteSource, ...] = ()
    tokenizer: Mapping[str, int] = field(default_factory=dict)
    card: Mapping[str, Any] = field(default_factory=dict)
    revision: str = ""
    quantization: str = ""

    @property
    def notes(self) -> tuple[str, ...]:
        """What is wrong with the tokenizer or the card, which does not prevent comparing the weights."""
        deferred = (part for part in (self.tokenizer, self.card) if isinstance(part, Deferred))
        return tuple(part.problem for part in deferred if part.problem)
