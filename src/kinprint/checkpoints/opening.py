"""From what the user names to a checkpoint."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from kinprint.checkpoints.adapters import adapted, open_adapter, parts_of, refuse_alone
from kinprint.checkpoints.card import read_card
from kinprint.checkpoints.checkpoint import Checkpoint, Deferred
from kinprint.checkpoints.files import mode_of, read_bounded
from kinprint.checkpoints.formats import read_inside
from kinprint.checkpoints.json_text import parse_object
from kinprint.checkpoints.quantizations import decoded
from kinprint.checkpoints.remote import address, hub
from kinprint.checkpoints.remote.folder import Snapshot
from kinprint.checkpoints.tokenizer import read_vocabulary, tokenizer_files
from kinprint.checkpoints.weight_files import find_weights, read_weights
from kinprint.errors import CheckpointError

MAX_CONFIG = 16_000_000


def open_checkpoint(model: str | os.PathLike[str]) -> Checkpoint:
    """Open the model that `model` names, reading headers only.

    Args:
        model: a folder, a weights file (.safetensors, .gguf, or .bin, .pt, .pth of PyTorch), or the index of a sharded
            model. Configuration, tokenizer and card are taken from the same folder; none of them is required.
            Or, as a string, a hub id, `org/name` or `org/name@revision`, or the URL of a folder or a file
            (https, or any file system of fsspec): what is needed is fetched when it is read. What exists on disk under
            that name wins.
            Or `BASE+ADAPTER`, as a string: a base model with a LoRA adapter, both named in any of these ways.

    Raises:
        CheckpointError: if it is missing, damaged, hostile or of an unknown format; the message names the file. Or if
            nobody gives it.
    """
    source = os.fspath(model)
    if not source:
        raise CheckpointError("an empty path", "names no model", "give a folder or a weights file")
    if isinstance(model, str) and (parts := parts_of(model)):
        return _with_adapter(*parts)
    found = located(model, source)
    return _open(found.path, found.name, found.source, found.revision)


def located(model: str | os.PathLike[str], source: str) -> Snapshot:
    """Where what the user names lies on this disk, or is fetched to as it is read.

    Raises:
        CheckpointError: it is on a hub or behind a URL, and cannot be had. What is on disk is not looked at.
    """
    if isinstance(model, str) and hub.means_repository(model):
        return hub.fetch(model)
    if isinstance(model, str) and address.means_url(model):
        return address.fetch(model)
    return Snapshot(Path(os.path.abspath(source)).name or source, source, "", Path(source))


def _with_adapter(base: str, adapter: str) -> Checkpoint:
    """A base with an adapter added: its configuration, the adapter's tokenizer and card where it has them."""
    model, place = open_checkpoint(base), located(adapter, adapter)
    found = open_adapter(place.path)
    vocabulary, card = tokenizer_files(found.folder), found.folder / "README.md"
    beside = (*vocabulary, *([card] if os.path.lexists(card) else []))
    return replace(
        model,
        name=f"{model.name}+{place.name}",
        source=f"{model.source}+{place.source}",
        tensors=adapted(model.tensors, found),
        files=(*model.files, *found.files, *beside),
        tokenizer=_tokenizer(vocabulary) if vocabulary else model.tokenizer,
        card=Deferred(partial(read_card, card)) if card in beside else model.card,
        revision="+".join(filter(None, (model.revision, place.revision))),
    )


def _open(path: Path, name: str, source: str, revision: str = "") -> Checkpoint:
    """What lies at `path`, under the name and source that the user knows it by."""
    is_folder = stat.S_ISDIR(mode_of(path))
    folder = path if is_folder else path.parent
    refuse_alone(path)
    tensors, weight_files = find_weights(path) if is_folder else read_weights(path)
    config_file = folder / "config.json"
    card = folder / "README.md"
    vocabulary = tokenizer_files(folder)
    beside = [*(file for file in (config_file, card) if os.path.lexists(file)), *vocabulary]
    inside = read_inside(weight_files)
    config = inside.config or (_read_config(config_file) if config_file in beside else {})
    tensors, quantization = decoded(tensors, config, source)
    return Checkpoint(
        name=name,
        source=source,
        config=config,
        tensors=tensors,
        quantization=quantization or inside.quantization,
        files=(*weight_files, *beside),
        tokenizer=_tokenizer(vocabulary) if inside.tokenizer is None else inside.tokenizer,
        card=Deferred(partial(read_card, card)) if card in beside else {},
        revision=revision,
    )


def _tokenizer(files: tuple[Path, ...]) -> Mapping[str, int]:
    return Deferred(partial(read_vocabulary, files)) if files else {}


def _read_config(path: Path) -> dict[str, Any]:
    return parse_object(read_bounded(path, MAX_CONFIG), path)
