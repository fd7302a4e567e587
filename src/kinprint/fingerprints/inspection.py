"""How a model was read: what its tensors were taken for, and what was not understood of it."""

from __future__ import annotations

import math
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kinprint.architectures import Anatomy, OpenModel, Part, Table, open_model
from kinprint.architectures.kinds import spans
from kinprint.architectures.roles import axes
from kinprint.fingerprints.content import bytes_of
from kinprint.fingerprints.fingerprint import Fingerprint
from kinprint.fingerprints.from_model import SUFFIX

FORMAT = "kinprint-inspection/1"

SIZES = (
    *("num_hidden_layers", "hidden_size", "intermediate_size", "vocab_size", "num_attention_heads", "num_key_value_heads"),
    *("head_dim", "num_experts", "rotary_dim"),
)
"""Facts that are numbers, in the order in which they are shown."""


@dataclass(frozen=True)
class RoleLine:
    """All tensors, or parts of tensors, that play one role.

    Attributes:
        role: of `kinprint.architectures.roles`.
        spaces: of its axes.
        shape: the most common one.
        parts: how many there are, of all layers and experts.
        layers: which have it, "0-3"; "" outside the layers.
        dtype: as stored.
        parameters: how many, where they are known.
    """

    role: str
    spaces: tuple[str, ...]
    shape: tuple[int, ...]
    parts: int
    layers: str
    dtype: str
    parameters: int | None


@dataclass(frozen=True)
class OtherLine:
    """Tensors without a role that belong together.

    Attributes:
        what: they belong to, in words.
        tensors: how many.
        nbytes: of all of them.
        example: the name of one.
    """

    what: str
    tensors: int
    nbytes: int
    example: str


@dataclass(frozen=True)
class Inspection:
    """What `inspect` found.

    Attributes:
        name, source: of the model.
        family: the table that it was read by.
        why: a clause about how the table was chosen; "" where a fingerprint does not say.
        guessed: whether it was a guess; None where a fingerprint does not say.
        model_type: what the configuration says.
        sizes: numbers by name.
        positions: how positions are told apart.
        named: space -> why its units have names.
        layer_kinds: of every layer, what it is made of.
        quantization: how weights are stored, "" if as numbers.
        base_model: what the model card declares.
        roles: a line a role.
        others: what has no role in the language model.
        components: of these, what is read as a model (a vision tower, ...) -> by which table, and its numbers.
        buffers: names of what the model computes itself.
        notes: what a reader should know.
    """

    name: str
    source: str
    family: str
    why: str
    guessed: bool | None
    model_type: str
    sizes: Mapping[str, int]
    positions: str
    named: Mapping[str, str]
    layer_kinds: tuple[str, ...]
    quantization: str
    base_model: Any
    roles: tuple[RoleLine, ...]
    others: tuple[OtherLine, ...]
    buffers: tuple[str, ...]
    notes: tuple[str, ...]
    components: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The object that `kinprint inspect --json` prints."""
        return {"format": FORMAT, **asdict(self)}


def inspect(model: str | os.PathLike[str] | Fingerprint | OpenModel, *, given: Sequence[Table] = ()) -> Inspection:
    """How a model is read. Weights are not, but for a few rows that tell positions and gains.

    Args:
        model: a folder, a weights file, a hub id, a `.kinprint` file, or a fingerprint or an opened model at hand.
        given: the tables that it may be read by (`kinprint.architectures.given`); all known ones by default.

    Raises:
        KinprintError: it cannot be read.

    Example:
        >>> import kinprint
        >>> found = kinprint.inspect("examples/models/base")
        >>> found.family, found.sizes["num_attention_heads"], found.guessed
        ('llama', 8, False)
    """
    if not isinstance(model, Fingerprint | OpenModel) and Path(model).suffix == SUFFIX:
        model = Fingerprint.load(model)
    if isinstance(model, Fingerprint):
        return _of_fingerprint(model)
    return _of_model(model if isinstance(model, OpenModel) else open_model(model, given=given))


def _of_model(opened: OpenModel) -> Inspection:
    checkpoint, anatomy = opened.checkpoint, opened.anatomy
    groups: dict[str, list[str]] = defaultdict(list)
    for name, what in sorted(anatomy.others.items()):
        groups[what].append(name)
    others = [
        OtherLine(what, len(names), sum(bytes_of(checkpoint.tensors[name]) for name in names), names[0])
        for what, names in groups.items()
    ]
    return Inspection(
        name=checkpoint.name,
        source=str(checkpoint.source),
        why=anatomy.why,
        guessed=anatomy.guessed,
        **_of_facts({**anatomy.facts, "family": anatomy.family}),
        quantization=checkpoint.quantization,
        base_model=checkpoint.card.get("base_model"),
        roles=tuple(_roles(anatomy)),
        others=_largest_first(others),
        buffers=anatomy.buffers,
        notes=(*anatomy.notes, *checkpoint.notes),
        components={
            what: _of_component({**each.anatomy.facts, "family": each.anatomy.family})
            for what, each in opened.components.items()
        },
    )


def _of_fingerprint(model: Fingerprint) -> Inspection:
    said, stated = model.provenance, model.stated
    read_as = said.get("read_as")
    how: Mapping[str, Any] = read_as if isinstance(read_as, Mapping) else {}
    groups: dict[str, list[Any]] = defaultdict(list)
    for other in stated.others or ():
        if not other.buffer:
            groups[other.what].append(other)
    others = [OtherLine(what, len(held), sum(other.nbytes for other in held), held[0].name) for what, held in groups.items()]
    notes = said.get("notes")
    return Inspection(
        name=model.name,
        source=str(said.get("source") or model.name),
        why=str(how.get("why") or ""),
        guessed=how.get("guessed") if isinstance(how.get("guessed"), bool) else None,
        **_of_facts(model.facts),
        quantization=stated.quantization,
        base_model=said.get("base_model"),
        roles=tuple(_stated_roles(model)),
        others=_largest_first(others),
        buffers=tuple(other.name for other in stated.others or () if other.buffer),
        notes=tuple(map(str, notes)) if isinstance(notes, list) else (),
        components={what: _of_component(each.facts) for what, each in model.components.items()},
    )


def _of_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What an anatomy and a fingerprint say in the same words."""
    named, kinds = facts.get("named_spaces"), facts.get("layer_kinds")
    return {
        "family": str(facts.get("family") or ""),
        "model_type": str(facts.get("model_type") or ""),
        "sizes": {name: value for name in SIZES if type(value := facts.get(name)) is int and (value or name != "num_experts")},
        "positions": str(facts.get("positions") or "unknown"),
        "named": {str(space): str(why) for space, why in named.items()} if isinstance(named, Mapping) else {},
        "layer_kinds": tuple(map(str, kinds)) if isinstance(kinds, list | tuple) else (),
    }


def _of_component(facts: Mapping[str, Any]) -> dict[str, Any]:
    said = _of_facts(facts)
    return {key: said[key] for key in ("family", "sizes", "positions")}


def _largest_first(others: Iterable[OtherLine]) -> tuple[OtherLine, ...]:
    return tuple(sorted(others, key=lambda line: (-line.nbytes, line.what)))


def _roles(anatomy: Anatomy) -> list[RoleLine]:
    by_role: dict[str, list[Part]] = defaultdict(list)
    for part in anatomy.parts:
        by_role[part.role].append(part)
    return [
        RoleLine(
            role=role,
            spaces=parts[0].axes,
            shape=Counter(part.shape for part in parts).most_common(1)[0][0],
            parts=len(parts),
            layers=spans(sorted({part.layer for part in parts if part.layer is not None})),
            dtype=parts[0].dtype.name,
            parameters=sum(math.prod(part.shape) for part in parts),
        )
        for role, parts in by_role.items()
    ]


def _stated_roles(model: Fingerprint) -> list[RoleLine]:
    """The matrices that a fingerprint states."""
    lines = []
    for role, layers in model.stated.shapes.items():
        held = {number: shape for number, shape in enumerate(layers) if shape is not None}
        if not held:
            continue
        shape = Counter(shape[-2:] for shape in held.values()).most_common(1)[0][0]
        count = sum(shape[0] if len(shape) == 3 else 1 for shape in held.values())
        try:
            spaces = axes(role)
        except KeyError:
            spaces = ()
        lines.append(RoleLine(role, spaces, shape, count, spans(sorted(held)), model.stated.dtypes.get(role, ""), None))
    return lines
