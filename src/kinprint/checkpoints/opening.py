"""From what the user names to a checkpoint."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from kinprint.checkpoints import ollama
from kinprint.checkpoints.adapters import adapted, open_adapter, parts_of, refuse_alone, refuse_loose, unties
from kinprint.checkpoints.card import read_card
from kinprint.checkpoints.checkpoint import Checkpoint, Deferred
from kinprint.checkpoints.folders import CARD, CONFIG, Location, ModelFolder, local
from kinprint.checkpoints.foreign_config import foreign_files, read_foreign
from kinprint.checkpoints.formats import read_inside
from kinprint.checkpoints.json_text import parse_object
from kinprint.checkpoints.names import renamed
from kinprint.checkpoints.places import OLLAMA, means_url, require_there, without_hub
from kinprint.checkpoints.quantizations import decoded
from kinprint.checkpoints.remote import address, hub
from kinprint.checkpoints.source import ByteSource
from kinprint.checkpoints.tokenizer import read_vocabulary, tokenizer_files
from kinprint.checkpoints.weight_files import read_weights
from kinprint.errors import CheckpointError

MAX_CONFIG = 16_000_000


def open_checkpoint(model: str | os.PathLike[str], *, offline: bool = False) -> Checkpoint:
    """Open the model that `model` names, reading headers only.

    Args:
        model: a folder, a weights file (.safetensors, .gguf, or .bin, .pt, .pth of PyTorch), or the index of a sharded
            model. Configuration, tokenizer and card are taken from the same folder; none of them is required.
            Or, as a string, a hub id, `org/name` or `org/name@revision`, or the URL of a folder or a file
            (https, or any file system of fsspec): what is needed is fetched when it is read. What exists on disk under
            that name, or in a folder of the name `org`, wins; `hf:org/name`, or a link to the model's page, means the hub
            in any case. Or `ollama:NAME[:TAG]`, a model that Ollama keeps on this disk.
            Or `BASE+ADAPTER`, as a string: a base model with a LoRA adapter, both named in any of these ways.
        offline: ask no hub and no server: what is not on this disk cannot be read. HF_HUB_OFFLINE says the same of hubs.

    Raises:
        CheckpointError: if it is missing, damaged, hostile or of an unknown format; the message names the file. Or if
            nobody gives it.
    """
    source = os.fspath(model)
    if not source:
        raise CheckpointError("an empty path", "names no model", "give a folder or a weights file")
    if isinstance(model, str) and (parts := parts_of(model)):
        return _with_adapter(*parts, offline)
    return _open(located(model, offline=offline))


def located(model: str | os.PathLike[str], *, offline: bool = False) -> Location:
    """Where what the user names lies: on this disk, or elsewhere, from where it is fetched as it is read.

    Raises:
        CheckpointError: it is not there, or cannot be had.
    """
    if isinstance(model, str) and hub.means_repository(model):
        return hub.locate(without_hub(model), offline=offline)
    if isinstance(model, str) and means_url(model):
        return address.locate(model, offline=offline)
    if isinstance(model, str) and model.startswith(OLLAMA) and not os.path.lexists(model):
        return ollama.locate(model)
    require_there(os.fspath(model))
    return local(Path(model), os.fspath(model))


def _with_adapter(base: str, adapter: str, offline: bool) -> Checkpoint:
    """A base with an adapter added: its configuration, the adapter's tokenizer and card where it has them."""
    model, location = open_checkpoint(base, offline=offline), located(adapter, offline=offline)
    found = open_adapter(location.folder)
    tensors = adapted(model.tensors, found)
    untied = {"tie_word_embeddings": False} if model.config and unties(model.tensors, tensors) else {}
    vocabulary, card = tokenizer_files(location.folder), _card(location.folder)
    return replace(
        model,
        config={**model.config, **untied} if untied else model.config,
        name=f"{model.name}+{location.name}",
        source=f"{model.source}+{location.source}",
        tensors=tensors,
        files=(*model.files, *found.files, *vocabulary, *card),
        tokenizer=_tokenizer(vocabulary) if vocabulary else model.tokenizer,
        card=_read_card(card) if card else model.card,
        revision="+".join(filter(None, (model.revision, location.revision))),
    )


def _open(location: Location) -> Checkpoint:
    """What lies there, under the name and source that the user knows it by."""
    folder = location.folder
    refuse_alone(location)
    tensors, weight_files = read_weights(folder, location.only)
    refuse_loose(location, tensors)
    configuration, card = folder.sources(sorted(folder.there((CONFIG,)))) or foreign_files(folder), _card(folder)
    vocabulary = tokenizer_files(folder)
    inside = read_inside(weight_files)
    config = inside.config or _config(configuration)
    tensors, quantization = decoded(tensors, config, location.source)
    return Checkpoint(
        name=location.name,
        source=location.source,
        config=config,
        tensors=renamed(tensors),
        quantization=quantization or inside.quantization,
        folder=folder,
        files=(*weight_files, *configuration, *card, *vocabulary),
        tokenizer=_tokenizer(vocabulary) if inside.tokenizer is None else inside.tokenizer,
        card=_read_card(card),
        revision=location.revision,
    )


def _config(files: tuple[ByteSource, ...]) -> Mapping[str, Any]:
    if not files:
        return {}
    return read_config(files[0]) if files[0].name == CONFIG else read_foreign(files)


def _card(folder: ModelFolder) -> tuple[ByteSource, ...]:
    """The model card, if there is one."""
    return folder.sources(folder.there((CARD,)))


def _read_card(files: tuple[ByteSource, ...]) -> Mapping[str, Any]:
    return Deferred(partial(read_card, files[0])) if files else {}


def _tokenizer(files: tuple[ByteSource, ...]) -> Mapping[str, int]:
    return Deferred(partial(read_vocabulary, files)) if files else {}


def read_config(source: ByteSource) -> dict[str, Any]:
    """The table in a configuration file; CheckpointError if it holds none."""
    return parse_object(source.read(MAX_CONFIG), source)
