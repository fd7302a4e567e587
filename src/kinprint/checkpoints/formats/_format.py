"""What a checkpoint format declares about itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kinprint.checkpoints.checkpoint import Tensor
from kinprint.checkpoints.source import ByteSource


@dataclass(frozen=True)
class Inside:
    """What a weights file says about the model besides its tensors.

    Attributes:
        config: as a `config.json` would say it; counts instead of one beside the file, which may speak of other names.
        tokenizer: token string -> id; counts instead of one beside the file; None where it has none.
        quantization: as `Checkpoint` says.
    """

    config: Mapping[str, Any] = field(default_factory=dict)
    tokenizer: Mapping[str, int] | None = None
    quantization: str = ""


@dataclass(frozen=True)
class Format:
    """One checkpoint format. It reads files through the sources that it is given, which may lie elsewhere, and opens no paths.

    Attributes:
        name: for people.
        suffixes: endings of its files, lower case.
        open_file: source -> the tensors in that one file, by name, not read yet; CheckpointError for whatever is wrong.
        stem: a folder's weights are named `stem + suffix` or listed in `stem + suffix + ".index.json"` by custom.
        rank: where a folder holds several formats, the lowest rank is read.
        begins: first bytes of a file (512, or all of it) -> whether they are those of the format; None if they do not tell.
        open_beside: as `open_file` for a format whose files need others of their folder: given what opens those by name.
        inside: the files of one model -> what they say besides; None for formats that hold tensors only.
        says: one file -> the words in front of its tensors by key (names, licences, recipes); None for formats that have none.
    """

    name: str
    suffixes: tuple[str, ...]
    open_file: Callable[[ByteSource], dict[str, Tensor]]
    stem: str = "model"
    rank: int = 100
    begins: Callable[[bytes], bool] | None = None
    open_beside: Callable[[ByteSource, Callable[[str], ByteSource]], dict[str, Tensor]] | None = None
    inside: Callable[[Sequence[ByteSource]], Inside] | None = None
    says: Callable[[ByteSource], Mapping[str, str]] | None = None
