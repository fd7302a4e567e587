"""What the exchangeability tests share: features to evidence, and the matching of units where widths differ."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from kinprint.evidence import Evidence, NotApplicable
from kinprint.statistics import Result, Structure, exchangeability_test_of_scores, label_free_scores

Array = NDArray[np.float64]

ATTAINABLE = -7.0
"""A test whose smallest possible log10 p is above this could never decide, so it does not take part."""


def known_layers(*models: NDArray[np.floating]) -> int:
    """Layers that can be compared: of the model (layers, units, ...) that has fewer layers with anything in them."""
    return min(int(np.isfinite(model).reshape(len(model), -1).any(axis=1).sum()) for model in models)


def require_attainable(structure: Structure, layers: int, units: str) -> None:
    """Raise NotApplicable if so few relabellings exist that no p-value could be small."""
    smallest = -layers * structure.log10_relabellings()
    if smallest > ATTAINABLE:
        raise NotApplicable(
            f"too few {units} ({structure.units} in {layers} layers): no p-value below 1e{smallest:.1f} could arise"
        )


def both_scores(reference: NDArray[np.floating], suspect: NDArray[np.floating]) -> tuple[Array, Array]:
    """Label-free scores of the features (last axis) that both models have for some unit."""
    common = np.isfinite(reference).any(axis=(0, 1)) & np.isfinite(suspect).any(axis=(0, 1))
    if not common.any():
        raise NotApplicable("the two models have no feature in common")
    return label_free_scores(reference[..., common]), label_free_scores(suspect[..., common])


def test_by_order(reference: Array, suspect: Array) -> Result:
    """For unequal widths: match units by their features alone, then test the *order* of the matches.

    Each suspect unit is matched to the reference unit nearest to it, if that is so both ways. The matching looks at no
    label, so under the null hypothesis the labels of the matched units are in random order; pruning keeps units in order.

    Args:
        reference, suspect: (layers, units, features) label-free scores; layers and units may both differ.
    """
    count = suspect.shape[1]
    position = np.linspace(-1, 1, count)

    def score(i: int, j: int) -> Array:
        x, y = reference[i], suspect[j]
        distances = (x**2).sum(1)[:, None] - 2 * x @ y.T + (y**2).sum(1)
        nearest = distances.argmin(axis=0)
        mutual = distances.argmin(axis=1)[nearest] == np.arange(count)
        origin = 2 * nearest / max(len(x) - 1, 1) - 1
        return np.outer(position, np.where(mutual, origin - origin[mutual].mean(), 0.0))

    return exchangeability_test_of_scores(score, (len(reference), len(suspect)), count)


def as_evidence(method: str, result: Result, note: str) -> Evidence:
    """A test's result as evidence."""
    return Evidence(
        method=method,
        kind="test",
        statistic=result.z,
        log10_p=result.log10_p,
        bound=result.bound,
        layer_map=result.layer_map,
        layers=result.layers,
        detectable=None if math.isnan(result.detectable) else result.detectable,
        note=note,
    )
