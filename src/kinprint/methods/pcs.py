"""PCS: the cosine of all parameters outside the embeddings, estimated from the entries that a fingerprint samples."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from kinprint.arrays import Float64s
from kinprint.errors import NotApplicable
from kinprint.fingerprints import Fingerprint
from kinprint.methods._method import Finding, Score

VECTORS = ("gains.", "biases.", "norm_biases.")
"""Traits that hold every entry, not a sample."""


@dataclass(frozen=True)
class Stratum:
    """Entries of both models at the same places of one matrix, or all entries of a vector.

    Attributes:
        a, b: (entries,) float64.
        size: entries of the whole.
    """

    a: Float64s
    b: Float64s
    size: int

    @property
    def weight(self) -> float:
        """Entries of the whole that each of these stands for."""
        return self.size / len(self.a)


def run(reference: Fingerprint, suspect: Fingerprint) -> Finding:
    """sum a b / sqrt(sum a^2 sum b^2), every sampled entry weighted by the entries it stands for; its standard error."""
    strata = [*_matrices(reference, suspect), *_vectors(reference, suspect)]
    ab = sum(s.weight * float(s.a @ s.b) for s in strata)
    aa, bb = (sum(s.weight * float(x @ x) for s, x in zip(strata, side, strict=True)) for side in _sides(strata))
    if not aa * bb:
        raise NotApplicable("all sampled entries of one of the models are zero")
    cosine = ab / np.sqrt(aa * bb)
    variance = 0.0
    for s in strata:
        if s.size > len(s.a) > 1:
            errors = s.a * s.b / np.sqrt(aa * bb) - cosine / 2 * (s.a**2 / aa + s.b**2 / bb)
            variance += s.weight**2 * len(s.a) * float(errors.var(ddof=1))
    return Finding(
        statistic=float(cosine),
        parts={"standard_error": float(np.sqrt(variance))},
        note="Estimated from sampled entries. Training and relabelling lower it; norm gains near 1 keep strangers above zero.",
    )


def _sides(strata: list[Stratum]) -> tuple[list[Float64s], list[Float64s]]:
    return [s.a for s in strata], [s.b for s in strata]


def _matrices(reference: Fingerprint, suspect: Fingerprint) -> list[Stratum]:
    """A stratum for each matrix of each layer. Places depend on shapes, so that shapes have to agree."""
    sizes = [_sizes(model) for model in (reference, suspect)]
    names = [{name for name in model.traits if name.startswith("sample.")} for model in (reference, suspect)]
    outside = {"sample.embedding", "sample.head"}
    if sizes[0] != sizes[1] or names[0] - outside != names[1] - outside:
        raise NotApplicable("the two models have different shapes")
    found = []
    for name in sorted(names[0] - outside):
        a, b = (np.asarray(model.traits[name], dtype=np.float64) for model in (reference, suspect))
        if a.shape != b.shape:
            raise NotApplicable("the two models have different shapes")
        size = sizes[0].get(name.removeprefix("sample."))
        if size is None or len(size) != len(a):
            raise NotApplicable(f"the size of {name} does not follow from the facts")
        for one, other, entries in zip(a, b, size, strict=True):
            kept = np.isfinite(one) & np.isfinite(other)
            if kept.any() and entries:
                found.append(Stratum(one[kept], other[kept], entries))
    if not found:
        raise NotApplicable("no sampled entry is finite in both models")
    return found


def _vectors(reference: Fingerprint, suspect: Fingerprint) -> list[Stratum]:
    """All entries of gains and biases that both models have in one shape."""
    found = []
    for name, trait in reference.traits.items():
        other = suspect.traits.get(name)
        if name.startswith(VECTORS) and other is not None and trait.shape == other.shape:
            a, b = (np.asarray(values, dtype=np.float64).ravel() for values in (trait, other))
            kept = np.isfinite(a) & np.isfinite(b)
            if kept.any():
                found.append(Stratum(a[kept], b[kept], int(kept.sum())))
    return found


def _sizes(model: Fingerprint) -> dict[str, list[int]]:
    """Entries of the matrices of each role in every layer, all experts together, as far as the facts tell."""
    stated = model.stated
    if stated.shapes:
        return {role: [math.prod(shape or (0,)) for shape in layers] for role, layers in stated.shapes.items()}
    width, heads, groups = stated.hidden_size, stated.num_attention_heads, stated.num_key_value_heads
    head, neurons, experts = stated.head_dim, stated.intermediate_size, max(stated.num_experts or 1, 1)
    if not (width and heads and groups and head and neurons):
        raise NotApplicable(f"the shape of {model.name} is not known")
    attention = {"q": width * heads * head, "o": width * heads * head, "k": width * groups * head, "v": width * groups * head}
    one = attention | dict.fromkeys(("gate", "up", "down"), width * neurons * experts) | {"router": width * experts}
    return {role: [size] * (model.layers or 0) for role, size in one.items()}


METHOD = Score(
    name="pcs",
    summary="cosine of all parameters outside the embeddings, from sampled entries, with its standard error",
    needs=(("sample.q", "sample.o"),),
    source="baseline in REEF (ICLR 2025) and GhostSpec (arXiv 2511.06390)",
    known_failure="Says nothing of models of another shape, falls with relabelling. Norm gains near 1 lift strangers far above "
    "zero.",
    run=run,
)
