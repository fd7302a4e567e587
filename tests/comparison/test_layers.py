"""Where each layer comes from: models put together of layers of the shipped ones, of known truth."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from rich.console import Console
from safetensors.numpy import load_file, save_file

import kinprint
from kinprint.comparison import Comparison
from kinprint.comparison.layers import holm, layer_origins
from kinprint.methods import known
from kinprint.reports import comparison_text
from kinprint.reports.comparison_html import comparison_html

LAYERS = "model.layers."
Layer = dict[str, np.ndarray]


def layers_of(folder: Path) -> list[Layer]:
    """Of a model, its layers as float32, by the ends of the names."""
    found: dict[int, Layer] = {}
    for name, value in load_file(folder / "model.safetensors").items():
        if name.startswith(LAYERS):
            number, _, own = name.removeprefix(LAYERS).partition(".")
            found.setdefault(int(number), {})[own] = value.astype(np.float32)
    return [found[number] for number in sorted(found)]


def fresh(like: Layer, seed: int) -> Layer:
    """A layer that begins anew."""
    rng = np.random.default_rng(seed)
    return {own: rng.normal(0, 0.02, v.shape) if v.ndim == 2 else np.ones_like(v) for own, v in like.items()}


def averaged(*layers: Layer) -> Layer:
    return {own: np.mean([layer[own] for layer in layers], axis=0) for own in layers[0]}


def silent(layer: Layer) -> Layer:
    return {own: value * 0 if "o_proj" in own or "down_proj" in own else value for own, value in layer.items()}


def noisy(layer: Layer, seed: int = 0) -> Layer:
    """A layer that has moved a little."""
    rng = np.random.default_rng(seed)
    return {own: value * (1 + 0.05 * rng.normal(size=value.shape)) for own, value in layer.items()}


def relabelled(layer: Layer, seed: int) -> Layer:
    """A layer with its neurons in another order."""
    order = np.random.default_rng(seed).permutation(len(layer["mlp.up_proj.weight"]))
    columns = {"mlp.down_proj.weight": np.take(layer["mlp.down_proj.weight"], order, axis=1)}
    return layer | {f"mlp.{own}.weight": layer[f"mlp.{own}.weight"][order] for own in ("gate_proj", "up_proj")} | columns


@pytest.fixture
def assembled(models: Path, tmp_path: Path) -> Callable[[str, Sequence[Layer]], Path]:
    """The base with other layers."""

    def made(name: str, layers: Sequence[Layer]) -> Path:
        folder = tmp_path / name
        shutil.copytree(models / "base", folder)
        weights = folder / "model.safetensors"
        kept = {name: value for name, value in load_file(weights).items() if not name.startswith(LAYERS)}
        new = {f"{LAYERS}{n}.{own}": v.astype(ml_dtypes.bfloat16) for n, layer in enumerate(layers) for own, v in layer.items()}
        save_file(kept | new, weights, {"format": "pt"})
        config = json.loads((folder / "config.json").read_text()) | {"num_hidden_layers": len(layers)}
        (folder / "config.json").write_text(json.dumps(config))
        return folder

    return made


def said(found: Comparison) -> list[tuple[str, tuple[int, ...]]]:
    return [(item.state, item.sources) for item in found.layers]


def test_every_kind_of_layer_has_its_word(models: Path, assembled: Callable[[str, Sequence[Layer]], Path]) -> None:
    """H1 for layers of the base, moved, averaged, silenced; H0 for one that begins anew and for a stranger's, beside them."""
    base, twin = layers_of(models / "base"), layers_of(models / "twin")
    folder = assembled(
        "mixed",
        [base[0], fresh(base[0], 1), noisy(base[1]), noisy(averaged(base[1], base[2])), noisy(base[2]), twin[2],
         silent(base[3]), silent(fresh(base[0], 2)), base[2]],
    )  # fmt: skip
    found = kinprint.compare(models / "base", folder)
    assert said(found) == [
        ("identical", (0,)), ("new", ()), ("shared", (1,)), ("average", (1, 2)), ("shared", (2,)), ("new", ()),
        ("identity", (3,)), ("identity", ()), ("identical", (2,)),
    ]  # fmt: skip
    assert found.layers[3].weights == pytest.approx((0.5, 0.5), abs=0.05)
    ps = [item.log10_p for item in found.layers]
    assert all(p is not None and (p < -20) == (layer in (0, 2, 3, 4, 8)) for layer, p in enumerate(ps) if layer != 6)
    stated = json.loads(json.dumps(found.to_json()))["layers"]
    assert stated[3]["words"].startswith("average of layers 1 and 2 (0.5")
    assert (stated[1]["state"], stated[1]["sources"], stated[1]["tests"]) == ("new", [], [])
    with (console := Console(width=200)).capture() as captured:
        console.print(comparison_text(found))
    for shown in (
        "by suspect layer: 0 new 1 1+2 2 new identity identity 2", "layers 1, 5: none in the reference: new, dropped there",
        "layer 6: identity layer: writes nothing, the rest from layer 3",
    ):  # fmt: skip
        assert shown in captured.get()
    page = comparison_html(found, command="kinprint compare")
    for look, count in (("new", 2), ("identity", 2), ("average", 1)):
        assert page.count(f'class="dot suspect {look}"') == count
    assert page.count('class="link average"') == 2


def test_layers_in_their_places_take_one_line(models: Path) -> None:
    """H1 in every layer. Strangers have no layers."""
    found = kinprint.compare(models / "base", models / "finetune")
    assert said(found) == [("shared", (layer,)) for layer in range(4)]
    assert all(item.in_place for item in found.layers)
    with (console := Console(width=200)).capture() as captured:
        console.print(comparison_text(found))
    assert "By layer: all 4 are the reference's of the same number (each p < 1e-100)" in captured.get()
    assert kinprint.compare(models / "base", models / "twin").layers == ()


def test_relabelling_hides_no_layer(models: Path, assembled: Callable[[str, Sequence[Layer]], Path]) -> None:
    """H1 for two layers whose neurons were all relabelled, H0 for one beside them."""
    base = layers_of(models / "base")
    folder = assembled("relabelled", [relabelled(layer, 4) for layer in (base[0], fresh(base[0], 3), base[3])])
    found = kinprint.compare(models / "base", folder)
    assert said(found) == [("shared", (0,)), ("new", ()), ("shared", (3,))]
    assert all(set(item.tests) <= {"matched-invariants", "matched-writes"} for item in found.layers)


def test_copies_in_the_reference_make_no_average(models: Path, assembled: Callable[[str, Sequence[Layer]], Path]) -> None:
    """A layer lies between two that were trained on from it, and is no average of them."""
    base = layers_of(models / "base")
    grown = assembled("grown", [base[0], noisy(base[1], 1), noisy(base[1], 2), base[2], base[3]])
    found = kinprint.compare(grown, models / "base")
    states = said(found)
    assert found.layers[1].words() in ("from layer 1 or 2", "from layer 2 or 1")
    assert states[1] in (("shared", (1, 2)), ("shared", (2, 1)))
    assert {state for state, _ in states} == {"identical", "shared"}


def test_only_tests_that_decide_are_asked(models: Path) -> None:
    """A test that is set aside for the pair says nothing of its layers either."""
    found = kinprint.compare(models / "base", models / "finetune")
    aside = [replace(item, set_aside="why") for item in found.evidence]
    assert layer_origins((found.reference, found.suspect), (known(), aside), 1e-6) == ()
    alone = [item if item.method == "matched-writes" else replace(item, set_aside="why") for item in found.evidence]
    by_one = layer_origins((found.reference, found.suspect), (known(), alone), 1e-6)
    assert {item.tests for item in by_one} == {("matched-writes",)}


def test_holms_procedure() -> None:
    """The smallest counts for all hypotheses, the next for one less; no adjusted p-value is below one before it."""
    adjusted = holm({3: -4.0, 0: -3.9, 7: -9.0}, 4)
    assert adjusted[7] == pytest.approx(-9 + math.log10(4))
    assert adjusted[3] == pytest.approx(-4 + math.log10(3))
    assert adjusted[0] == adjusted[3]  # -3.9 + log10(2) is less
    assert holm({0: -4.0, 1: -3.99}, 2)[1] == pytest.approx(-4 + math.log10(2))
    assert holm({0: -0.1}, 5)[0] == 0.0
