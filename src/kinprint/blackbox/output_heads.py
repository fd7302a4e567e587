"""The output head of a checkpoint, as far as log-probabilities show it: read from its tensors, nothing is run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from kinprint.architectures import open_model
from kinprint.arrays import Float32s
from kinprint.errors import ArchitectureError

BENT = ("final_logit_softcapping", "logits_soft_cap", "output_logits_soft_cap")
"""Keys of configurations that bend logits, so that they are no linear map of a hidden state. Their order stays."""


@dataclass(frozen=True)
class OutputHead:
    """What makes logits of a model's last hidden state: logits = rows @ (gain * x + shift) + bias, x from the final norm.

    Attributes:
        name: of the model.
        rows: (tokens, hidden) float32.
        bias: (tokens,) float32, or None.
        gain, shift: (hidden,) of the final norm, None where it has none.
        tokens: token string -> row.
        tied: whether it is the embedding.
        bent: whether something that is no linear map comes behind it.
    """

    name: str
    rows: Float32s = field(repr=False)
    bias: Float32s | None = field(default=None, repr=False)
    gain: Float32s | None = field(default=None, repr=False)
    shift: Float32s | None = field(default=None, repr=False)
    tokens: Mapping[str, int] = field(default_factory=dict, repr=False)
    tied: bool = False
    bent: bool = False

    @property
    def hidden(self) -> int:
        return int(self.rows.shape[1])


def output_head(place: str | os.PathLike[str]) -> OutputHead:
    """The head of the model at a place: of its own, or its embedding where the two are one.

    Raises:
        CheckpointError: it cannot be opened.
        ArchitectureError: it is of no known architecture, or has no output head, no tokenizer, or a head that is not finite.
    """
    opened = open_model(place)
    weights = opened.weights
    own = weights.stored(None, "head")
    rows = weights.stored(None, "embedding") if own is None else own
    if rows is None or rows.ndim != 2:
        raise ArchitectureError(weights.name, "it has no output head", "give a model that writes text")
    if not weights.tokens:
        raise ArchitectureError(
            weights.name, "it has no tokenizer, so no row of its head has a name", "put its tokenizer beside it"
        )
    if not np.isfinite(rows).all():
        raise ArchitectureError(weights.name, "its output head is not finite", "give another copy of it")
    gain, shift = weights.stored(None, "gains.final"), weights.stored(None, "norm_biases.final")
    fits = gain is not None and gain.shape == (rows.shape[1],)
    return OutputHead(
        weights.name,
        rows,
        weights.stored(None, "biases.head"),
        gain if fits else None,
        shift if fits else None,
        weights.tokens,
        tied=own is None,
        bent=any(opened.checkpoint.config.get(key) for key in BENT),
    )
