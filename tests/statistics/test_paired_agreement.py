"""Who agrees more often, and Holm's rule."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from kinprint.statistics.paired_agreement import holm, more_often


def test_the_p_value_is_the_exact_binomial_one() -> None:
    second, third = np.array([True] * 15 + [False] * 5 + [True] * 30), np.array([False] * 15 + [True] * 5 + [True] * 30)
    assert 10 ** more_often(second, third) == pytest.approx(stats.binomtest(15, 20, alternative="greater").pvalue)
    assert more_often(third, second) == 0


def test_it_never_falls_below_its_level() -> None:
    """H0 at its boundary: the second and the third agree equally often, and together. 1 000 pairs of 400 questions."""
    rng = np.random.default_rng(1)
    p = []
    for _ in range(1000):
        common = rng.random(400) < 0.5
        second, third = (common | (rng.random(400) < 0.3) for _ in range(2))
        p.append(10 ** more_often(second, third))
    assert all(np.mean(np.array(p) <= level) <= level + 3 * np.sqrt(level / 1000) for level in (0.01, 0.05, 0.2))
    assert np.mean(np.array(p) <= 0.2) > 0.1


def test_far_tails_do_not_underflow() -> None:
    assert more_often(np.ones(5000, bool), np.zeros(5000, bool)) == pytest.approx(-5000 * np.log10(2))


def test_holm_multiplies_by_what_is_left() -> None:
    """Four p-values 0.01, 0.04, 0.03, 0.005 become 0.03, 0.06, 0.06, 0.02."""
    found = [10**p for p in holm([float(np.log10(p)) for p in (0.01, 0.04, 0.03, 0.005)])]
    assert found == pytest.approx([0.03, 0.06, 0.06, 0.02])
