"""scale: trade size between matrices that follow each other, and change the size of what a norm divides out again."""

from __future__ import annotations

import numpy as np

from kinprint.architectures import Part, Place
from kinprint.arrays import Float64s
from kinprint.transforms._model import Model, drawn, generator, scaled
from kinprint.transforms._transform import Transform

SPREAD = 4.0
"""Ratio of the largest to the smallest factor."""

DEGREES = {"relu": 1, "relu2": 2}
"""Activations that are homogeneous -> their degree: by which power of a positive factor they are multiplied."""

OUTPUT_NORMS = {
    "gains.attention_output": ("o", "biases.o"),
    "gains.feedforward_output": ("down", "biases.down", "shared_down", "biases.shared_down"),
}
"""Norms behind a block -> what they read."""


def scale(model: Model, *, seed: int | None = None) -> Model:
    """Multiply units of one matrix and divide them in the matrix that reads it, so that the function stays.

    Per neuron up against down if the FFN is gated, gate or an ungated up against down where the activation is ReLU or its
    square; per key-value head values against outputs and queries against keys; latents against what reads them. What a norm
    reads gets a factor that nothing undoes: queries and keys of a head, latents, and a block's output where a norm stands
    behind the block. Factors are log-uniform between 1/2 and 2.

    Args:
        seed: of the factors.
    """
    seed = drawn(seed)
    model.require_heads()
    model.require_free_products()
    factors = Factors(model, seed)
    return model.each(lambda place, part: factors.applied(place, part))


class Factors:
    """The factor of each unit, in whichever matrix it occurs."""

    def __init__(self, model: Model, seed: int) -> None:
        self.model, self.seed = model, seed
        self.signs = model.facts.get("free_signs", True)

    def applied(self, place: Place, part: Part) -> Part:
        layer, role, expert = place
        kind = role.removeprefix("biases.")
        if layer is None or role.startswith("norm_biases."):
            return part
        if role in ("down", "shared_down"):
            part = scaled(part, 1, 1 / self.outputs(layer, role.replace("down", "up"), expert, part.shape[1]))
        elif kind in ("up", "gate", "shared_up", "shared_gate"):
            part = scaled(part, 0, self.neurons(layer, kind, expert, part.shape[0]))
        elif role == "o" or kind in ("v", "v_up"):
            part = self._values(layer, role, part) if self.model.whole(layer) else part
        elif not self.model.rest:
            part = self._scores(layer, role, kind, part)
        return self._normed_output(layer, role, part)

    def neurons(self, layer: int, kind: str, expert: int | None, count: int) -> Float64s:
        """What the rows of an up or gate matrix are multiplied by."""
        gate = self.model.get(layer, kind.replace("up", "gate"), expert)
        free = self.signs and (kind.endswith("up") if gate is not None else self._degree())
        if kind.endswith("gate"):
            free = self.signs and self._degree()
        return _factors(count, self.seed, kind, layer, expert) if free else np.ones(count)

    def outputs(self, layer: int, up: str, expert: int | None, count: int) -> Float64s:
        """What neurons are multiplied by, for what their rows are multiplied by."""
        factors = self.neurons(layer, up, expert, count)
        gate = up.replace("up", "gate")
        if self.model.get(layer, gate, expert) is not None:
            return np.asarray(factors * self.neurons(layer, gate, expert, count) ** self._degree())
        return np.asarray(factors ** self._degree())

    def _degree(self) -> int:
        return DEGREES.get(str(self.model.facts["activation"]), 0)

    def _values(self, layer: int, role: str, part: Part) -> Part:
        axis = 1 if role == "o" else 0
        factors = self.heads(layer, "vo", part.shape[axis])
        part = scaled(part, axis, 1 / factors if role == "o" else factors)
        return part if self.model.rest else self._latent_inputs(layer, part)

    def _scores(self, layer: int, role: str, kind: str, part: Part) -> Part:
        """Queries, keys, and the latents that they come from."""
        if kind in ("q", "q_up", "k", "k_up"):
            return self._queries_and_keys(layer, kind, part)
        if kind in ("k_rotary", "q_rotary", "q_rotary_up"):
            factor = _factors(1, self.seed, "rotary", layer)
            part = scaled(part, 0, np.repeat(1 / factor if kind == "k_rotary" else factor, part.shape[0]))
        if kind in ("q_down", "kv_down"):  # a norm reads them
            part = scaled(part, 0, np.repeat(_factors(1, self.seed, kind, layer), part.shape[0]))
        if role in ("gains.q_latent", "gains.kv_latent"):
            part = scaled(part, 0, _factors(part.shape[0], self.seed, role, layer))
        return self._latent_inputs(layer, part)

    def _queries_and_keys(self, layer: int, kind: str, part: Part) -> Part:
        query = kind.startswith("q")
        if self.model.get(layer, "gains.q") is None:
            factors = self.heads(layer, "qk", part.shape[0])
            return self._latent_inputs(layer, scaled(part, 0, factors if query else 1 / factors))
        over = self.model.normed_heads(layer, f"gains.{kind}")
        count = part.shape[0] // self.model.head_dim if over == "each" else 1
        return scaled(part, 0, np.repeat(_factors(count, self.seed, "normed", kind, layer), part.shape[0] // count))

    def _latent_inputs(self, layer: int, part: Part) -> Part:
        """A matrix that reads a latent, divided by what its gains are multiplied by."""
        for axis, space in enumerate(part.axes):
            gain = f"gains.{space}"
            if axis == 1 and space in ("q_latent", "kv_latent") and self.model.get(layer, gain) is not None:
                return scaled(part, axis, 1 / _factors(part.shape[axis], self.seed, gain, layer))
        return part

    def _normed_output(self, layer: int, role: str, part: Part) -> Part:
        """One factor for all that a norm behind a block reads."""
        for norm, read in OUTPUT_NORMS.items():
            if role in read and self.model.facts["norm_first"] and self.model.get(layer, norm) is not None:
                return scaled(part, 0, np.repeat(_factors(1, self.seed, norm, layer), part.shape[0]))
        return part

    def heads(self, layer: int, kind: str, rows: int) -> Float64s:
        """A factor a row: one for each key-value head, repeated for its heads and their dimensions."""
        return np.repeat(_factors(self.model.groups, self.seed, kind, layer), rows // self.model.groups)


def _factors(count: int, seed: int, *what: object) -> Float64s:
    half = np.log(SPREAD) / 2
    return np.exp(generator(seed, "scale", *what).uniform(-half, half, count))


TRANSFORM = Transform("scale", "disguise", scale, "kinprint transform scale examples/models/finetune -o disguised --seed 7")
