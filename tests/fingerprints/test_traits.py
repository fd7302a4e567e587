"""Families of traits on parts built by hand: experts, grouped heads, absent and misshapen parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kinprint.architectures import Anatomy, Part, roles
from kinprint.checkpoints import Checkpoint
from kinprint.errors import FingerprintError
from kinprint.fingerprints import Fingerprint
from kinprint.fingerprints.measure import measure
from kinprint.fingerprints.sample_positions import positions

HIDDEN, NEURONS, EXPERTS = 24, 10, 3
rng = np.random.default_rng(0)


def part(role: str, array: np.ndarray, layer: int | None = 0, expert: int | None = None) -> Part:
    return Part(role, layer, expert, roles.axes(role), array.shape, array.dtype, role, lambda: array)


def measured(parts: list[Part], layers: int = 1, **facts: Any) -> Fingerprint:
    anatomy = Anatomy("by hand", {"num_hidden_layers": layers, **facts}, tuple(parts))
    return measure(Checkpoint("by hand", "nowhere", {}, {}), anatomy)


def ffn(layer: int, expert: int | None, neurons: int = NEURONS) -> list[Part]:
    shapes = {"gate": (neurons, HIDDEN), "up": (neurons, HIDDEN), "down": (HIDDEN, neurons)}
    return [part(role, rng.normal(size=shape).astype(np.float32), layer, expert) for role, shape in shapes.items()]


def test_experts_are_pooled_and_told_apart() -> None:
    """A dense layer first, of another width, then a layer of experts: NaN where a layer has none of it."""
    router = rng.normal(size=(EXPERTS, HIDDEN)).astype(np.float32)
    experts = [ffn(1, expert) for expert in range(EXPERTS)]
    tail = [p for expert in range(EXPERTS) for p in ffn(2, expert)] + [part("router", router, 2)]
    found = measured(
        [*ffn(0, None, 3 * NEURONS), *(p for e in experts for p in e), part("router", router, 1), *tail], layers=3
    ).traits
    gates, ups, downs = (np.stack([e[i].read() for e in experts]).astype(np.float64) for i in range(3))
    np.testing.assert_allclose(found["moments.gate"][1, :2], [gates.mean(), gates.std()], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(found["channels.gate"][1], np.sqrt((gates**2).sum((0, 1))), rtol=1e-5)
    weighted = (downs**2 * (ups**2).sum(2)[:, None]).sum((0, 2))
    np.testing.assert_allclose(found["channels.down"][1], np.sqrt(weighted), rtol=1e-5)
    norms = [np.linalg.norm(router - router.mean(axis=0), axis=1), np.sqrt((gates**2).sum((1, 2)))]
    np.testing.assert_allclose(found["experts.norms"][1], np.stack(norms, axis=1), rtol=1e-5)
    products = np.log(np.linalg.norm(ups, axis=2) * np.linalg.norm(downs, axis=1))
    np.testing.assert_allclose(found["experts.profile"][1, :, 8], np.quantile(products, 0.75, axis=1), rtol=1e-5)
    angles = np.abs((gates * ups).sum(2)) / np.linalg.norm(gates, axis=2) / np.linalg.norm(ups, axis=2)
    np.testing.assert_allclose(found["experts.profile"][1, :, 12], np.quantile(angles, 0.5, axis=1), rtol=1e-4)
    assert np.isnan(found["experts.norms"][0]).all()
    assert np.isnan(found["neurons.norms"][0]).all()  # its width is not the usual one
    np.testing.assert_allclose(found["neurons.norms"][1, :, 1], np.linalg.norm(ups[0], axis=1), rtol=1e-5)
    where = positions("up", (NEURONS, HIDDEN), 256)
    expected = [ups[i % EXPERTS].ravel()[at] for i, at in enumerate(where)]
    np.testing.assert_array_equal(found["sample.up"][1], np.array(expected, np.float32))


def test_ffn_without_a_gate() -> None:
    _, up, down = ffn(0, None)
    found = measured([up, down], activation="gelu").traits
    assert np.isnan(found["neurons.invariants"][0][:, [2, 3]]).all()
    assert np.isfinite(found["neurons.invariants"][0][:, [0, 1, 4]]).all()
    assert np.isnan(found["neurons.norms"][0][:, 0]).all()


@pytest.mark.parametrize(("activation", "degree", "gated"), [("relu", 1, False), ("relu2", 2, False), ("relu", 1, True)])
def test_homogeneous_activations_fix_products_alone(activation: str, degree: int, gated: bool) -> None:
    """What stands in front of such an activation may be multiplied if what stands behind it is divided."""
    parts = ffn(0, None)[0 if gated else 1 :]
    sizes = np.exp(rng.normal(size=NEURONS)).astype(np.float32)
    first = parts[0].read() * sizes[:, None]
    last = parts[-1].read() / sizes**degree
    other = [part(parts[0].role, first), *parts[1:-1], part("down", last)]
    one, two = (measured(each, activation=activation).traits["neurons.invariants"] for each in (parts, other))
    assert np.isnan(one[..., 0]).all()
    assert np.isfinite(one[..., [1, 4]]).all()
    np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)


def test_a_head_that_is_not_finite_is_absent_alone() -> None:
    arrays = {role: rng.normal(size=(16, HIDDEN)).astype(np.float32) for role in ("q", "k", "v")}
    arrays["o"] = rng.normal(size=(HIDDEN, 16)).astype(np.float32)
    arrays["q"][5, 3] = np.inf
    found = measured([part(r, a) for r, a in arrays.items()], num_attention_heads=4, num_key_value_heads=4)
    assert np.isnan(found.traits["heads.qk_spectrum"][0]).any(axis=1).tolist() == [False, True, False, False]
    assert np.isfinite(found.traits["heads.vo_spectrum"]).all()
    assert found.facts["non_finite"] == {"0.q": 1}


def test_heads_that_do_not_divide_are_left_out_with_a_note() -> None:
    q, k = (part(role, rng.normal(size=(rows, HIDDEN)).astype(np.float32)) for role, rows in (("q", 18), ("k", 16)))
    for facts in ({"num_attention_heads": 4, "num_key_value_heads": 2}, {}):
        found = measured([q, k], **facts)
        assert "heads.qk_spectrum" not in found.traits
        assert any("heads.qk_spectrum" in note for note in found.provenance["notes"])


def test_strided_views_change_nothing() -> None:
    """Transposed and fused storage: bit for bit the traits of plain matrices."""
    arrays = {role: rng.normal(size=(16, HIDDEN)).astype(np.float32) for role in ("q", "k", "v")}
    arrays["o"] = rng.normal(size=(HIDDEN, 16)).astype(np.float32)
    facts = {"num_attention_heads": 4, "num_key_value_heads": 4}
    plain = measured([part(role, array) for role, array in arrays.items()], **facts)
    fused = np.stack([arrays[role].reshape(4, 4, HIDDEN) for role in ("q", "k", "v")], axis=1)
    views = {role: np.ascontiguousarray(fused)[:, i].reshape(16, HIDDEN) for i, role in enumerate(("q", "k", "v"))}
    views["o"] = np.asfortranarray(arrays["o"])
    assert measured([part(role, array) for role, array in views.items()], **facts).digest == plain.digest


def test_progress_ends_at_the_total() -> None:
    told: list[tuple[int, int]] = []
    parts = ffn(0, None)
    anatomy = Anatomy("by hand", {"num_hidden_layers": 1}, tuple(parts))
    measure(Checkpoint("x", "x", {}, {}), anatomy, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (3 * NEURONS * HIDDEN * 4,) * 2
    assert told == sorted(told)


def test_nothing_to_measure() -> None:
    with pytest.raises(FingerprintError, match="no tensor plays a known role"):
        measured([])
