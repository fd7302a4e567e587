"""What the tests on matched neurons of fingerprints share: layers that belong together, neurons nearest to each other."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from kinprint.correspondence.search import layers_in_order
from kinprint.evidence import Evidence, NotApplicable
from kinprint.fingerprints import Fingerprint
from kinprint.methods._units import ATTAINABLE, distances
from kinprint.statistics import sign_test, smallest
from kinprint.weights import Weights

Array = NDArray[np.float64]

LAYERS = 16
"""Layers of the suspect that are compared, evenly chosen."""

UNBALANCED = -6.0
"""log10 p at which the signs of one model count as chosen."""

ODD = (3, 4, 9, 10, 15, 16, 21, 22, 27, 28)
"""Columns of neurons.forms that change sign with the neuron; column 0 is the expert."""

SEEDS = 256
"""Neurons of each layer that align layers."""


def compared(values: Array) -> NDArray[np.int64]:
    """Which layers of a suspect (layers, neurons, features) are compared, of those that have neurons."""
    layers = np.flatnonzero(np.isfinite(values).any(axis=(1, 2)))
    if not len(layers):
        raise NotApplicable("no layer of the suspect has neurons that are finite")
    return np.asarray(layers[np.unique(np.linspace(0, len(layers) - 1, min(len(layers), LAYERS)).round().astype(np.int64))])


def aligned(ours: Array, theirs: Array, shown: NDArray[np.int64], depth: int) -> list[int]:
    """Reference layer of each suspect layer: by number in models of equal depth, else by how well their heaviest neurons match.

    Args:
        ours, theirs: (layers, neurons, features) of the reference, and of the suspect's layers `shown`.
        depth: of the suspect.
    """
    if len(ours) == depth:
        return [int(layer) for layer in shown]
    scores = np.array([[nearest(x[:SEEDS], y[:SEEDS])[2].sum() for y in theirs] for x in ours])
    return layers_in_order(scores, deeper=depth > len(ours))


def once(partners: dict[int, int], fit: dict[int, float], copies: Callable[[int, int], bool]) -> dict[int, int]:
    """The pairs of layers to test: each reference layer once, by its best match, and none that is a copy of another.

    Copies of a layer (depth up-scaling, looped models) are one fact: in one of the models every layer must be there once.

    Args:
        partners: suspect layer -> reference layer.
        fit: how well each suspect layer matches its partner, by nothing that is tested.
        copies: whether two layers of the reference are copies of each other.
    """
    best: dict[int, int] = {}
    for j, i in partners.items():
        if i not in best or fit[j] > fit[best[i]]:
            best[i] = j
    kept: list[int] = []
    for i in sorted(best):
        if not any(copies(other, i) for other in kept):
            kept.append(i)
    return {best[i]: i for i in sorted(kept, key=lambda i: best[i])}


def as_evidence(
    method: str, agreements: Sequence[Array], layer_map: tuple[int, ...] | None, how: str, *, forgeable: bool
) -> Evidence:
    """The sign test of the agreements of matched neurons, by layer.

    Raises:
        NotApplicable: so few were matched that no p-value could be small.
    """
    count = sum(map(len, agreements))
    require_signs(count)
    result = sign_test(np.concatenate(agreements))
    return Evidence(
        method=method,
        kind="test",
        statistic=result.z,
        log10_p=result.log10_p,
        bound=result.bound,
        layer_map=layer_map,
        layers=tuple(sign_test(values).z for values in agreements),
        forgeable=forgeable,
        note=f"{count} neurons in {len(agreements)} layers matched {how}.",
    )


def require_signs(count: int) -> None:
    """Raise NotApplicable if so few signs can be tested that no p-value could be small."""
    if -count * math.log10(2) > ATTAINABLE:
        raise NotApplicable(f"only {count} neurons could be matched, which no p-value below {2.0**-count:.1g} could come of")


def require_free_signs(*models: Fingerprint | Weights) -> None:
    """Raise NotApplicable for models whose gated neurons compute something else with up and down turned around."""
    bound = next((model.name for model in models if model.facts.get("free_signs") is False), None)
    if bound is not None:
        raise NotApplicable(f"the gate of {bound} multiplies 1 more than what up says, so that its neurons have no free sign")


def require_balanced_signs(layers: Sequence[Array], model: str) -> None:
    """Raise NotApplicable if the signs of one model are not balanced: somebody has chosen them, and a stranger's may be too.

    Judged by the median of the layers that have such neurons, for copies of a layer would count its chance deviation many
    times.

    Args:
        layers: of each (n, statements) numbers that change sign with their neuron; NaN and zero count for nothing.
    """
    each = []
    for values in layers:
        positive, known = (values > 0).sum(axis=0), (np.isfinite(values) & (values != 0)).sum(axis=0)
        if known.any():
            each.append([_log10_balanced(int(n), int(total)) for n, total in zip(positive, known, strict=True)])
    medians = np.median(np.array(each), axis=0) if each else np.zeros(0)
    if len(medians) and smallest(medians.tolist()) <= UNBALANCED:
        column = int(np.argmin(medians))
        signed = np.concatenate([values[:, column] for values in layers])
        share = float((signed > 0).sum() / max((np.isfinite(signed) & (signed != 0)).sum(), 1))
        raise NotApplicable(
            f"the signs of the neurons of {model} are not balanced ({share:.0%} are positive), so they were chosen rather than "
            "left to chance"
        )


def _log10_balanced(positive: int, known: int) -> float:
    """log10 of the two-sided p-value that signs are balanced, by the normal approximation."""
    if not known:
        return 0.0
    deviations = abs(2 * positive - known) / math.sqrt(known)
    return min((float(log_ndtr(-deviations)) + math.log(2)) / math.log(10), 0.0)


def one_expert(values: Array) -> Array:
    """Neurons of one expert a layer, the one with most of them; the others become NaN.

    Experts may be copies of each other (upcycling), and copies share their signs: in one of the models every neuron must be
    there once.
    """
    found = values.copy()
    for layer in found:
        experts, counts = np.unique(layer[np.isfinite(layer[:, 0]), 0], return_counts=True)
        if len(experts) > 1:
            layer[layer[:, 0] != experts[np.argmax(counts)]] = np.nan
    return found


def nearest(ours: Array, theirs: Array) -> tuple[NDArray[np.int64], NDArray[np.int64], Array]:
    """Neurons nearest to each other both ways, and by how much the second nearest is farther, up to the 90 % quantile."""
    distance = distances(ours, theirs)
    nearest, back = distance.argmin(axis=1), distance.argmin(axis=0)
    left = np.flatnonzero((back[nearest] == np.arange(len(distance))) & np.isfinite(distance.min(axis=1)))
    right = nearest[left]
    if not len(left) or min(distance.shape) < 2:
        return left, right, np.zeros(len(left))
    margins = [np.partition(rows, 1, axis=1)[:, 1] - rows.min(axis=1) for rows in (distance[left], distance[:, right].T)]
    margin = np.nan_to_num(np.minimum(*margins), posinf=0.0)
    return left, right, np.minimum(margin, np.quantile(margin, 0.9))
