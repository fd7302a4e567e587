"""Traits in folded form: what a network's function leaves open does not change them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from kinprint import Fingerprint
from kinprint.architectures import Part, Place
from kinprint.architectures.roles import norms_before
from kinprint.methods import known
from kinprint.transforms import Model
from kinprint.transforms import known as transforms
from kinprint.transforms._model import changed, generator, scaled, widened
from kinprint.zoo import habits
from kinprint.zoo.families import SHAPES

SHAPE = replace(SHAPES["tiny"], hidden=128)
"""Heads of 16 dimensions, of which GPT-NeoX rotates 4."""

KEPT = {"heads.qk_spectrum": 1e-4, "heads.vo_spectrum": 1e-4, "neurons.invariants": 1e-4, "neurons.forms": 2e-3}
KEPT |= {f"channels.{role}": 1e-4 for role in ("q", "k", "v", "o", "up", "down")} | {"embedding.input": 1e-4}
"""Traits and how far rounding may change them."""


def shifted(model: Model, seed: int = 0) -> Model:
    """The model with a multiple of the vector of ones added to every row that reads a LayerNorm, gains taken into account, and
    to every column that writes into the residual stream."""

    def shift(place: Place, part: Part) -> Part:
        if len(part.axes) != 2 or "residual" not in part.axes:
            return part
        residual = part.axes.index("residual")
        lines = part.shape[1 - residual]
        size = generator(seed, *map(str, place)).normal(0, 1, lines)
        ones = np.ones(part.shape[residual])
        for norm in norms_before(part.role)[:1]:
            ones = 1 / widened(model.parts[None if norm == "final" else place[0], f"gains.{norm}", None].read())

        def add(array: np.ndarray) -> np.ndarray:
            rows = np.outer(size, ones) if residual == 1 else np.outer(ones, size)
            return np.asarray(array + (0.1 * rows).astype(array.dtype))

        return changed(part, add)

    return model.each(shift)


def heads_scaled(model: Model) -> Model:
    """The model with every head of queries and keys multiplied by a factor of its own."""

    def scale(place: Place, part: Part) -> Part:
        if part.role not in ("q", "k"):
            return part
        factors = np.exp(generator(0, *map(str, place)).normal(0, 1, part.shape[0] // model.head_dim))
        return scaled(part, 0, np.repeat(factors, model.head_dim))

    return model.each(scale)


def with_qk_norm(model: Model) -> Model:
    """The model with norms on queries and keys."""
    parts = {}
    for layer in range(model.layers):
        for role in ("gains.q", "gains.k"):
            gain = generator(1, layer, role).uniform(0.5, 2, model.head_dim).astype(np.float32)
            like = model.parts[layer, "gains.input", None]
            parts[layer, role, None] = Part(
                role, layer, None, ("free",), gain.shape, like.dtype, f"{layer}.{role}", lambda gain=gain: gain
            )
    return model.updated(parts)


def measured(model: Model, name: str) -> Fingerprint:
    """Traits of the parts of a model, whatever its file could say."""
    from kinprint.architectures import Anatomy
    from kinprint.checkpoints import Checkpoint
    from kinprint.fingerprints.measure import measure

    order = sorted(model.parts.values(), key=lambda p: (p.layer is None, p.layer or 0, p.role, p.expert or 0))
    anatomy = Anatomy(model.table.family, model.facts, tuple(order))
    found = measure(Checkpoint(name, name, {}, {}), anatomy, threads=1)
    return Fingerprint(name, found.traits, found.facts)


def assert_kept(one: Fingerprint, other: Fingerprint, tolerances: dict[str, float]) -> None:
    for name, tolerance in tolerances.items():
        a, b = (np.asarray(model.traits[name], np.float64) for model in (one, other))
        near = np.isclose(a, b, rtol=tolerance, atol=tolerance * float(np.nanmax(np.abs(a))), equal_nan=True)
        assert near.mean() > (0.99 if name == "neurons.forms" else 0.9999), name  # neurons of nearly one weight change places


@pytest.mark.parametrize("family", ["gpt2", "gpt_neox"])
def test_the_mean_over_channels_counts_for_nothing_behind_layernorms(family: str) -> None:
    one = habits.stranger(family, 1)
    assert_kept(measured(one, "one"), measured(shifted(one), "shifted"), KEPT)


def test_a_shift_along_the_mean_does_not_hide_a_copy() -> None:
    """`matched-writes` finds a noisy copy as well after the shift as before."""
    parent = habits.stranger("gpt_neox", 1)
    child = transforms()["noise"](parent, amount=0.1, seed=5)
    method = next(method for method in known() if method.name == "matched-writes")
    reference = measured(parent, "parent")
    plain, moved = (method(reference, measured(model, "child")).log10_p for model in (child, shifted(child)))
    assert plain is not None
    assert moved is not None
    assert plain < -20
    assert moved < 0.9 * plain


def test_the_size_of_normed_queries_and_keys_counts_for_nothing() -> None:
    one = with_qk_norm(habits.stranger("llama", 1))
    assert_kept(measured(one, "one"), measured(heads_scaled(one), "scaled"), KEPT)


@pytest.mark.parametrize("family", ["llama", "gpt2", "gpt_neox", "mixtral"])
@pytest.mark.parametrize("name", ["fold-gains", "mix", "scale"])
def test_disguises_that_keep_labels_change_nothing(family: str, name: str) -> None:
    one = habits.stranger(family, 1, SHAPE)
    options: dict[str, int] = {} if name == "fold-gains" else {"seed": 3}
    disguise: Callable[..., Model] = transforms()[name]
    assert_kept(measured(one, "one"), measured(disguise(one, **options), "copy"), KEPT)
