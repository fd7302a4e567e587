"""What is measured of one matrix: as numpy computes it, whatever the blocks, the number types and the order of the units."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file

from kinprint.architectures import Part
from kinprint.difference import TensorChange, diff, tensor_change
from kinprint.difference.kinds import kind
from kinprint.difference.matrix import Matrix
from kinprint.difference.pairing import Pair
from kinprint.difference.tensor_change import measured

PLACE = (0, "o", None)
Array = np.ndarray[Any, Any]


def part(values: Array) -> Part:
    """A matrix that nothing has to be read for."""
    axes = ("residual", "heads")
    return Part("o", 0, None, axes, values.shape, values.dtype, "o", lambda: values)


def change(ours: Array, theirs: Array, **how: Any) -> TensorChange:
    """What is measured of two arrays."""
    return measured(Pair(PLACE, PLACE, Matrix(part(ours)), Matrix(part(theirs), **how)))


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def low_rank(rows: int, columns: int, rank: int) -> Array:
    return normal(rows, rank, seed=1) @ normal(rank, columns, seed=2) / np.float32(50)


def test_every_tensor_is_as_numpy_computes_it(models: Path) -> None:
    """Entries changed, norms, cosine, largest change and effective rank of the shipped fine-tune, tensor by tensor."""
    names = {"q": "self_attn.q_proj", "down": "mlp.down_proj", "gains.input": "input_layernorm"}
    ours, theirs = (load_file(models / name / "model.safetensors") for name in ("base", "finetune"))
    found = {each.place: each for each in diff(models / "base", models / "finetune").tensors}
    assert len(found) == len(ours)
    checked = {(None, "embedding"): "model.embed_tokens.weight"}
    checked |= {(layer, role): f"model.layers.{layer}.{name}.weight" for layer in range(4) for role, name in names.items()}
    for (layer, role), name in checked.items():
        each, a, b = found[layer, role, None], ours[name].astype(np.float64), theirs[name].astype(np.float64)
        moved = b - a
        assert (each.entries, each.changed) == (a.size, np.count_nonzero(moved))
        sizes = (each.norm, each.change_norm, each.largest)
        assert sizes == pytest.approx((np.linalg.norm(a), np.linalg.norm(moved), np.abs(moved).max()), rel=1e-6)
        assert each.cosine == pytest.approx(np.vdot(a, b) / np.linalg.norm(a) / np.linalg.norm(b), abs=1e-6)
        if each.directions is not None:
            squares = np.linalg.svd(moved, compute_uv=False) ** 2
            assert each.directions.effective_rank == pytest.approx(squares.sum() ** 2 / (squares**2).sum(), rel=1e-5)


@pytest.mark.parametrize("shape", [(96, 64), (600, 400), (40, 700), (700, 40)])
def test_a_rank_is_told_above_rounding(shape: tuple[int, int]) -> None:
    """Of a low-rank change of bf16 weights, whose sum was rounded; by random vectors where both sides are long."""
    narrow = np.dtype(ml_dtypes.bfloat16)
    ours = normal(*shape).astype(narrow)
    theirs = (ours.astype(np.float32) + low_rank(*shape, rank=6)).astype(narrow)
    told = change(ours, theirs).directions
    assert told is not None
    assert (told.rank, told.clear) == (6, True)
    squares = np.linalg.svd(theirs.astype(np.float64) - ours.astype(np.float64), compute_uv=False) ** 2
    assert told.effective_rank == pytest.approx(squares.sum() ** 2 / (squares**2).sum(), rel=0.15)


@pytest.mark.parametrize("shape", [(96, 64), (600, 400)])
def test_noise_has_no_structure_and_no_rank(shape: tuple[int, int]) -> None:
    """Whatever its size by row: `structure` is about 1. A change of few directions has far less."""
    sizes = np.exp(normal(shape[0], 1, seed=3))
    noisy, moved = normal(*shape) + 0.01 * sizes * normal(*shape, seed=4), normal(*shape) + low_rank(*shape, rank=6)
    told, other = change(normal(*shape), noisy).directions, change(normal(*shape), moved).directions
    assert told is not None
    assert other is not None
    assert told.rank is None
    assert told.structure == pytest.approx(1, abs=0.1)
    assert other.structure < 0.3


def test_the_first_direction_of_a_change_of_rank_one() -> None:
    """On the residual stream: along the rows of what writes to it."""
    direction = normal(300, seed=5)
    direction /= np.linalg.norm(direction)
    ours = normal(300, 280)
    told = change(ours, ours - np.outer(direction, direction @ ours)).directions
    assert told is not None
    assert told.first is not None
    assert abs(float(told.first @ direction)) == pytest.approx(1, abs=1e-4)


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same numbers from one block and from many."""
    ours, theirs = normal(600, 300), normal(600, 300) + low_rank(600, 300, rank=3)
    whole = change(ours, theirs)
    monkeypatch.setattr(tensor_change, "BLOCK", 1)
    parts = change(ours, theirs)
    assert (parts.changed, parts.change_norm) == (whole.changed, pytest.approx(whole.change_norm, rel=1e-9))
    assert parts.directions is not None
    assert whole.directions is not None
    assert parts.directions.effective_rank == pytest.approx(whole.directions.effective_rank, rel=1e-4)


def test_roundings_between_number_types_are_no_change() -> None:
    """Of two types, an entry changed if neither is the other's rounding: half of a matrix in f16, the other half moved."""
    ours = normal(64, 64).astype(ml_dtypes.bfloat16)
    theirs = ours.astype(np.float32)
    theirs[:32] *= 1.5
    found = change(ours, theirs.astype(np.float16))
    assert found.changed == np.count_nonzero(ours[:32])
    assert found.types == ("bfloat16", "float16")
    assert change(normal(64, 64), normal(64, 64).astype(np.float16)).changed == 0


def test_entries_that_are_not_finite_are_counted_and_left_out() -> None:
    ours, theirs = normal(40, 30), normal(40, 30)
    theirs[3, 4], ours[5, 6], theirs[7, 8] = np.nan, np.inf, 2.0
    found = change(ours, theirs)
    assert (found.not_finite, found.entries, found.changed) == (2, 1198, 1)
    assert found.change_norm == pytest.approx(abs(2 - float(ours[7, 8])), rel=1e-6)


def test_units_in_another_order_are_compared_with_their_own() -> None:
    """Rows and columns of a relabelled copy."""
    ours, rows, columns = normal(50, 40), np.random.default_rng(6).permutation(50), np.random.default_rng(7).permutation(40)
    assert change(ours[rows][:, columns], ours, rows=rows, columns=columns).changed == 0


def steps(values: Array, count: int) -> Array:
    """Rounded to steps of a scale for each 32 inputs."""
    blocks = values.reshape(len(values), -1, 32)
    scale = np.abs(blocks).max(axis=2, keepdims=True) / count
    return (np.round(blocks / scale) * scale).reshape(values.shape).astype(np.float32)


def pruned(values: Array) -> Array:
    return np.where(np.abs(values) < 0.4, np.float32(0.0), values)


def trimmed(values: Array) -> Array:
    moved = 0.1 * normal(*values.shape, seed=8)
    return values + np.where(np.abs(moved) > 0.08, moved, np.float32(0))


def half_replaced(values: Array) -> Array:
    return np.concatenate([values[: len(values) // 2], normal(len(values) // 2, values.shape[1], seed=9)])


@pytest.mark.parametrize(
    ("made", "right"),
    [
        (lambda x: x, "none"),
        (lambda x: steps(x, 7), "rounded"),
        (lambda x: steps(x, 127), "rounded"),
        (lambda x: x + 0.1 * normal(*x.shape, seed=4), "noise"),
        (lambda x: x + low_rank(*x.shape, rank=5), "low-rank"),
        (pruned, "pruned"),
        (lambda x: pruned(x) + 0.02 * normal(*x.shape, seed=4), "pruned"),
        (trimmed, "sparse"),
        (half_replaced, "replaced"),
        (lambda x: x + low_rank(*x.shape, rank=3) + 0.02 * normal(*x.shape, seed=4), "dense"),
        (lambda x: steps(x + 5 * low_rank(*x.shape, rank=3), 7), "dense"),
    ],
)
def test_kinds_of_change(made: Any, right: str) -> None:
    """Each by what makes it so; a rounded matrix that was moved before is not one that was rounded alone."""
    ours = normal(128, 96)
    assert kind(change(ours, made(ours))) == right
