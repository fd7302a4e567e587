"""What one of two models has more of than the other: facts that a direction would leave, and that others leave as well.

None of them says that one of the two descends from the other, and they count the same between sisters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kinprint.fingerprints import Fingerprint

NOTHING = 1e-3
"""Relative difference, or difference of shares, that counts as none."""


def gain_spread(model: Fingerprint) -> float | None:
    """Norm gains begin at 1 and spread with training: the standard deviation of each, averaged; None without gains."""
    gains = [np.atleast_2d(np.asarray(v, np.float64)) for k, v in model.traits.items() if _gain(k, v)]
    spreads = [np.mean(np.nanstd(rows[np.isfinite(rows).any(axis=-1)], axis=-1)) for rows in gains]
    return float(np.mean(spreads)) if spreads else None


def zero_share(model: Fingerprint) -> float | None:
    """Share of weights of exactly 0 in the matrices of the layers, averaged over roles; None where it was not measured."""
    return moment(model, 5, np.mean)


def moment(model: Fingerprint, column: int, average: Callable[[list[float]], Any]) -> float | None:
    """One moment, averaged over the layers of a role, then over roles; embeddings left out."""
    outside = ("moments.embedding", "moments.head")
    traits = [v[:, column] for k, v in model.traits.items() if k.startswith("moments.") and k not in outside]
    moments = [float(np.nanmean(values.astype(np.float64))) for values in traits if np.isfinite(values).any()]
    return float(average(moments)) if moments else None


def tokens_within(small: Fingerprint, large: Fingerprint) -> bool:
    """Whether every token of the first vocabulary, as far as sketches hold them, is one of the second, which has more."""
    ours, theirs = (model.traits.get("tokenizer.sketch") for model in (small, large))
    counts = [model.stated.tokens or 0 for model in (small, large)]
    if ours is None or theirs is None or not len(theirs) or not 0 < counts[0] < counts[1]:
        return False
    # of the larger vocabulary the smallest hashes are kept, and none beyond the largest of them
    seen = ours[ours <= theirs.max()]
    return len(seen) > 0 and bool(np.isin(seen, theirs).all())


def one_sided(first: Fingerprint, second: Fingerprint, names: tuple[str, str]) -> tuple[str, ...]:
    """Clauses about two related models, which are called by these names."""
    clauses = []
    depths = first.layers or 0, second.layers or 0
    one, other = (gain_spread(model) if depths[0] == depths[1] else None for model in (first, second))  # layers differ in it
    if one is not None and other is not None and abs(one - other) > NOTHING * max(one, other):
        spread = f"{min(one, other):.3g}, not {max(one, other):.3g}"
        clauses.append(f"{names[int(other < one)]} is nearer the start by its norm gains (spread {spread})")
    if 0 < min(depths) < max(depths):
        fewer = int(depths[1] < depths[0])
        clauses.append(f"{names[fewer]} has fewer layers ({depths[fewer]}, not {depths[1 - fewer]})")
    one, other = zero_share(first), zero_share(second)
    if one is not None and other is not None and abs(one - other) > NOTHING:
        share = f"{max(one, other):.1%}, not {min(one, other):.1%}"
        clauses.append(f"{names[int(other > one)]} has more weights of exactly 0 ({share})")
    for small, large, called in ((first, second, names), (second, first, names[::-1])):
        if tokens_within(small, large):
            clauses.append(f"the tokens of {called[0]} are among those of {called[1]}")
    return tuple(clauses)


def _gain(name: str, values: np.ndarray) -> bool:
    return name.startswith("gains.") and bool(np.isfinite(values).any())
