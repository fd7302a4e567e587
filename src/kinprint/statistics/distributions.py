"""Tails of distributions, as scipy.stats gives them to the last bit; to load scipy.stats takes half a second."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import chdtr, chdtrc, fdtrc, gammaincinv, poch, stdtr

from kinprint.arrays import Float64s


def f_tail(ratio: float, above: int, below: int) -> float:
    """P(F >= ratio), F with `above` and `below` degrees of freedom; ratio is not negative."""
    return float(fdtrc(above, below, ratio))


def student_tail(t: float, freedom: float) -> float:
    """P(T >= t), Student's T."""
    return float(stdtr(freedom, -t))


def student_log_density(t: float, freedom: float) -> float:
    """log of the density of Student's T."""
    normaliser = np.log(poch(0.5 * freedom, 0.5)) - 0.5 * (np.log(freedom) + np.log(np.pi))
    return float(normaliser - (freedom + 1) / 2 * np.log1p(t * t / freedom))


def chi_squared_log10_tail(values: Float64s, freedom: float) -> Float64s:
    """log10 P(X >= value) of each value, X chi squared; -inf where that underflows."""
    beyond = values > 2 * gammaincinv(freedom / 2, 0.5)  # the median: up to it the other tail is the exact one
    with np.errstate(divide="ignore"):
        logs = np.where(beyond, np.log(chdtrc(freedom, values)), np.log1p(-chdtr(freedom, values)))
    return np.asarray(logs / math.log(10))
