"""Could this head have put tokens in this order? A linear programme: one order that it cannot make refutes the head.

An order of the k most likely tokens asks for a hidden state h with rows[first] @ h > rows[second] @ h > ... > rows[k-th] @ h,
and this larger than rows[t] @ h for every other token t. Temperature changes no order. If k is much smaller than the hidden
size, every order can be made; docs/black-box-heads.md says what k refutes.

Source: Finlayson, Grivas, Ren, Swayamdipta, Token Rankings are Unforgeable Language Model Signatures, arXiv 2606.04459.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import linprog

from kinprint.arrays import Float64s, Int64s
from kinprint.blackbox.output_heads import OutputHead

TOLERANCE = 0.01
"""What two logits may be out of order, as a share of the range from the first to the last: near ties of logits in bfloat16."""

STEP = 256
"""Other tokens that are added at once, those that are most out of order first."""


def slack(head: OutputHead, ranking: Int64s, *, others: bool = True) -> float:
    """How well an order can be made: the largest smallest gap, as a share of the range from first to last.

    Args:
        ranking: (k,) tokens, the most likely first; at least 3.
        others: whether all other tokens are less likely than the last.

    Returns:
        at most 1 / (k - 1). Below 0 the order cannot be made; -0.02 says that some pair has to be out of order by 2 % of the
        range. NaN where the programme was not solved.
    """
    rows = head.rows if head.bias is None else np.concatenate([head.rows, head.bias[:, None]], axis=1)
    chosen = rows[ranking].astype(np.float64)
    gaps, span = chosen[:-1] - chosen[1:], chosen[0] - chosen[-1]
    if not span.any():
        return math.nan
    rest = np.setdiff1d(np.arange(len(rows)), ranking) if others else np.zeros(0, dtype=np.int64)
    used = np.zeros(0, dtype=np.int64)
    while True:
        below = chosen[-1] - rows[used].astype(np.float64)
        found = _largest_gap(np.concatenate([gaps, below]), span, free=head.hidden)
        if found is None:
            return math.nan
        state, gap = found
        if gap < 0 or len(used) == len(rest):  # more tokens only make it smaller
            return gap
        missing = np.setdiff1d(rest, used)
        over = rows[missing] @ state - (float(chosen[-1] @ state) - gap)
        worst = missing[np.argsort(-over, kind="stable")[:STEP]]
        if over.max() <= 1e-9:
            return gap
        used = np.concatenate([used, worst])


def _largest_gap(differences: Float64s, span: Float64s, free: int) -> tuple[Float64s, float] | None:
    """max g over h with differences @ h >= g and span @ h = 1, and the h; what a bias is scaled by is not negative."""
    size = differences.shape[1]
    bounds = [(None, None) if column < free else (0, None) for column in range(size)] + [(None, None)]
    solved = linprog(
        np.r_[np.zeros(size), -1.0],
        A_ub=np.concatenate([-differences, np.ones((len(differences), 1))], axis=1),
        b_ub=np.zeros(len(differences)),
        A_eq=np.r_[span, 0.0][None],
        b_eq=[1.0],
        bounds=bounds,
        method="highs",
    )
    return (np.asarray(solved.x[:size]), float(solved.x[size])) if solved.status == 0 else None
