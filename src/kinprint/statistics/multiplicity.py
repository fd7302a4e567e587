"""Several p-values, one decision: the only place that corrects for the number of tries.

Bonferroni's inequality: if p_1 ... p_n are valid p-values, P(p_i <= x) <= x under the null hypothesis, then

    P(min p_i <= x / n) <= P(p_1 <= x / n) + ... + P(p_n <= x / n) <= x,

whatever joint distribution they have. So n times the smallest p-value is a valid p-value again. It stays one if fewer than n
tries were made, and if the search stopped at the first small p-value: the bound counts the tries that *could* have been made.

Everything here is in logarithms to base 10, for kinprint's p-values go far below the smallest floating-point number. A
corrected p-value is at most 1 (0 as a logarithm). A NaN counts as 1: what could not be computed says nothing.

Source: Bonferroni, Teoria statistica delle classi e calcolo delle probabilità, 1936; Dunn, Multiple comparisons among means,
JASA 1961.
"""

from __future__ import annotations

import math
from collections.abc import Collection


def bonferroni(log10_p: float, tries: int) -> float:
    """log10 of a p-value times the number of tries, at most 0.

    Valid under any dependence between the tries. The p-value must be that of one try that was named in advance, or the
    smallest of them all, or any other of them.

    Args:
        log10_p: of one try.
        tries: how many tries could have given the p-value that is stated.

    Raises:
        ValueError: if tries is less than 1.
    """
    if tries < 1:
        raise ValueError(f"a p-value comes from at least one try, not from {tries}")
    return min(0.0, log10_p + math.log10(tries))  # in this order NaN gives 0


def smallest(log10_ps: Collection[float], tries: int | None = None) -> float:
    """The smallest of several p-values, corrected for their number (`bonferroni`).

    Args:
        log10_ps: of the tries that were made.
        tries: how many could have been made; by default as many as were.

    Raises:
        ValueError: if there is no p-value, or if there are more p-values than tries.
    """
    tries = len(log10_ps) if tries is None else tries
    if not log10_ps:
        raise ValueError("there is no p-value")
    if len(log10_ps) > tries:
        raise ValueError(f"{len(log10_ps)} p-values cannot come from {tries} tries")
    return min(bonferroni(log10_p, tries) for log10_p in log10_ps)


def alpha_of_each(alpha: float, tries: int) -> float:
    """The largest p-value that counts in each of several tries, so that one that counts is found by chance with at most alpha.

    The same rule from its other end: p <= alpha_of_each(alpha, n) if and only if n p <= alpha.

    Raises:
        ValueError: if tries is less than 1.
    """
    if tries < 1:
        raise ValueError(f"alpha is shared by at least one try, not by {tries}")
    return alpha / tries
