"""The methods, one file each. A new file that defines METHOD is found, listed and run; nothing else names it.

A method is a `Test`, which decides, or a `Score`, which describes. Its `run` gives a `Finding`; signed with the name of the
method that is `Evidence`. Nothing outside this package imports the module of a method.
"""

from __future__ import annotations

import sys
from functools import cache

from kinprint import discovery
from kinprint.methods._method import (
    Evidence,
    Finding,
    FromExpert,
    Kind,
    LayerMaps,
    Method,
    Score,
    SingleExperts,
    SingleLayers,
    Test,
)

__all__ = [
    "Evidence",
    "Finding",
    "FromExpert",
    "Kind",
    "LayerMaps",
    "Method",
    "Score",
    "SingleExperts",
    "SingleLayers",
    "Test",
    "known",
    "tests",
]


@cache
def known() -> tuple[Method, ...]:
    """Every method: ours and those of installed packages (entry points `kinprint.methods`), tests first, by name."""
    ours = [module.METHOD for module in discovery.modules(sys.modules[__name__])]
    return tuple(sorted([*ours, *discovery.installed("methods")], key=lambda m: (m.kind != "test", m.name)))


def tests(*, deep: bool = False) -> tuple[Test, ...]:  # noqa: PT028 - no test of pytest's
    """The tests that fingerprints are enough for, or with `deep` those that need both checkpoints."""
    return tuple(method for method in known() if isinstance(method, Test) and method.deep == deep)
