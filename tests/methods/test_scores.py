"""The scores: they are what their papers define, and they are high for strangers too."""

from __future__ import annotations

import numpy as np
import pytest

from kinprint.fingerprints import Fingerprint
from kinprint.methods import norm_gains, std_profile
from kinprint.statistics.over_depth import correlation


def moments(curve: np.ndarray) -> np.ndarray:
    table = np.zeros((len(curve), 6))
    table[:, 1] = curve
    return table


def test_std_profile_is_the_mean_correlation() -> None:
    """arXiv 2507.03014: normalise each curve over depth, correlate, take the mean of Q, K, V and O."""
    rng = np.random.default_rng(0)
    a, b = ({role: rng.random(9) for role in ("q", "k", "v", "o", "up")} for _ in range(2))
    models = [Fingerprint(n, {f"moments.{r}": moments(c) for r, c in m.items()}) for n, m in (("a", a), ("b", b))]
    evidence = std_profile.METHOD(*models)
    normal = {n: {r: (c - c.mean()) / c.std() for r, c in m.items()} for n, m in (("a", a), ("b", b))}
    expected = {r: float(np.mean(normal["a"][r] * normal["b"][r])) for r in a}
    assert evidence.parts == pytest.approx(expected)
    assert evidence.statistic == pytest.approx(np.mean([expected[r] for r in "qkvo"]))
    assert evidence.log10_p is None


def test_unequal_depths_are_interpolated() -> None:
    line = np.linspace(0, 1, 7)
    assert correlation(line, np.linspace(5, 9, 4)) == pytest.approx(1)
    assert correlation(line, np.ones(5)) is None


def test_profiles_of_strangers_correlate(data: object) -> None:
    """The lesson: Llama-3.1-8B and Mistral-7B, unrelated, have head-spectrum profiles that correlate at 0.98."""
    curves = []
    for name in ("Llama-3.1-8B-Instruct", "Mistral-7B-Instruct-v0.1"):
        spectra = np.load(f"{data}/qk_spectra/{name}.npz")["qk_singular_values"]
        curves.append(np.log(spectra).mean(axis=(1, 2)))
    assert correlation(*curves) == pytest.approx(0.98, abs=0.01)


def test_raw_gains_of_strangers_are_alike_and_centred_ones_are_not() -> None:
    """Gains near one: raw cosine above 0.99 for any two models, centred around zero; both against numpy."""
    rng = np.random.default_rng(1)
    gains = [1 + 0.05 * rng.standard_normal((5, 400)) for _ in range(2)]
    models = [Fingerprint(n, {"gains.input": g}) for n, g in zip("ab", gains, strict=True)]
    evidence = norm_gains.METHOD(*models)
    raw = [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(*gains, strict=True)]
    centred = [np.corrcoef(a, b)[0, 1] for a, b in zip(*gains, strict=True)]
    assert evidence.statistic == pytest.approx(np.mean(raw))
    assert evidence.statistic is not None
    assert evidence.statistic > 0.99
    assert evidence.parts["centred_same_depth"] == pytest.approx(np.mean(centred))
    assert evidence.layers == pytest.approx(tuple(centred))
    assert abs(evidence.parts["centred_all_pairs"]) < 0.05
    assert evidence.parts["raw_within_reference"] > 0.99


def test_gains_of_unequal_width_do_not_apply() -> None:
    models = [Fingerprint(str(n), {"gains.input": np.ones((3, n))}) for n in (8, 9)]
    assert "equal width" in norm_gains.METHOD(*models).note
