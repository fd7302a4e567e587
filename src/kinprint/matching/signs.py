"""The signs of gated neurons: a symmetry that training cannot break.

A gated neuron with up vector u and down vector d computes the same as one with -u and -d. Initialisation is symmetric in that
sign and training is equivariant to it, so in a model that was trained independently of another the signs are independent and
uniformly random, given everything else about both models. The search for the correspondence looks at nothing that depends on
them; neither do the weights here. So the numbers below have random signs under the null, exactly.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kinprint.fingerprints.kernels import widened
from kinprint.matching.search import Correspondence


def sign_agreements(matching: Correspondence) -> list[NDArray[np.float64]]:
    """By layer, for each matched pair: cosine of the ups plus that of the downs after the rotation, times closeness squared."""
    each = []
    for match in matching.matches:
        total = np.zeros(len(match.ours))
        for ours, theirs in ((match.reference.ups, match.suspect.ups), (match.reference.downs, match.suspect.downs)):
            x, y = widened(ours[match.ours]), widened(theirs[match.theirs])
            total += np.einsum("nd,nd->n", x @ matching.rotation.T, y)
        each.append(total * match.closeness**2)
    return each


def signed_products(matching: Correspondence) -> tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]]:
    """Of the reference and of the suspect, by matched layer, (n, 2): cosines of gate and up and of gate and down, which change
    sign with their neuron."""
    ours = [match.reference.products[match.ours].astype(np.float64) for match in matching.matches]
    return ours, [match.suspect.products[match.theirs].astype(np.float64) for match in matching.matches]
