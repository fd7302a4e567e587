"""A share of cases that are many: of those in a row, and of pairs in which each meets others of the other kind."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TypeVar

import pytest

EVERYTHING = "KINPRINT_TEST_EVERYTHING"
"""Set in the environment to test all cases: half an hour more."""


T = TypeVar("T")


def every(step: int, cases: Iterable[T]) -> list[T]:
    """Every so many-th of some cases, the first among them."""
    return list(cases)[:: 1 if os.environ.get(EVERYTHING) else step]


def a_third(families: Iterable[str], names: Sequence[str], always: Sequence[str] = ()) -> pytest.MarkDecorator:
    """Parameters `family` and `name`: every family with every third name, from another one each; those of `always` with all."""
    pairs = [
        (family, name)
        for number, family in enumerate(families)
        for place, name in enumerate(names)
        if name in always or (number + place) % 3 == 0 or os.environ.get(EVERYTHING)
    ]
    return pytest.mark.parametrize(("family", "name"), pairs)
