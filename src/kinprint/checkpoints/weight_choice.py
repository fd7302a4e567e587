"""Which of the files beside each other hold a model's weights: one answer, from their names alone.

It is asked of folders here and elsewhere, of a hub's listing before anything is fetched, and to tell an adapter from a model.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from kinprint.checkpoints.folders import LocalFolder, ModelFolder
from kinprint.checkpoints.formats import format_of, formats, known_suffixes
from kinprint.checkpoints.formats._format import Format
from kinprint.checkpoints.other_forms import BESIDE, named
from kinprint.checkpoints.tensor_parallel import PART
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
    an adapter; the only file, or the only set of shards, of the first format that has any. What lies beside the weights of
    models (`other_forms.BESIDE`) counts only where there is nothing else.

    Args:
        names: relative paths; what lies in deeper folders counts only where an index names it.
        subject: what to call the folder in errors; the folder itself can also say sizes, and what lies below it.

    Raises:
        CheckpointError: no weights, those of a form that is not read, several that may be meant, or shards that are missing.
    """
    for form in formats():
        for standard in (form.stem + suffix for suffix in form.suffixes):
            if standard in names:
                return Choice((standard,))
            if standard + INDEX in names:
                return Choice(_shards_of(form, standard, names), standard + INDEX)
    adapter = adapter_weights(names)
    weights = [name for name in sorted(names - {adapter}) if "/" not in name and format_of(name)]
    weights = [name for name in weights if not BESIDE.fullmatch(name)] or weights
    if adapter and not any(_is_standard_shard(name) for name in weights):
        return Choice((adapter,), adapter=True)
    for form in formats():
        if own := [name for name in weights if format_of(name) is form]:
            return Choice(_only_set(own, form.stem, subject))
    raise _nothing(names, subject)


def _nothing(names: AbstractSet[str], subject: object) -> CheckpointError:
    """What to say of a folder without weights: what is in it instead, or below it."""
    form, name = named(names)
    if form is not None:
        return CheckpointError(subject, f"no weights there but {form.what} ({name}), which is not read", form.remedy)
    below = subject.below() if isinstance(subject, ModelFolder) else [name for name in names if "/" in name]
    folders = {name.rpartition("/")[0] for name in below if format_of(name) and not BESIDE.fullmatch(name.rpartition("/")[2])}
    if folders:
        *others, last = sorted(folders, key=_by_number)
        more = f" (and {', '.join(printable(name, 40) for name in others[-3:])})" if others else ""
        where = f"give {printable(subject, 150)}/{printable(last, 80)}"
        here = isinstance(subject, LocalFolder) or "://" in str(subject)
        return CheckpointError(
            subject, f"no weights there, but in {printable(last, 80)} below it{more}", where if here else "download that folder"
        )
    return CheckpointError(subject, "no weights there", f"a file should end in one of {', '.join(known_suffixes())}")


def _by_number(name: str) -> list[tuple[int, str]]:
    """Names in the order of the numbers in them."""
    return [(int(digits or 0), text) for text, digits in re.findall(r"(\D*)(\d{0,15})", name)]


def one_of_several(name: str, folder: ModelFolder) -> int:
    """How many files a model has of which this one is a part; 0 for a file that may be a model by itself."""
    shard = _SHARD.fullmatch(name)
    if shard:
        return int(shard["count"]) if int(shard["count"]) > 1 else 0
    others = [f"consolidated.{number:02}{name[15:]}" for number in range(100)] if PART.fullmatch(name) else []
    there = folder.there(others) if others and folder.there({others[1]}) else set()
    return len(there) if len(there) > 1 else 0


def left_out(shards: Iterable[str], folder: ModelFolder) -> list[str]:
    """Files there that belong to the same set as the shards of an index, and that it does not name."""
    listed = set(shards)
    sets = {(s["stem"], int(s["count"]), s["suffix"]) for s in map(_SHARD.fullmatch, listed) if s and int(s["count"]) < 10_000}
    whole = {f"{stem}-{n:05}-of-{count:05}{suffix}" for stem, count, suffix in sets for n in range(1, count + 1)}
    return sorted(folder.there(whole - listed)) if whole - listed else []


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
        shard, part = _SHARD.fullmatch(name), PART.fullmatch(name)
        key = (
            (shard["stem"], int(shard["count"]), shard["suffix"])
            if shard
            else ("consolidated", 0, "")
            if part
            else (name, 0, "")
        )
        sets[key].append(name)
    chosen = next(iter(sets)) if len(sets) == 1 else next((key for key in sets if key[0] == stem), None)
    if chosen is None:
        listed = ", ".join(_listed(own, subject) for own in list(sets.values())[:8]) + (", ..." if len(sets) > 8 else "")
        here = isinstance(subject, LocalFolder) or not isinstance(subject, ModelFolder)
        remedy = "give the file that you mean" if here else "give the URL of the file that you mean, or download it"
        raise CheckpointError(subject, f"several weights files and no index ({listed})", remedy)
    start, count, suffix = chosen
    if PART.fullmatch(sets[chosen][0]):
        return _parts(sets[chosen], subject)
    expected = {f"{start}-{number:05}-of-{count:05}{suffix}" for number in range(1, count + 1)} or {start}
    require_all(subject, expected - set(names), len(expected))
    return tuple(sorted(expected))


def _parts(names: Sequence[str], subject: object) -> tuple[str, ...]:
    """The files of a tensor-parallel model, which count from 00 without gaps."""
    end = names[0][15:]
    expected = {f"consolidated.{number:02}{end}" for number in range(1 + max(int(name[13:15]) for name in names))}
    require_all(subject, expected - set(names), len(expected))
    return tuple(sorted(expected))


def _listed(names: Sequence[str], subject: object) -> str:
    """A file, or the first of a set of them, with its size where it is known."""
    sizes = subject.sizes(names) if isinstance(subject, ModelFolder) else {}
    details = [f"{len(names)} files"] if len(names) > 1 else []
    if sizes:
        total = sum(sizes.values())
        details.append(
            f"{total / 1e9:.1f} GB" if total >= 1e8 else f"{total / 1e6:.1f} MB" if total >= 1e5 else f"{total:,} bytes"
        )
    return printable(names[0], 60) + (f" {', '.join(details)}" if details else "")
