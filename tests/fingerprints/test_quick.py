"""Quick fingerprints: the right numbers from next to none of the bytes, and tests that stay exact."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from families import FAMILIES, random_model
from hub_server import HubServer
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from scipy.stats import kstest

from kinprint import Fingerprint, compare, fingerprint
from kinprint.architectures import recognise
from kinprint.checkpoints import Tensor, open_checkpoint
from kinprint.checkpoints.quantizations._quantization import DecodedTensor
from kinprint.fingerprints.quick import columns, estimated_norms, measure_quick
from kinprint.fingerprints.readings import readings
from kinprint.methods import known

CHANNELS, NEURONS, LAYERS = 64, 160, 3


class Counted:
    """A tensor that counts what is read of it."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor, self.name, self.dtype, self.shape = tensor, tensor.name, tensor.dtype, tensor.shape
        self.bytes = 0

    def read(self) -> NDArray[Any]:
        array = self.tensor.read()
        self.bytes += array.nbytes
        return array

    def read_rows(self, start: int, stop: int) -> NDArray[Any]:
        array = self.tensor.read()[start:stop]
        self.bytes += array.nbytes
        return array


def counted(folder: Path) -> tuple[Fingerprint, int, int]:
    """The quick fingerprint, the bytes that were read for it, and all there are."""
    checkpoint = open_checkpoint(folder)
    tensors = {name: Counted(tensor) for name, tensor in checkpoint.tensors.items()}
    checkpoint = replace(checkpoint, tensors=tensors)
    found = measure_quick(checkpoint, recognise(checkpoint))
    total = sum(int(np.prod(tensor.shape)) * tensor.dtype.itemsize for tensor in tensors.values())
    return found, sum(tensor.bytes for tensor in tensors.values()), total


def test_traits_against_numpy(models: Path) -> None:
    """128 channels, 256 neurons: two lines of gate and up, the gain in front of them folded in."""
    found, full = fingerprint(models / "base", quick=True), fingerprint(models / "base")
    weights = {name: array.astype(np.float64) for name, array in load_file(models / "base" / "model.safetensors").items()}
    gain = weights["model.layers.2.post_attention_layernorm.weight"]
    gate, up = (weights[f"model.layers.2.mlp.{name}_proj.weight"] * gain for name in ("gate", "up"))
    np.testing.assert_allclose(found.traits["leading.gate"][2], gate[:2].mean(0), rtol=1e-5, atol=1e-8)
    squares = gate[:2] ** 2
    norm = np.sqrt(256 * squares.mean(0))
    error = np.sqrt(squares.var(0, ddof=1) / 2 * (1 - 2 / 256) * 256) / (2 * np.sqrt(squares.mean(0)))
    np.testing.assert_allclose(found.traits["channels.gate"][2], norm, rtol=1e-5)
    np.testing.assert_allclose(found.traits["errors.gate"][2], error, rtol=1e-4)
    cosine = (gate * up).sum(1)[:2] / np.linalg.norm(gate, axis=1)[:2] / np.linalg.norm(up, axis=1)[:2]
    np.testing.assert_allclose(found.traits["neurons.leading"][2, :, 1], cosine, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.traits["neurons.leading"][..., 0], full.traits["neurons.invariants"][:, :2, 0], rtol=1e-5)
    for name in ("gains.input", "gains.post_attention", "gains.final"):
        np.testing.assert_array_equal(found.traits[name], full.traits[name])


@pytest.mark.parametrize("name", ["base", "finetune", "twin"])
def test_the_share_is_what_was_read(models: Path, name: str) -> None:
    """The fact `quick` is the share of bytes that tensors were asked for: below 1 % of a model of 128 channels, but for the 256
    neurons and 64 tokens of the first layer that every model is asked for at least."""
    found, read, total = counted(models / name)
    assert found.quick == pytest.approx(read / total, abs=1e-6)
    where = readings(recognise(open_checkpoint(models / name)), sparing=True)
    assert where is not None
    assert (where.neurons, where.tokens) == (256, 64)
    assert read - where.nbytes < 0.01 * total


def test_what_has_to_be_decoded_counts_whole(models: Path) -> None:
    """Tensors that cannot be read in part: what is stated is what they cost."""
    checkpoint = open_checkpoint(models / "base")
    tensors = {
        name: DecodedTensor(name, t.dtype, t.shape, lambda t=t: t.read().copy()) for name, t in checkpoint.tensors.items()
    }
    decoded = replace(checkpoint, tensors=tensors)
    found = measure_quick(decoded, recognise(decoded))
    assert found.quick is not None
    assert found.quick > 0.5
    expected = fingerprint(models / "base", quick=True).traits["leading.gate"]
    np.testing.assert_array_equal(found.traits["leading.gate"], expected)


@pytest.mark.parametrize("family", FAMILIES)
def test_lines_are_pieces_of_the_canonical_matrix(family: str, tmp_path: Path) -> None:
    """However a family stores a matrix (transposed, fused, grouped by head): some of its lines, read alone, are the same
    numbers. Nothing of it is read that is not counted, and every family has channels to compare."""
    random_model(family).save_pretrained(tmp_path)
    rng = np.random.default_rng(0)
    for part in recognise(open_checkpoint(tmp_path)).parts:
        if part.lines is not None:
            start, stop = np.sort(rng.choice(part.lines.count + 1, 2, replace=False)).tolist()
            whole = part.read() if part.lines.axis == 0 else part.read().T
            assert part.lines.count == len(whole)
            np.testing.assert_array_equal(part.lines.read(start, stop), whole[start:stop])
    found, read, total = counted(tmp_path)
    assert found.quick == pytest.approx(read / total, abs=1e-6)
    assert any(name.startswith("leading.") for name in found.traits)


def relabelled(models: Path, folder: Path, order: NDArray[np.int64]) -> Path:
    """A copy of `base` with its residual channels in another order."""
    arrays = load_file(models / "base" / "model.safetensors")
    for name, array in arrays.items():
        axis = 0 if array.ndim == 1 or name.endswith(("o_proj.weight", "down_proj.weight")) else 1
        arrays[name] = np.ascontiguousarray(np.take(array, order, axis=axis))
    save_file(arrays, folder / "model.safetensors")
    (folder / "config.json").write_text((models / "base" / "config.json").read_text())
    return folder


def test_relabelled_channels_change_no_reading(models: Path, tmp_path: Path) -> None:
    """What neurons read of tokens does not depend on the labels of channels; of a full fingerprint it is the same."""
    order = np.random.default_rng(1).permutation(128)
    one, other = fingerprint(models / "base", quick=True), fingerprint(relabelled(models, tmp_path, order), quick=True)
    weights = {name: array.astype(np.float64) for name, array in load_file(models / "base" / "model.safetensors").items()}
    gain = weights["model.layers.0.post_attention_layernorm.weight"]
    for role in ("gate", "up"):
        exact = weights[f"model.layers.0.mlp.{role}_proj.weight"] * gain @ weights["model.embed_tokens.weight"][:64].T
        np.testing.assert_allclose(one.traits[f"readings.{role}"], exact, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(other.traits[f"readings.{role}"], exact, rtol=1e-5, atol=1e-7)
        np.testing.assert_array_equal(
            one.traits[f"readings.{role}"], fingerprint(models / "base").traits[f"readings.{role}"][:256]
        )


def test_relabelled_channels_relabel_what_is_measured(models: Path, tmp_path: Path) -> None:
    """What makes the tests exact: sampling does not look at the labels of channels, nor what follows at anything else."""
    order = np.random.default_rng(0).permutation(128)
    one = fingerprint(models / "base", quick=True).traits
    other = fingerprint(relabelled(models, tmp_path, order), quick=True).traits
    by_channel = [name for name in one if name.startswith(("channels.", "errors.", "leading.", "gains."))]
    assert len(by_channel) == 6
    for name in by_channel:
        np.testing.assert_array_equal(other[name], one[name][..., order])


def test_quick_against_full(models: Path) -> None:
    """Estimates beside exact norms: the fine-tune is found, the twin is not accused, and the report says what was read."""
    full = fingerprint(models / "base")
    for suspect, verdict in (("finetune", "related"), ("twin", "no-evidence")):
        quick = fingerprint(models / suspect, quick=True)
        assert quick.quick is not None
        assert full.quick is None
        assert {compare(full, quick).verdict, compare(quick, full).verdict} == {verdict}
        assert compare(models / "base", models / suspect, quick=True).verdict == verdict
    found = compare(full, quick)
    assert found.context["quick"] == {"suspect": quick.quick}
    assert "12.0% of the bytes were read" in found.sentence()
    assert "measured with --quick, has no trait" in next(item.note for item in found.tests if item.method == "heads")


def test_quick_and_full_are_kept_apart(models: Path) -> None:
    """The cache gives each of them back as what it is."""
    for _ in range(2):
        assert fingerprint(models / "base", quick=True).quick is not None
        assert fingerprint(models / "base").quick is None


def test_standard_errors_hold() -> None:
    """The squares of the errors are on average those that are stated, of heavy-tailed weights too."""
    rng = np.random.default_rng(1)
    for weights in (rng.standard_normal((4000, 800)), rng.standard_t(9, (4000, 800)) * np.exp(rng.normal(size=800))):
        estimates, errors = estimated_norms(columns(weights[:40].astype(np.float32)), 40, 4000)
        exact = np.linalg.norm(weights, axis=0)
        assert 0.85 < np.mean(((estimates - exact) / exact) ** 2) / np.mean((errors / exact) ** 2) < 1.15


def test_a_sample_of_everything_has_no_error() -> None:
    weights = np.random.default_rng(2).standard_normal((50, 8)).astype(np.float32)
    estimates, errors = estimated_norms(columns(weights), 50, 50)
    np.testing.assert_allclose(estimates, np.linalg.norm(weights.astype(np.float64), axis=0))
    np.testing.assert_array_equal(errors, 0)


def test_weights_that_are_not_finite_do_no_harm() -> None:
    """NaN and infinities count as nothing, and the largest numbers do not overflow into a warning."""
    lines = np.array([[1, np.nan, 3e38, 0], [1, np.inf, 3e38, 0]], dtype=np.float32)
    estimates, errors = estimated_norms(columns(lines), 2, 200)
    np.testing.assert_allclose(estimates[:3], [np.sqrt(200), 0, np.sqrt(200) * 3e38], rtol=1e-6)
    assert errors[0] == 0


def simulated(rng: np.random.Generator) -> tuple[Fingerprint, Fingerprint]:
    """One model without names for its units, measured quickly and in full: channels of very different weight, lines that are
    far from normal, gains that follow the channels."""
    level = np.exp(0.3 * rng.standard_t(3, CHANNELS)).clip(0.1, 50)
    traits: dict[str, list[NDArray[Any]]] = {}
    quick: dict[str, list[NDArray[Any]]] = {}
    for _ in range(LAYERS):
        gate, up = (level * rng.standard_t(4, (NEURONS, CHANNELS)) for _ in range(2))
        estimates, errors = estimated_norms(columns(gate[:8]), 8, NEURONS)
        quick.setdefault("channels.gate", []).append(estimates)
        quick.setdefault("errors.gate", []).append(errors)
        quick.setdefault("leading.gate", []).append(gate[:8].mean(0))
        traits.setdefault("channels.gate", []).append(np.linalg.norm(gate, axis=0))
        norms = [np.linalg.norm(matrix, axis=1) for matrix in (gate, up)]
        cosine = (gate * up).sum(1) / norms[0] / norms[1]
        none = np.full(NEURONS, np.nan)
        quick.setdefault("neurons.leading", []).append(np.column_stack([np.log(norms[0]), cosine])[:8])
        traits.setdefault("neurons.invariants", []).append(
            np.column_stack([np.log(norms[0]), np.zeros(NEURONS), cosine, none, none])
        )
        for found in (traits, quick):
            found.setdefault("gains.input", []).append(1 + 0.1 * np.log(level) + 0.01 * rng.standard_normal(CHANNELS))
    return Fingerprint("quick", {key: np.stack(rows) for key, rows in quick.items()}, {"quick": 0.01}), Fingerprint(
        "full", {key: np.stack(rows) for key, rows in traits.items()}
    )


@pytest.fixture(scope="module")
def unrelated() -> list[tuple[Fingerprint, Fingerprint]]:
    rng = np.random.default_rng(3)
    return [simulated(rng) for _ in range(600)]


@pytest.mark.parametrize(("name", "mixed"), [("channels", False), ("channels", True), ("neurons", False)])
def test_p_values_are_uniform_for_unrelated_models(
    name: str, mixed: bool, unrelated: list[tuple[Fingerprint, Fingerprint]]
) -> None:
    """H0: the suspect is independent of the reference. 300 pairs of quick fingerprints, or of a quick and a full one."""
    method = next(method for method in known() if method.name == name)
    pairs = [(one[0], other[mixed]) for one, other in zip(unrelated[::2], unrelated[1::2], strict=True)]
    found = [method(*(pair if number % 2 else pair[::-1])) for number, pair in enumerate(pairs)]
    values = [10**evidence.log10_p for evidence in found if evidence.log10_p is not None]
    print(f"{name}, {mixed=}: smallest p {min(values):.4f}, mean {np.mean(values):.3f}, {kstest(values, 'uniform')}")
    assert len(values) == 300
    assert min(values) > 1e-5
    assert kstest(values, "uniform").pvalue > 1e-3


def test_leading_neurons_are_found_where_channels_are_rotated() -> None:
    """Neurons that kept their places give a rotated copy away, in a quick fingerprint beside a full one too."""
    quick, full = simulated(np.random.default_rng(4))
    alone = Fingerprint("rotated", {"neurons.leading": quick.traits["neurons.leading"]}, {"quick": 0.01})
    method = next(method for method in known() if method.name == "neurons")
    for other in (quick, full):
        evidence = method(other, alone)
        assert evidence.log10_p is not None
        assert evidence.log10_p < -6
        assert "8 leading neurons" in evidence.note


def test_a_hub_is_asked_for_ranges_only(models: Path, hub: Callable[[Mapping[str, Path]], HubServer]) -> None:
    """Of a model on a hub the lines are fetched, with headers, tokenizer and what lies between lines that are near each other:
    next to nothing of the weights. The fingerprint is that of the files on disk."""
    server = hub({"org/base": models / "base"})
    found = fingerprint("org/base", quick=True, cache=False)
    assert found == fingerprint(models / "base", quick=True)
    beside = sum((models / "base" / name).stat().st_size for name in ("config.json", "tokenizer.json", "README.md"))
    assert server.bytes_served - beside < 0.25 * (models / "base" / "model.safetensors").stat().st_size
