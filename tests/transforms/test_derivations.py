"""Every derivation gives a model that loads and runs, and does what its name says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from kinprint import open_checkpoint, transforms
from kinprint.architectures import recognise
from kinprint.errors import ArchitectureError, TransformError
from kinprint.transforms import merge as merging
from kinprint.transforms import quantize as rounding

CASES: list[tuple[str, dict[str, Any]]] = [
    ("prune", {"kind": "magnitude", "amount": 0.5}),
    ("prune", {"kind": "depth", "amount": 0.5}),
    ("prune", {"kind": "width", "amount": 0.5}),
    ("upscale", {}),
    ("upcycle", {"experts": 4, "noise": 0.1}),
    ("merge", {"method": "slerp"}),
    ("merge", {"method": "ties"}),
    ("quantize", {"scheme": "int4"}),
    ("noise", {"amount": 0.1}),
    ("replace", {"amount": 0.5}),
    ("swap-vocabulary", {"size": 96}),
    ("cast", {"dtype": "bf16"}),
]


FAMILIES = ("llama", "qwen2", "qwen3", "mixtral", "gpt2", "gpt_neox", "bloom", "phi3", "olmoe", "stablelm", "helium")


def test_every_derivation_is_here() -> None:
    """A new derivation joins the shared test."""
    derivations = {name for name, transform in transforms.known().items() if transform.kind == "derivation"}
    assert {name for name, _ in CASES} == derivations


@pytest.mark.parametrize(
    ("name", "options"), CASES, ids=lambda value: value if isinstance(value, str) else "-".join(map(str, value.values()))
)
@pytest.mark.parametrize(
    "family", ["llama", "qwen2", "qwen3", "mixtral", "gpt2", "gpt_neox", "bloom", "phi3", "olmoe", "stablelm"]
)
def test_the_result_loads_and_runs(
    name: str,
    options: dict[str, Any],
    family: str,
    original: Callable[[str], Path],
    outputs: Callable[[Path], Any],
    tmp_path: Path,
) -> None:
    """transformers misses and ignores no tensor, logits are finite, and other than the original's where they should be."""
    if name == "merge":
        transforms.apply("noise", original(family), tmp_path / "other", amount=0.3, seed=0)
        options = {**options, "others": [tmp_path / "other"]}
        options |= {"base": original(family)} if options["method"] == "ties" else {}
    try:
        transforms.apply(name, original(family), tmp_path / "new", **options)
    except (TransformError, ArchitectureError) as error:
        assert (name, family) in {("prune", "bloom")} or name == "upcycle", error  # noqa: PT017
        return
    before, after = outputs(original(family)), outputs(tmp_path / "new")
    assert np.isfinite(after).all()
    assert after.shape != before.shape or not np.allclose(after, before, rtol=1e-6)


def weights(folder: Path) -> dict[tuple[int | None, str, int | None], np.ndarray]:
    return {(p.layer, p.role, p.expert): p.read().astype(np.float32) for p in recognise(open_checkpoint(folder)).parts}


def test_magnitude_pruning_zeroes_the_smallest(models: Path, tmp_path: Path) -> None:
    """The given share of every matrix becomes zero, every survivor is at least as large as whatever went."""
    transforms.apply("prune", models / "base", tmp_path / "new", amount=0.4)
    before, after = weights(models / "base"), weights(tmp_path / "new")
    for place, matrix in before.items():
        if place[1] not in ("q", "down"):
            continue
        gone = after[place] == 0
        assert gone.mean() == pytest.approx(0.4, abs=0.01)
        assert np.abs(matrix[gone]).max() <= np.abs(matrix[~gone]).min()
        np.testing.assert_array_equal(after[place][~gone], matrix[~gone])


def test_depth_pruning_keeps_the_layers_asked_for(models: Path, tmp_path: Path) -> None:
    transforms.apply("prune", models / "base", tmp_path / "new", kind="depth", layers=[0, 2, 3])
    before, after = weights(models / "base"), weights(tmp_path / "new")
    for new, old in enumerate((0, 2, 3)):
        np.testing.assert_array_equal(after[new, "up", None], before[old, "up", None])
    assert (3, "up", None) not in after


def test_width_pruning_keeps_the_largest_units_in_order(models: Path, tmp_path: Path) -> None:
    """The rows that stay are rows of the original, in their order, and heads stay with their group."""
    transforms.apply("prune", models / "base", tmp_path / "new", kind="width", amount=0.25)
    before, after = weights(models / "base"), weights(tmp_path / "new")
    rows = [np.flatnonzero((before[1, "up", None] == row).all(1))[0] for row in after[1, "up", None]]
    assert len(rows) == 192
    assert rows == sorted(rows)
    np.testing.assert_array_equal(after[1, "down", None], before[1, "down", None][:, rows])
    values, keys = (
        [np.flatnonzero((before[2, role, None] == row).all(1))[0] // 16 for row in after[2, role, None][::16]] for role in "vk"
    )
    assert values == keys
    queries = [np.flatnonzero((before[2, "q", None] == row).all(1))[0] // 16 for row in after[2, "q", None][::16]]
    assert queries == [2 * group + head for group in values for head in (0, 1)]


def test_upscaling_is_two_copies_joined(models: Path, tmp_path: Path) -> None:
    """SOLAR: the first copy without its last quarter, then the second without its first."""
    transforms.apply("upscale", models / "base", tmp_path / "new")
    before, after = weights(models / "base"), weights(tmp_path / "new")
    for new, old in enumerate((0, 1, 2, 1, 2, 3)):
        np.testing.assert_array_equal(after[new, "q", None], before[old, "q", None])


def test_upcycled_without_noise_computes_what_the_dense_model_does(
    original: Callable[[str], Path], outputs: Callable[[Path], Any], tmp_path: Path
) -> None:
    """All experts agree, so whatever the router chooses gives the dense FFN (arXiv 2212.05055, section 3)."""
    for family in ("mistral", "qwen2", "qwen3"):
        transforms.apply("upcycle", original(family), tmp_path / family, experts=4, top=2, seed=0)
        np.testing.assert_allclose(outputs(tmp_path / family), outputs(original(family)), atol=1e-4)


def test_merging_formulas() -> None:
    """Against the formulas written out on small arrays."""
    a, b = np.array([[1.0, 0.0]], np.float32), np.array([[0.0, 1.0]], np.float32)
    np.testing.assert_allclose(merging.linear([a, b], [3, 1]), [[0.75, 0.25]])
    half = np.sqrt(0.5)
    np.testing.assert_allclose(merging.slerp([a, b], [1, 1]), [[half, half]], rtol=1e-6)
    np.testing.assert_allclose(merging.slerp([a, 2 * a], [1, 1]), 1.5 * a)
    np.testing.assert_allclose(merging.task_arithmetic([a, b], [0.5, 2]), [[0.5, 2.0]])


def test_ties_trims_elects_and_averages() -> None:
    """Of (4, -1, 3), (2, 5, -1), (-1, 4, 0) at density 2/3 the entries (4, 3), (2, 5), (-1, 4) stay; signs +, +, +."""
    deltas = [np.array(row, np.float32) for row in ([4, -1, 3], [2, 5, -1], [-1, 4, 0])]
    np.testing.assert_allclose(merging.ties(deltas, [1, 1, 1], 2 / 3), [(4 + 2) / 2, (5 + 4) / 2, 3])
    np.testing.assert_allclose(merging.ties(deltas, [1, 3, 1], 2 / 3), [(4 + 6) / 4, (15 + 4) / 4, 3])


@pytest.mark.parametrize(("scheme", "steps"), [("int8", 127), ("int4", 7)])
def test_integers_round_to_nearest(scheme: str, steps: int) -> None:
    """No entry moves by more than half a step of its row or group, and a group has no more values than the bits allow."""
    array = np.random.default_rng(0).normal(size=(5, 70)).astype(np.float32)
    rounded = rounding.SCHEMES[scheme](array)
    width = 70 if scheme == "int8" else rounding.GROUP
    for at in range(0, 70, width):
        group, new = array[:, at : at + width], rounded[:, at : at + width]
        step = np.abs(group).max(1, keepdims=True) / steps
        assert (np.abs(new - group) <= step * 0.5001).all()
        np.testing.assert_allclose(new / step, np.round(new / step), atol=1e-3)


def test_fp8_is_the_type_scaled() -> None:
    """Relative error at most 2^-4 (three bits of mantissa), the largest entry exact; zeros and NaN survive."""
    array = np.random.default_rng(0).normal(size=(5, 70)).astype(np.float32)
    rounded = rounding.fp8(array)
    large = np.abs(array) > np.abs(array).max() * 2.0**-6
    assert (np.abs(rounded - array)[large] <= np.abs(array)[large] * 2**-4 * 1.001).all()
    assert np.abs(rounded).max() == pytest.approx(np.abs(array).max())
    assert not rounding.fp8(np.zeros((2, 2), np.float32)).any()


def test_a_new_vocabulary_keeps_the_tokens_both_have(models: Path, tmp_path: Path) -> None:
    """Rows of shared tokens move to their new index; the others are new."""
    tokenizer = tmp_path / "tokenizer"
    tokenizer.mkdir()
    old = open_checkpoint(models / "base").tokenizer
    kept = sorted(old)[10:40]
    words = {**{token: index * 2 for index, token in enumerate(kept)}, **{f"new {i}": i * 2 + 1 for i in range(30)}}
    import json

    (tokenizer / "vocab.json").write_text(json.dumps(words))
    transforms.apply("swap-vocabulary", models / "base", tmp_path / "new", tokenizer=tokenizer, seed=0)
    before, after = (weights(folder)[None, "embedding", None] for folder in (models / "base", tmp_path / "new"))
    assert after.shape == (60, 128)
    np.testing.assert_array_equal(after[::2], before[[old[token] for token in kept]])
    assert not any((before == row).all(1).any() for row in after[1::2])
    assert set(open_checkpoint(tmp_path / "new").tokenizer) == set(words)


def test_casts_round_once(models: Path, tmp_path: Path) -> None:
    transforms.apply("cast", models / "base", tmp_path / "wide", dtype="f32")
    transforms.apply("noise", tmp_path / "wide", tmp_path / "noisy", amount=0.5, seed=0)
    transforms.apply("cast", tmp_path / "noisy", tmp_path / "new", dtype="bf16")
    before, after = (open_checkpoint(tmp_path / name).tensors for name in ("noisy", "new"))
    for name, tensor in before.items():
        np.testing.assert_array_equal(tensor.read().astype(ml_dtypes.bfloat16), after[name].read())


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("prune", {"amount": 1.0}, "share"),
        ("prune", {"kind": "sideways"}, "magnitude"),
        ("prune", {"kind": "depth", "layers": [0, 9]}, "layers"),
        ("upscale", {"layers": []}, "layers"),
        ("upcycle", {"experts": 2, "top": 3}, "experts"),
        ("merge", {"others": []}, "two models"),
        ("merge", {"others": ["examples/models/finetune"], "weights": [1.0]}, "weights"),
        ("merge", {"others": ["examples/models/finetune"], "weights": [1.0, -1.0]}, "zero"),
        ("merge", {"others": ["examples/models/finetune"], "method": "ties"}, "base"),
        ("quantize", {"scheme": "int3"}, "int4"),
        ("noise", {"amount": float("nan")}, "noise"),
        ("swap-vocabulary", {}, "tokenizer"),
        ("swap-vocabulary", {"size": 0}, "vocabulary"),
        ("cast", {"dtype": "f8"}, "bf16"),
        ("permute", {"spaces": "heads,tails"}, "spaces"),
        ("permute", {"seed": -1}, "seed"),
        ("disguise", {"steps": "rotate,hide"}, "disguises"),
        ("unheard-of", {}, "known"),
    ],
)
def test_what_makes_no_sense_is_refused(
    name: str, options: dict[str, Any], message: str, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One error that says what is possible, and no folder."""
    monkeypatch.chdir(models.parents[1])
    with pytest.raises(TransformError, match=message):
        transforms.apply(name, models / "base", tmp_path / "new", **options)
    assert not list(tmp_path.iterdir())


def test_models_of_another_shape_are_not_merged(models: Path, tmp_path: Path) -> None:
    transforms.apply("prune", models / "base", tmp_path / "short", kind="depth")
    with pytest.raises(TransformError, match="not the shape"):
        transforms.apply("merge", models / "base", tmp_path / "new", others=[tmp_path / "short"])
