"""What a checkpoint format declares about itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kinprint.checkpoints.checkpoint import Tensor


@dataclass(frozen=True)
class Inside:
    """What a weights file says about the model besides its tensors.

    Attributes:
        config: as a `config.json` would say it; counts only where none lies beside the file.
        tokenizer: token string -> id; counts only where no tokenizer lies beside the file.
        quantization: as `Checkpoint` says.
    """

    config: Mapping[str, Any] = field(default_factory=dict)
    tokenizer: Mapping[str, int] = field(default_factory=dict)
    quantization: str = ""


@dataclass(frozen=True)
class Format:
    """One checkpoint format.

    Attributes:
        name: for people.
        suffixes: endings of its files, lower case.
        open_file: path -> the tensors in that one file, by name, not read yet; CheckpointError for whatever is wrong.
        stem: a folder's weights are named `stem + suffix` or listed in `stem + suffix + ".index.json"` by custom.
        rank: where a folder holds several formats, the lowest rank is read.
        inside: path -> what one such file says besides; None for formats that hold tensors only.
    """

    name: str
    suffixes: tuple[str, ...]
    open_file: Callable[[Path], dict[str, Tensor]]
    stem: str = "model"
    rank: int = 100
    inside: Callable[[Path], Inside] | None = None
