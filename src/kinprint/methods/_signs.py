"""What the tests of the signs of matched neurons share: when signs can be tested, and the finding."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import log_ndtr

from kinprint.architectures.weights import Weights
from kinprint.arrays import Float64s
from kinprint.errors import NotApplicable
from kinprint.fingerprints import Fingerprint
from kinprint.methods._by_index import ATTAINABLE
from kinprint.methods._by_layer import by_layer
from kinprint.methods._method import Finding
from kinprint.statistics import sign_test, sign_z, smallest

UNBALANCED = -6.0
"""log10 p at which the signs of one model count as chosen."""


def as_finding(
    agreements: Mapping[int, Float64s], depth: int, layer_map: tuple[int, ...] | None, how: str, *, forgeable: bool
) -> Finding:
    """The sign test of the agreements of matched neurons.

    Args:
        agreements: suspect layer -> of each of its matched neurons.
        depth: of the suspect.
        how: neurons were matched and tested.

    Raises:
        NotApplicable: so few were matched that no p-value could be small.
    """
    count = sum(map(len, agreements.values()))
    require_signs(count)
    result = sign_test(np.concatenate(list(agreements.values())))
    return Finding(
        statistic=result.z,
        log10_p=result.log10_p,
        bound=result.bound,
        layer_map=layer_map,
        layers=by_layer({layer: sign_z(values) for layer, values in agreements.items()}, depth),
        forgeable=forgeable,
        note=f"{count} neurons in {len(agreements)} layers matched {how}.",
    )


def require_signs(count: int) -> None:
    """Raise NotApplicable if so few signs can be tested that no p-value could be small."""
    if -count * math.log10(2) > ATTAINABLE:
        raise NotApplicable(f"only {count} neurons could be matched, too few for a p-value below {2.0**-count:.1g}")


def require_free_signs(*models: Fingerprint | Weights) -> None:
    """Raise NotApplicable for models whose gated neurons compute something else with up and down turned around."""
    bound = next((model.name for model in models if not _free(model)), None)
    if bound is not None:
        raise NotApplicable(f"{bound} multiplies its gates by up + 1, so its neurons have no free sign")


def _free(model: Fingerprint | Weights) -> bool:
    return model.stated.free_signs if isinstance(model, Fingerprint) else model.facts.get("free_signs") is not False


def require_balanced_signs(layers: Sequence[Float64s], model: str) -> None:
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
            f"{share:.0%} of the neurons of {model} have a positive sign: somebody chose the signs, so they are no evidence"
        )


def _log10_balanced(positive: int, known: int) -> float:
    """log10 of the two-sided p-value that signs are balanced, by the normal approximation."""
    if not known:
        return 0.0
    deviations = abs(2 * positive - known) / math.sqrt(known)
    return min((float(log_ndtr(-deviations)) + math.log(2)) / math.log(10), 0.0)
