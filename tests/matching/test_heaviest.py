"""The heaviest neurons of a layer, read in pieces: the same as from whole matrices."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from methods.tiny_weights import changed, model

from kinprint.architectures.weights import Weights
from kinprint.errors import NotApplicable
from kinprint.fingerprints import pieces
from kinprint.matching.heaviest import heaviest, vectors


def folded(weights: Weights, role: str) -> Any:
    """(neurons of all experts, hidden) float64 from whole matrices."""
    parts = [weights.folded(0, role, expert) for expert in weights.experts(0)]
    return np.concatenate([part.T if role == "down" else part for part in parts if part is not None]).astype(np.float64)


@pytest.mark.parametrize(
    "kind", [{}, {"norm": "layer"}, {"experts": 3}, {"gated": False}, {"neurons": 300}], ids=lambda kind: str(kind)
)
def test_pieces_say_what_whole_matrices_say(kind: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "SLAB", 7)
    weights = model(**kind)
    roles = ("gate", "up", "down") if kind.get("gated", True) else ("up", "down")
    rows = {role: folded(weights, role) for role in roles}
    norms = {role: np.linalg.norm(part, axis=1) for role, part in rows.items()}
    order = np.argsort(-np.prod(list(norms.values()), axis=0))
    places, held = heaviest(weights, 0, 12, 5)
    np.testing.assert_array_equal(places, order[:12])
    np.testing.assert_array_equal(held.index, order[:5])
    read = rows.get("gate", rows["up"])
    for found, expected in ((held.reads, read), (held.ups, rows["up"]), (held.downs, rows["down"])):
        units = expected / np.linalg.norm(expected, axis=1, keepdims=True)
        np.testing.assert_allclose(found, units[order[:5]], atol=1e-3)
    np.testing.assert_allclose(held.sizes[:, 1:], np.stack([norms["up"], norms["down"]], axis=1)[order[:5]], rtol=1e-5)
    again = vectors(weights, 0, places[[3, 0, 4]])
    np.testing.assert_array_equal(again.index, places[[3, 0, 4]])
    np.testing.assert_array_equal(again.reads, held.reads[[3, 0, 4]])
    np.testing.assert_array_equal(again.products, held.products[[3, 0, 4]])


def test_signed_products_are_cosines() -> None:
    weights = model()
    gate, up, down = (folded(weights, role) for role in ("gate", "up", "down"))
    _, held = heaviest(weights, 0, 20, 20)
    for column, other in enumerate((up, down)):
        cosines = (gate * other).sum(axis=1) / np.linalg.norm(gate, axis=1) / np.linalg.norm(other, axis=1)
        np.testing.assert_allclose(held.products[:, column], cosines[held.index], atol=1e-5)


def test_experts_that_are_copies_tie_in_order() -> None:
    """Neurons of equal weight: the places and the vectors name the same ones."""
    weights = model(experts=3)
    copies = {(0, role, e): weights.parts[0, role, 0].read() for role in ("gate", "up", "down") for e in (1, 2)}
    places, held = heaviest(changed(weights, copies), 0, 30, 8)
    np.testing.assert_array_equal(held.index, places[:8])


def test_what_is_not_finite_or_zero_is_left_out() -> None:
    weights = model()
    up, down = np.array(weights.parts[0, "up", None].read()), np.array(weights.parts[0, "down", None].read())
    up[3], up[4, 2], down[:, 5] = 0, np.nan, np.inf
    places, held = heaviest(changed(weights, {(0, "up", None): up, (0, "down", None): down}), 0, 20, 20)
    assert set(places) == set(range(20)) - {3, 4, 5}
    assert np.isfinite(held.reads).all()
    without = replace(weights, parts={place: part for place, part in weights.parts.items() if place[1] != "up"})
    assert len(heaviest(without, 0, 20, 20)[0]) == 0


@pytest.mark.parametrize(("role", "cut"), [("gate", np.s_[:3]), ("up", np.s_[:3]), ("down", np.s_[:, :3])])
def test_matrices_that_do_not_fit_each_other(role: str, cut: tuple[slice, ...]) -> None:
    """They are refused before a compiled loop reads beyond the end of one."""
    weights = model()
    with pytest.raises(NotApplicable, match=r"gate, up and down of layer 0 of .* do not fit each other"):
        heaviest(changed(weights, {(0, role, None): np.array(weights.parts[0, role, None].read())[cut]}), 0, 12, 5)
