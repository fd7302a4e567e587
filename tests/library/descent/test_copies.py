"""Copies that cannot be undone are told from their originals, and sisters from both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from kinprint.fingerprints import Fingerprint
from kinprint.library.descent.arrows import MADE_UP
from kinprint.library.descent.copies import RULES, rule
from kinprint.transforms import Model, known
from kinprint.zoo.families import SHAPES
from kinprint.zoo.habits import measured, stranger

SHAPE = replace(SHAPES["tiny"], layers=4, hidden=64, heads=4, groups=2, neurons=96, vocabulary=128)


def done(model: Model, name: str, **options: object) -> Model:
    return known()[name](model, **options)


@cache
def base() -> Model:
    return stranger("llama", 1, SHAPE)


def noisy(model: Model, seed: int) -> Model:
    """What stands for training: every weight moves."""
    return done(model, "noise", amount=0.02, seed=seed)


ZEROED = {"kind": "magnitude", "amount": 0.4}
MADE: dict[str, Callable[[], Model]] = {
    "entries set to zero": lambda: done(base(), "prune", **ZEROED),
    "layers left out": lambda: done(base(), "prune", kind="depth", amount=0.5),
    "layers or experts repeated": lambda: done(base(), "upscale"),
    "norm gains folded in": lambda: done(base(), "disguise", seed=1, steps="fold-gains,rotate,scale,mix,split,permute"),
}
"""The base as a step leaves it that cannot be undone."""


@cache
def printed(name: str) -> Fingerprint:
    made = {
        "base": base,
        "sister": lambda: noisy(base(), 7),
        "experts": lambda: done(base(), "upcycle", seed=1),
        "trained": lambda: noisy(done(base(), "prune", **ZEROED), 8),
        "permuted": lambda: done(base(), "permute", seed=2),
        "cast": lambda: done(base(), "cast", dtype="bf16"),
        "int8": lambda: done(base(), "quantize", scheme="int8"),
        **MADE,
    }
    return measured(made[name](), name)


def test_an_ancestor_can_be_made_up() -> None:
    """Whoever has a pruned model fills in small numbers where it has zeros: nothing tells the result from an original, so every
    answer with an arrow says it."""
    pruned = printed("entries set to zero")
    rng, traits = np.random.default_rng(0), dict(pruned.traits)
    for name in filter(lambda name: name.startswith("sample."), pruned.traits):
        values = np.array(pruned.traits[name])
        smallest = np.abs(values[values != 0]).min()
        traits[name] = np.where(values == 0, (smallest * rng.uniform(-1, 1, values.shape)).astype(values.dtype), values)
    made_up = Fingerprint("made up", {name: array for name, array in traits.items() if name != "digests"}, pruned.facts)
    assert rule(made_up, pruned) == "entries set to zero"
    assert "make up an ancestor" in MADE_UP


@pytest.mark.parametrize("name", MADE)
def test_a_copy_is_told_from_its_original(name: str) -> None:
    """By its rule alone, in one direction alone, and not from a sister of the original."""
    original, copy, sister = printed("base"), printed(name), printed("sister")
    assert rule(original, copy) == name
    assert rule(copy, original) is None
    assert rule(sister, copy) is None
    assert rule(copy, sister) is None


def test_experts_that_are_copies_of_one_ffn() -> None:
    original, copy = printed("base"), printed("experts")
    assert rule(original, copy) == "layers or experts repeated"
    assert rule(copy, original) is None
    assert rule(printed("sister"), copy) is None


def test_what_was_trained_on_from_zeros() -> None:
    """A child of the zeroed model is near zero where that has zeros; a child of the original, and the original, are not."""
    zeroed = printed("entries set to zero")
    assert rule(zeroed, printed("trained")) == "trained on from zeros"
    assert rule(printed("trained"), zeroed) is None
    assert not any(made(zeroed, printed(other)) for made in RULES.values() for other in ("base", "sister", "int8"))


@pytest.mark.parametrize("other", ["sister", "permuted", "cast", "int8"])
def test_what_does_not_say_is_not_asked(other: str) -> None:
    """A sister, and copies that anybody could take back: no rule speaks, whichever comes first."""
    for pair in ((printed("base"), printed(other)), (printed(other), printed("base"))):
        assert rule(*pair) is None


def test_a_model_with_trained_copies_of_layers_is_no_original() -> None:
    """Layers that were put in between as copies and trained on: the model without them is not a shortened copy."""
    original = base()
    deep = done(original, "upscale")
    inserted = {place: part for place, part in noisy(deep, 3).parts.items() if place[0] in (1, 3)}
    deep = deep.updated(inserted)
    assert measured(deep, "deep").layers == 6
    assert not any(made(measured(deep, "deep"), printed("base")) for made in RULES.values())


def test_fingerprints_without_samples_and_digests() -> None:
    """Nothing to compare: no rule speaks, and none fails."""
    bare = Fingerprint("bare", {"gains.input": np.ones((2, 8), np.float32)}, {})
    assert rule(bare, printed("base")) is None
    assert rule(printed("base"), bare) is None
    assert rule(bare, bare) is None
