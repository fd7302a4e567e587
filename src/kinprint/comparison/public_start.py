"""Is what is left of a model's start the start that anybody can draw from a public seed?

nanoGPT sets one seed before it draws its weights, the same for whoever runs it. That start is drawn again and compared with
the weights entry by entry. Drawing it takes torch (the extra `behaviour`), whose random numbers it is made of.

H0: the weights were made without these numbers. Given the weights w, the numbers g, in units of their standard deviation, are
then independent and standard normal, so sum w g / sqrt(sum w^2) is standard normal too: exactly, whatever the weights are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import log_ndtr

from kinprint.architectures import Weights
from kinprint.arrays import Float32s
from kinprint.errors import MissingExtraError
from kinprint.json_numbers import finite
from kinprint.statistics import bonferroni

SEEDS = (1337,)
"""nanoGPT's `train.py`, on one device or as the first of several."""

SIZE = 0.02
"""Standard deviation of nanoGPT's start."""

LARGEST = 2_000_000_000
"""Parameters of the largest model that a start is drawn for."""

ROWS = 1024
"""Rows of a matrix that are summed at a time."""


@dataclass(frozen=True)
class PublicStart:
    """How far a model's weights go with a public start.

    Attributes:
        name: what draws it.
        seed: from what.
        log10_p: of H0, corrected for all starts that were drawn.
        left: slope of the weights on the start: 1 untrained, 0 nothing left.
    """

    name: str
    seed: int
    log10_p: float
    left: float

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "seed": self.seed, "log10_p": finite(self.log10_p), "left": self.left}


@dataclass(frozen=True)
class Shape:
    """What decides how many numbers are drawn, and in which order."""

    layers: int
    hidden: int
    vocabulary: int
    positions: int
    biases: bool = False

    def drawn(self, seed: int) -> Iterator[tuple[int | None, str, Float32s]]:
        """Layer, role and matrix as nanoGPT's `GPT(config)` leaves them, in units of their standard deviation, one by one.

        It draws everything thrice: as torch makes its modules, as nanoGPT fills them, and what writes into the stream again.

        Raises:
            MissingExtraError: torch is not installed.
        """
        try:
            import torch
        except ImportError as error:
            raise MissingExtraError("public starts", "are drawn with torch", "pip install 'kinprint[behaviour]'") from error
        generator, width = torch.Generator().manual_seed(seed), self.hidden
        linear = ((3 * width, width), (width, width), (4 * width, width), (width, 4 * width))

        def normal(*shape: int) -> Float32s:
            return np.asarray(torch.empty(shape).normal_(generator=generator).numpy())

        def skip(*shape: int) -> None:
            torch.empty(shape).uniform_(generator=generator)

        normal(self.vocabulary, width)
        normal(self.positions, width)
        for shape in linear * self.layers:
            skip(*shape)
            if self.biases:
                skip(shape[0])
        skip(self.vocabulary, width)
        normal(self.vocabulary, width)
        yield None, "position", normal(self.positions, width)
        for layer in range(self.layers):
            for role, each in zip("qkv", np.split(normal(*linear[0]), 3), strict=True):
                yield layer, role, each
            normal(*linear[1])
            yield layer, "up", normal(*linear[2])
            normal(*linear[3])
        yield None, "embedding", normal(self.vocabulary, width)
        for layer in range(self.layers):
            yield layer, "o", normal(*linear[1])
            yield layer, "down", normal(*linear[3])


def public_start(model: Weights) -> PublicStart | None:
    """The public start that goes best with a model's weights, whatever its p-value; None if none has the model's shape.

    Raises:
        MissingExtraError: torch is not installed.
        CheckpointError: a matrix cannot be read.
    """
    shapes = [(seed, shape) for seed in SEEDS for shape in _shapes(model)]
    tried = [compared(model, shape, seed) for seed, shape in shapes]
    if not tried:
        return None
    best = min(tried, key=lambda each: each.log10_p)
    return PublicStart(best.name, best.seed, bonferroni(best.log10_p, len(tried)), best.left)


def _shapes(model: Weights) -> list[Shape]:
    """nanoGPT's, with biases (more numbers are drawn) and without; none for a model that is not built like GPT-2."""
    found = [model.parts.get((None, role, None)) for role in ("embedding", "position")]
    up, gate = model.parts.get((0, "up", None)), model.parts.get((0, "gate", None))
    tokens, positions = ((0, 0) if part is None else tuple(part.shape) for part in found)
    width = model.hidden
    if gate is not None or up is None or tuple(up.shape) != (4 * width, width) or {tokens[1], positions[1]} != {width}:
        return []
    if 12 * model.layers * width**2 + (tokens[0] + positions[0]) * width > LARGEST:
        return []
    return [Shape(model.layers, width, tokens[0], positions[0], biases) for biases in (False, True)]


def compared(model: Weights, shape: Shape, seed: int) -> PublicStart:
    sums = np.zeros(3)
    for layer, role, start in shape.drawn(seed):
        weights = model.stored(layer, role)
        if weights is None or weights.shape != start.shape:
            continue
        own = SIZE / math.sqrt(2 * shape.layers) if role in ("o", "down") else SIZE
        for first in range(0, len(start), ROWS):
            w, g = (rows[first : first + ROWS].astype(np.float64).ravel() for rows in (weights, start))
            sums += np.array([w @ g / own, w @ w / own**2, g @ g])
    together, weights_squared, start_squared = sums.tolist()
    z = together / math.sqrt(weights_squared) if weights_squared else 0.0
    return PublicStart("nanoGPT", seed, float(log_ndtr(-z)) / math.log(10), together / start_squared if start_squared else 0.0)
