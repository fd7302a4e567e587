"""What matched neurons write: does it agree beyond what they read explains?

In any trained model what a neuron writes depends on what it reads, so neurons matched by their reads write alike, a little,
in unrelated models too. Both sides are therefore freed of what their reads explain (kernel ridge regression within each
layer), as in the generalised covariance measure: Shah and Peters, The hardness of conditional independence testing and the
generalised covariance measure, Annals of Statistics 48, 2020. Any error left is a product of two small ones. The rotation
comes from the other half of the layers, for within a layer all neurons depend on each other.

Under the null the numbers below have mean zero and signs as good as random; that is an approximation.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from kinprint.arrays import Float32s, Float64s
from kinprint.fingerprints.kernels import widened
from kinprint.fingerprints.parallel import each
from kinprint.matching.halves import Half
from kinprint.matching.neurons import Layer
from kinprint.matching.rotation import cosines, inverse_root, unit
from kinprint.matching.search import Correspondence, Match, matched_again, rotation_without

REGRESSED = 1024
"""Neurons of a layer that take part: the regression takes the cube of their number."""


def write_agreements(matching: Correspondence, tolerance: float) -> list[Float64s]:
    """By layer, for each matched pair: agreement of what they write beyond what they read explains, times closeness squared.

    Of neurons without a gate the cosine of the downs; of gated ones the product of that and the cosine of the ups, which
    does not depend on the neuron's free sign.

    Args:
        tolerance: mean cosine that is taken as nothing: it (gated: its square) is subtracted.
    """
    roles = ("ups", "downs") if matching.suspect.gated else ("downs",)
    white = [
        (_whitening([m.reference for m in matching.matches], role), _whitening([m.suspect for m in matching.matches], role))
        for role in roles
    ]

    def agreements(item: tuple[Match, Float32s]) -> Float64s:
        match, rotation = item
        scores: Float32s | None = None
        for role, (left, right) in zip(roles, white, strict=True):
            x, y = unit(_originals(match.reference, role) @ left), unit(_originals(match.suspect, role) @ right)
            agree = cosines(x, y, rotation)
            scores = agree if scores is None else scores * agree
        assert scores is not None
        beyond = unexplained(_originals(match.reference, "reads"), scores, _originals(match.suspect, "reads"))
        return np.asarray((beyond[match.ours, match.theirs] - tolerance ** len(roles)) * match.closeness**2, np.float64)

    work: dict[int, tuple[Match, Float32s]] = {}
    for half in (0, 1):
        which = list(range(half, len(matching.matches), 2))
        rotation = rotation_without(matching, which)
        if rotation is not None:
            again = matched_again(matching, which, rotation, REGRESSED)
            work |= {i: (match, rotation) for i, match in zip(which, again, strict=True)}
    return each(agreements, [work[i] for i in sorted(work)], what="layers regressed")


def unexplained(before: Float32s, scores: Float32s, after: Float32s) -> Float32s:
    """A S B: what kernel ridge regression on reads leaves of scores (n, m), by the reads of either side.

    A = C - K (K + ridge I)^-1 C is the residual maker of the reads (n, directions) of one model and B that of the other, C the
    centring and K a centred kernel. Since K commutes with C, A is ridge (K + ridge I)^-1 C.

    The kernel has a fixed width and a larger ridge than that of `matched-writes`: reads are unit vectors of many directions
    here, a few invariants there.
    """
    left = _solved(before, scores)
    return np.asarray(_solved(after, left.T).T)


def _solved(reads: Float32s, right: Float32s) -> Float32s:
    """ridge (K + ridge I)^-1 C right."""
    kernel = reads @ reads.T
    kernel = kernel * np.float32(math.sqrt(reads.shape[1])) + 2 * np.exp(kernel - 1)
    kernel -= kernel.mean(axis=0)
    kernel -= kernel.mean(axis=1, keepdims=True)
    ridge = np.float32(max(0.1 * float(np.trace(kernel)) / len(reads), 1e-11))  # the trace is 0 if all neurons read alike
    kernel[np.diag_indices(len(kernel))] += ridge
    factor = cho_factor(kernel, overwrite_a=True, check_finite=False)
    return np.asarray(ridge * cho_solve(factor, right - right.mean(axis=0), check_finite=False))


def _originals(layer: Layer, role: str) -> Float32s:
    """Vectors of the heaviest neurons that are not copies. Copies come last, so indices of the others stay valid."""
    rows: Half = getattr(layer, role)
    return widened(rows[layer.first][:REGRESSED])


def _whitening(layers: list[Layer], role: str) -> Float32s:
    """From the covariance of a role's vectors over the layers, each layer once."""
    each_once = {layer.layer: _originals(layer, role) for layer in layers}.values()
    return inverse_root(np.asarray(sum(rows.T @ rows / np.float32(len(rows)) for rows in each_once), dtype=np.float64))
