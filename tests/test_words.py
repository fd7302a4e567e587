"""p-values as they are written: never smaller than they are."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinprint.words import chance, p_value


@given(st.floats(-100, 0), st.booleans())
def test_what_is_shown_is_never_smaller_than_what_was_found(log10_p: float, exact: bool) -> None:
    """Both forms round up, the power of ten by less than a factor of ten, three decimals by less than a thousandth."""
    shown = float(p_value(log10_p, exact=exact).removeprefix("≤ "))
    assert shown >= 10**log10_p - 1e-9
    assert shown < 10.0 ** (log10_p + 1) or shown - 10**log10_p < 0.001


@pytest.mark.parametrize("count", [1, 2, 3, 7, 50, 51, 999, 1000])
def test_monte_carlo_p_values_are_shown_as_they_are(count: int) -> None:
    """Thousandths have three decimals, whatever their logarithm does to the last bits."""
    assert p_value(math.log10(count / 1000), exact=True) == f"{count / 1000:.3f}"


@pytest.mark.parametrize(
    ("log10_p", "exact", "shown"),
    [
        (None, False, "–"),
        (-563.2, False, "< 1e-100"),
        (-563.2, True, "< 1e-100"),
        (-99.5, False, "≤ 1e-99"),
        (0.0, False, "≤ 1.000"),
        (math.log10(0.0121), False, "≤ 0.013"),
        (-6.0, False, "≤ 1e-6"),
        (-3.5, True, "≤ 1e-3"),
        (math.log10(0.0121), True, "0.013"),
        (0.0, True, "1.000"),
    ],
)
def test_examples(log10_p: float | None, exact: bool, shown: str) -> None:
    """Powers of ten for bounds and small values, decimals for exact values, a dash for none."""
    assert p_value(log10_p, exact=exact) == shown


@pytest.mark.parametrize(("log10_p", "said"), [(-12.3, "p ≤ 1e-12"), (-26197.0, "p < 1e-100, less than one in 10^100")])
def test_in_sentences(log10_p: float, said: str) -> None:
    """Exponents that nobody reads are said in words."""
    assert chance(log10_p) == said
