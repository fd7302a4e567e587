"""Columns of an embedding compared by channel: uniform for strangers, whatever order their channels have; strong for copies."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest

from kinprint.fingerprints import Fingerprint
from kinprint.fingerprints.traits.columns import signs_of_tokens
from kinprint.methods.embedding import METHOD

WIDTH, TOKENS = 96, 200
COMMON = np.random.default_rng(4).standard_normal(TOKENS)
"""What tokens have in common in all models."""


def entries(rng: np.random.Generator, sizes: np.ndarray) -> np.ndarray:
    """(tokens, channels) of an embedding whose columns have these sizes."""
    tokens = np.exp(0.5 * rng.standard_normal((TOKENS, 1)))
    return np.asarray((rng.standard_normal((TOKENS, len(sizes))) * tokens + COMMON[:, None]) * sizes)


def model(embedding: np.ndarray, **facts: object) -> Fingerprint:
    """As `kinprint.fingerprints.traits.columns` measures it."""
    around = embedding - embedding.mean(axis=0)
    sums = (signs_of_tokens(TOKENS) @ around / np.linalg.norm(around, axis=0)).T
    return Fingerprint("model", {"columns.embedding": sums}, {"hidden_size": embedding.shape[1], "vocab_size": TOKENS, **facts})


def sizes(rng: np.random.Generator, habit: str = "none", count: int = WIDTH) -> np.ndarray:
    own = np.exp(0.4 * rng.standard_t(4, count).clip(-5, 5))
    if habit == "sorted":
        own = np.sort(own)
    elif habit == "sorted in groups":
        own = np.sort(own.reshape(-1, 24), axis=1).reshape(-1)
    elif habit == "outliers in front":
        own[:4] *= 30
    return own


@pytest.mark.parametrize("habit", ["none", "sorted", "sorted in groups", "outliers in front"])
def test_p_values_are_uniform_for_unrelated_models(habit: str) -> None:
    """H0: two embeddings whose channels were labelled independently, but for a habit that both have. 150 pairs: uniform, or
    no smaller."""
    rng = np.random.default_rng(5)
    p = [10 ** (METHOD(*(model(entries(rng, sizes(rng, habit))) for _ in range(2))).log10_p or 0.0) for _ in range(150)]
    assert kstest(p, "uniform", alternative="greater").pvalue > 1e-3
    assert min(p) > 1e-4


@pytest.mark.parametrize(("noise", "least"), [(0.0, -30), (1.0, -12)])
def test_a_copy_is_found(noise: float, least: float) -> None:
    """H1: the same embedding, every entry changed by so much of its column's size."""
    rng = np.random.default_rng(6)
    own = entries(rng, sizes(rng))
    moved = own + noise * own.std(axis=0) * rng.standard_normal(own.shape)
    found = METHOD(model(own), model(moved))
    assert found.log10_p is not None
    assert found.log10_p < least


def test_other_widths_and_names_are_not_compared() -> None:
    """A column does not tell which one it is in another width; channels with names agree in any two models."""
    rng = np.random.default_rng(7)
    own, narrow = (model(entries(rng, sizes(rng, count=count))) for count in (WIDTH, 64))
    assert METHOD(own, narrow).log10_p is None
    named = model(entries(rng, sizes(rng)), named_spaces={"channels": "has sinusoidal positions"})
    assert "sinusoidal" in METHOD(own, named).note
