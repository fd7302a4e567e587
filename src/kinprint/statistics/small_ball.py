"""Is what one explanation leaves over smaller than it could be, had each part of it been free to be anything?

Null hypothesis: z, of q numbers, is normal around any centre, and in every direction its standard deviation is at least
`floor`. Statistic: |z|^2. Of all those distributions the one around zero with the deviation `floor` in every direction gives
the largest probability to every ball around zero (Anderson, The integral of a symmetric unimodal function over a symmetric
convex set, 1955), so

    P(|z|^2 <= s) <= P(chi squared with q degrees of freedom <= s / floor^2),

with equality at the boundary of the null hypothesis: there the p-value is uniform, elsewhere larger.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import gammainc, gammaln

PRECISION = 1e-7
"""Of numbers in float32, in units of their spread: what is smaller counts as this."""

TERMS = 200
"""Of the series, each at most half of the one before where it is used."""


def small_ball_log10_p(square: float, dimensions: int, floor: float) -> float:
    """log10 of the p-value.

    Args:
        square: |z|^2; below q PRECISION^2 it counts as that.
        dimensions: q.
        floor: smallest standard deviation under the null hypothesis, above 0.
    """
    if dimensions < 1 or not math.isfinite(square):
        return 0.0
    a, x = dimensions / 2, max(square, dimensions * PRECISION**2) / (2 * floor * floor)
    if x > a / 2:
        value = float(gammainc(a, x))
        if value > 0:
            return min(math.log10(value), 0.0)
    # P(a, x) = x^a e^-x / Gamma(a + 1) (1 + x / (a + 1) + x^2 / ((a + 1) (a + 2)) + ...)
    series = float(np.cumprod(x / (a + np.arange(1, TERMS))).sum()) + 1.0
    return min((a * math.log(x) - x - float(gammaln(a + 1)) + math.log(series)) / math.log(10), 0.0)
