"""Habits of labels: hard negatives for the tests by index, which take the labels of units for a random order.

Two models that share a habit, and nothing else, are unrelated; each file here makes some habits from models without. A new
public file that defines HABITS is found.

    >>> from kinprint.zoo import habits
    >>> one, other = (habits.known()["neurons-sorted"](habits.stranger("llama", seed), seed) for seed in (0, 1))
    >>> prints = habits.measured(one, "one"), habits.measured(other, "other")
"""

from __future__ import annotations

import sys
from functools import cache

from kinprint import discovery
from kinprint.zoo.habits._habit import LabelHabit
from kinprint.zoo.habits._strangers import FAMILIES, measured, stranger


@cache
def known() -> dict[str, LabelHabit]:
    """Every habit by name."""
    return {habit.name: habit for module in discovery.modules(sys.modules[__name__]) for habit in module.HABITS}


__all__ = ["FAMILIES", "LabelHabit", "known", "measured", "stranger"]
