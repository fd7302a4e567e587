"""What a checkpoint format declares about itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kinprint.checkpoints.checkpoint import Tensor


@dataclass(frozen=True)
class Format:
    """One checkpoint format.

    Attributes:
        name: for people.
        suffixes: endings of its files, lower case.
        open_file: path -> the tensors in that one file, by name, not read yet; CheckpointError for whatever is wrong.
        stem: a folder's weights are named `stem + suffix` or listed in `stem + suffix + ".index.json"` by custom.
        rank: where a folder holds several formats, the lowest rank is read.
    """

    name: str
    suffixes: tuple[str, ...]
    open_file: Callable[[Path], dict[str, Tensor]]
    stem: str = "model"
    rank: int = 100
