"""The weights of a model as methods that take whole checkpoints see them: one matrix at a time, as stored or in folded form
(`kinprint.architectures.folding`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import ml_dtypes
import numpy as np

from kinprint.architectures import folding
from kinprint.architectures.anatomy import Anatomy, Part, Place, experts_by_layer
from kinprint.architectures.roles import LATENT
from kinprint.arrays import Array, Float32s
from kinprint.checkpoints import Checkpoint
from kinprint.checkpoints.remote.expectation import expect


@dataclass(frozen=True, eq=False)
class Weights:
    """A checkpoint through its architecture, read when asked for and not kept. Equal to nothing but itself.

    Attributes:
        name: short name for people.
        source: what the user gave.
        facts: of its anatomy (`kinprint.architectures.Anatomy`).
        parts: every weight with a role.
        tokens: token string -> id; empty where there is no tokenizer.
        kept: what methods have worked out of the weights, for as long as these are open.
    """

    name: str
    source: str
    facts: Mapping[str, Any]
    parts: Mapping[Place, Part] = field(repr=False)
    tokens: Mapping[str, int] = field(repr=False)
    kept: dict[Any, Any] = field(init=False, default_factory=dict, repr=False)  # not that of the model it was made from

    @property
    def layers(self) -> int:
        return int(self.facts["num_hidden_layers"])

    @property
    def hidden(self) -> int:
        return int(self.facts["hidden_size"])

    @cached_property
    def _experts(self) -> dict[int, list[int | None]]:
        return experts_by_layer(self.parts)

    def experts(self, layer: int) -> list[int | None]:
        """Where a layer keeps its neurons: [None] if it is dense, else the indices of its experts; [] if it has no FFN."""
        return self._experts.get(layer, [])

    def stored(self, layer: int | None, role: str, expert: int | None = None) -> Float32s | None:
        """A part as stored, (output, input) for matrices, as float32; None if the model has none.

        Raises:
            CheckpointError: it cannot be read.
        """
        part = self.parts.get((layer, role, expert))
        return None if part is None else _widened(part.read())

    def folded(self, layer: int | None, role: str, expert: int | None = None) -> Float32s | None:
        """A matrix in folded form, as float32; None if the model has none.

        Raises:
            CheckpointError: it, or a gain in front of it, cannot be read.
        """
        matrix = self.stored(layer, role, expert)
        if matrix is None:
            return None
        axis = self.parts[layer, role, expert].axes.index("residual")
        return folding.folded(matrix, self.gain(layer, role), centre=folding.centred(self.facts), axis=axis)

    def leading_tokens(self, count: int) -> Float32s:
        """(tokens, hidden) float32 embeddings of the leading tokens, `count` at most, in folded form; none where the model
        has no embedding of its stream's width.

        Raises:
            CheckpointError: they cannot be read.
        """
        part = self.parts.get((None, "embedding", None))
        if part is None or part.shape[1] != self.hidden:
            return np.zeros((0, self.hidden), np.float32)
        rows = part.read()[:count].astype(np.float32)
        return folding.folded(rows, None, centre=folding.centred(self.facts))

    def heads(self, layer: int, role: str) -> tuple[Float32s, Float32s | None] | None:
        """What a layer's heads read as "q", "k" or "v", or write by "o", in folded form: rows up, or up @ down.

        Returns:
            (heads * d, hidden) float32 and None; where a latent lies between, (heads * d, latent) and (latent, hidden), the
            gain of the latent's norm folded into the second; None if the layer has none.

        Raises:
            CheckpointError: a part cannot be read.
        """
        matrix = self.folded(layer, role)
        if matrix is not None:
            return (matrix.T if role == "o" else matrix), None
        via = LATENT.get(role)
        up, down = (self.stored(layer, via.up), self.folded(layer, via.down)) if via else (None, None)
        if via is None or up is None or down is None:
            return None
        gain = self.stored(layer, via.gain)
        return up, down if gain is None else down * gain[:, None]

    def gain(self, layer: int | None, role: str) -> Float32s | None:
        """What the norm in front of a matrix multiplies by, if its gain can be folded."""
        roles = {norm for norm in folding.GAINS if (layer, norm, None) in self.parts}
        name = folding.gain_before(role, self.facts, roles)
        return None if name is None else self.stored(layer, name)


def weights_of(checkpoint: Checkpoint, anatomy: Anatomy) -> Weights:
    """The weights of an opened checkpoint; what lies elsewhere is told what will be read."""
    expect(checkpoint.tensors.get(name) for name in {part.tensor for part in anatomy.parts})
    return Weights(checkpoint.name, checkpoint.source, anatomy.facts, anatomy.at, checkpoint.tokenizer)


def _widened(array: Array) -> Float32s:
    """As float32, exact. A bfloat16 is the upper half of a float32: its bits are moved, four times as fast as numpy does it."""
    if array.dtype != ml_dtypes.bfloat16:
        return np.asarray(array, dtype=np.float32)
    bits = array.view(np.uint16).astype(np.uint32)
    return np.asarray(np.left_shift(bits, 16, out=bits).view(np.float32))
