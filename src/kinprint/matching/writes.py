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
from numpy.typing import NDArray

from kinprint.arrays import Float64s
from kinprint.matching.neurons import Layer, Neurons, vectors
from kinprint.matching.rotation import cosines, inverse_root, unit
from kinprint.matching.search import Correspondence, matched_again, rotation_without


def write_agreements(matching: Correspondence, tolerance: float) -> list[Float64s]:
    """By layer, for each matched pair: agreement of what they write beyond what they read explains, times closeness squared.

    Of neurons without a gate the cosine of the downs; of gated ones the product of that and the cosine of the ups, which
    does not depend on the neuron's free sign.

    Args:
        tolerance: mean cosine that is taken as nothing: it (gated: its square) is subtracted.

    Raises:
        CheckpointError: a matrix cannot be read.
    """
    roles = ("up", "down") if matching.suspect.gated else ("down",)
    ours, theirs = matching.reference, matching.suspect
    white = [
        (
            _whitening(ours, [m.reference for m in matching.matches], role),
            _whitening(theirs, [m.suspect for m in matching.matches], role),
        )
        for role in roles
    ]
    each: dict[int, Float64s] = {}
    for half in (0, 1):
        which = list(range(half, len(matching.matches), 2))
        rotation = rotation_without(matching, which)
        if rotation is None:
            continue
        for i, match in zip(which, matched_again(matching, which, rotation), strict=True):
            reads = [layer.reads[layer.first].astype(np.float32) for layer in (match.reference, match.suspect)]
            scores = np.ones((1, 1))
            for role, (left, right) in zip(roles, white, strict=True):
                x, y = _all(ours, match.reference, role) @ left, _all(theirs, match.suspect, role) @ right
                scores = scores * cosines(unit(x), unit(y), rotation)
            before, after = (unexplained(rows) for rows in reads)
            beyond = np.einsum("ij,ij->i", before[match.ours] @ scores, after[match.theirs])
            each[i] = (beyond - tolerance ** len(roles)) * match.closeness**2
    return [each[i] for i in sorted(each)]


def unexplained(reads: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, n) residual maker C - K (K + ridge I)^-1 C of kernel ridge regression on the reads (n, hidden), C the centring.

    Multiplied with n numbers, one a neuron, it leaves what the reads do not explain. The kernel has a fixed width and a larger
    ridge than that of `matched-writes`: reads are unit vectors of many directions here, a few invariants there.
    """
    gram, one = reads @ reads.T, np.eye(len(reads), dtype=np.float32)
    centre = one - np.float32(1 / len(reads))
    kernel = centre @ (gram * np.float32(math.sqrt(reads.shape[1])) + 2 * np.exp(gram - 1)) @ centre
    ridge = np.float32(0.1 * np.trace(kernel) / len(reads))
    return np.asarray(centre - kernel @ np.linalg.solve(kernel + ridge * one, centre))


def _all(model: Neurons, layer: Layer, role: str) -> NDArray[np.float32]:
    """Vectors of the neurons that are not copies. Copies come last, so indices of the others stay valid."""
    return vectors(model, layer, role, np.flatnonzero(layer.first))


def _whitening(model: Neurons, layers: list[Layer], role: str) -> NDArray[np.float32]:
    """From the covariance of a role's vectors over the layers, each layer once."""
    total = np.zeros((model.basis.shape[1],) * 2)
    for layer in {layer.layer: layer for layer in layers}.values():
        rows = _all(model, layer, role)
        total += rows.T @ rows / len(rows)
    return inverse_root(total)
