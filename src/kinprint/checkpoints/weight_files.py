"""All the tensors of a model's weights files as one table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import PurePosixPath, PureWindowsPath

from kinprint.checkpoints.checkpoint import Tensor
from kinprint.checkpoints.folders import ModelFolder
from kinprint.checkpoints.formats import form_of, open_file
from kinprint.checkpoints.json_text import parse_object
from kinprint.checkpoints.source import EDGE, ByteSource
from kinprint.checkpoints.tensor_parallel import PART, joined
from kinprint.checkpoints.weight_choice import Choice, choose_weights, is_index, left_out, one_of_several, require_all
from kinprint.errors import CheckpointError, printable

AT_ONCE = 8
"""Files whose beginnings are fetched at the same time."""

MAX_INDEX = 100_000_000
MAX_SHARDS = 10_000
_AGAIN = "download the index and the shards again, from one revision"


def read_weights(folder: ModelFolder, only: str = "") -> tuple[dict[str, Tensor], tuple[ByteSource, ...]]:
    """The tensors of a model in the order of their names, and the files that hold them, an index first.

    Args:
        only: a weights file or index of the folder; "" for those that `choose_weights` chooses.

    Raises:
        CheckpointError: they cannot be chosen, are missing or damaged, or contradict their index.
    """
    if is_index(only):
        return _indexed(folder, only)
    if only and (count := one_of_several(only, folder)):
        raise CheckpointError(folder.source(only), f"one of the {count} files of a model", f"give the folder: {folder}")
    choice = Choice((only,)) if only else choose_weights(folder.names(), folder)
    if choice.index:
        return _indexed(folder, choice.index)
    sources = folder.sources(choice.files)
    if PART.fullmatch(choice.files[0]):
        _fetch_beginnings(sources)
        return joined([(source, open_file(source)) for source in sources]), sources
    tensors = _together(dict.fromkeys(sources), folder)
    return tensors, (*sources, *_beside(tensors, sources))


def what_they_say(folder: ModelFolder, only: str = "") -> Mapping[str, str]:
    """The words in front of the tensors of a model's first weights file by key; none where it has none, or cannot be read: who
    reads the weights says why.

    Args:
        only: as of `read_weights`.
    """
    with suppress(CheckpointError):
        choice = Choice((), only) if is_index(only) else Choice((only,)) if only else choose_weights(folder.names(), folder)
        files = tuple(shards_of(folder, choice.index)) if choice.index else choice.files
        source = folder.source(files[0])
        form = form_of(source)
        return form.says(source) if form.says is not None else {}
    return {}


def shards_of(folder: ModelFolder, index: str) -> dict[str, set[str]]:
    """Shard -> names of the tensors that an index of a folder places there, the shards in the order of their names.

    Raises:
        CheckpointError: the index is damaged, or a shard is not there.
    """
    source = folder.source(index)
    listed: dict[str, set[str]] = defaultdict(set)
    for name, shard in _weight_map(source).items():
        listed[shard].add(name)
    require_all(source, listed.keys() - folder.there(listed), len(listed))
    if more := left_out(listed, folder):
        raise CheckpointError(source, f"does not name {printable(more[0], 80)}, which lies beside it and belongs to it", _AGAIN)
    return dict(sorted(listed.items()))


def _indexed(folder: ModelFolder, index: str) -> tuple[dict[str, Tensor], tuple[ByteSource, ...]]:
    """The tensors that an index lists; index and shards must agree exactly."""
    shards = shards_of(folder, index)
    sources = folder.sources(shards)
    return _together(dict(zip(sources, shards.values(), strict=True)), folder), (folder.source(index), *sources)


def _weight_map(index: ByteSource) -> dict[str, str]:
    """Tensor name -> relative path of its shard, which lies in the folder of `index` or below."""
    table = parse_object(index.read(MAX_INDEX), index, strict=True).get("weight_map")
    if not isinstance(table, dict) or not table or not all(isinstance(v, str) for v in table.values()):
        raise CheckpointError(index, "its weight_map is not a table of tensor and file names", _AGAIN)
    shards = set(table.values())
    if len(shards) > MAX_SHARDS:
        raise CheckpointError(index, f"names {len(shards):,} files, more than the {MAX_SHARDS:,} allowed", _AGAIN)
    for name in shards:
        shard = PurePosixPath(name)
        climbs = shard.is_absolute() or ".." in shard.parts or "\\" in name or PureWindowsPath(name).drive
        if climbs or not shard.parts:
            raise CheckpointError(index, f"names a file outside its folder: {name}", "do not trust this checkpoint")
    return table


def _beside(tensors: Mapping[str, Tensor], sources: Sequence[ByteSource]) -> list[ByteSource]:
    """Files that tensors lie in and that are not listed themselves (external data of ONNX)."""
    used = dict.fromkeys(source for tensor in tensors.values() for source, _ in getattr(tensor, "spans", ()))
    return [source for source in used if source not in sources]


def _together(files: Mapping[ByteSource, AbstractSet[str] | None], folder: ModelFolder) -> dict[str, Tensor]:
    """All tensors of `files`, in the order of their names; two files may not hold the same one.

    Args:
        files: weights file -> names of the tensors that it must hold, neither fewer nor more; None if not known.
    """
    _fetch_beginnings(list(files))
    tensors: dict[str, Tensor] = {}
    for source, expected in files.items():
        found = open_file(source, folder.source)
        for name in found.keys() & tensors.keys():
            raise CheckpointError(source, f"holds the tensor {name}, which another shard holds too", _AGAIN)
        if expected is not None:
            for name in expected - found.keys():
                raise CheckpointError(source, f"does not hold the tensor {name}, which the index says it does", _AGAIN)
            for name in found.keys() - expected:
                raise CheckpointError(source, f"holds the tensor {name}, which the index does not place there", _AGAIN)
        tensors |= found
    return {name: tensors[name] for name in sorted(tensors)}


def _fetch_beginnings(sources: Sequence[ByteSource]) -> None:
    """Fetch the headers of many files at the same time: one after another they take long."""
    partial = [source for source in sources if source.partial]
    if len(partial) > 1:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda source: source.prefetch((0, min(EDGE, source.size))), partial))
