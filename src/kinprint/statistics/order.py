"""Orders that a model's layers share by label, taken out of the side of a test that is given.

Layers of a model whose units have no names do not agree with each other by label. Where they do, the labels have a meaning that
all layers share, whatever it is (sorted, nested, padded units, any period), and a stranger with the same habit shares it too.
So the layers of one model are the check of its labels, and what they have in common is what a habit can make.
"""

from __future__ import annotations

import numpy as np

from kinprint.arrays import Float64s
from kinprint.statistics.copies import agreements, connected
from kinprint.statistics.neighbourhoods import Neighbours, told_by, without

ALIKE = 0.5
"""Correlation by label from which two layers are near copies rather than layers whose units stand in one order."""

CERTAIN = 3.0
"""Standard deviations that such layers must agree by besides."""

ORDERED = 1.64
"""Standard deviations by which layers must agree by label for what they share to be taken out: one model in twenty by chance.
It costs the evidence of one layer."""

ORDERED_PAIR = 3.0
"""The same where there are two layers, of which it costs one."""


def without_order(scores: Float64s, neighbours: Neighbours, plain: Float64s) -> tuple[Float64s, bool]:
    """Scores less what labels may mean inside blocks, and whether the layers shared some order besides that was taken out.

    Args:
        scores: (layers, groups, members, features), zero where nothing is known.
        neighbours: these groups in blocks.
        plain: the scores before they were decorrelated, of the same shape.
    """
    if not len(neighbours.labels):
        return np.zeros_like(scores), False
    means = scores.mean(axis=2, keepdims=True)
    by_group = without(means[:, :, 0], neighbours, plain=plain.mean(axis=2))
    freed = _without_order_of_members(scores - means, plain) + by_group[:, :, None]
    freedom = scores.shape[1] * scores.shape[2] - len(neighbours.grid)
    common, deviations = shared_order(freed.reshape(len(scores), -1, scores.shape[3]), freedom)
    ordered = deviations > (ORDERED if len(scores) > 2 else ORDERED_PAIR)
    return freed - ordered * common.reshape(freed.shape[1:]), ordered


def _without_order_of_members(rest: Float64s, plain: Float64s) -> Float64s:
    """Scores (layers, groups, members, features) less their mean in the group, less the trend along members where these are
    sorted."""
    layers, groups, members, width = rest.shape
    if members < 2 or not told_by(plain.reshape(layers * groups, members, width), np.arange(float(members))):
        return rest
    trend = np.arange(members) - (members - 1) / 2
    trend /= np.linalg.norm(trend)
    return np.asarray(rest - trend[:, None] * np.einsum("m,lgmf->lgf", trend, rest)[:, :, None])


def shared_order(scores: Float64s, freedom: int) -> tuple[Float64s, float]:
    """What layers that are no copies of each other have in common by label, and by how many standard deviations they agree.

    Layers whose units have no names do not agree with each other by label. Where they do, the labels have a meaning that all
    layers share, and that a stranger with the same habit has too. Near copies count as one layer. Arguments as of `agreements`.

    Returns:
        (units, features) mean; deviations, 0 if all layers are copies of one.
    """
    correlations, deviations = agreements(scores, freedom)
    groups = connected((correlations > ALIKE) & (deviations > CERTAIN))
    means = np.stack([scores[groups == group].mean(axis=0) for group in range(groups.max() + 1)])
    if len(means) < 2:
        return np.zeros_like(scores[0]), 0.0
    pairs = agreements(means, freedom)[1][np.triu_indices(len(means), 1)]
    return means.mean(axis=0), float(pairs.sum() / np.sqrt(len(pairs)))
