"""The sign test against enumeration, and its p-values under the null."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from kinprint.statistics import sign_test


@pytest.mark.parametrize("size", [6, 12])
def test_the_bound_is_never_below_the_exact_p_value(size: int) -> None:
    """H0 enumerated: over all signs of a few numbers no reported p-value is below the exact one by more than Monte Carlo."""
    rng = np.random.default_rng(1)
    magnitudes = rng.exponential(size=size)
    sums = np.sort([np.dot(signs, magnitudes) for signs in itertools.product((-1, 1), repeat=size)])
    for total_signs in (np.ones(size), np.r_[-1, np.ones(size - 1)], rng.choice([-1, 1], size)):
        found = sign_test(magnitudes * total_signs)
        exact = np.mean(sums >= magnitudes @ total_signs - 1e-9)
        assert not found.bound or found.log10_p >= math.log10(exact) - 1e-9
        assert found.bound or 10**found.log10_p == pytest.approx(exact, abs=5 * math.sqrt(exact / 999) + 2e-3)


def test_all_signs_equal_reach_one_in_two_to_the_n() -> None:
    """n equal numbers, all positive: the p-value is 2^-n, and the bound comes close to it."""
    found = sign_test(np.ones(500))
    assert found.bound
    assert -500 * math.log10(2) - 1e-6 <= found.log10_p <= -500 * math.log10(2) + 2
    assert found.z == pytest.approx(math.sqrt(500))


@pytest.mark.parametrize("tails", ["normal", "cauchy", "one-giant"])
def test_uniform_under_the_null(tails: str) -> None:
    """H0: random signs. 1 000 simulated vectors, whatever the tails of the magnitudes: p-values are uniform."""
    rng = np.random.default_rng(2)
    values = {
        "normal": lambda: rng.normal(size=300),
        "cauchy": lambda: rng.standard_cauchy(size=300),
        "one-giant": lambda: rng.normal(size=300) * np.r_[30.0, np.ones(299)],
    }[tails]
    p = [10 ** sign_test(values()).log10_p for _ in range(1000)]
    assert stats.kstest(p, "uniform").pvalue > 1e-3
    assert min(p) > 1e-6


def test_nothing_to_test() -> None:
    """No numbers, or only zeros, are no evidence."""
    assert sign_test(np.zeros(5)).log10_p == 0
    assert sign_test(np.array([])).log10_p == 0


def test_scale_is_of_no_account() -> None:
    """The result depends on the ratios of the numbers alone, however large or small they are."""
    values = np.random.default_rng(3).normal(1, 1, size=200)
    found = [sign_test(values * factor).log10_p for factor in (1e-150, 1.0, 1e150)]
    assert found[0] == pytest.approx(found[1]) == pytest.approx(found[2])
