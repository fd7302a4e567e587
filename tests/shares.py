"""A share of all pairs of a family and a disguise, in which each meets others of the other kind."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

import pytest

EVERYTHING = "KINPRINT_TEST_EVERYTHING"
"""Set in the environment to test all pairs: half an hour more."""


def a_third(families: Iterable[str], names: Sequence[str], always: Sequence[str] = ()) -> pytest.MarkDecorator:
    """Parameters `family` and `name`: every family with every third name, from another one each; those of `always` with all."""
    pairs = [
        (family, name)
        for number, family in enumerate(families)
        for place, name in enumerate(names)
        if name in always or (number + place) % 3 == 0 or os.environ.get(EVERYTHING)
    ]
    return pytest.mark.parametrize(("family", "name"), pairs)
