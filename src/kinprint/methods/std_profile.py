"""Standard-deviation profiles: one curve over depth for each kind of matrix, correlated between two models."""

from __future__ import annotations

import numpy as np

from kinprint.architectures.roles import MATRIX_ROLES
from kinprint.arrays import Float64s
from kinprint.errors import NotApplicable
from kinprint.fingerprints import Fingerprint
from kinprint.methods._method import Finding, Score
from kinprint.statistics.over_depth import correlation

ATTENTION = ("q", "k", "v", "o")
LAYERS = 3
"""Fewest layers of a curve."""


def profiles(model: Fingerprint) -> dict[str, Float64s]:
    """Standard deviation by layer of everything the model has: matrices, biases and norm gains.

    Returns:
        name ("q", "biases.k", "gains.input", ...) -> (layers that have it,) float64, of three layers or more.
    """
    spreads = {
        role: np.asarray(model.traits[f"moments.{role}"], dtype=np.float64)[:, 1]
        for role in MATRIX_ROLES
        if f"moments.{role}" in model.traits
    }
    for name, trait in model.traits.items():
        if name.startswith(("biases.", "gains.")) and trait.ndim == 2 and trait.shape[1] > 1:
            spreads[name] = np.asarray(trait, dtype=np.float64).std(axis=1)
    known = {name: curve[np.isfinite(curve)] for name, curve in spreads.items()}
    return {name: curve for name, curve in known.items() if len(curve) >= LAYERS}


def curves(model: Fingerprint) -> dict[str, Float64s]:
    """The profiles whose correlations the statistic is the mean of."""
    known = profiles(model)
    return {f"standard deviation of {role.upper()}": known[role] for role in ATTENTION if role in known}


def run(reference: Fingerprint, suspect: Fingerprint) -> Finding:
    """Mean correlation of the Q, K, V and O curves; every other curve both models have as a further part."""
    ours, theirs = profiles(reference), profiles(suspect)
    if not ours or not theirs:
        raise NotApplicable("a profile needs at least three layers")
    parts = {name: correlation(ours[name], theirs[name]) for name in ours if name in theirs}
    known = {name: value for name, value in parts.items() if value is not None}
    headline = [known[name] for name in ATTENTION if name in known]
    if not headline:
        raise NotApplicable("the two models have no Q, K, V or O profile in common")
    return Finding(
        statistic=float(np.mean(headline)),
        parts=known,
        note="Unrelated models of similar depth and recipe reach above 0.9 too: not evidence.",
    )


METHOD = Score(
    name="std-profile",
    summary="correlation over depth of the standard deviations of Q, K, V and O (and of FFN, biases and gains)",
    needs=(tuple(f"moments.{role}" for role in ATTENTION),),
    source="Intrinsic Fingerprint of LLMs, arXiv 2507.03014 (withdrawn)",
    known_failure="Depth curves look alike wherever architecture, depth and recipe are alike: unrelated 7B models reach 0.91, "
    "and by spectra 0.98. Unreliable below about a billion parameters.",
    run=run,
    curves=curves,
    threshold=0.927,
    threshold_source="arXiv 2507.03014 (withdrawn): the value it called derivation",
)
