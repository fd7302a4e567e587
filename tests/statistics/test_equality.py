"""Model equality: the kernel, the list of all divisions, p-values under the null hypothesis and where texts differ."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from kinprint.statistics.equality import equality_test, hamming


def _texts(rng: np.random.Generator, letters: str, count: int) -> list[str]:
    return ["".join(rng.choice(list(letters), size=rng.integers(1, 9))) for _ in range(count)]


def test_the_kernel_is_the_share_of_equal_positions() -> None:
    """Where both texts have ended counts as equal, where one has not as different."""
    kernel = hamming(["abcd", "abce", "ab", ""])
    assert kernel[0].tolist() == [1.0, 0.75, 0.5, 0.0]
    assert kernel[2].tolist() == [0.5, 0.5, 1.0, 0.5]
    assert hamming(["", ""]).tolist() == [[1, 1], [1, 1]]


def test_the_statistic_is_the_unbiased_discrepancy() -> None:
    rng = np.random.default_rng(1)
    ours, theirs = _texts(rng, "ab", 3), _texts(rng, "bc", 4)
    kernel = hamming([*ours, *theirs])
    inside = [np.mean([kernel[i, j] for i, j in itertools.permutations(which, 2)]) for which in (range(3), range(3, 7))]
    between = np.mean([kernel[i, j] for i in range(3) for j in range(3, 7)])
    assert equality_test([ours], [theirs]).discrepancy == pytest.approx(sum(inside) - 2 * between, abs=1e-6)


def test_uniform_under_the_null() -> None:
    """H0: both models draw their texts to a prompt from one distribution, another for each prompt. 1 000 pairs."""
    rng = np.random.default_rng(2)
    p = []
    for _ in range(1000):
        letters = ["abc", "aaab", "xyz", "pqrst"]
        p.append(10 ** equality_test(*([_texts(rng, each, 4) for each in letters] for _ in range(2))).log10_p)
    assert stats.kstest(p, "uniform", alternative="greater").pvalue > 1e-3
    assert stats.kstest(p, "uniform").pvalue > 1e-4  # few divisions: the p-values come in steps


def test_other_texts_are_seen_beyond_what_draws_reach() -> None:
    rng = np.random.default_rng(3)
    ours, theirs = ([_texts(rng, letters, 6) for _ in range(20)] for letters in ("abcd", "wxyz"))
    found = equality_test(ours, theirs)
    assert found.log10_p < -12
    assert found.bound
    assert found.prompts == 20


def test_more_texts_of_a_prompt_are_further_groups() -> None:
    """A group with one text of a model says nothing."""
    rng = np.random.default_rng(4)
    ours, theirs = [_texts(rng, "ab", 11)], [_texts(rng, "ab", 13)]
    assert equality_test(ours, theirs).prompts == 1
    assert equality_test([["a"]], [["b"]]).log10_p == 0
    assert equality_test([], []).prompts == 0
    assert equality_test([["a"] * 4], [["a"] * 4]).log10_p == 0
