"""Models that other programs keep on this disk, and what to call each: the hub's cache, Ollama, LM Studio."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from kinprint.checkpoints import ollama
from kinprint.checkpoints.formats import format_of


class LocalModel(NamedTuple):
    """A model on this disk.

    Attributes:
        name: what commands take it by.
        kept_by: the program.
        nbytes: of its weights, as far as files tell.
    """

    name: str
    kept_by: str
    nbytes: int


def local_models() -> Iterator[LocalModel]:
    """Every model found, by program, in the order of names. Folders that cannot be read are passed over."""
    yield from _hub()
    yield from (LocalModel(model.name, "Ollama", model.nbytes) for model in ollama.stored())
    yield from _lm_studio()


def hub_cache() -> Path:
    """Where huggingface_hub keeps models: $HF_HUB_CACHE, $HF_HOME/hub, or its default."""
    if named := os.environ.get("HF_HUB_CACHE"):
        return Path(named)
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface"
    return Path(home) / "hub"


def lm_studio() -> tuple[Path, ...]:
    """Where LM Studio keeps models, its older folder last."""
    return Path.home() / ".lmstudio" / "models", Path.home() / ".cache" / "lm-studio" / "models"


def _hub() -> Iterator[LocalModel]:
    """Repositories of which weights were fetched; their folders are opened as they are, without the hub."""
    for repository in sorted(_below(hub_cache(), "models--*")):
        snapshots = _below(repository / "snapshots", "*")
        sizes = [size for snapshot in snapshots if (size := _weights(snapshot))]
        if sizes:
            yield LocalModel(str(repository), "hub cache", max(sizes))


def _lm_studio() -> Iterator[LocalModel]:
    """Single GGUF files, and folders of safetensors (MLX), two levels below: publisher, model."""
    for above in lm_studio():
        for folder in sorted(_below(above, "*/*")):
            ggufs = sorted(_below(folder, "*.gguf"))
            yield from (LocalModel(str(file), "LM Studio", _size(file)) for file in ggufs)
            if not ggufs and (size := _weights(folder)):
                yield LocalModel(str(folder), "LM Studio", size)


def _weights(folder: Path) -> int:
    """Bytes of the weights in a folder."""
    return sum(_size(file) for file in _below(folder, "*") if format_of(file.name) is not None)


def _below(folder: Path, pattern: str) -> list[Path]:
    try:
        return list(folder.glob(pattern))
    except OSError:
        return []


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0
