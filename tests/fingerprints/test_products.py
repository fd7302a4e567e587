"""The spectra of a whole layer's QK and VO product against dense decompositions of the product."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from kinprint.architectures import Part
from kinprint.fingerprints import fingerprint
from kinprint.fingerprints.layer import Layer, scan
from kinprint.fingerprints.traits import products

HIDDEN, WIDTH = 80, 8


def layer(heads: int, groups: int, **changed: np.ndarray) -> tuple[Layer, dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    shapes = {
        "q": (heads * WIDTH, HIDDEN),
        "k": (groups * WIDTH, HIDDEN),
        "v": (groups * WIDTH, HIDDEN),
        "o": (HIDDEN, heads * WIDTH),
    }
    arrays = {role: rng.normal(size=shape).astype(np.float32) for role, shape in shapes.items()} | changed
    return Layer(
        0, {"num_attention_heads": heads, "num_key_value_heads": groups}, [scanned(*item) for item in arrays.items()]
    ), arrays


def scanned(role: str, array: np.ndarray) -> Any:
    return scan(Part(role, 0, None, ("?", "?"), array.shape, array.dtype, role, lambda: array), lambda count: None)


def dense(arrays: dict[str, np.ndarray], heads: int, groups: int) -> dict[str, np.ndarray]:
    """W_q W_k^T and W_v W_o of input-to-output matrices, K and V repeated to the query heads, by dense SVD in float64."""
    q, k, v, o = (arrays[role].astype(np.float64) for role in "qkvo")
    k, v = (np.repeat(m.reshape(groups, -1, m.shape[1]), heads // groups, axis=0).reshape(-1, m.shape[1]) for m in (k, v))
    formed = {"products.qk_spectrum": q.T @ k, "products.vo_spectrum": v.T @ o.T}
    rank = min(groups * len(arrays["q"]) // heads, arrays["q"].shape[1])
    return {name: np.linalg.svd(matrix, compute_uv=False)[:rank] for name, matrix in formed.items()}


@pytest.mark.parametrize(("heads", "groups"), [(8, 2), (4, 4), (5, 1), (1, 1), (10, 10), (12, 12)])
def test_all_values(heads: int, groups: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Grouped, multi-head, multi-query, a single head, full rank, more rows than channels; in slabs of columns."""
    monkeypatch.setattr(products, "SLAB", 32)
    made, arrays = layer(heads, groups)
    for name, exact in dense(arrays, heads, groups).items():
        found = products.rows(made)[name]
        assert found.shape == exact.shape
        large = exact > 1e-3 * exact[0]
        np.testing.assert_allclose(found[large], exact[large], rtol=1e-5)


@pytest.mark.parametrize(("heads", "groups"), [(8, 8), (10, 5)])
def test_leading_values_of_wide_layers(heads: int, groups: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the rank that is measured whole, a few values, head by head; the basis ends where the values have converged."""
    monkeypatch.setattr(products, "FULL_RANK", 30)
    monkeypatch.setattr(products, "LEADING", 10)
    made, arrays = layer(heads, groups)
    for name, exact in dense(arrays, heads, groups).items():
        np.testing.assert_allclose(products.rows(made)[name], exact[:10], rtol=1e-5)


@pytest.mark.parametrize("full", [30, 1024])
def test_what_is_not_finite_is_missing(full: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """NaN for the product that it spoils, of the shape that other layers have, and no warning; infinities too."""
    monkeypatch.setattr(products, "FULL_RANK", full)
    for bad in (np.nan, np.inf):
        query = np.ones((8 * WIDTH, HIDDEN), np.float32)
        query[3, 5] = bad
        found = products.rows(layer(8, 8, q=query)[0])
        assert np.isnan(found["products.qk_spectrum"]).all()
        assert np.isfinite(found["products.vo_spectrum"]).all()
        assert found["products.qk_spectrum"].shape == found["products.vo_spectrum"].shape


def test_zero_weights_have_zero_values() -> None:
    made, _ = layer(4, 2, k=np.zeros((2 * WIDTH, HIDDEN), np.float32), o=np.zeros((HIDDEN, 4 * WIDTH), np.float32))
    for values in products.rows(made).values():
        assert (values == 0).all()


def test_heads_that_do_not_divide_are_left_out_with_a_note() -> None:
    made, _ = layer(4, 2, q=np.ones((33, HIDDEN), np.float32))
    assert set(products.rows(made)) == {"products.vo_spectrum"}
    assert any(note.startswith("products.qk_spectrum") for note in made.notes)


def test_a_shipped_model(models: Path) -> None:
    """The trait in the fingerprint: 8 query heads on 4 key-value heads of 16."""
    arrays = load_file(models / "base" / "model.safetensors")
    found = fingerprint(models / "base", scores=True).traits
    for index in range(4):
        exact = dense({r: arrays[f"model.layers.{index}.self_attn.{r}_proj.weight"] for r in "qkvo"}, 8, 4)
        for name, values in exact.items():
            assert found[name].shape == (4, 64)
            np.testing.assert_allclose(found[name][index], values, rtol=1e-5)
