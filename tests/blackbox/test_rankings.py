"""Orders of tokens that a head can make, and those that it cannot."""

from __future__ import annotations

import numpy as np
import pytest

from kinprint.blackbox.output_heads import OutputHead
from kinprint.blackbox.rankings import TOLERANCE, slack


def _head(seed: int, tokens: int = 400, hidden: int = 8) -> OutputHead:
    return OutputHead("head", np.random.default_rng(seed).normal(size=(tokens, hidden)).astype(np.float32))


def _order(head: OutputHead, seed: int) -> np.ndarray:
    return np.argsort(-(head.rows @ np.random.default_rng(seed).normal(size=head.hidden)))


@pytest.mark.parametrize("length", [3, 20, 40])
def test_a_head_can_make_its_own_orders(length: int) -> None:
    head = _head(1)
    assert 0 <= slack(head, _order(head, 2)[:length]) <= 1 / (length - 1) + 1e-9


def test_another_head_cannot_once_the_order_is_long() -> None:
    """Of 8 numbers, an order of 3 tokens can be anything, one of 40 cannot."""
    head, other = _head(1), _head(3)
    ranking = _order(other, 2)
    assert slack(head, ranking[:3], others=False) == pytest.approx(0.5)
    assert slack(head, ranking[:40]) < -TOLERANCE


def test_tokens_that_are_not_in_the_order_count_too() -> None:
    """The same order is possible while nothing is said of the other tokens, and not if they must be less likely."""
    head = _head(1)
    ranking = _order(head, 2)[-5:]  # the least likely tokens, in an order that the head makes
    assert slack(head, ranking, others=False) > 0
    assert slack(head, ranking) <= slack(head, ranking, others=False)


def test_few_tokens_are_looked_at_and_none_forgotten() -> None:
    """The programme grows by the tokens that are out of order: the same as with all of them at once."""
    head = _head(5, tokens=1500, hidden=6)
    ranking = _order(head, 6)[:12]
    rest = np.setdiff1d(np.arange(1500), ranking)
    whole = OutputHead("head", head.rows[np.r_[ranking, rest[:250]]])
    assert slack(head, ranking) <= slack(whole, np.arange(12)) + 1e-9


def test_a_bias_helps_and_is_not_turned_around() -> None:
    """Equal rows cannot be ordered but by the bias, and only as it says."""
    head = OutputHead("head", np.ones((5, 2), np.float32), np.arange(5, 0, -1).astype(np.float32))
    assert slack(head, np.arange(4)) > 0
    assert np.isnan(slack(head, np.arange(4)[::-1]))
