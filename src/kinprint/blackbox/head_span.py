"""head-span: is the output head behind an API that of a checkpoint?

Two answers are possible. `same-head`: what the checkpoint's head cannot explain of the suspect's log-probabilities is smaller
than another head would leave (`kinprint.blackbox.span`). `refuted`: it leaves more than any rounding could, or the suspect has
put tokens in an order that no hidden state gives under this head (`kinprint.blackbox.rankings`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from kinprint.arrays import Int64s
from kinprint.blackbox.asking import Asker
from kinprint.blackbox.output_heads import OutputHead
from kinprint.blackbox.rankings import TOLERANCE, slack
from kinprint.blackbox.result import BlackBoxResult
from kinprint.blackbox.span import FLOOR, Reading, Unexplained, unexplained
from kinprint.blackbox.top_tokens import Tell, TopTokens, chosen, top_tokens
from kinprint.errors import NotApplicable
from kinprint.terms import ALPHA, BlackBoxVerdict

TEST = "head-span"

PRECISION = 0.02
"""Share of the spread that is more than rounding leaves: logits in bfloat16 leave 0.3 %, a head rounded to 8 bits 0.1 %."""

ELLIPSE = 0.02
"""Largest relative difference between the lengths of hidden states behind one norm."""

MORE = 64
"""Tokens of an order beyond twice the hidden size: further ones say nothing new."""

RANKINGS = 4
"""Orders that are tried: one that cannot be made is enough."""

NULL = (
    f"the suspect has another head: in every direction that the reference's head does not reach, its log-probabilities have a "
    f"part of their own, normal with a deviation of at least {FLOOR:.0%} of their spread, at whatever place."
)

CANNOT_SHOW = (
    "whether anything but the head is the reference's: a head that was frozen in training, or copied with the embeddings under "
    "new layers, is the same head.",
    "whether a refuted suspect descends from the reference: a head that was trained on is another head.",
    "whether the reference is genuine: a head can be read off an API and presented as one's own. Only an earlier commitment "
    "shows who had it first.",
)


def head_span(
    head: OutputHead,
    asking: Asker,
    prompts: Sequence[str],
    *,
    order_alone: bool = False,
    alpha: float = ALPHA,
    tell: Tell = lambda questions: None,
) -> BlackBoxResult:
    """Test whether a model that only answers has this output head.

    Args:
        head: the reference's.
        asking: the suspect.
        prompts: what log-probabilities are asked behind.
        order_alone: use the order of tokens and not the values, as if the server gave no more.
        alpha: largest p-value that is called the same head.
        tell: called with questions before they are asked.

    Returns:
        `same-head`, `refuted`, `no-evidence`, or `untestable` with the reason.

    Raises:
        ObservationError: the suspect cannot be reached or run.
    """
    try:
        found = top_tokens(head, asking, prompts, tell)
    except NotApplicable as reason:
        return _result(head, asking, "untestable", f"{asking.name} {reason}.")
    if found.faults:
        return _result(head, asking, "untestable", f"{asking.name} is no witness: {'; '.join(found.faults)}.")
    left = [] if order_alone or head.bent else unexplained(head, [chosen(head, reading) for reading in found.readings])
    if left and all(math.isfinite(each.share) for each in left):
        return _from_values(head, asking, found, left, alpha)
    return _from_orders(head, asking, found)


def _from_values(
    head: OutputHead, asking: Asker, found: TopTokens, left: Sequence[Unexplained], alpha: float
) -> BlackBoxResult:
    shares = np.array([each.share for each in left])
    log10_p = max(each.log10_p for each in left)
    directions = min(each.directions for each in left)
    statistics: dict[str, float | int | str | None] = {
        "prompts": len(left),
        "directions": directions,
        "unexplained": float(shares.max()),
        "unexplained, median": float(np.median(shares)),
    }
    name = asking.name
    inside = [each.log10_p <= math.log10(alpha) for each in left]
    if log10_p <= math.log10(alpha):
        statistics |= _ellipse(left)
        sentence = (
            f"{name} has the output head of {head.name}: the head leaves at most {shares.max():.2g} of the spread of the "
            f"suspect's log-probabilities unexplained, in {directions} directions; another head would leave {FLOOR:.0%} or "
            "more in each. That says nothing of the layers in front of it."
        )
        return _result(head, asking, "same-head", sentence, log10_p, statistics, found.notes)
    if shares.max() > PRECISION and any(inside):
        sentence = (
            f"{name} is no witness: {sum(inside)} of {len(inside)} answers come from the head of {head.name}, the others do "
            "not, so more than one model answers."
        )
        return _result(head, asking, "untestable", sentence, None, statistics, found.notes)
    if shares.max() > PRECISION:
        sentence = (
            f"{name} does not serve the output head of {head.name}: no hidden state gives these log-probabilities, up to "
            f"{PRECISION:.0%} of their spread ({shares.max():.2g} is left). A descendant whose head was trained on is refuted "
            "too, and so is a server that bends probabilities (penalties, noise) or a head rounded to 4 bits."
        )
        return _result(head, asking, "refuted", sentence, None, statistics, found.notes)
    sentence = (
        f"What the head of {head.name} leaves of the answers of {name} is more than rounding leaves and less than another head "
        "would: it may be a coarsely rounded copy of the head, or one that was hardly trained on."
    )
    return _result(head, asking, "no-evidence", sentence, log10_p, statistics, found.notes)


def _ellipse(left: Sequence[Unexplained]) -> dict[str, float | int | str | None]:
    """Whether the hidden states are as long as the reference's final norm makes them, and the temperature that this shows."""
    scales = np.array([each.scale for each in left])
    if not np.isfinite(scales).all() or not scales.all():
        return {}
    middle = float(np.median(scales))
    on = float(np.ptp(scales)) <= ELLIPSE * middle
    return {"states behind the reference's norm": "yes" if on else "no", "temperature": 1 / middle if on else None}


def _from_orders(head: OutputHead, asking: Asker, found: TopTokens) -> BlackBoxResult:
    name = asking.name
    orders = [order(head, reading) for reading in found.readings[:RANKINGS]]
    slacks = [slack(head, each, others=found.readings[i].ranked > 0) for i, each in enumerate(orders) if len(each) > 2]
    solved = [value for value in slacks if math.isfinite(value)]
    if not solved:
        return _result(head, asking, "untestable", f"{name} gives no order of tokens that could be tested.", notes=found.notes)
    listed = max(map(len, orders))
    statistics: dict[str, float | int | str | None] = {
        "orders": len(solved),
        "tokens in order": listed,
        "smallest gap": min(solved),
    }
    if min(solved) < -TOLERANCE:
        sentence = (
            f"{name} does not serve the output head of {head.name}: no hidden state puts its tokens in this order, unless some "
            f"pair is out of order by {-min(solved):.2g} of the range. A descendant whose head was trained on is refuted too."
        )
        return _result(head, asking, "refuted", sentence, None, statistics, found.notes)
    few = f" With {listed} tokens and a hidden size of {head.hidden}, hardly any order could." if listed < head.hidden else ""
    sentence = f"The orders that {name} gives can be made by the output head of {head.name}, which refutes nothing.{few}"
    return _result(head, asking, "no-evidence", sentence, None, statistics, found.notes)


def order(head: OutputHead, reading: Reading) -> Int64s:
    """Tokens from the likeliest down, no more than twice the hidden size; none where all are equally likely."""
    if float(np.ptp(reading.values)) < 1e-6:
        return np.zeros(0, dtype=np.int64)
    return reading.ids[np.argsort(-reading.values, kind="stable")][: 2 * head.hidden + MORE]


def _result(
    head: OutputHead,
    asking: Asker,
    verdict: BlackBoxVerdict,
    sentence: str,
    log10_p: float | None = None,
    statistics: Mapping[str, float | int | str | None] | None = None,
    notes: Sequence[str] = (),
) -> BlackBoxResult:
    return BlackBoxResult.of(
        asking,
        test=TEST,
        reference=head.name,
        verdict=verdict,
        sentence=sentence,
        null=NULL,
        log10_p=log10_p,
        statistics=statistics,
        cannot_show=CANNOT_SHOW,
        notes=notes,
    )
