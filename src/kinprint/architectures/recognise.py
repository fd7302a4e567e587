"""From a checkpoint to its anatomy: find the table that fits, check the numbers, hand out the parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice, pairwise
from typing import Any

import numpy as np

from kinprint.architectures import facts as configuration
from kinprint.architectures import folding, layout, positions, roles
from kinprint.architectures.anatomy import Anatomy, Name, Part, Place
from kinprint.architectures.choice import Choice, choices
from kinprint.architectures.companions import belongs_to
from kinprint.architectures.fit import Fit, Match, fit
from kinprint.architectures.inferred import inferred
from kinprint.architectures.kinds import kinds, passed_over
from kinprint.architectures.named import spaces
from kinprint.architectures.rotary import rotary
from kinprint.architectures.table import Table
from kinprint.checkpoints import Checkpoint
from kinprint.errors import ArchitectureError

MAX_PARTS = 500_000
"""Experts stacked in one tensor are counted by its shape."""

ACTIVATIONS = ("hidden_act", "hidden_activation", "activation_function", "mlp_hidden_act", "activation")
"""Under which configurations say the activation of an FFN."""


def recognise(checkpoint: Checkpoint, given: Sequence[Table] = (), component: str = "") -> Anatomy:
    """See a checkpoint through the table of its architecture, or, where no table fits, as far as names and shapes tell.

    Nothing is read but a few rows of a matrix of positions, and some gains where their values have to decide.

    Args:
        given: the tables that the user allows; only these are tried.
        component: what it is known to be, where it is no language model: "vision tower", ...

    Raises:
        CheckpointError: those cannot be read.
        ArchitectureError: nothing in it looks like the layers of a language model, the configuration contradicts the tensors,
            or the weights are quantised integers.
    """
    config = configuration.text_part(checkpoint.config)
    refused: ArchitectureError | None = None
    contradicted = False
    for choice in choices(checkpoint, config, given, component):
        if contradicted and choice.guessed:
            continue  # a table that asks less of a configuration is no better guess
        try:
            return _read(choice, config, checkpoint)
        except ArchitectureError as error:
            refused = refused or (error if choice.whole and not choice.guessed else None)
            contradicted = contradicted or choice.whole
    if refused:
        raise refused
    if given:
        raise ArchitectureError(
            checkpoint.source, f"its tensors are not those of {' or '.join(table.title for table in given)}",
            "leave out --as and --table, or look at it with kinprint inspect",
        )  # fmt: skip
    if table := inferred(checkpoint.tensors, config):
        choice = Choice(table, "no table knows it: roles are inferred from names and shapes", guessed=True)
        return _read(choice, config, checkpoint)
    seen = ", ".join(list(checkpoint.tensors)[:3]) or "no tensors"
    raise ArchitectureError(
        checkpoint.source,
        f"nothing in it looks like the layers of a language model: it has tensors such as {seen}",
        "give a language model, or name its table with --table",
    )


def _read(choice: Choice, config: Mapping[str, Any], checkpoint: Checkpoint) -> Anatomy:
    """The anatomy that a table gives, the numbers of the configuration checked."""
    table, source = choice.table, checkpoint.source
    explained = fit(table, checkpoint.tensors)
    numbers = _mixers(explained) | configuration.declared(table, config, source)
    layers = _complete_layers(explained, numbers.get("num_hidden_layers", 1) if table.gaps else 0, source)
    _count_keys(numbers, explained)
    parts = _limited(
        list(islice((part for match in explained.matches for part in _parts(match, numbers, source)), MAX_PARTS + 1)), source
    )
    facts: dict[str, Any] = {**numbers}
    if not configuration.states(table, config, "num_key_value_heads"):
        facts.pop("num_key_value_heads", None)  # as many as heads is what fused matrices mean; others show it
    _check(facts, "num_hidden_layers", layers, source)
    _measure(facts, parts, source)
    where, nbytes = positions.found(table, config, checkpoint.tensors, parts, guessed=choice.guessed)
    norm = _norm(table, parts) if choice.guessed else table.norm
    facts |= (
        _said(table, config, parts, where) | {"norm": norm} | {"layer_kinds": kinds(parts, explained.skipped.values(), layers)}
    )
    facts |= {} if choice.guessed else rotary(table, config, facts, source)
    names = {(match.pattern, match.entry): Name(match.pattern, match.entry, match.tensor.shape) for match in explained.matches}
    return Anatomy(
        family=table.family,
        facts=facts,
        parts=_ordered(parts, source),
        unknown=tuple(explained.unknown),
        notes=(*_notes(choice, config), *passed_over(explained.skipped, parts)),
        names=tuple(names.values()),
        skipped=tuple(explained.skipped),
        others=_others(explained),
        buffers=tuple(explained.buffers),
        shared=tuple(name for name, passed in explained.skipped.items() if passed.skip.shared),
        guessed=choice.guessed,
        why=choice.why,
        table=table,
        nbytes=nbytes + choice.nbytes,
    )


def _count_keys(numbers: dict[str, Any], explained: Fit) -> None:
    """How many key-value heads there are, where only the tensor of the keys says it."""
    if "head_dim" in numbers and "num_attention_heads" in numbers and "num_key_value_heads" not in numbers:
        rows = {match.layer: match.tensor.shape[0] for match in explained.matches if match.entry.roles == ("k",)}
        if rows:
            numbers["num_key_value_heads"] = max(configuration.most_common(rows.values()) // numbers["head_dim"], 1)


def _mixers(explained: Fit) -> dict[str, int]:
    """What shapes say of what stands in the place of attention: how many units it writes from (`mixer_size`)."""
    writers = (match.tensor.shape for match in explained.matches if match.entry.roles == ("mixer_out",))
    size = next((shape[1] for shape in writers if len(shape) == 2), None)
    return {} if size is None else {"mixer_size": size}


def _others(explained: Fit) -> dict[str, str]:
    """What every tensor without a role belongs to, in words."""
    said = {name: passed.skip.what or belongs_to(name) for name, passed in explained.skipped.items()}
    return said | {name: belongs_to(name) for name in explained.unknown}


def _complete_layers(explained: Fit, declared: int, source: str) -> int:
    """How many layers there are, of which none may be missing.

    Args:
        declared: how many there are at least, where some may be without any tensor; else 0.
    """
    layers = {match.layer for match in explained.matches if match.layer is not None}
    layers |= {item.layer for item in explained.skipped.values() if item.layer is not None and not item.skip.layer}
    layers |= _unknown_layers(explained)
    least = max([declared, *(layer + 1 for layer in layers)])
    if declared and least <= 2 * len(layers):
        layers = set(range(least))
    if layers != set(range(len(layers))):
        raise ArchitectureError(
            source, f"layers are missing: {len(layers)} explained, the last is {max(layers)}", "use the complete checkpoint"
        )
    return len(layers)


def _unknown_layers(explained: Fit) -> set[int]:
    """Layers of which the table knows nothing, where it knows others of the only stack."""
    roots = {match.pattern.partition("{")[0] for match in explained.matches if match.layer is not None}
    if len(roots) > 1 or any(match.second for match in explained.matches):
        return set()
    behind = (name[len(root) :].partition(".")[0] for root in roots for name in explained.unknown if name.startswith(root))
    return {int(number) for number in behind if number.isdigit() and len(number) < 6}


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
        **({"component": table.component} if table.component else {}),
    }


def _norm(table: Table, parts: Iterable[Part]) -> str:
    """Which norms a model has whose table is a guess: those with biases are LayerNorms."""
    return "layer" if any(part.role.startswith("norm_biases.") for part in parts) else table.norm


def _notes(choice: Choice, config: Mapping[str, Any]) -> list[str]:
    """What a reader should know of how the model was read."""
    notes = [f"read as {choice.table.title}: {choice.why}"] if choice.guessed else []
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


def _parts(match: Match, numbers: Mapping[str, Any], source: str) -> Iterable[Part]:
    """The parts of one tensor."""
    tensor, entry = match.tensor, match.entry
    if tensor.dtype.kind not in "fV":
        stored = dict[Any, Any](tensor.dtype.metadata or {}).get("stored", tensor.dtype)
        raise ArchitectureError(
            source, f"tensor {tensor.name} holds {stored} values, a quantised form that is not read yet",
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
    elif entry.flat and len(shape) > 1:
        shape = (shape[0], int(np.prod(shape[1:])))
    if matrix and len(shape) != 2:
        raise ArchitectureError(source, f"tensor {tensor.name} has shape {tensor.shape}, expected a matrix")
    if entry.transposed and matrix:
        shape = shape[::-1]
    length = shape[1 if entry.columns else 0]
    pieces = layout.rows(entry, length, configuration.of_layer(numbers, match.layer), tensor.name, source)
    for expert in experts:
        for role, rows in zip(entry.roles, pieces, strict=True):
            yield Part(
                role=role,
                layer=match.layer,
                expert=expert,
                axes=roles.axes(role),
                shape=shape if entry.columns else (layout.count(rows), *shape[1:]),
                dtype=tensor.dtype,
                tensor=match.name,
                read=layout.reader(tensor, entry, expert, rows, shape),
                lines=layout.lines(tensor, entry, rows),
                as_stored=entry.plain and shape == tensor.shape,
            )


def _check(facts: dict[str, Any], fact: str, measured: int, source: str) -> None:
    """Set a fact from the tensors, or refuse a configuration that says otherwise."""
    if facts.setdefault(fact, measured) != measured:
        raise ArchitectureError(
            source, f"the configuration gives {fact} {facts[fact]}, the tensors have {measured}",
            "use the configuration that belongs to the weights",
        )  # fmt: skip


def _width(parts: list[Part]) -> int:
    """Channels of the residual stream: what the first matrix of a layer that is on it says."""
    on_it = next(
        (part for part in parts if part.layer is not None and part.role in roles.MATRICES and "residual" in part.axes), None
    )
    if on_it is None:
        on_it = next(part for part in parts if part.role in roles.MATRICES and "residual" in part.axes)
    return on_it.shape[on_it.axes.index("residual")]


def _measure(facts: dict[str, Any], parts: list[Part], source: str) -> None:
    """Numbers that the shapes give, checked against those of the configuration."""
    facts.pop(configuration.BY_LAYER, None)
    _check(facts, "hidden_size", _width(parts), source)
    for part in parts:
        for axis, length in zip(part.axes, part.shape, strict=True):
            inside = part.layer is not None and part.role in roles.MATRICES
            if axis == "residual" and inside and length != facts["hidden_size"]:
                raise _misfit(part, facts["hidden_size"], source)
    _require_gains_that_fit(facts, parts, source)
    tokens = next((part.shape[0] for part in parts if part.role == "embedding"), None)
    if tokens is not None:
        facts["vocab_size"] = tokens
    if neurons := _rows(parts, "up"):
        facts["intermediate_size"] = configuration.most_common(neurons.values())
    _measure_heads(facts, parts, source)


def _misfit(part: Part, hidden: int, source: str) -> ArchitectureError:
    problem = f"tensor {part.tensor} has shape {part.shape}, which does not fit {hidden} channels"
    return ArchitectureError(source, problem, "use the complete checkpoint, with the configuration that belongs to it")


def _require_gains_that_fit(facts: Mapping[str, Any], parts: list[Part], source: str) -> None:
    """Refuse a gain in front of a matrix on the residual stream that has not one number for each channel."""
    hidden = facts["hidden_size"]
    of_layer: dict[int | None, set[str]] = {}
    for part in parts:
        of_layer.setdefault(part.layer, set()).add(part.role)
    reads_stream = {(part.layer, part.role) for part in parts if part.axes[1:] == ("residual",) and part.shape[1] == hidden}
    gains = {(layer, folding.gain_before(role, facts, of_layer[layer])) for layer, role in reads_stream}
    for part in parts:
        if (part.layer, part.role) in gains and part.shape != (hidden,):
            raise _misfit(part, hidden, source)


def _rows(parts: Iterable[Part], *names: str) -> dict[int, int]:
    """Layer -> rows of its first part of one of these roles, by layer."""
    rows: dict[int, int] = {}
    for part in parts:
        if part.layer is not None and part.role in names:
            rows.setdefault(part.layer, part.shape[0])
    return dict(sorted(rows.items()))


def _measure_heads(facts: dict[str, Any], parts: list[Part], source: str) -> None:
    """How many heads the layers have, and of which size. Layers may differ: facts say what most of them have, and what each
    has; a configuration may say what any of them has."""
    queries, keys, gains = (_rows(parts, *names) for names in (_of("q"), _of("k"), ("gains.q",)))
    if not queries or not keys:
        return
    one = {layer: size for layer, size in gains.items() if size < queries.get(layer, 0)}  # a gain for each dimension of a head
    if "head_dim" not in facts and one:
        facts["head_dim"] = configuration.most_common(one.values())
    if "head_dim" not in facts and "num_attention_heads" in facts:
        facts["head_dim"] = max(configuration.most_common(queries.values()) // facts["num_attention_heads"], 1)
    if "head_dim" not in facts:
        return
    widths = {layer: one.get(layer, size) if (size := facts["head_dim"]) in one.values() else size for layer in queries}
    if "num_attention_heads" not in facts and any(size % widths[layer] for layer, size in queries.items()):
        return
    counted = {
        "num_attention_heads": {layer: max(size // widths[layer], 1) for layer, size in queries.items()},
        "num_key_value_heads": {layer: max(size // widths.get(layer, facts["head_dim"]), 1) for layer, size in keys.items()},
        "head_dim": widths,
    }
    for fact, by_layer in counted.items():
        if facts.get(fact) not in by_layer.values():
            _check(facts, fact, configuration.most_common(by_layer.values()), source)
        facts[fact] = configuration.most_common(by_layer.values())
    layers = range(facts["num_hidden_layers"])
    different = {fact: by_layer for fact, by_layer in counted.items() if len(set(by_layer.values())) > 1}
    if different:
        facts[configuration.BY_LAYER] = {
            fact: [by_layer.get(layer, 0) for layer in layers] for fact, by_layer in different.items()
        }


def _of(role: str) -> tuple[str, str]:
    """The role whose rows are the heads, read directly or through a latent."""
    return role, roles.LATENT[role].up
