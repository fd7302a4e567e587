"""The table of traits says which disguises change each of them, and tests by label look at none that a free change gives
away."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from kinprint.fingerprints.trait_table import TRAITS, describe
from kinprint.methods import known
from kinprint.transforms import known as transforms
from kinprint.zoo.free_changes import COMPOSED, changes

LEFT = {"rotate", "split", "split-heads", "scale-stream", "flip", "permute"}
"""What may change traits that tests by label use: rotations leave no labels, split neurons and heads are joined, a factor of
the whole stream is one for all units of a layer, signs are not looked at, and the first expert of a layer is another one if
experts change places."""


@pytest.fixture(scope="module")
def measured() -> Mapping[str, frozenset[str]]:
    return changes()


def test_the_table_says_what_was_measured(measured: Mapping[str, frozenset[str]]) -> None:
    """Of every trait that random models of five families have."""
    told = {trait.pattern: frozenset(trait.depends) for trait in TRAITS}
    assert {pattern: sorted(by) for pattern, by in measured.items()} == {name: sorted(told[name]) for name in measured}


def test_no_other_transform_is_named() -> None:
    disguises = {name for name, transform in transforms().items() if transform.kind == "disguise"} - set(COMPOSED)
    assert {name for trait in TRAITS for name in trait.depends} <= disguises


def test_what_the_tests_by_label_use(measured: Mapping[str, frozenset[str]]) -> None:
    """Full fingerprints: spectra, invariants, experts and channels; nothing that gains, scales or maps inside heads change."""
    for name in ("channels", "heads", "neurons", "experts", "routers"):
        method = next(method for method in known() if method.name == name)
        needs = [trait for need in method.needs for trait in ((need,) if isinstance(need, str) else need)]
        for trait in needs:
            described = describe(trait)
            if (
                described is not None
                and described.pattern in measured
                and not trait.startswith(("gains.", "leading.", "errors."))
            ):
                assert measured[described.pattern] <= LEFT, trait
