"""PCS: the estimate from sampled entries against the cosine of all of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kinprint import Fingerprint, fingerprint, open_checkpoint, transforms
from kinprint.architectures import recognise
from kinprint.methods import pcs


def everything(folder: Path) -> np.ndarray:
    parts = recognise(open_checkpoint(folder)).parts
    return np.concatenate(
        [p.read().astype(np.float64).ravel() for p in parts if p.role not in ("embedding", "head", "position")]
    )


@pytest.mark.parametrize("suspect", ["finetune", "twin", "pruned", "noisy"])
def test_the_estimate_is_the_cosine_within_its_error(suspect: str, models: Path, tmp_path: Path) -> None:
    """Within four standard errors of the cosine of all entries outside the embeddings, for strangers as for descendants."""
    transforms.apply("prune", models / "base", tmp_path / "pruned", amount=0.6)
    transforms.apply("noise", models / "base", tmp_path / "noisy", amount=1.0, seed=0)
    folder = models / suspect if (models / suspect).exists() else tmp_path / suspect
    found = pcs.METHOD(fingerprint(models / "base"), fingerprint(folder))
    a, b = everything(models / "base"), everything(folder)
    assert found.statistic is not None
    assert abs(found.statistic - a @ b / np.sqrt(a @ a * (b @ b))) <= 4 * found.parts["standard_error"]
    assert 0 < found.parts["standard_error"] < 0.02


def test_the_same_weights_have_exactly_one(models: Path) -> None:
    base = fingerprint(models / "base")
    found = pcs.METHOD(base, base)
    assert found.statistic == pytest.approx(1)
    assert found.parts["standard_error"] == pytest.approx(0, abs=1e-9)


def test_what_fools_it(models: Path, tmp_path: Path) -> None:
    """A permuted copy, which computes the same, falls far below one; strangers are far above zero."""
    transforms.apply("permute", models / "base", tmp_path / "permuted", seed=0)
    base = fingerprint(models / "base")
    permuted, twin = (pcs.METHOD(base, fingerprint(f)).statistic for f in (tmp_path / "permuted", models / "twin"))
    assert permuted is not None
    assert twin is not None
    assert permuted < 0.8
    assert twin > 0.3


def test_another_shape_is_not_compared(models: Path, tmp_path: Path) -> None:
    transforms.apply("prune", models / "base", tmp_path / "narrow", kind="width", amount=0.25)
    found = pcs.METHOD(fingerprint(models / "base"), fingerprint(tmp_path / "narrow"))
    assert not found.applies
    assert "different shapes" in found.note


def test_without_facts_it_says_so() -> None:
    traits = {"sample.q": np.ones((2, 256), np.float32)}
    found = pcs.METHOD(Fingerprint("a", traits=traits), Fingerprint("b", traits=traits))
    assert not found.applies
    assert "not known" in found.note
