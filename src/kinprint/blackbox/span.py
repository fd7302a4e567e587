"""Could this head have made these log-probabilities? What it cannot explain of them, in directions that it never reaches.

Logits are rows @ h for a hidden state h, and log-probabilities are those less one number. On m tokens they lie in a space of at
most hidden + 1 dimensions, that of the head's columns and of all ones; a bias of the head, which a temperature scales, is one
column more. Directions of the m tokens outside that space are never reached.

Sources: Yang and Wu, A Fingerprint for Large Language Models, arXiv 2407.01235; Finlayson et al., Logits of API-Protected LLMs
Leak Proprietary Information, arXiv 2403.09539. Behind a final norm the hidden states lie on an ellipse: Every Language Model
Has a Forgery-Resistant Signature, arXiv 2510.14086.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kinprint.arrays import Float64s, Int64s
from kinprint.blackbox.output_heads import OutputHead
from kinprint.statistics.small_ball import small_ball_log10_p

FLOOR = 0.01
"""What another head leaves at least in every direction, as a share of the spread of the log-probabilities: the null hypothesis.
Measured in docs/black-box-heads.md: strangers leave 4 % and more, a head rounded to 8 bits 0.1 %, logits in bfloat16 0.3 %."""

DIRECTIONS = 16
"""Fewer directions outside the head's columns are not tested."""


@dataclass(frozen=True)
class Reading:
    """Log-probabilities that a model gave after one prompt.

    Attributes:
        ids: (m,) rows of the head.
        values: (m,) natural logarithms, up to one number added to all.
        ranked: how many of them are known to be the most likely of all tokens; 0 where that is not known.
    """

    ids: Int64s
    values: Float64s
    ranked: int = 0


@dataclass(frozen=True)
class Unexplained:
    """What a head leaves of one reading.

    Attributes:
        share: root mean square of what is left, over the directions outside, as a share of the spread of the values.
        directions: outside the head's columns.
        log10_p: of the null hypothesis that FLOOR states.
        scale: length of the hidden state behind the final norm, over the square root of its width: 1 for the model whose head
            and norm these are, 1 / T where the server's temperature is T; NaN where the norm is not known.
    """

    share: float
    directions: int
    log10_p: float
    scale: float


def unexplained(head: OutputHead, readings: Sequence[Reading]) -> list[Unexplained]:
    """What a head leaves of every reading; those of the same tokens are taken together.

    A reading of too few tokens has a share of NaN and says nothing.
    """
    found: list[Unexplained | None] = [None] * len(readings)
    groups: dict[bytes, list[int]] = {}
    for number, reading in enumerate(readings):
        groups.setdefault(reading.ids.tobytes(), []).append(number)
    for members in groups.values():
        values = np.stack([readings[number].values for number in members])
        for number, each in zip(members, _left(head, readings[members[0]].ids, values), strict=True):
            found[number] = each
    return [each for each in found if each is not None]


def _left(head: OutputHead, ids: Int64s, values: Float64s) -> list[Unexplained]:
    rows = head.rows[ids].astype(np.float64)
    columns = [rows, np.ones((len(ids), 1))]
    if head.bias is not None:
        columns.append(head.bias[ids].astype(np.float64)[:, None])
    reached = np.concatenate(columns, axis=1)
    if len(ids) < reached.shape[1] + DIRECTIONS:
        return [Unexplained(math.nan, max(len(ids) - reached.shape[1], 0), 0.0, math.nan)] * len(values)
    left, sizes, _ = np.linalg.svd(reached, full_matrices=False)
    kept = sizes > sizes[0] * max(reached.shape) * np.finfo(np.float32).eps
    basis = left[:, kept]
    centred = values - values.mean(axis=1, keepdims=True)
    remainder = centred - (centred @ basis) @ basis.T
    directions = len(ids) - basis.shape[1]
    scales = _scales(head, reached, values) if kept.all() else np.full(len(values), math.nan)
    return [
        _one(float(square), float(spread), directions, float(scale))
        for square, spread, scale in zip((remainder**2).sum(axis=1), centred.std(axis=1), scales, strict=True)
    ]


def _one(square: float, spread: float, directions: int, scale: float) -> Unexplained:
    if not spread > 0:
        return Unexplained(math.nan, directions, 0.0, math.nan)
    share = math.sqrt(square / directions) / spread
    return Unexplained(share, directions, small_ball_log10_p(square / spread**2, directions, FLOOR), scale)


def _scales(head: OutputHead, reached: Float64s, values: Float64s) -> Float64s:
    """(readings,) length of the hidden states before the final norm's gain, over the square root of the width."""
    if head.gain is None or not head.gain.all():
        return np.full(len(values), math.nan)
    states = np.linalg.lstsq(reached, values.T, rcond=None)[0].T[:, : head.hidden]
    behind = states if head.shift is None else states - head.shift.astype(np.float64)
    return np.asarray(np.linalg.norm(behind / head.gain.astype(np.float64), axis=1) / math.sqrt(head.hidden))
