"""What the entries cannot tell about how models were combined, and why, in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kinprint.library.merges.account import Account
from kinprint.library.merges.combination import Data, roundings
from kinprint.library.merges.merge_kinds import excess

DIRECTION = "This does not say which of the two came first."
MEAN = "A weighted mean of these models and task arithmetic from one of them are the same sum: it cannot tell which was meant."
PARALLEL = "Slerp would look like a weighted mean here: tensors of the two models are so nearly parallel that both round alike."
CORNERS = (
    "Any of these models as base gives the same numbers; the one nearest to all others is shown. If coefficients are one, "
    "each of the models, and the suspect, is a combination of the others."
)
BEYOND = "One coefficient exceeds 1: the suspect was extrapolated, or that model was mixed from the suspect and the other."
REMAINDER = "More than rounding is left: training or quantisation after the merge, or a part that is not among the candidates."
NOISE = (
    "More than rounding is left. Coefficients are the same in all tensors, and no other relative speaks for what is left: "
    "noise, rounding to few bits or a random drop look so, and a part that resembles no candidate."
)
TRAINED = (
    "More than rounding is left. Tensors differ by more than their errors, or other relatives speak for what is left: training "
    "after the merge, or a part that is missing among the candidates; which of the two cannot be told. Standard errors hold "
    "the difference."
)
UNEVEN = -3.0
"""log10 p of tensors with the same coefficients below which they differ."""

SCATTER = 0.02
"""Deviation between tensors that is worth words."""


def not_told(names: Sequence[str], data: Data, chosen: Account, exact: bool) -> tuple[str, ...]:
    """Sentences for whoever reads an account."""
    pair = len(names) == 2
    holds_of = {
        DIRECTION: chosen.kind == "single",
        MEAN: chosen.kind == "linear" and not pair,
        PARALLEL: chosen.kind == "linear" and pair and not _bends(data, chosen),
        CORNERS: chosen.kind == "task-arithmetic" and not pair,
        BEYOND: chosen.kind == "task-arithmetic" and pair,
        REMAINDER: not exact and chosen.kind not in ("linear", "task-arithmetic"),
    }
    return tuple(sentence for sentence, holds in holds_of.items() if holds)


def left_out(share: float) -> str:
    """Entries that are the base's own."""
    return (
        f"{share:.0%} of the entries are a base's own although every part differs from it there: differences were dropped, as "
        "DARE, DELLA, Breadcrumbs, SCE and TIES do."
    )


def alike(name: str, inflation: float) -> str:
    """Parts that can hardly be told from each other."""
    return f"{name} is nearly a combination of the other parts: that makes its standard error {inflation:.0f} times as large."


def _bends(data: Data, chosen: Account) -> bool:
    """Whether slerp of the two models would differ from their mean by more than the remainder."""
    bend = excess(data, chosen.chosen, float(chosen.coefficients[1]))[data.places.tensor] * data.y
    return roundings(data, bend) > max(roundings(data, np.where(np.isfinite(bend), chosen.remainder, np.nan)), 1.0)
