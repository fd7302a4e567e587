"""REEF: centred kernel alignment of the hidden states of two models on the same texts."""

from __future__ import annotations

import numpy as np

from kinprint.arrays import Float64s
from kinprint.errors import NotApplicable
from kinprint.fingerprints import Fingerprint
from kinprint.methods._method import Finding, Score
from kinprint.methods._probe import require_same_probe


def run(reference: Fingerprint, suspect: Fingerprint) -> Finding:
    """Mean linear CKA of layers at matching relative depth; with an RBF kernel as a part; every pair of layers in `across`."""
    require_same_probe(reference, suspect, "texts")
    ours, theirs = (np.asarray(model.traits["hidden.grams"], dtype=np.float64) for model in (reference, suspect))
    if not np.isfinite(ours).all() or not np.isfinite(theirs).all():
        raise NotApplicable("one of the models has hidden states that are not finite")
    linear, radial = (cka_table(kernels(ours), kernels(theirs)) for kernels in (_unit, _radial))
    rows = np.arange(len(theirs))
    matching = np.linspace(0, len(ours) - 1, len(theirs)).round().astype(int)
    return Finding(
        statistic=float(linear[rows, matching].mean()),
        parts={"linear": float(linear[rows, matching].mean()), "rbf": float(radial[rows, matching].mean())},
        layers=tuple(linear[rows, matching].tolist()),
        across=tuple(tuple(row) for row in linear.tolist()),
        note="Unrelated models trained on similar text arrange texts similarly: not evidence.",
    )


def cka_table(ours: Float64s, theirs: Float64s) -> Float64s:
    """(their layers, our layers) inner products of centred kernel matrices of norm 1: Kornblith et al., ICML 2019."""
    return np.asarray(theirs.reshape(len(theirs), -1) @ ours.reshape(len(ours), -1).T)


def _unit(kernels: Float64s) -> Float64s:
    """Centred kernel matrices (layers, texts, texts) of Frobenius norm 1; zero where a kernel is constant."""
    centred = kernels - kernels.mean(axis=1, keepdims=True)
    centred = centred - centred.mean(axis=2, keepdims=True)
    norms = np.linalg.norm(centred, axis=(1, 2), keepdims=True)
    return np.asarray(centred / np.where(norms > 0, norms, 1))


def _radial(grams: Float64s) -> Float64s:
    """The same of Gaussian kernels whose bandwidth is the median distance, from inner products."""
    squares = np.diagonal(grams, axis1=1, axis2=2)
    distances = np.maximum(squares[:, :, None] + squares[:, None, :] - 2 * grams, 0)
    some = distances[:, ~np.eye(distances.shape[1], dtype=bool)]
    median = np.median(some, axis=1)[:, None, None]
    return _unit(np.exp(-distances / (2 * np.where(median > 0, median, 1))))


METHOD = Score(
    name="reef",
    summary="centred kernel alignment of hidden states on the probe texts, layers at matching depth",
    needs=("hidden.grams",),
    source="REEF, ICLR 2025, arXiv 2410.14273",
    known_failure="Permuting the texts of one model tests whether both see a like geometry in the same texts, which unrelated "
    "models do too: no p-value of that kind is one of descent.",
    run=run,
    observed=True,
)
