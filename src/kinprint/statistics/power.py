"""What a test could have seen: its power, from how far it resolves correlations."""

from __future__ import annotations

from scipy.special import ndtri


def detectable(resolution: float, alpha: float) -> float:
    """The correlation that a test calls significant in half of all cases.

    A correlation r moves the statistic by r / resolution standard deviations on average. A statistic that is normal about
    that mean lies in half of all cases beyond the quantile z = -ndtri(alpha) of the null distribution if r / resolution = z.
    Approximate: in the tail the null distribution is taken as normal.

    Args:
        resolution: the correlation that moves the statistic by one standard deviation of the null distribution.
        alpha: the largest p-value that this one test may have to decide; `alpha_of_each` where there are several tests.

    Raises:
        ValueError: if alpha does not lie between 0 and 1, or if resolution is negative.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha lies between 0 and 1; it is {alpha}")
    if resolution < 0:
        raise ValueError(f"a resolution is not negative; it is {resolution}")
    return max(-float(ndtri(alpha)), 0.0) * resolution
