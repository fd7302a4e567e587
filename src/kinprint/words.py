"""How a p-value is written: the same in a sentence, a table, a page and a signed document."""

from __future__ import annotations

import math

FEW = 1e-9
"""Up to here 10 ** log10(p) may differ from p."""


def p_value(log10_p: float | None, *, exact: bool = False) -> str:
    """A p-value in a few characters. It is rounded up: what is shown is never smaller than what was found.

    Args:
        log10_p: of an upper bound, or of the p-value itself; None where there is none.
        exact: it is the p-value itself: three decimals from 0.001 on.

    Returns:
        "≤ 1e-12", "0.013" (exact) or "–".
    """
    if log10_p is None:
        return "–"
    if exact and log10_p >= -3:
        return f"{math.ceil(1000 * (10**log10_p - FEW)) / 1000:.3f}"
    return f"≤ 1e{math.ceil(log10_p)}"
