"""How p-values and names are written: the same in a sentence, a table, a page and a signed document."""

from __future__ import annotations

import math

FEW = 1e-9
"""Up to here 10 ** log10(p) may differ from p."""

LEAST = -100
"""log10 of the smallest p-value that is written out: nobody reads a smaller one otherwise. JSON holds the number."""


def p_value(log10_p: float | None, *, exact: bool = False) -> str:
    """A p-value in a few characters, with three decimals from 0.001 on. It is rounded up: what is shown is never smaller than
    what was found.

    Args:
        log10_p: of an upper bound, or of the p-value itself; None where there is none.
        exact: it is the p-value itself.

    Returns:
        "≤ 1e-12", "< 1e-100", "≤ 0.013", "0.013" (exact) or "–".
    """
    if log10_p is None:
        return "–"
    if log10_p < LEAST:
        return f"< 1e{LEAST}"
    if log10_p >= -3:
        shown = f"{math.ceil(1000 * (10 ** min(log10_p, 0) - FEW)) / 1000:.3f}"
        return shown if exact else f"≤ {shown}"
    return f"≤ 1e{math.ceil(log10_p)}"


def chance(log10_p: float) -> str:
    """A p-value in a sentence, for readers who do not read exponents: "p ≤ 1e-12", or "p < 1e-100, less than one in 10^100"."""
    written = f"p {p_value(log10_p)}"
    return f"{written}, less than one in 10^{-LEAST}" if log10_p < LEAST else written


def spreadsheet_cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula: one that begins like one gets an apostrophe in front."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
