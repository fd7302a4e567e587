"""A model whose weights are computed when they are asked for: what transforms take and give."""

from __future__ import annotations

import copy
import os
import secrets
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import ml_dtypes  # noqa: F401 - numpy learns bfloat16 and fp8
import numpy as np
from numpy.typing import NDArray

from kinprint.architectures import Part, Table, recognise
from kinprint.architectures import facts as configuration
from kinprint.architectures.anatomy import Name, Place, experts_by_layer
from kinprint.architectures.named import why_named
from kinprint.architectures.roles import MATRIX_ROLES
from kinprint.checkpoints import Checkpoint, Tensor, open_checkpoint
from kinprint.checkpoints.folders import ModelFolder
from kinprint.errors import TransformError
from kinprint.families import family_name
from kinprint.transforms._respelled import REBUILT, config_of, names_of, target_of


@dataclass(frozen=True)
class Model:
    """A model as its parts by place, each computed when it is read.

    Attributes:
        source: what the user called it, for errors.
        folder: where its tokenizer files lie; None where it has none.
        table: its family.
        config: the configuration of the language model, as `config.json` says it.
        outer: the configuration around it in a multimodal model; empty otherwise.
        facts: of its anatomy.
        parts: every weight with a role. `Part.read` may return any floating dtype; it is rounded to `Part.dtype` once,
            when the model is written.
        names: how its file calls them.
        rest: name -> tensor without a role that carries weights; written as they are.
        notes: what a transform left out, and why.
        check: a sentence on whether a copy was seen to compute the same; "" where nothing was written.
        seed: that the last transform drew from; None if it draws nothing.
    """

    source: str
    folder: ModelFolder | None
    table: Table
    config: Mapping[str, Any]
    outer: Mapping[str, Any]
    facts: Mapping[str, Any]
    parts: Mapping[Place, Part]
    names: tuple[Name, ...]
    rest: Mapping[str, Tensor] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    seed: int | None = None
    check: str = ""

    @property
    def layers(self) -> int:
        return int(self.facts["num_hidden_layers"])

    @property
    def groups(self) -> int:
        """Key-value heads of a layer."""
        return int(self.facts["num_key_value_heads"])

    @property
    def heads_per_group(self) -> int:
        return int(self.facts["num_attention_heads"]) // self.groups

    @property
    def head_dim(self) -> int:
        return int(self.facts["head_dim"])

    def get(self, layer: int | None, role: str, expert: int | None = None) -> Part | None:
        return self.parts.get((layer, role, expert))

    def experts(self, layer: int) -> list[int | None]:
        """Where a layer keeps its neurons: [None] if it is dense, else the indices of its experts."""
        return experts_by_layer(self.parts).get(layer, [])

    def neurons(self, layer: int, expert: int | None) -> int:
        return self.parts[layer, "up", expert].shape[0]

    def each(self, change: Callable[[Place, Part], Part]) -> Model:
        """The model with every part changed."""
        return replace(self, parts={place: change(place, part) for place, part in self.parts.items()})

    def updated(self, parts: Mapping[Place, Part]) -> Model:
        """The model with some parts exchanged or added."""
        return replace(self, parts={**self.parts, **parts})

    def resized(self, **changes: int) -> Model:
        """The model with other facts, and the configuration that says so.

        Raises:
            ArchitectureError: configurations of the family cannot say such a number.
        """
        config = configuration.rewritten(self.table, self.config, changes, self.source)
        return replace(self, config=config, facts={**self.facts, **changes})

    def noting(self, *notes: str) -> Model:
        return replace(self, notes=(*self.notes, *notes))

    def why_kept(self, space: str) -> str | None:
        """Why the units of a space must keep their labels if the function shall stay, as a clause for people about the model;
        None where they need not. Channels that only their positions name go with the matrix of positions, where there is one.
        """
        moves = self.facts["positions"] == "sinusoidal" and self.get(None, "position") is not None
        if space == "channels" and moves and space not in self.table.named:
            return None
        return why_named(self.facts, space)

    @property
    def whole_layers(self) -> bool:
        """Whether every tensor inside the layers has a role."""
        return all(self.whole(layer) for layer in range(self.layers))

    def whole(self, layer: int) -> bool:
        """Whether every tensor of a layer has a role."""
        return not any(f".{layer}." in name for name in self.rest)

    def normed_heads(self, layer: int | None, norm: str) -> Literal["each", "all"] | None:
        """What a norm on queries ("gains.q") or keys ("gains.k") goes over: each head, or all together; None without one."""
        gain = self.get(layer, norm)
        if gain is None:
            return "each" if self.facts.get("qk_norm") else None
        name = next(name for name in self.names if name.entry.roles == (norm,))
        return "all" if len(name.shape) == 1 and name.shape[0] > self.head_dim else "each"

    def require_known(self, what: str) -> None:
        """TransformError if the model has weights without a role, which `what` would tear apart from the others."""
        if self.rest:
            raise TransformError(
                self.source,
                f"{what} needs to know every weight, and {next(iter(self.rest))} has no role in the architecture table",
            )

    def require_heads(self) -> None:
        """TransformError if heads are not known, or layers have different numbers of them."""
        if "num_attention_heads" not in self.facts:
            raise TransformError(self.source, "the configuration does not say how many heads it has")
        if self.facts.get(configuration.BY_LAYER, {}).keys() - {"rotary_dim"}:
            raise TransformError(self.source, "its layers have different numbers of heads")

    def require_plain_heads(self) -> None:
        """TransformError if heads are not known, or what they read passes through a latent (MLA)."""
        self.require_heads()
        if any(place[1] in ("k_up", "q_up") for place in self.parts):
            raise TransformError(self.source, "its keys and values pass through latents, which this transform does not know")

    def require_free_signs(self) -> None:
        """TransformError if gated neurons compute something else with up and down multiplied and divided alike."""
        if not self.facts.get("free_signs", True):
            raise TransformError(self.source, "its gates multiply up + 1 instead of up, so up cannot be changed alone")

    def require_free_products(self) -> None:
        """TransformError if changes of two matrices that follow each other do not cancel: something stands between them."""
        if (why := self.between) is not None:
            raise TransformError(self.source, why)

    @property
    def between(self) -> str | None:
        """What stands between values and outputs, or neurons and their outputs, in words; None if nothing does."""
        inner = next((role for _, role, _ in self.parts if role in ("gains.o", "gains.down")), None)
        if inner is not None:
            return f"a norm goes over all that its {'heads' if inner == 'gains.o' else 'neurons'} write"
        places = (self.config, self.config.get("attn_config"))
        clipped = any(place.get("clip_qkv") for place in places if isinstance(place, Mapping))
        return "its configuration clips queries, keys and values" if clipped else None

    def require_one_kind(self) -> None:
        """TransformError if layers are of different kinds, whose order the configuration fixes."""
        kinds = dict.fromkeys(self.facts.get("layer_kinds", ()))
        if len(kinds) > 1:
            raise TransformError(
                self.source, f"its layers are of different kinds ({'; '.join(kinds)}), which keep their places"
            )


def read_model(model: str | os.PathLike[str], given: Sequence[Table] = ()) -> Model:
    """A model on disk, ready to be transformed.

    Args:
        given: the tables that it may be read by; all known ones by default.

    Raises:
        CheckpointError, ArchitectureError: it cannot be read, or is of no known architecture.
        TransformError: its table was guessed, or it has no configuration, so that no valid folder could be written.
    """
    return model_of(open_checkpoint(model), given)


def model_of(checkpoint: Checkpoint, given: Sequence[Table] = ()) -> Model:
    """As `read_model`, of a checkpoint that is open already, or that was never on disk."""
    if not checkpoint.config:
        raise TransformError(checkpoint.source, "no config.json, which the new model needs", "give a folder that has one")
    anatomy = recognise(checkpoint, given)
    if anatomy.guessed:
        raise TransformError(
            checkpoint.source,
            f"nobody says what it is (read as {family_name(anatomy.family)}: {anatomy.why}), and a guess may destroy it",
            "say its model type with --as, or give its table with --table",
        )
    inner = configuration.text_part(checkpoint.config)
    assert anatomy.table is not None
    table = anatomy.table
    if any("{second}" in name.pattern for name in anatomy.names):
        raise TransformError(checkpoint.source, "models of two stacks of layers (encoder-decoders) cannot be transformed")
    if any("{block}" in name.pattern for name in anatomy.names):
        raise TransformError(checkpoint.source, "models whose layers stand in blocks cannot be transformed")
    without_role = {*anatomy.unknown, *anatomy.skipped}
    rest = {name: tensor for name, tensor in checkpoint.tensors.items() if name in without_role}
    model = Model(
        source=checkpoint.source,
        folder=checkpoint.folder,
        table=table,
        config=copy.deepcopy(_as_decoded(inner)),
        outer={} if inner is checkpoint.config else _as_decoded(checkpoint.config),
        facts=dict(anatomy.facts),
        parts={(part.layer, part.role, part.expert): _with_heads(part, anatomy.facts) for part in anatomy.parts},
        names=anatomy.names,
        rest=rest,
    )
    return _respelled(model, set(checkpoint.tensors)) if table.written_as else model


def _respelled(model: Model, stored: set[str]) -> Model:
    """A model of another library's file under the names and the configuration of transformers."""
    position = model.get(None, "position")
    facts = {**model.facts, "roles": {place[1] for place in model.parts}}
    facts |= {} if position is None else {"position_rows": position.shape[0]}
    target = target_of(model.table, model.config, facts, stored, model.source)
    config = config_of(model.table, target, model.config, facts, model.source)
    names = names_of(target, model.parts, model.source)
    return replace(model, table=target, config=config, names=names, folder=None).noting(REBUILT)


def _as_decoded(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration without what it says about quantisation: the weights that are written are not quantised any more."""
    return {key: value for key, value in config.items() if key not in ("quantization_config", "compression_config")}


def _with_heads(part: Part, facts: Mapping[str, Any]) -> Part:
    """QK gains lie on the dimensions of one head, or on those of every head: then heads are their units."""
    if part.role in ("gains.q", "gains.k") and part.shape[0] > facts.get("head_dim", part.shape[0]):
        return replace(part, axes=("heads" if part.role == "gains.q" else "kv_heads",))
    return part


def widened(array: NDArray[Any]) -> NDArray[Any]:
    """As float32, or float64 if it is that: what arithmetic on weights is done in."""
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float32)


def changed(part: Part, function: Callable[[NDArray[Any]], NDArray[Any]], shape: tuple[int, ...] | None = None) -> Part:
    """A part computed from a part by a function of its array in float32 (or float64)."""
    return replace(part, read=lambda: function(widened(part.read())), shape=part.shape if shape is None else shape)


def taken(part: Part, axis: int, index: NDArray[np.int64]) -> Part:
    """A part with some of its units, in the order of `index`; values are not touched."""
    shape = (*part.shape[:axis], len(index), *part.shape[axis + 1 :])
    return replace(part, read=lambda: np.take(part.read(), index, axis=axis), shape=shape)


def scaled(part: Part, axis: int, factors: NDArray[np.float64]) -> Part:
    """A part with every unit of an axis multiplied by its factor."""
    return changed(part, lambda array: array * _along(factors, axis, array.ndim).astype(array.dtype))


def _along(values: NDArray[Any], axis: int, rank: int) -> NDArray[Any]:
    return values.reshape([-1 if dimension == axis else 1 for dimension in range(rank)])


def head_rows(heads: NDArray[np.int64], width: int) -> NDArray[np.int64]:
    """Rows of q, k or v (columns of o) of these heads, in their order."""
    return np.asarray((heads[:, None] * width + np.arange(width)).ravel())


def matrices(model: Model) -> Iterator[tuple[Place, Part]]:
    """The matrices inside the layers, routers apart."""
    yield from ((place, part) for place, part in model.parts.items() if place[0] is not None and place[1] in MATRIX_ROLES)


def drawn(seed: int | None) -> int:
    """The seed that was given, or one from the operating system: two who give none draw nothing alike.

    Raises:
        TransformError: it is negative.
    """
    if seed is not None and seed < 0:
        raise TransformError(seed, "is no seed", "give a whole number from 0")
    return secrets.randbelow(1 << 32) if seed is None else seed


def generator(seed: int, *what: object) -> np.random.Generator:
    """Random numbers that depend on the seed and on what they are for, in no order of calls."""
    return np.random.default_rng([seed, *(zlib.crc32(str(item).encode()) for item in what)])


def constant(like: Part, role: str, shape: tuple[int, ...], value: float) -> Part:
    """A vector of one value."""
    return replace(like, role=role, shape=shape, read=lambda: np.full(shape, value, np.float32))


def orthogonal(rng: np.random.Generator, width: int) -> NDArray[np.float64]:
    """(width, width) an orthogonal matrix, uniform over all of them."""
    from scipy.stats import ortho_group  # half a second that every other command would wait for

    return np.asarray(ortho_group.rvs(width, random_state=rng) if width > 1 else rng.choice([-1.0, 1.0], size=(1, 1)))
