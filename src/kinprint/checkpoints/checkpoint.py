"""What a checkpoint is to the rest of kinprint: named tensors plus configuration, none of it executed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


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
        last reference to the array. It may be non-contiguous.
        """
        ...


@dataclass(frozen=True)
class Checkpoint:
    """A model on disk.

    Attributes:
        name: short name for people: the folder's or the file's name.
        source: what the user gave, unchanged.
        config: the parsed `config.json`; empty where there is none.
        tensors: every tensor by name, in the order of the names.
        files: every file that takes part (weights, index, configuration, tokenizer): what a cache must watch.
        tokenizer: token string -> id; empty where there is none.
        card: the front matter of the model card (`base_model` and so on); empty where there is none.
    """

    name: str
    source: str
    tensors: Mapping[str, Tensor]
    config: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    tokenizer: Mapping[str, int] = field(default_factory=dict)
    card: Mapping[str, Any] = field(default_factory=dict)
