"""What the entries cannot tell about how models were combined, and why, in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kinprint.library.merges.combination import Data, roundings
from kinprint.library.merges.merge_kinds import Account, excess

DIRECTION = "This does not say which of the two came first."
MEAN = "A weighted mean of these models and task arithmetic from one of them are the same sum: it cannot tell which was meant."
PARALLEL = "Slerp would look like a weighted mean here: tensors of the two models are so nearly parallel that both round alike."
CORNERS = (
    "Any of these models as base gives the same numbers; the one nearest to all others is shown. If coefficients are one, "
    "each of the models, and the suspect, is a combination of the others."
)
BEYOND = "One coefficient exceeds 1: the suspect was extrapolated, or that model was mixed from the suspect and the other."
REMAINDER = "More than rounding is left: training or quantisation after the merge, or a part that is not among the candidates."


def not_told(names: Sequence[str], data: Data, chosen: Account, exact: bool) -> tuple[str, ...]:
    """Sentences for whoever reads an account."""
    pair = len(names) == 2
    holds_of = {
        DIRECTION: chosen.kind == "single",
        MEAN: chosen.kind == "linear" and not pair,
        PARALLEL: chosen.kind == "linear" and pair and not _bends(data, chosen),
        CORNERS: chosen.kind == "task-arithmetic" and not pair,
        BEYOND: chosen.kind == "task-arithmetic" and pair,
        REMAINDER: not exact,
    }
    return tuple(sentence for sentence, holds in holds_of.items() if holds)


def _bends(data: Data, chosen: Account) -> bool:
    """Whether slerp of the two models would differ from their mean by more than the remainder."""
    bend = excess(data, chosen.chosen, float(chosen.coefficients[1]))[data.places.tensor] * data.y
    return roundings(data, bend) > max(roundings(data, np.where(np.isfinite(bend), chosen.remainder, np.nan)), 1.0)
