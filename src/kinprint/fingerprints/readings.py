"""What the leading neurons of the first layer read of the embeddings of the leading tokens.

Inner products of gate and up rows, with the gain in front of them folded in, and embedding rows: no relabelling or rotation of
the residual stream changes them, and a neuron keeps its own wherever it is put. A few hundred neurons and 64 tokens tell a
disguised copy (METHODS: disguised models, 2b), so this is what quick fingerprints know of copies whose channels, neurons or
heads were relabelled. Of neurons in random order a share f leads in one model and a share g in the other, so some f g of them
are there in both; where there are experts, that is shared out among them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinprint.architectures import Anatomy, Part
from kinprint.architectures.anatomy import Lines
from kinprint.architectures.folding import centred, folded, gain_before
from kinprint.arrays import Array
from kinprint.fingerprints.kernels import widened
from kinprint.fingerprints.layer import finite

TOKENS = 64
"""Leading tokens whose embeddings are read."""

MOST = 4096
"""Neurons that are read, at most."""

BLOCK = 64
"""Neurons in memory as float64 at a time."""

FEWEST = 256
"""Neurons that are read, at least. Of 8192 neurons in random order 1 in 32 is then read; two such models share too few of them.
Wider models are larger, and SHARE lets them read more."""

SHARE = 0.0024
"""Of a model's parameters that are read for them, where that gives more than the fewest."""


@dataclass(frozen=True)
class Places:
    """Where readings are taken.

    Attributes:
        gates, ups: of the first layer, a part for every expert.
        embedding: of the input.
        gain: of the norm in front of the neurons; None if there is none.
        centred: that norm takes the mean over channels out.
        neurons: how many leading ones of each gate and up.
    """

    gates: tuple[Part, ...]
    ups: tuple[Part, ...]
    embedding: Part
    gain: Part | None
    centred: bool
    neurons: int

    @property
    def tokens(self) -> int:
        """How many leading ones."""
        return min(self.embedding.shape[0], TOKENS)

    @property
    def nbytes(self) -> int:
        """Bytes of the checkpoint that are read where lines can be read by themselves."""
        each = [(part, self.neurons) for part in (*self.gates, *self.ups)] + [(self.embedding, self.tokens)]
        lines = sum(part.lines.nbytes(count) for part, count in each if part.lines is not None)
        return lines + (self.gain.shape[0] * self.gain.dtype.itemsize if self.gain else 0)

    def read(self) -> dict[str, Array]:
        """readings.gate, readings.up (neurons of all experts, tokens) float32; NaN where something is not finite.

        Raises:
            CheckpointError: a tensor cannot be read.
        """
        tokens = widened(self._rows(self.embedding, self.tokens), np.float64)
        with np.errstate(all="ignore"):
            gain = None if self.gain is None else widened(self.gain.read(), np.float64)
            inner = {
                role: np.concatenate(
                    [
                        folded(widened(rows, np.float64), gain, centre=self.centred) @ tokens.T
                        for part in parts
                        for rows in np.split(self._rows(part, self.neurons), range(BLOCK, self.neurons, BLOCK))
                    ]
                )
                for role, parts in (("gate", self.gates), ("up", self.ups))
            }
            return {f"readings.{role}": finite(rows.astype(np.float32)) for role, rows in inner.items()}

    def _rows(self, part: Part, count: int) -> NDArray[Any]:
        """The first rows of a matrix, as stored."""
        lines = _rows_of(part)
        return lines.read(0, count) if lines else part.read()[:count]


def readings(anatomy: Anatomy, *, sparing: bool) -> Places | None:
    """Where a model's readings are taken; None of a model without gated neurons in its first layer.

    Args:
        sparing: read about SHARE of the parameters for them, not MOST neurons; None of a model whose tensors cannot be read by
            neuron and token.
    """
    first = [part for part in anatomy.parts if not part.layer]
    gates, ups, embeddings = (tuple(part for part in first if part.role == role) for role in ("gate", "up", "embedding"))
    if not (gates and embeddings) or len(gates) != len(ups):
        return None
    if {part.shape for part in (*gates, *ups)} != {(gates[0].shape[0], embeddings[0].shape[1])}:
        return None
    if sparing and not all(map(_rows_of, (*gates, *ups, *embeddings))):
        return None
    total = sum(math.prod(part.shape) for part in anatomy.parts)
    most = neurons_read(total, embeddings[0].shape[1]) if sparing else MOST
    experts = min(len(gates), most)
    return Places(
        gates=gates[:experts],
        ups=ups[:experts],
        embedding=embeddings[0],
        gain=_gain(anatomy, first),
        centred=centred(anatomy.facts),
        neurons=min(gates[0].shape[0], most // experts),
    )


def _rows_of(part: Part) -> Lines | None:
    """What reads single rows of a part; None where that is not possible."""
    return part.lines if part.lines is not None and part.lines.axis == 0 else None


def neurons_read(parameters: int, hidden: int) -> int:
    """How many neurons sparing reading takes of a model, if there are so many: SHARE of its parameters."""
    return min(max(int(SHARE * parameters / (2 * hidden)), FEWEST), MOST)


def _gain(anatomy: Anatomy, parts: list[Part]) -> Part | None:
    """Of the norm in front of the first layer's neurons, if it is in front of them."""
    gains = {part.role: part for part in parts}
    name = gain_before("gate", anatomy.facts, gains)
    return None if name is None else gains[name]
