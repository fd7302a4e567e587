"""From a checkpoint to its anatomy: find the table that fits, check the numbers, hand out canonical parts."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from kinprint.architectures import facts as configuration
from kinprint.architectures import layout, roles
from kinprint.architectures.anatomy import Anatomy, Name, Part
from kinprint.architectures.table import Entry, Table, known
from kinprint.checkpoints import Checkpoint, Tensor
from kinprint.errors import ArchitectureError


@dataclass(frozen=True)
class Match:
    """A tensor that a table knows: which entry it is, under which pattern, of which layer and expert."""

    tensor: Tensor
    entry: Entry
    pattern: str
    layer: int | None
    expert: int | None


def recognise(checkpoint: Checkpoint) -> Anatomy:
    """See a checkpoint through the table of its architecture.

    Raises:
        ArchitectureError: no table fits, the configuration contradicts the tensors, or the weights are quantised integers.
    """
    config = configuration.text_part(checkpoint.config)
    model_type = config.get("model_type")
    named = [table for table in known() if model_type in table.model_types]
    for table in named or _by_fit(checkpoint):
        matches, unknown = _match(table, checkpoint.tensors)
        if _complete(matches):
            return _anatomy(table, config, checkpoint, matches, unknown, guessed=not named)
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


def _by_fit(checkpoint: Checkpoint) -> list[Table]:
    """All tables, the one that explains most tensors first, of equals the smallest: for configurations missing or unknown."""
    return sorted(known(), key=lambda table: (-len(_match(table, checkpoint.tensors)[0]), len(table.tensors)))


def _match(table: Table, tensors: Mapping[str, Tensor]) -> tuple[list[Match], list[str]]:
    """What the table knows of the tensors under whichever of its prefixes explains most, and the names of the rest."""
    return max((_match_prefix(table, tensors, prefix) for prefix in table.prefixes), key=lambda found: len(found[0]))


def _match_prefix(table: Table, tensors: Mapping[str, Tensor], prefix: str) -> tuple[list[Match], list[str]]:
    matches, unknown = [], []
    for name, tensor in tensors.items():
        short = name.removeprefix(prefix)
        for key, pattern, entry in table.patterns:
            found = pattern.fullmatch(short) or pattern.fullmatch(name)
            if found:
                index = {index: int(value) for index, value in found.groupdict().items()}
                full = key if found.string == name else prefix + key
                matches.append(Match(tensor, entry, full, index.get("layer"), index.get("expert")))
                break
        else:
            if not any(fnmatch.fnmatchcase(name, ignored) for ignored in (*table.ignored, *table.untracked)):
                unknown.append(name)
    return matches, unknown


def _complete(matches: Iterable[Match]) -> bool:
    found = {role for match in matches if match.layer is not None for role in match.entry.roles}
    return set(roles.ESSENTIAL) <= found


def _anatomy(
    table: Table,
    config: Mapping[str, Any],
    checkpoint: Checkpoint,
    matches: list[Match],
    unknown: list[str],
    *,
    guessed: bool,
) -> Anatomy:
    source = checkpoint.source
    numbers = configuration.declared(table, config, source)
    layers = {match.layer for match in matches if match.layer is not None}
    if layers != set(range(len(layers))):
        raise ArchitectureError(
            source, f"layers are missing: {len(layers)} found, the last is {max(layers)}", "use the complete checkpoint"
        )
    facts: dict[str, Any] = {**numbers}
    parts = [part for match in matches for part in _parts(match, numbers, source)]
    _check(facts, "num_hidden_layers", len(layers), source)
    _measure(facts, parts, source)
    has_head = any(part.role == "head" for part in parts)
    facts |= {
        "model_type": str(config.get("model_type", table.family)),
        "positions": configuration.lookup(table.positions, config),
        "norm": table.norm,
        "norm_first": configuration.lookup(table.norm_first, config),
        "activation": configuration.lookup(["hidden_act", "hidden_activation", "activation_function"], config),
        "num_experts": 1 + max((part.expert for part in parts if part.expert is not None), default=-1),
        "tie_word_embeddings": not has_head,
    }
    if facts["positions"] == "rope" and "head_dim" in facts:
        share = configuration.lookup(table.rotary_share, config)
        facts.setdefault("rotary_dim", round(share * facts["head_dim"]) if isinstance(share, (int, float)) else 0)
        facts["rotary_pairs"] = table.rotary_pairs
    notes = []
    if guessed:
        notes.append(f"read as {table.family}, the table that fits its tensors best")
    if not config:
        notes.append("no configuration: heads are known only as far as the tensors show them")
    order = sorted(parts, key=lambda p: (p.layer is None, p.layer or 0, p.role, -1 if p.expert is None else p.expert))
    twice = next((a for a, b in pairwise(order) if _place(a) == _place(b)), None)
    if twice:
        raise ArchitectureError(source, f"two tensors claim to be {twice.role} of layer {twice.layer}: {twice.tensor}")
    names = {match.pattern: Name(match.pattern, match.entry, match.tensor.shape) for match in matches}
    return Anatomy(table.family, facts, tuple(order), tuple(unknown), tuple(notes), tuple(names.values()))


def _place(part: Part) -> tuple[int | None, str, int | None]:
    return part.layer, part.role, part.expert


def _parts(match: Match, numbers: Mapping[str, int], source: str) -> Iterable[Part]:
    """The canonical parts of one tensor."""
    tensor, entry = match.tensor, match.entry
    if tensor.dtype.kind not in "fV":
        raise ArchitectureError(
            source, f"tensor {tensor.name} holds {tensor.dtype} values, a quantised form that is not read yet",
            "use the unquantised original",
        )  # fmt: skip
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
                shape=(len(rows) if isinstance(rows, np.ndarray) else rows.stop - rows.start, *shape[1:]),
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
    _check(facts, "hidden_size", first["q"].shape[1], source)
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
    if "num_attention_heads" not in facts and "head_dim" in facts and first["q"].shape[0] % facts["head_dim"] == 0:
        facts["num_attention_heads"] = first["q"].shape[0] // facts["head_dim"]
        facts["num_key_value_heads"] = max(first["k"].shape[0] // facts["head_dim"], 1)
    if "num_attention_heads" in facts:
        facts.setdefault("head_dim", max(first["q"].shape[0] // facts["num_attention_heads"], 1))
        for role, fact in (("q", "num_attention_heads"), ("k", "num_key_value_heads")):
            _check(facts, fact, first[role].shape[0] // facts["head_dim"], source)
