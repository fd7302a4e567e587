"""What every method owes its caller: a description, and an answer to any two models, whatever they lack or hold."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from methods import tiny_weights

from kinprint import Fingerprint, fingerprint
from kinprint.architectures import Place
from kinprint.architectures.weights import Weights
from kinprint.fingerprints.trait_table import describe
from kinprint.methods import Method, known
from kinprint.methods._method import Evidence

MODELS = Path(__file__).parents[2] / "examples" / "models"
EXAMPLES = 30
"""Pairs tried for each method."""

FFN = ("gate", "up", "down")
by_name = {"ids": lambda method: method.name}


def part_of_it(array: np.ndarray) -> np.ndarray:
    """Every third value missing."""
    spoiled = np.array(array, dtype=np.float64)
    spoiled.reshape(-1)[::3] = np.nan
    return spoiled


SPOILED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "all missing": lambda array: np.full(array.shape, np.nan),
    "some missing": part_of_it,
    "a layer missing": lambda array: np.concatenate([np.full(array[:1].shape, np.nan), array[1:]]),
    "zero": np.zeros_like,
    "equal": np.ones_like,
    "in reverse": lambda array: array[::-1].copy(),
    "negative": lambda array: -array,
    "large": lambda array: array * 1e3,
    "tiny": lambda array: array * 1e-3,
}
"""What becomes of a trait, or of a matrix."""

CHANGES = st.dictionaries(st.integers(0, 99), st.sampled_from([None, *SPOILED]), max_size=6)
"""Which trait, counted round, is changed how; None takes it away."""

SIZES = st.dictionaries(st.sampled_from(["layers", "hidden", "neurons", "heads"]), st.integers(1, 5), max_size=2)
"""So many of the units of a kind are left."""


@cache
def whole(name: str) -> Fingerprint:
    return fingerprint(MODELS / name, cache=False)


def spoiled(name: str, needed: list[str], changes: dict[int, str | None], sizes: dict[str, int]) -> Fingerprint:
    """A shipped model of which units, and some of the traits that a method needs, are changed or gone."""
    traits = {trait: cut(trait, array, sizes) for trait, array in whole(name).traits.items()}
    for number, change in changes.items():
        trait = needed[number % len(needed)]
        if change is None:
            traits.pop(trait, None)
        elif trait in traits and np.issubdtype(traits[trait].dtype, np.floating):
            with np.errstate(all="ignore"):
                traits[trait] = SPOILED[change](traits[trait])
    return Fingerprint(name, traits, whole(name).facts)


def cut(trait: str, array: np.ndarray, sizes: dict[str, int]) -> np.ndarray:
    """The first so many of the units that are counted along the axes of a trait."""
    described = describe(trait)
    assert described is not None
    names = next(axes for axes in described.shapes if len(axes) == array.ndim)
    return array[tuple(slice(sizes.get(str(axis))) for axis in names)]


def require_answer(method: Method, evidence: Evidence) -> None:
    """A number and, of a test, a p-value that is one; or the reason why there is none."""
    assert (evidence.method, evidence.kind) == (method.name, method.kind)
    json.dumps(evidence.to_json(), allow_nan=False)
    if not evidence.applies:
        assert evidence.note.startswith("Does not apply: ")
        assert len(evidence.note) > len("Does not apply: .")
        assert evidence.log10_p is None
    elif method.kind == "test":
        assert evidence.log10_p is not None
        assert evidence.log10_p <= 0
    else:
        assert evidence.log10_p is None


@pytest.mark.parametrize("method", known(), **by_name)
def test_every_method_describes_itself(method: Method) -> None:
    """A summary, a source and what a reader must know."""
    assert method.summary
    assert method.source
    assert method.caveat


@pytest.mark.parametrize("method", known(), **by_name)
def test_without_anything_it_does_not_apply(method: Method) -> None:
    """Two models without its traits or matrices: it says what is missing."""
    facts = {"num_hidden_layers": 1, "hidden_size": 4}
    empty = Weights("empty", "empty", facts, {}, {}) if method.deep else Fingerprint("empty", {"nothing": np.ones(4)})
    evidence = method(empty, empty)
    require_answer(method, evidence)
    assert not evidence.applies


def trait_names(method: Method) -> list[str]:
    return [name for need in method.needs for name in ((need,) if isinstance(need, str) else need)]


@pytest.mark.parametrize("method", [method for method in known() if not method.deep], **by_name)
def test_no_fingerprint_breaks_a_method(method: Method) -> None:
    """Missing, spoiled and mismatched traits, of either model and of both, give evidence or a reason."""
    names = sorted({*whole("base").traits, *trait_names(method)})
    needed = [name for name in trait_names(method) if name in whole("base").traits] or names

    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(["base", "finetune", "twin"]), st.tuples(CHANGES, CHANGES), st.tuples(SIZES, SIZES))
    def tried(suspect: str, changes: tuple[dict[int, str | None], ...], sizes: tuple[dict[str, int], ...]) -> None:
        pair = [spoiled(name, needed, *each) for name, *each in zip(("base", suspect), changes, sizes, strict=True)]
        require_answer(method, method(*pair))

    tried()


@pytest.mark.parametrize("method", [method for method in known() if method.deep], **by_name)
def test_no_weights_break_a_method(method: Method) -> None:
    """Missing, spoiled and mismatched matrices, of either model and of both, give evidence or a reason."""
    sizes = {"layers": st.integers(1, 3), "gated": st.booleans(), "norm": st.just("layer"), "experts": st.just(2)}
    shapes = st.fixed_dictionaries({}, optional=sizes | {"hidden": st.just(12), "neurons": st.just(7)})

    def changed(shape: dict[str, Any], changes: dict[int, str | None]) -> Weights:
        model = tiny_weights.model(0, **shape)
        places = sorted(model.parts, key=str)
        arrays: dict[Place, Any] = {}
        for number, how in changes.items():
            place = places[number % len(places)]
            if how is not None:
                arrays[place] = SPOILED[how](model.parts[place].read())
            else:  # a layer has all matrices of an FFN or none
                roles = FFN if place[1] in FFN else (place[1],)
                arrays |= {other: None for other in places if other[0] == place[0] and other[1] in roles}
        return tiny_weights.changed(model, arrays)

    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(shapes=st.tuples(shapes, shapes), changes=st.tuples(CHANGES, CHANGES))
    def tried(shapes: tuple[dict[str, Any], ...], changes: tuple[dict[int, str | None], ...]) -> None:
        require_answer(method, method(*(changed(shape, each) for shape, each in zip(shapes, changes, strict=True))))

    tried()
