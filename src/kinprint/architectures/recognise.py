"""From a checkpoint to its anatomy: find the table that fits, check the numbers, hand out the parts."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from typing import Any, NamedTuple, TypeVar

import numpy as np

from kinprint.architectures import facts as configuration
from kinprint.architectures import layout, positions, roles
from kinprint.architectures.anatomy import Anatomy, Name, Part, Place
from kinprint.architectures.kinds import Passed, kinds, passed_over
from kinprint.architectures.named import spaces
from kinprint.architectures.table import Entry, Skip, Table, known
from kinprint.checkpoints import Checkpoint, Tensor
from kinprint.errors import ArchitectureError

NUMBER = re.compile(r"(?<![^.])\d+(?![^.])")
"""An index in a name: digits between dots."""

UNTRACKED = Skip("")

MAX_PARTS = 500_000
"""Experts stacked in one tensor are counted by its shape."""

ACTIVATIONS = ("hidden_act", "hidden_activation", "activation_function", "mlp_hidden_act", "activation")
"""Under which configurations say the activation of an FFN."""

Located = TypeVar("Located", "Match", Passed)


@dataclass(frozen=True)
class Match:
    """A tensor that a table knows: which entry it is, under which pattern, of which layer (of a second stack) and expert."""

    tensor: Tensor
    entry: Entry
    pattern: str
    layer: int | None
    expert: int | None
    second: bool = False


class Found(NamedTuple):
    """What a table makes of the tensors: what has a role, names it does not know, and what it knows and gives no role."""

    matches: list[Match]
    unknown: list[str]
    skipped: dict[str, Passed]


def recognise(checkpoint: Checkpoint) -> Anatomy:
    """See a checkpoint through the table of its architecture.

    Nothing is read but a few rows of a matrix of positions.

    Raises:
        CheckpointError: those cannot be read.
        ArchitectureError: no table fits, the configuration contradicts the tensors, or the weights are quantised integers.
    """
    config = configuration.text_part(checkpoint.config)
    model_type = config.get("model_type")
    named = [table for table in known() if model_type in table.model_types]
    for table in named if len(named) == 1 else _by_fit(checkpoint, named or known()):
        explained = _match(table, checkpoint.tensors)
        if _complete(explained.matches):
            return _anatomy(table, config, checkpoint, explained, guessed=not named)
    seen = ", ".join(list(checkpoint.tensors)[:3]) or "no tensors"
    if named:
        raise ArchitectureError(
            checkpoint.source,
            f"the configuration says {model_type}, but the tensors are not those of such a model ({seen}, ...)",
            "use the configuration that belongs to the weights",
        )
    types = ", ".join(sorted({t for table in known() for t in table.model_types}))
    raise ArchitectureError(
        checkpoint.source, f"no known architecture has tensors such as {seen}", f"known model types: {types[:180]}"
    )


def _by_fit(checkpoint: Checkpoint, tables: Iterable[Table]) -> list[Table]:
    """Tables, the one that explains most kinds of tensors first, of equals the smallest, of these the plainest: configurations
    may be missing or unknown, and a type may be served by several tables. Names that differ in their numbers are one kind: a
    mixture has tens of thousands."""
    kinds = {NUMBER.sub("0", name): name for name in reversed(list(checkpoint.tensors))}
    examples = {name: checkpoint.tensors[name] for name in kinds.values()}
    return sorted(tables, key=lambda table: (-len(_match(table, examples).matches), len(table.tensors), _peculiarities(table)))


def _peculiarities(table: Table) -> int:
    """How much a table says that no tensor shows: gains stored less 1 (Gemma), neighbours that rotate together (Helium)."""
    return any(entry.add for entry in table.tensors.values()) + (table.rotary_pairs != "halves")


def _match(table: Table, tensors: Mapping[str, Tensor]) -> Found:
    """What the table knows of the tensors under whichever of its prefixes explains most."""
    explained = max((_match_prefix(table, tensors, prefix) for prefix in table.prefixes), key=lambda known: len(known.matches))
    whole = {passed.layer: passed for passed in explained.skipped.values() if passed.skip.layer}
    passed = {match.tensor.name: whole[match.layer] for match in explained.matches if match.layer in whole}
    kept = [match for match in explained.matches if match.layer not in whole]
    return _stacked(Found(kept, explained.unknown, {**explained.skipped, **passed}))


def _stacked(explained: Found) -> Found:
    """Layers of a second stack, a decoder's, counted on from those of the first."""
    layers = (match.layer for match in explained.matches if match.layer is not None and not match.second)
    first = 1 + max(layers, default=-1)

    def moved(item: Located) -> Located:
        return replace(item, layer=item.layer + first) if item.second and item.layer is not None else item

    skipped = {name: moved(passed) for name, passed in explained.skipped.items()}
    return Found([moved(match) for match in explained.matches], explained.unknown, skipped)


def _match_prefix(table: Table, tensors: Mapping[str, Tensor], prefix: str) -> Found:
    matches, unknown = [], []
    skipped: dict[str, Passed] = {}
    likely: dict[str, Pattern] = {}  # names that differ in numbers mostly match one pattern
    for name, tensor in tensors.items():
        kind, short = NUMBER.sub("0", name), name.removeprefix(prefix)
        hit = _pattern_of(table, name, short, likely.get(kind))
        if hit is not None:
            likely[kind] = hit.pattern
            key, _, entry = hit.pattern
            full = key if hit.spelled == name else prefix + key
            matches.append(Match(tensor, entry, full, hit.layer, hit.numbers.get("expert"), "second" in hit.numbers))
        elif passed := _passed(table, name, short):
            skipped[name] = passed
        elif not any(fnmatch.fnmatchcase(name, ignored) for ignored in table.ignored):
            unknown.append(name)
    return Found(matches, unknown, skipped)


Pattern = tuple[str, re.Pattern[str], Entry]


class Hit(NamedTuple):
    """A pattern of a table that a name matches, what the name was when it did, and its numbers."""

    pattern: Pattern
    spelled: str
    numbers: dict[str, int]

    @property
    def layer(self) -> int | None:
        return self.numbers.get("layer", self.numbers.get("second"))


def _pattern_of(table: Table, name: str, short: str, likely: Pattern | None) -> Hit | None:
    """The pattern that a tensor's name matches, with or without the prefix; None if the table does not know it."""
    if not (table.names.fullmatch(short) or table.names.fullmatch(name)):
        return None
    for pattern in (likely, *table.patterns) if likely else table.patterns:
        match = pattern[1].fullmatch(short) or pattern[1].fullmatch(name)
        if match:
            return Hit(pattern, match.string, {index: int(value) for index, value in match.groupdict().items()})
    return None


def _passed(table: Table, name: str, short: str) -> Passed | None:
    """What a table says of a tensor that it knows and gives no role; None if it says nothing."""
    for pattern, skip in table.skipped:
        if match := pattern.fullmatch(short):
            index = {index: int(value) for index, value in match.groupdict().items()}
            return Passed(skip, index.get("layer", index.get("second")), "second" in index)
    untracked = any(fnmatch.fnmatchcase(name, pattern) for pattern in table.untracked)
    return Passed(UNTRACKED, None) if untracked else None


def _complete(matches: Iterable[Match]) -> bool:
    return roles.complete({role for match in matches if match.layer is not None for role in match.entry.roles})


def _anatomy(table: Table, config: Mapping[str, Any], checkpoint: Checkpoint, explained: Found, *, guessed: bool) -> Anatomy:
    source, matches = checkpoint.source, explained.matches
    layers = _complete_layers(explained, source)
    numbers = configuration.declared(table, config, source)
    parts = _limited(
        list(islice((part for match in matches for part in _parts(match, numbers, source)), MAX_PARTS + 1)), source
    )
    facts: dict[str, Any] = {**numbers}
    _check(facts, "num_hidden_layers", layers, source)
    _measure(facts, parts, source)
    where, nbytes = positions.found(table, config, checkpoint.tensors, parts, guessed=guessed)
    facts |= _said(table, config, parts, where) | {"layer_kinds": kinds(parts, explained.skipped.values(), layers)}
    facts |= _rotary(table, config, facts, source)
    names = {match.pattern: Name(match.pattern, match.entry, match.tensor.shape) for match in matches}
    return Anatomy(
        family=table.family,
        facts=facts,
        parts=_ordered(parts, source),
        unknown=tuple(explained.unknown),
        notes=(*_notes(table, config, guessed=guessed), *passed_over(explained.skipped.values())),
        names=tuple(names.values()),
        skipped=tuple(explained.skipped),
        nbytes=nbytes,
    )


def _complete_layers(explained: Found, source: str) -> int:
    """How many layers there are, of which none may be missing."""
    layers = {match.layer for match in explained.matches if match.layer is not None}
    layers |= {item.layer for item in explained.skipped.values() if item.layer is not None and not item.skip.layer}
    if layers != set(range(len(layers))):
        raise ArchitectureError(
            source, f"layers are missing: {len(layers)} explained, the last is {max(layers)}", "use the complete checkpoint"
        )
    return len(layers)


def _said(table: Table, config: Mapping[str, Any], parts: Sequence[Part], where: str) -> dict[str, Any]:
    """What table, configuration and parts say beyond sizes.

    Args:
        where: how positions are told apart.
    """
    return {
        "model_type": str(config.get("model_type", table.family)),
        "positions": where,
        "named_spaces": _named(table, config, where),
        "norm": table.norm,
        "norm_first": configuration.lookup(table.norm_first, config),
        "activation": configuration.lookup(list(ACTIVATIONS), config),
        "num_experts": 1 + max((part.expert for part in parts if part.expert is not None), default=-1),
        "tie_word_embeddings": all(part.role != "head" for part in parts),
        "qk_norm": bool(configuration.lookup(table.qk_norm, config)),
        "free_signs": table.free_signs,
    }


def _rotary(table: Table, config: Mapping[str, Any], facts: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Which dimensions of a head positions rotate; nothing for models that rotate none."""
    where = facts["positions"]
    likely = configuration.lookup(table.positions, config) if where == "unknown" else where
    if likely != "rope" or "head_dim" not in facts:
        return {}
    share = configuration.lookup(table.rotary_share, config)
    if "rotary_dim" not in facts and isinstance(share, (int, float)) and not 0 <= share <= 1:
        raise ArchitectureError(source, f"the configuration rotates {share!r} of each head", "it must be a share, 0 to 1")
    turned = round(share * facts["head_dim"]) if isinstance(share, (int, float)) else 0
    turned += turned % 2  # dimensions turn in pairs: transformers rotates 4 where the share says 3
    return {"rotary_dim": facts.get("rotary_dim", turned), "rotary_pairs": table.rotary_pairs}


def _notes(table: Table, config: Mapping[str, Any], *, guessed: bool) -> list[str]:
    """What a reader should know of how the model was read."""
    notes = [f"read as {table.family}, the table that fits its tensors best"] if guessed else []
    return notes if config else [*notes, "no configuration: heads are known only as far as the tensors show them"]


def _limited(parts: list[Part], source: str) -> list[Part]:
    if len(parts) > MAX_PARTS:
        raise ArchitectureError(
            source, f"more than the {MAX_PARTS:,} matrices and vectors allowed", "check the tensors' shapes"
        )
    return parts


def _ordered(parts: Iterable[Part], source: str) -> tuple[Part, ...]:
    """Parts by layer (None last), role and expert, each place held once."""
    order = sorted(parts, key=lambda p: (p.layer is None, p.layer or 0, p.role, -1 if p.expert is None else p.expert))
    twice = next((a for a, b in pairwise(order) if _place(a) == _place(b)), None)
    if twice:
        raise ArchitectureError(source, f"two tensors claim to be {twice.role} of layer {twice.layer}: {twice.tensor}")
    return tuple(order)


def _named(table: Table, config: Mapping[str, Any], where: str) -> dict[str, str]:
    """The spaces whose units a model names, each with the reason.

    Args:
        where: its positions.
    """
    remedy = "write a table for its architecture" if config else "give the folder with its config.json"
    reasons = {space: configuration.lookup(rule, config) for space, rule in table.named.items()}
    return spaces(where, remedy) | {space: why for space, why in reasons.items() if isinstance(why, str)}


def _place(part: Part) -> Place:
    return part.layer, part.role, part.expert


def _parts(match: Match, numbers: Mapping[str, int], source: str) -> Iterable[Part]:
    """The parts of one tensor."""
    tensor, entry = match.tensor, match.entry
    if tensor.dtype.kind not in "fV":
        raise ArchitectureError(
            source, f"tensor {tensor.name} holds {tensor.dtype} values, a quantised form that is not read yet",
            "use the unquantised original",
        )  # fmt: skip
    if 0 in tensor.shape:
        raise ArchitectureError(
            source, f"tensor {tensor.name} is empty, of shape {tensor.shape}", "use the complete checkpoint"
        )
    experts = range(tensor.shape[0]) if entry.stacked_experts and len(tensor.shape) > 1 else [match.expert]
    shape = tensor.shape[1:] if entry.stacked_experts else tensor.shape
    matrix = entry.matrix
    if not matrix:
        shape = (int(np.prod(shape)),)  # QK gains of every head side by side
    elif len(shape) != 2:
        raise ArchitectureError(source, f"tensor {tensor.name} has shape {tensor.shape}, expected a matrix")
    if entry.transposed and matrix:
        shape = shape[::-1]
    pieces = layout.rows(entry, shape[0], numbers, tensor.name, source)
    for expert in experts:
        for role, rows in zip(entry.roles, pieces, strict=True):
            yield Part(
                role=role,
                layer=match.layer,
                expert=expert,
                axes=roles.axes(role),
                shape=(layout.count(rows), *shape[1:]),
                dtype=tensor.dtype,
                tensor=tensor.name,
                read=layout.reader(tensor, entry, expert, rows, shape),
                lines=layout.lines(tensor, entry, rows),
            )


def _check(facts: dict[str, Any], fact: str, measured: int, source: str) -> None:
    """Set a fact from the tensors, or refuse a configuration that says otherwise."""
    if facts.setdefault(fact, measured) != measured:
        raise ArchitectureError(
            source, f"the configuration gives {fact} {facts[fact]}, the tensors have {measured}",
            "use the configuration that belongs to the weights",
        )  # fmt: skip


def _measure(facts: dict[str, Any], parts: list[Part], source: str) -> None:
    """Numbers that the shapes give, checked against those of the configuration."""
    first = {part.role: part for part in reversed(parts)}
    query, key = (first.get(role) or first[roles.LATENT[role].up] for role in ("q", "k"))
    _check(facts, "hidden_size", first["o"].shape[0], source)
    for part in parts:
        for axis, length in zip(part.axes, part.shape, strict=True):
            inside = part.layer is not None and part.role in roles.MATRICES
            if axis == "residual" and inside and length != facts["hidden_size"]:
                raise ArchitectureError(
                    source, f"tensor {part.tensor} has shape {part.shape}, which does not fit {facts['hidden_size']} channels"
                )
    if "embedding" in first:
        facts["vocab_size"] = first["embedding"].shape[0]
    facts["intermediate_size"] = first["up"].shape[0]
    if "head_dim" not in facts and "gains.q" in first:
        facts["head_dim"] = first["gains.q"].shape[0]
    if "num_attention_heads" not in facts and "head_dim" in facts and query.shape[0] % facts["head_dim"] == 0:
        facts["num_attention_heads"] = query.shape[0] // facts["head_dim"]
        facts["num_key_value_heads"] = max(key.shape[0] // facts["head_dim"], 1)
    if "num_attention_heads" in facts:
        facts.setdefault("head_dim", max(query.shape[0] // facts["num_attention_heads"], 1))
        for part, fact in ((query, "num_attention_heads"), (key, "num_key_value_heads")):
            _check(facts, fact, part.shape[0] // facts["head_dim"], source)
