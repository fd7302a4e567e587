"""GhostSpec-mse: the shape of the singular spectra of each layer's QK and VO product (arXiv 2511.06390)."""

from __future__ import annotations

import numpy as np

from kinprint.fingerprints import Fingerprint
from kinprint.methods._method import Finding, Score
from kinprint.methods._spectra import Spectra, by_suspect_layer, correspond, similarity

TRAITS = {"qk": "products.qk_spectrum", "vo": "products.vo_spectrum"}


def spectra(model: Fingerprint) -> Spectra:
    """The spectra of the products that the fingerprint has."""
    return {kind: np.asarray(model.traits[trait], dtype=np.float64) for kind, trait in TRAITS.items() if trait in model.traits}


def run(reference: Fingerprint, suspect: Fingerprint) -> Finding:
    """Similarity of the mean spectral distance over layers and products.

    Open in the paper and chosen in `kinprint.methods._spectra`: how spectra are normalised, the constants of the similarity.
    Layers wider than the fingerprint measures whole are compared by their leading values.
    """
    theirs = spectra(suspect)
    layers = correspond(spectra(reference), theirs)
    return Finding(
        statistic=similarity(layers.distance),
        parts={kind: float(distances.mean()) for kind, distances in layers.distances.items()} | {"distance": layers.distance},
        layers=by_suspect_layer(layers, len(next(iter(theirs.values())))),
        note="The scale ends at 0.976, the value of a copy; unrelated released models reach 0.93, by their QK spectra. Parts "
        "are distances, layers similarities.",
    )


METHOD = Score(
    name="ghostspec-mse",
    summary="shape of the singular spectra of each layer's QK and VO product",
    needs=(tuple(TRAITS.values()),),
    source="GhostSpec, arXiv 2511.06390 (AAAI 2026)",
    known_failure="Trained models have spectra of similar shape, and of models of unequal depth the most similar layers are "
    "aligned: by its pooled QK spectra Llama-3.2-3B is closer to Mistral-7B, a stranger (0.93), than to "
    "Llama-3.1-8B, its parent (0.91). Long training hides descent.",
    run=run,
)
