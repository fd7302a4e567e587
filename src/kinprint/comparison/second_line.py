"""A second line: a test by label is checked against values that do not depend on the order of units.

Strangers whose units are sorted by one measure, or by one tool with one seed, agree by label in that measure and in nothing
else. Descendants agree in everything. If the label evidence is so strong that agreement in the rest would have been seen, and
was not, the two contradict each other, and the label evidence is set aside. This can only take claims away.
"""

from __future__ import annotations

import math

from kinprint.errors import NotApplicable
from kinprint.fingerprints import Fingerprint
from kinprint.methods import Evidence, Method, Test
from kinprint.statistics import detectable

FIRED = -5.0
"""log10 p up to which a test is checked."""

NOTHING = -2.0
"""log10 p above which the second answer counts as nothing."""

WEAKER = 3.0
"""The two contradict if even an effect so many times weaker than the first would have been seen the second time."""


def contradiction(item: Evidence, method: Method, models: tuple[Fingerprint, Fingerprint]) -> str:
    """Why the evidence of a test by label is set aside; empty if nothing contradicts it."""
    if (
        not isinstance(method, Test)
        or method.beyond is None
        or not item.decides
        or item.log10_p is None
        or item.log10_p > FIRED
    ):
        return ""
    try:
        again = method.beyond(*models)
    except NotApplicable:
        return ""
    if again is None or not math.isfinite(again.resolution) or item.resolution is None or item.statistic is None:
        return ""
    expected = item.statistic * item.resolution
    if again.log10_p <= NOTHING or WEAKER * detectable(again.resolution, 10**NOTHING) > expected:
        return ""
    return (
        f"The {method.name} stand in the same order, yet they are not the same {method.name}: sorted alike, disguised with one "
        "seed, or fitted on purpose."
    )
