"""One rule for many tries: valid however the tries depend on each other, and typed in one place."""

from __future__ import annotations

import ast
import math
from pathlib import Path
from typing import TypeGuard

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import kstest

import kinprint
from kinprint.statistics import alpha_of_each, bonferroni, smallest

LOG10_P = st.floats(-400, 0)


def dependent(kind: str, tries: int) -> NDArray[np.float64]:
    """(3000, tries) p-values, each column uniform."""
    rng = np.random.default_rng(1)
    one = rng.uniform(size=(3000, 1))
    if kind == "independent":
        return rng.uniform(size=(3000, tries))
    if kind == "identical":
        return np.repeat(one, tries, axis=1)
    if kind == "antithetic":
        return np.where(np.arange(tries) % 2, 1 - one, one)
    return np.asarray((one + np.arange(tries) / tries) % 1)  # one of them is always below 1 / tries


@pytest.mark.parametrize("tries", [1, 2, 5, 48])
@pytest.mark.parametrize("kind", ["independent", "identical", "antithetic", "evenly spaced"])
def test_corrected_p_values_are_no_smaller_than_uniform_ones(kind: str, tries: int) -> None:
    """H0: each p-value is uniform. The corrected smallest one is stochastically no smaller than a uniform one."""
    found = [10 ** smallest(list(row)) for row in np.log10(dependent(kind, tries))]
    assert kstest(found, "uniform", alternative="greater").pvalue > 1e-3


@pytest.mark.parametrize("tries", [2, 5])
def test_no_smaller_factor_would_do(tries: int) -> None:
    """H0: p-values evenly spaced round a circle, where the inequality is an equation. The corrected one is exactly uniform."""
    found = [10 ** smallest(list(row)) for row in np.log10(dependent("evenly spaced", tries))]
    assert kstest(found, "uniform").pvalue > 1e-3
    assert kstest(np.array(found) * (tries - 1) / tries, "uniform", alternative="greater").pvalue < 1e-6


@given(st.lists(LOG10_P, min_size=1, max_size=20), st.integers(0, 1000))
def test_the_smallest_p_value_times_the_number_of_tries(log10_ps: list[float], more: int) -> None:
    """The definition, for any p-values: at most 1, in whatever order they come, and larger the more tries there could be."""
    tries = len(log10_ps) + more
    found = smallest(log10_ps, tries)
    assert found == min(0.0, min(log10_ps) + math.log10(tries)) == bonferroni(min(log10_ps), tries)
    assert found == smallest(log10_ps[::-1], tries)
    assert smallest(log10_ps) <= found <= smallest(log10_ps, tries + 1) <= 0


def test_one_try_changes_nothing() -> None:
    """A single p-value is its own correction; 0.02 in five tries is 0.1; p-values far below floating point stay apart."""
    assert bonferroni(-3.25, 1) == smallest([-3.25]) == -3.25
    assert 10 ** bonferroni(math.log10(0.02), 5) == pytest.approx(0.1)
    assert bonferroni(-5000.0, 100) == -4998
    assert bonferroni(-math.inf, 100) == -math.inf


def test_no_p_value_exceeds_one() -> None:
    """Clamped: 0.3 in ten tries is 1, as is what rounding put above 1."""
    assert bonferroni(math.log10(0.3), 10) == 0
    assert bonferroni(1e-16, 1) == 0


def test_nan_says_nothing() -> None:
    """A p-value that could not be computed counts as 1, wherever it stands, and as a try."""
    assert bonferroni(math.nan, 3) == 0
    assert smallest([math.nan, -5.0]) == smallest([-5.0, math.nan]) == -5 + math.log10(2)


@pytest.mark.parametrize("tries", [0, -1])
def test_less_than_one_try_is_refused(tries: int) -> None:
    for refused in (lambda: bonferroni(-3.0, tries), lambda: smallest([-3.0], tries), lambda: alpha_of_each(0.05, tries)):
        with pytest.raises(ValueError, match=f"{tries}"):
            refused()


def test_more_p_values_than_tries_are_refused() -> None:
    """A try that nobody counted is an error, as is the smallest of nothing."""
    with pytest.raises(ValueError, match="4 p-values cannot come from 3 tries"):
        smallest([-1.0, -2.0, -3.0, -4.0], tries=3)
    with pytest.raises(ValueError, match="no p-value"):
        smallest([])


@given(LOG10_P.filter(lambda p: p > -200), st.integers(1, 10**6), st.floats(1e-12, 0.999))
def test_alpha_is_shared_as_p_values_are_multiplied(log10_p: float, tries: int, alpha: float) -> None:
    """p is at most alpha / n if and only if n p is at most alpha."""
    by_p, by_alpha = bonferroni(log10_p, tries) - math.log10(alpha), log10_p - math.log10(alpha_of_each(alpha, tries))
    assert abs(by_alpha) < 1e-9 or (by_p <= 0) == (by_alpha <= 0)


def typed_by_hand(source: str) -> list[int]:
    """Lines that add a log10 to something or subtract it, or take log10 of a number of things."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
            found += [side.lineno for side in (node.left, node.right) if _is_log10(side)]
        elif _is_log10(node):
            inside = [part for argument in node.args for part in ast.walk(argument)]
            counts = any(isinstance(part, ast.Name) and part.id == "len" for part in inside)
            if counts or any(isinstance(part, ast.Attribute) and part.attr == "size" for part in inside):
                found.append(node.lineno)
    return found


def _is_log10(node: ast.AST) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and "log10" in (getattr(node.func, "attr", ""), getattr(node.func, "id", ""))


def test_no_other_module_types_the_rule() -> None:
    """Corrections for the number of tries are made by `kinprint.statistics.multiplicity` alone."""
    package = Path(kinprint.__file__).parent
    found = {str(path.relative_to(package)): typed_by_hand(path.read_text()) for path in package.rglob("*.py")}
    assert {name for name, lines in found.items() if lines} == {"statistics/multiplicity.py"}


@pytest.mark.parametrize(
    "line",
    [
        "p = min(found.log10_p + math.log10(searched), 0.0)",
        "tries = math.log10(max(len(twins), 1))",
        "limit = log10(alpha) - np.log10(n)",
        "searched = math.log10(distances.size)",
    ],
)
def test_typing_the_rule_is_noticed(line: str) -> None:
    assert typed_by_hand(line)
