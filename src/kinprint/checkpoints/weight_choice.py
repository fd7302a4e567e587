"""Which of the files beside each other hold a model's weights: one answer, from their names alone.

It is asked of folders here and elsewhere, of a hub's listing before anything is fetched, and to tell an adapter from a model.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from kinprint.checkpoints.formats import format_of, formats, known_suffixes
from kinprint.checkpoints.formats._format import Format
from kinprint.errors import CheckpointError, printable

INDEX = ".index.json"
"""Ends the name of an index, behind the name of the weights file in whose place it stands."""

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
"""What `peft` writes: a configuration, and weights in the first of these files that is there."""

_SHARD = re.compile(r"(?P<stem>.*)-(?P<number>[0-9]{5})-of-(?P<count>[0-9]{5})(?P<suffix>\.[a-z]+)", re.DOTALL)


@dataclass(frozen=True)
class Choice:
    """The files that hold the weights.

    Attributes:
        files: in the order of their names. With an index those that it names by custom; what it says itself counts.
        index: the file that names them, or "".
        adapter: whether they are the weights of an adapter, which is no model.
    """

    files: tuple[str, ...]
    index: str = ""
    adapter: bool = False


def choose_weights(names: AbstractSet[str], subject: object) -> Choice:
    """Choose among the files of a folder: by a format's standard names, else the only ones that can be meant.

    The order: the standard file or index of a format, the formats by rank; a complete set of shards under a standard name;
    an adapter; the only file, or the only set of shards, of the first format that has any.

    Args:
        names: relative paths; what lies in deeper folders counts only where an index names it.
        subject: what to call the folder in errors.

    Raises:
        CheckpointError: no weights, several that may be meant, or shards that are missing.
    """
    for form in formats():
        for standard in (form.stem + suffix for suffix in form.suffixes):
            if standard in names:
                return Choice((standard,))
            if standard + INDEX in names:
                return Choice(_shards_of(form, standard, names), standard + INDEX)
    adapter = adapter_weights(names)
    weights = [name for name in sorted(names - {adapter}) if "/" not in name and format_of(name)]
    if adapter and not any(_is_standard_shard(name) for name in weights):
        return Choice((adapter,), adapter=True)
    for form in formats():
        if own := [name for name in weights if format_of(name) is form]:
            return Choice(_only_set(own, form.stem, subject))
    raise CheckpointError(subject, "no weights there", f"a file should end in one of {', '.join(known_suffixes())}")


def adapter_weights(names: AbstractSet[str]) -> str:
    """The weights file of the adapter that is among some files; "" if there is none."""
    if ADAPTER_CONFIG not in names:
        return ""
    return next((name for name in ADAPTER_WEIGHTS if name in names), "")


def standard_names() -> set[str]:
    """Names that weights and their indices have by custom: what to try where a folder cannot be listed."""
    return {form.stem + suffix + end for form in formats() for suffix in form.suffixes for end in ("", INDEX)}


def is_standard(name: str) -> bool:
    """Whether a file of this name is a model's weights, their index or a shard of them by custom."""
    return name in standard_names() or _is_standard_shard(name)


def is_index(name: str) -> bool:
    """Whether the file of this name is the index of a sharded model."""
    return name.endswith(INDEX)


def require_all(subject: object, missing: Iterable[str], count: int) -> None:
    """Raise CheckpointError if some of the `count` files of a sharded model are missing."""
    if names := sorted(missing):
        listed = ", ".join(printable(name, 80) for name in names[:3]) + (", ..." if len(names) > 3 else "")
        raise CheckpointError(subject, f"{len(names)} of {count} shards missing: {listed}", "the model is not complete there")


def _shards_of(form: Format, standard: str, names: AbstractSet[str]) -> tuple[str, ...]:
    """The shards of a standard name, or all weights of the format where none is named so."""
    own = sorted(name for name in names if "/" not in name and format_of(name) is form)
    shards = {name: _SHARD.fullmatch(name) for name in own}
    return tuple(name for name, shard in shards.items() if shard and shard["stem"] + shard["suffix"] == standard) or tuple(own)


def _is_standard_shard(name: str) -> bool:
    shard, form = _SHARD.fullmatch(name), format_of(name)
    return shard is not None and form is not None and shard["stem"] == form.stem


def _only_set(names: Sequence[str], stem: str, subject: object) -> tuple[str, ...]:
    """The files that make up one model: the shards of a complete set, or a single file."""
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
    require_all(subject, expected - set(names), len(expected))
    return tuple(sorted(expected))
