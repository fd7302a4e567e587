"""Which files hold a checkpoint's tensors, and all the tensors in them as one table."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path, PurePosixPath, PureWindowsPath

from kinprint.checkpoints.checkpoint import Tensor
from kinprint.checkpoints.files import clear_errors, read_bounded
from kinprint.checkpoints.formats import format_of, formats, open_file
from kinprint.checkpoints.json_text import parse_object
from kinprint.errors import CheckpointError, printable

INDEX = ".index.json"
MAX_INDEX = 100_000_000
MAX_SHARDS = 10_000
_AGAIN = "download the index and the shards again, from one revision"
_SHARD = re.compile(r"(?P<stem>.*)-(?P<number>[0-9]{5})-of-(?P<count>[0-9]{5})(?P<suffix>\.[a-z]+)", re.DOTALL)


def read_weights(path: Path) -> tuple[dict[str, Tensor], tuple[Path, ...]]:
    """The tensors of the weights file or index `path`, in the order of their names, and the files that hold them."""
    if path.name.endswith(INDEX):
        return _indexed(path)
    return _together({path: None}), (path,)


def find_weights(folder: Path) -> tuple[dict[str, Tensor], tuple[Path, ...]]:
    """The same for the files in `folder`: under a format's standard names, else the only ones that it can mean."""
    for form in formats():
        for suffix in form.suffixes:
            for name in (form.stem + suffix, form.stem + suffix + INDEX):
                if os.path.lexists(folder / name):
                    return read_weights(folder / name)
    with clear_errors(folder):
        names = sorted(os.listdir(folder))
    for form in formats():
        mine = [name for name in names if format_of(folder / name) is form]
        if mine:
            shards = [folder / name for name in only_set(folder, mine, form.stem)]
            return _together(dict.fromkeys(shards)), tuple(shards)
    known = ", ".join(suffix for form in formats() for suffix in form.suffixes)
    raise CheckpointError(folder, "a folder without weights", f"it should hold a file ending in one of {known}")


def only_set(subject: object, names: list[str], stem: str) -> list[str]:
    """The files of `names` that make up one model: the shards of a complete set, or a single file."""
    sets: dict[tuple[str, int, str], list[str]] = defaultdict(list)
    for name in names:
        shard = _SHARD.fullmatch(name)
        sets[(shard["stem"], int(shard["count"]), shard["suffix"]) if shard else (name, 0, "")].append(name)
    chosen = next(iter(sets)) if len(sets) == 1 else next((key for key in sets if key[0] == stem), None)
    if chosen is None:
        listed = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        raise CheckpointError(subject, f"several weights files and no index ({listed})", "give the file that you mean")
    start, count, suffix = chosen
    expected = {f"{start}-{number:05}-of-{count:05}{suffix}" for number in range(1, count + 1)} or {start}
    _require_all(subject, expected - set(names), len(expected))
    return sorted(expected)


def _indexed(index: Path) -> tuple[dict[str, Tensor], tuple[Path, ...]]:
    """The tensors that a `*.index.json` lists; index and shards must agree exactly."""
    listed: dict[str, set[str]] = defaultdict(set)
    for name, shard in weight_map(index).items():
        listed[shard].add(name)
    _require_all(index, {shard for shard in listed if not os.path.lexists(index.parent / shard)}, len(listed))
    files = {index.parent / shard: listed[shard] for shard in sorted(listed)}
    return _together(files), (index, *files)


def weight_map(index: Path) -> dict[str, str]:
    """Tensor name -> relative path of its shard, which lies in the folder of `index` or below."""
    table = parse_object(read_bounded(index, MAX_INDEX), index, strict=True).get("weight_map")
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


def _require_all(subject: object, missing: set[str], count: int) -> None:
    if missing:
        listed = ", ".join(printable(name, 80) for name in sorted(missing)[:3]) + (", ..." if len(missing) > 3 else "")
        raise CheckpointError(subject, f"{len(missing)} of {count} shards missing: {listed}", "download them")


def _together(files: Mapping[Path, AbstractSet[str] | None]) -> dict[str, Tensor]:
    """All tensors of `files`, in the order of their names; two files may not hold the same one.

    Args:
        files: weights file -> names of the tensors that it must hold, neither fewer nor more; None if not known.
    """
    tensors: dict[str, Tensor] = {}
    for path, expected in files.items():
        found = open_file(path)
        for name in found.keys() & tensors.keys():
            raise CheckpointError(path, f"holds the tensor {name}, which another shard holds too", _AGAIN)
        if expected is not None:
            for name in expected - found.keys():
                raise CheckpointError(path, f"does not hold the tensor {name}, which the index says it does", _AGAIN)
            for name in found.keys() - expected:
                raise CheckpointError(path, f"holds the tensor {name}, which the index does not place there", _AGAIN)
        tensors |= found
    return {name: tensors[name] for name in sorted(tensors)}
