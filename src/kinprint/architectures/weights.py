"""The weights of a model as methods that take whole checkpoints see them: one matrix at a time, plain or in canonical form.

Canonical form (METHODS: disguised models): every norm gain in front of a block is folded into the matrices that read it;
behind a LayerNorm, which subtracts the mean over channels, the part of every matrix that reads or writes that mean is
removed. Two models that compute the same up to a rotation of the residual stream then differ by that rotation alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinprint.architectures.anatomy import Anatomy, Part, Place
from kinprint.architectures.roles import LATENT, norms_before
from kinprint.checkpoints import Checkpoint
from kinprint.checkpoints.remote.sparse import expect

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Weights:
    """A checkpoint through its architecture, read when asked for and never kept. Equal to nothing but itself.

    Attributes:
        name: short name for people.
        source: what the user gave.
        facts: of its anatomy (`kinprint.architectures.Anatomy`).
        parts: every weight with a role.
        tokens: token string -> id; empty where there is no tokenizer.
    """

    name: str
    source: str
    facts: Mapping[str, Any]
    parts: Mapping[Place, Part] = field(repr=False)
    tokens: Mapping[str, int] = field(repr=False)

    @property
    def layers(self) -> int:
        return int(self.facts["num_hidden_layers"])

    @property
    def hidden(self) -> int:
        return int(self.facts["hidden_size"])

    @cached_property
    def _experts(self) -> dict[int, list[int | None]]:
        found: dict[int, list[int | None]] = {}
        for layer, role, expert in self.parts:
            if layer is not None and role == "up":
                found.setdefault(layer, []).append(expert)
        return found

    def experts(self, layer: int) -> list[int | None]:
        """Where a layer keeps its neurons: [None] if it is dense, else the indices of its experts; [] if it has no FFN."""
        return sorted(self._experts.get(layer, []), key=lambda expert: -1 if expert is None else expert)

    def plain(self, layer: int | None, role: str, expert: int | None = None) -> Array | None:
        """A part as stored, (output, input) for matrices, as float32; None if the model has none.

        Raises:
            CheckpointError: it cannot be read.
        """
        part = self.parts.get((layer, role, expert))
        return None if part is None else np.asarray(part.read(), dtype=np.float32)

    def canonical(self, layer: int | None, role: str, expert: int | None = None) -> Array | None:
        """A matrix in canonical form, as float32; None if the model has none.

        Raises:
            CheckpointError: it, or a gain in front of it, cannot be read.
        """
        matrix = self.plain(layer, role, expert)
        if matrix is None:
            return None
        residual = self.parts[layer, role, expert].axes.index("residual")
        gain = self._gain(layer, role)
        if gain is not None:
            matrix = matrix * gain
        if self.facts.get("norm") == "layer":
            matrix = matrix - matrix.mean(axis=residual, keepdims=True)
        return matrix

    def leading_tokens(self, count: int) -> Array:
        """(tokens, hidden) float32 embeddings of the leading tokens, `count` at most, in canonical form; none where the model
        has no embedding of its stream's width.

        Raises:
            CheckpointError: they cannot be read.
        """
        part = self.parts.get((None, "embedding", None))
        if part is None or part.shape[1] != self.hidden:
            return np.zeros((0, self.hidden), np.float32)
        rows = part.read()[:count].astype(np.float32)
        return np.asarray(rows - rows.mean(axis=1, keepdims=True) if self.facts.get("norm") == "layer" else rows)

    def heads(self, layer: int, role: str) -> tuple[Array, Array | None] | None:
        """What a layer's heads read as "q", "k" or "v", or write by "o", in canonical form: rows up, or up @ down.

        Returns:
            (heads * d, hidden) float32 and None; where a latent lies between, (heads * d, latent) and (latent, hidden), the
            gain of the latent's norm folded into the second; None if the layer has none.

        Raises:
            CheckpointError: a part cannot be read.
        """
        matrix = self.canonical(layer, role)
        if matrix is not None:
            return (matrix.T if role == "o" else matrix), None
        via = LATENT.get(role)
        up, down = (self.plain(layer, via.up), self.canonical(layer, via.down)) if via else (None, None)
        if via is None or up is None or down is None:
            return None
        gain = self.plain(layer, via.gain)
        return up, down if gain is None else down * gain[:, None]

    def _gain(self, layer: int | None, role: str) -> Array | None:
        """What the norm in front of a matrix multiplies by, if its gain can be folded."""
        if not self.facts.get("norm_first", True):
            return None
        gains = (self.plain(layer, f"gains.{norm}") for norm in norms_before(role))
        return next((gain for gain in gains if gain is not None), None)


def weights_of(checkpoint: Checkpoint, anatomy: Anatomy) -> Weights:
    """The weights of an opened checkpoint; what lies elsewhere is told what will be read."""
    expect(checkpoint.tensors.get(name) for name in {part.tensor for part in anatomy.parts})
    return Weights(checkpoint.name, checkpoint.source, anatomy.facts, anatomy.at, checkpoint.tokenizer)
