"""mix: random invertible maps inside heads and latents, which the matrices on both sides undo."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kinprint.architectures import Part, Place
from kinprint.architectures.facts import BY_LAYER
from kinprint.arrays import Float64s
from kinprint.errors import TransformError
from kinprint.transforms._latents import latents_turned
from kinprint.transforms._model import Model, changed, drawn, generator, orthogonal, scaled
from kinprint.transforms._transform import Transform


def mix(model: Model, *, seed: int | None = None) -> Model:
    """Mix the dimensions inside every head by random invertible maps that the matrices on both sides undo.

    Values against outputs: any invertible matrix per key-value head. Queries against keys: maps that commute with the
    rotary embedding, a rotation and a factor per frequency pair; any invertible matrix on dimensions that positions do not
    rotate. Where queries and keys pass a norm (Qwen3), only what commutes with it: signs per pair, and factors traded
    between the two gains. Behind latents (MLA) the rotated key is one for all heads, and gets one map; the latents
    themselves are turned by orthogonal matrices, after folding the gains of their norms.

    Args:
        seed: of the maps.
    """
    seed = drawn(seed)
    model.require_heads()
    model.require_free_products()
    model.require_known("mix")
    if any(role == "attention_gate" for _, role, _ in model.parts):
        raise TransformError(model.source, "a gate weighs every dimension of its values, which therefore cannot be mixed")
    if model.facts["positions"] == "unknown":
        raise TransformError(model.source, "it does not say how it tells positions apart, and a mixed head must keep to that")
    if model.facts["positions"] == "rope" and _rotary_differs(model):
        raise TransformError(model.source, "its layers rotate different shares of a head, and a mixed head must keep to that")
    maps = Maps(model, seed)
    return latents_turned(model.each(maps.applied), seed)


def _rotary_differs(model: Model) -> bool:
    """Whether no one number says how many dimensions of a head turn in every layer."""
    return "rotary_dim" not in model.facts or "rotary_dim" in model.facts.get(BY_LAYER, {})


class Maps:
    """The map of every key-value head, as it acts on each matrix."""

    def __init__(self, model: Model, seed: int) -> None:
        self.model, self.seed = model, seed

    def applied(self, place: Place, part: Part) -> Part:
        layer, role, _ = place
        kind = role.removeprefix("biases.")
        if role in ("norm_biases.q", "norm_biases.k"):
            return self.applied((layer, role.replace("norm_biases", "gains"), None), part)
        if layer is None or role.startswith("norm_biases."):
            return part
        if kind in ("v", "v_up"):
            return self._rows(part, self.values(layer, part.shape[0] // self.model.groups), 1)
        if role == "o":
            width = part.shape[1] // (self.model.groups * self.model.heads_per_group)
            return self._columns(part, _undone(self.values(layer, width)))
        if role in ("gains.q", "gains.k"):
            factors = self._gain_factors(layer)
            repeated = np.tile(factors if role == "gains.q" else 1 / factors, part.shape[0] // len(factors))
            return scaled(part, 0, repeated)
        if kind in ("q", "q_up"):
            return self._rows(part, _undone(self.keys(layer)), self.model.heads_per_group)
        if kind in ("k", "k_up"):
            return self._rows(part, self.keys(layer), 1)
        if kind == "k_rotary":
            return self._rows(part, self.shared_keys(layer), 1)
        if kind in ("q_rotary", "q_rotary_up"):
            return self._rows(part, _undone(self.shared_keys(layer)), self.model.groups)
        return part

    def values(self, layer: int, width: int) -> Float64s:
        """(groups, width, width) what values are multiplied by."""
        return _invertible(self.model.groups, width, self.seed, "values", layer)

    def shared_keys(self, layer: int) -> Float64s:
        """(1, rotary_dim, rotary_dim) what the rotated key that all heads share is multiplied by."""
        return self._turns(layer, np.zeros((1, *[int(self.model.facts["rotary_dim"])] * 2)))

    def keys(self, layer: int) -> Float64s:
        """(groups, head_dim, head_dim) what keys are multiplied by."""
        groups, width = self.model.groups, self.model.head_dim
        if self.model.get(layer, "gains.k") is not None or self.model.facts.get("qk_norm"):
            if self.model.facts["norm"] == "layer":  # it subtracts the mean over the head: signs would change that
                return np.broadcast_to(np.eye(width), (groups, width, width))
            signs = generator(self.seed, "signs", layer).choice([-1.0, 1.0], size=(groups, width))
            return np.stack([np.diag(row[self._pair_of()]) for row in signs])
        if self.model.get(layer, "k_up") is not None:  # what positions rotate is apart
            return _invertible(groups, width, self.seed, "keys", layer)
        turned = int(self.model.facts.get("rotary_dim", 0))
        maps = np.zeros((groups, width, width))
        rest = np.arange(turned, width)
        if len(rest):
            maps[:, rest[:, None], rest] = _invertible(groups, len(rest), self.seed, "keys", layer)
        return self._turns(layer, maps)

    def _turns(self, layer: int, maps: Float64s) -> Float64s:
        """Maps with a rotation and a factor for each frequency pair filled in."""
        rng = generator(self.seed, "pairs", layer)
        first, second = self._pairs()
        angles = rng.uniform(0, 2 * np.pi, (len(maps), len(first)))
        sizes = np.exp(rng.uniform(-0.5, 0.5, (len(maps), len(first))))
        maps[:, first, first] = maps[:, second, second] = sizes * np.cos(angles)
        maps[:, second, first] = sizes * np.sin(angles)
        maps[:, first, second] = -sizes * np.sin(angles)
        return maps

    def _pairs(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The two dimensions of each frequency pair of a head."""
        half = int(self.model.facts.get("rotary_dim", 0)) // 2
        if self.model.facts.get("rotary_pairs") == "interleaved":
            return np.arange(0, 2 * half, 2), np.arange(1, 2 * half, 2)
        if self.model.facts.get("rotary_pairs") == "quarters":
            first = np.concatenate([np.arange(half // 2), half + np.arange(half // 2)])
            return first, first + half // 2
        return np.arange(half), np.arange(half, 2 * half)

    def _pair_of(self) -> NDArray[np.int64]:
        """(head_dim,) the first dimension of the pair that each dimension belongs to."""
        belongs = np.arange(self.model.head_dim)
        first, second = self._pairs()
        belongs[second] = first
        return belongs

    def _gain_factors(self, layer: int) -> Float64s:
        return np.exp(generator(self.seed, "gains", layer).uniform(-0.5, 0.5, self.model.head_dim))[self._pair_of()]

    def _rows(self, part: Part, maps: Float64s, each: int) -> Part:
        """Every head's rows times its group's map."""

        def apply(array: NDArray[np.float32]) -> NDArray[np.float32]:
            heads = array.reshape(len(maps), each, maps.shape[-1], -1)
            return np.asarray(np.matmul(maps[:, None].astype(array.dtype), heads).reshape(array.shape))

        return changed(part, apply)

    def _columns(self, part: Part, maps: Float64s) -> Part:
        """Every head's columns times its group's map; `maps` act on column vectors of the transposed matrix."""
        turned = self._rows(replace(part, read=lambda: np.asarray(part.read()).T), maps, self.model.heads_per_group)
        return replace(turned, read=lambda: turned.read().T)


def _undone(maps: Float64s) -> Float64s:
    """The transposed inverse: what the other side of a product with `maps` must be multiplied by."""
    return np.asarray(np.linalg.inv(maps).transpose(0, 2, 1), dtype=np.float64)


def _invertible(count: int, width: int, *what: object) -> Float64s:
    """(count, width, width) random matrices with singular values between 0.6 and 1.65: far from both 0 and infinity."""
    rng = generator(*what)  # type: ignore[arg-type]
    left, right = (np.stack([orthogonal(rng, width) for _ in range(count)]) for _ in range(2))
    return np.asarray(left * np.exp(rng.uniform(-0.5, 0.5, (count, 1, width))) @ right)


TRANSFORM = Transform("mix", "disguise", mix, "kinprint transform mix examples/models/finetune -o disguised --seed 7")
