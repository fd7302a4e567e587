"""What channels and forms take from the factors of the heads' products, beside the products themselves."""

from __future__ import annotations

import numpy as np
import pytest

from kinprint.architectures import Part
from kinprint.fingerprints.layer import Layer, scan
from kinprint.fingerprints.traits._factors import DIRECTIONS, factors
from kinprint.fingerprints.traits.heads import both_sides

HIDDEN = 96


def layer_of(heads: int, groups: int, width: int, *, twins: bool = False) -> Layer:
    """Queries and keys of random numbers; with `twins` two rows of a key head are equal and one query head is zero."""
    rng = np.random.default_rng(0)
    q, k = (rng.standard_normal((count * width, HIDDEN)).astype(np.float32) for count in (heads, groups))
    if twins:
        k[1], q[:width] = k[0], 0
    parts = [Part(role, 0, None, ("?", "residual"), a.shape, a.dtype, role, a.copy) for role, a in (("q", q), ("k", k))]
    facts = {"hidden_size": HIDDEN, "num_attention_heads": heads, "num_key_value_heads": groups}
    return Layer(0, facts, [scan(part, lambda count: None) for part in parts])


@pytest.mark.parametrize(("heads", "groups", "width"), [(32, 32, 32), (4, 4, 12), (8, 2, 12)])
@pytest.mark.parametrize("twins", [False, True])
def test_squares_and_leading_directions_are_those_of_the_products(heads: int, groups: int, width: int, twins: bool) -> None:
    """The diagonal of S^T S and of S S^T, S = Q_h^T K_g, added up; and their leading parts, whatever their basis."""
    layer = layer_of(heads, groups, width, twins=twins)
    sides = both_sides(layer, "q", "k")
    assert sides is not None
    queries, keys = (side.rows.reshape(-1, width, HIDDEN).astype(np.float64) for side in sides)
    products = queries.transpose(0, 2, 1) @ np.repeat(keys, heads // groups, axis=0)
    by_group = (products.transpose(0, 2, 1) @ products).reshape(groups, heads // groups, HIDDEN, HIDDEN)
    wholes = products @ products.transpose(0, 2, 1), by_group.sum(axis=1)
    for found, whole in zip(factors(layer, sides, heads, groups), wholes, strict=True):
        np.testing.assert_allclose(found.squares, np.einsum("hii->i", whole), rtol=1e-5)
        each = min(max(DIRECTIONS // len(whole), 1), width)
        rows = found.leading.astype(np.float64).reshape(len(whole), each, HIDDEN)
        values, vectors = np.linalg.eigh(whole)
        best = (vectors[:, :, -each:] * values[:, None, -each:]) @ vectors[:, :, -each:].transpose(0, 2, 1)
        np.testing.assert_allclose(rows.transpose(0, 2, 1) @ rows, best, atol=2e-5 * np.abs(best).max())
