"""What a table makes of the names in a file: which tensor it knows, by which pattern, of which layer."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple, TypeVar

from kinprint.architectures.companions import ANYWHERE, NUMBER, companion, is_buffer
from kinprint.architectures.kinds import Passed
from kinprint.architectures.table import Entry, Pattern, Skip, Table
from kinprint.checkpoints import Tensor

UNTRACKED = Skip("")

FEW = 8
"""Modules of a layer that have a number for a name, at most."""

MAX_FRONTS = 12
"""Places in a file where the layers of a table are looked for."""

Located = TypeVar("Located", "Match", Passed)


@dataclass(frozen=True)
class Match:
    """A tensor that a table knows: which entry it is, under which pattern, of which layer (of a second stack) and expert.

    Attributes:
        name: of the tensor in the checkpoint.
        pattern: of its name, with what stands in front.
    """

    name: str
    tensor: Tensor
    entry: Entry
    pattern: str
    layer: int | None
    expert: int | None
    second: bool = False


@dataclass(frozen=True)
class Fit:
    """What a table makes of the tensors: what has a role, names it does not know, what it knows and gives no role, and what
    the model computes itself."""

    matches: list[Match]
    unknown: list[str]
    skipped: dict[str, Passed]
    buffers: list[str]

    @cached_property
    def inside(self) -> int:
        """How many tensors of layers it explains."""
        return sum(match.layer is not None for match in self.matches) + sum(
            passed.layer is not None for passed in self.skipped.values()
        )

    @cached_property
    def strangers(self) -> list[str]:
        """Names of layers that it does not know, and that belong to nothing that may stand beside a language model."""
        return [name for name in self.unknown if NUMBER.search(name) and not companion(name)]


def examples(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """One tensor of each kind, the first: names that differ in their numbers are one kind. A mixture has tens of thousands.

    Behind the first number one below `FEW` stays: it may tell apart modules of one layer (`ffn.0`, `ffn.2`), not experts.
    """
    kinds = {kind(name): name for name in reversed(list(tensors))}
    return {name: tensors[name] for name in sorted(kinds.values())}


def kind(name: str) -> str:
    """A name without the numbers that tell layers and experts apart."""
    first = NUMBER.search(name)
    if first is None:
        return name
    rest = NUMBER.sub(lambda number: number[0] if int(number[0][:5]) < FEW else "0", name[first.end() :])
    return f"{name[: first.start()]}0{rest}"


def fit(table: Table, tensors: Mapping[str, Tensor]) -> Fit:
    """What the table knows of the tensors, behind the front that explains most; that of a companion if no other has layers."""
    behind = [(front, _fit_behind(table, tensors, front)) for front in _fronts(table, tensors)]
    _, found = max(behind, key=lambda pair: (bool(pair[1].inside and not companion(pair[0])), len(pair[1].matches)))
    whole = {passed.layer: passed for passed in found.skipped.values() if passed.skip.layer}
    passed = {match.name: whole[match.layer] for match in found.matches if match.layer in whole}
    kept = [match for match in found.matches if match.layer not in whole]
    return _stacked(Fit(kept, found.unknown, {**found.skipped, **passed}, found.buffers))


def _fronts(table: Table, tensors: Mapping[str, Tensor]) -> list[str]:
    """What may stand in front of the names of the table: its own prefixes that any name has, and whatever stands in front of
    the first layer somewhere, a language model inside a larger one. Those of its companions come last."""
    roots = {key.partition("{")[0] for key in table.tensors if "{" in key}
    seen: dict[str, None] = {}
    for name in tensors:
        for root in roots:
            at = f".{name}".find(f".{root}")
            if at >= 0 and name[at + len(root) :].split(".", 1)[0].isdigit():
                seen[name[:at]] = None
        if len(seen) >= MAX_FRONTS:
            break
    fronts = dict.fromkeys((*(front for front in table.prefixes if front in seen), *seen, ""))
    return sorted(fronts, key=lambda front: (companion(front) != "", front not in table.prefixes))


def _stacked(explained: Fit) -> Fit:
    """Layers of blocks counted on from block to block, and those of a second stack, a decoder's, from those of the first."""
    layers = sorted({match.layer for match in explained.matches if match.layer is not None and not match.second})
    size = {layer // BLOCK: 1 + layer % BLOCK for layer in layers}
    sizes = [size.get(block, BLOCK) for block in range(1 + max(size, default=-1))]  # where a block is missing, layers are
    before = [0, *accumulate(sizes)]

    def moved(item: Located) -> Located:
        if item.layer is None:
            return item
        block, layer = divmod(item.layer, BLOCK)
        return replace(item, layer=layer + (before[-1] if item.second else before[min(block, len(sizes))]))

    skipped = {name: moved(passed) for name, passed in explained.skipped.items()}
    return Fit([moved(match) for match in explained.matches], explained.unknown, skipped, explained.buffers)


def _fit_behind(table: Table, tensors: Mapping[str, Tensor], front: str) -> Fit:
    matches, unknown, buffers = [], [], []
    skipped: dict[str, Passed] = {}
    likely: dict[str, Known] = {}  # names that differ in numbers mostly match one pattern
    outside: dict[str, tuple[int, Match]] = {}  # of names without a layer, the one that stands deepest
    parents = [*reversed(list(accumulate(re.findall(r"[^.]*\.", front)))), ""]
    for name, tensor in tensors.items():
        kind = NUMBER.sub("0", name)
        spellings = [name[len(parent) :] for parent in parents if name.startswith(parent)]
        behind = name[len(front) :] if name.startswith(front) else None
        hit = _pattern_of(table, spellings, likely.get(kind), behind)
        entry = _held(hit, name, tensors) if hit else None
        if hit is not None and entry is not None:
            likely[kind] = hit.pattern
            key = hit.pattern[0]
            stripped = len(name) - len(hit.spelled)
            match = Match(
                name, tensor, entry, name[:stripped] + key, hit.layer, hit.numbers.get("expert"), "second" in hit.numbers
            )
            if "{" in key:
                matches.append(match)
                continue
            known = outside.get(key)
            if known is None or known[0] < stripped:
                outside[key] = stripped, match
            unknown.extend([] if known is None else [name if known[0] >= stripped else known[1].name])
        elif any(fnmatch.fnmatchcase(name, ignored) for ignored in table.ignored) or is_buffer(name):
            buffers.append(name)
        elif not ANYWHERE.search(name) and (passed := _passed(table, name, spellings, behind)):
            skipped[name] = passed
        else:
            unknown.append(name)
    found = {match.name: match for match in (*matches, *(match for _, match in outside.values()))}
    return Fit([found[name] for name in tensors if name in found], unknown, skipped, buffers)


BLOCK = 100_000
"""Above any number of a layer inside a block; what layers are numbered by until all are known (`_stacked`)."""


def _layer(numbers: Mapping[str, int]) -> int | None:
    """The layer that the numbers of a name mean, None if it is outside the layers."""
    layer = numbers.get("layer", numbers.get("second"))
    return layer if layer is None else layer + BLOCK * numbers.get("block", 0)


Known = tuple[str, Pattern, Entry]


class Hit(NamedTuple):
    """A pattern of a table that a name matches, what the name was when it did, and its numbers."""

    pattern: Known
    spelled: str
    numbers: dict[str, int]

    @property
    def layer(self) -> int | None:
        return _layer(self.numbers)


def _pattern_of(table: Table, spellings: Iterable[str], likely: Known | None, behind: str | None) -> Hit | None:
    """The pattern that a tensor's name matches in one of its spellings; None if the table does not know it.

    Args:
        behind: its spelling behind all that stands in front of the layers, if that stands there. A pattern of layers has to
            match it: a stack with less in front is another one.
    """
    for spelled in spellings:
        possible = table.likely(spelled)
        for pattern in (likely, *possible) if likely and possible else possible:
            if (spelled == behind or "{" not in pattern[0]) and (match := pattern[1].fullmatch(spelled)):
                return Hit(pattern, spelled, {index: int(value) for index, value in match.groupdict().items()})
    return None


def _held(hit: Hit, name: str, tensors: Mapping[str, Tensor]) -> Entry | None:
    """What a tensor holds, which may depend on what else its layer has; None where the table does not know it there."""
    front, entry = name[: len(name) - len(hit.spelled)], hit.pattern[2]
    for other, held in entry.beside:
        for index, number in hit.numbers.items():
            other = other.replace(f"{{{index}}}", str(number))
        if front + other in tensors:
            return held if held.roles else None
    return entry if entry.roles else None


def _passed(table: Table, name: str, spellings: Iterable[str], behind: str | None) -> Passed | None:
    """What a table says of a tensor that it knows and gives no role; None if it says nothing. `behind` as above."""
    for spelled in spellings:
        for pattern, skip in table.skipped:
            if (spelled == behind or "{" not in pattern.name) and (match := pattern.fullmatch(spelled)):
                index = {index: int(value) for index, value in match.groupdict().items()}
                return Passed(skip, _layer(index), "second" in index)
    untracked = any(fnmatch.fnmatchcase(name, pattern) for pattern in table.untracked)
    return Passed(UNTRACKED, None) if untracked else None
