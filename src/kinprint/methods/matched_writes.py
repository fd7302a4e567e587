"""Neurons matched by what no disguise changes of their reading: do they write like their partners?

METHODS: disguised models, 2a. The statement is that of `kinprint.matching.writes`, about the invariants in the trait
`neurons.forms`: neurons are matched, and layers aligned, by the invariants of what they read (gate and up); tested are those of
what they write, and those that join the two, freed in both models of what the former explain (kernel ridge regression; Shah and
Peters, Annals of Statistics 2020). Of a gated neuron only what its sign leaves alone is looked at. No label, sign, scale or
basis enters: nobody can make this evidence without changing what a model computes, or hide it by relabelling. That null is
approximate, so correlations up to a tolerance are taken as nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dposv

from kinprint.arrays import Float64s, Int64s
from kinprint.errors import NotApplicable
from kinprint.fingerprints import Fingerprint
from kinprint.fingerprints.form_columns import COLUMNS, GATED, ODD, Column, where
from kinprint.fingerprints.kept import kept
from kinprint.matching.forms import compared, forms_of, one_expert, present
from kinprint.matching.layers import SEEDS, aligned, once, pairwise
from kinprint.matching.nearest import distances, nearest
from kinprint.methods._method import Finding, SingleLayers, Test
from kinprint.methods._signs import as_finding
from kinprint.statistics import label_free_scores, sign_test

READS, WRITES = where(lambda c: c.of != () and "down" not in c.of), where(lambda c: "down" in c.of)
"""Columns of gated neurons: of gate and up alone, and those in which down takes part. Angles and cross forms with a gate change
sign with the neuron: their magnitudes count."""

OUTER = COLUMNS.index(Column("norm", ("up", "down")))
"""The norm of what scaling leaves alone. An ungated neuron has nothing else that says how much it reads."""

READS_UNGATED = where(lambda c: c.of == ("up", "up") or c == COLUMNS[OUTER])
WRITES_UNGATED = where(lambda c: "down" in c.of and "gate" not in c.of and c != COLUMNS[OUTER])

MOST = 512
"""Neurons of a layer that take part: the regression takes the cube of their number."""

TOLERANCE = 0.02
"""Correlation of each invariant that is taken as nothing. Not tuned: between unrelated models of the zoo the mean is within a
tenth of it, in descendants it is five times as large (docs/methods.md)."""

CLONES = 0.2
"""Distance of two neurons of one layer from which they count as one, as a share of that of random ones."""

REPEATED = 0.3
"""Mean agreement of two layers of one model from which they count as copies of each other."""


def run(reference: Fingerprint, suspect: Fingerprint) -> Finding:
    """H0: given what they read, what the suspect's neurons write does not depend on the reference."""
    key, gated, ours = _both(reference, suspect)
    shown, depth = compared(suspect), len(suspect.traits["neurons.forms"])
    theirs = kept(suspect, (*key, "suspect"), lambda: Side.of(forms_of(suspect)[shown], gated=gated))
    layers = aligned(ours.reads, theirs.reads, shown, depth)
    matches = [nearest(ours.reads[i], theirs.reads[j]) for j, i in enumerate(layers)]
    each = [_weighted(ours.rest(i), theirs.rest(j), matches[j]) for j, i in enumerate(layers)]
    fit = {j: float(margin.sum()) for j, (_, _, margin) in enumerate(matches)}

    def copies(among: tuple[int, ...]) -> NDArray[np.bool_]:
        return kept(reference, (*key, "copies", among), lambda: pairwise(among, partial(_mean_agreements, ours)) > REPEATED)

    tested = once(dict(enumerate(layers)), fit, copies)
    layer_map = tuple(layers) if len(shown) == depth else None
    how = "by how they read and tested by how they write; the null is approximate, so small agreement is taken as nothing"
    return as_finding({int(shown[j]): each[j] for j in tested}, depth, layer_map, how, forgeable=False)


def single_layers(reference: Fingerprint, suspect: Fingerprint) -> SingleLayers:
    """H0: given what they read, what the neurons of one layer of the suspect write does not depend on the reference."""
    key, gated, ours = _both(reference, suspect, alone=True)
    theirs = kept(suspect, (*key, "every layer"), lambda: Side.of_each(forms_of(suspect), gated=gated))
    counts = [np.isfinite(side.reads).all(axis=-1).sum(axis=1) for side in (ours, theirs)]

    def likeness(layer: int) -> Float64s:
        return np.array([nearest(reads[:SEEDS], theirs.reads[layer, :SEEDS])[2].sum() for reads in ours.reads])

    def log10_ps(pairs: Sequence[tuple[int, int]]) -> list[float]:
        return [sign_test(agreements(ours, theirs, i, j)).log10_p for i, j in pairs]

    return SingleLayers(likeness, log10_ps, -np.minimum(counts[0].max(), counts[1]) * math.log10(2))


def _both(reference: Fingerprint, suspect: Fingerprint, *, alone: bool = False) -> tuple[tuple[object, ...], bool, Side]:
    """A key for what is kept, whether neurons are gated, and the reference's neurons.

    Args:
        alone: decorrelate each layer by itself, so that none depends on what else is in its model.

    Raises:
        NotApplicable: only one of the models has gated neurons.
    """
    gated, *others = {bool(present(model)[list(GATED)].any()) for model in (reference, suspect)}
    if others:
        raise NotApplicable("only one of the models has gated neurons")
    key = "matched-writes", gated
    side = Side.of_each if alone else Side.of
    ours = kept(
        reference, (*key, "reference", alone), lambda: side(one_expert(forms_of(reference)), gated=gated).without_clones()
    )
    return key, gated, ours


@dataclass(frozen=True)
class Side:
    """Invariants of one model, (layers, neurons, features) scores that do not depend on labels; NaN rows for no neuron."""

    reads: Float64s
    writes: Float64s
    known: dict[int, Float64s] = field(default_factory=dict, repr=False)

    def rest(self, layer: int) -> Float64s:
        """(neurons, features) what reading leaves unexplained of writing, worked out once a layer."""
        if layer not in self.known:
            self.known[layer] = unexplained(self.reads[layer], self.writes[layer])
        return self.known[layer]

    @classmethod
    def of(cls, forms: Float64s, *, gated: bool) -> Side:
        """Of the heaviest neurons of each layer, MOST at most."""
        forms, reads, writes = forms[:, :MOST], *((READS, WRITES) if gated else (READS_UNGATED, WRITES_UNGATED))
        values = np.where(np.isin(np.arange(forms.shape[-1]), ODD), np.abs(forms), forms) if gated else forms
        absent = ~np.isfinite(values[..., reads + writes]).any(axis=-1)
        found = []
        for chosen in (reads, writes):
            scores = label_free_scores(values[..., chosen])
            scores[absent] = np.nan
            found.append(scores)
        return cls(found[0], found[1])

    @classmethod
    def of_each(cls, forms: Float64s, *, gated: bool) -> Side:
        """The same of every layer by itself."""
        each = [cls.of(layer[None], gated=gated) for layer in forms]
        return cls(np.concatenate([side.reads for side in each]), np.concatenate([side.writes for side in each]))

    def without_clones(self) -> Side:
        """The first of neurons that are copies or near copies of each other: in one of two models each must be there once."""
        both = np.concatenate([self.reads, self.writes], axis=-1, dtype=np.float32)
        least = 2 * CLONES**2 * both.shape[-1]
        cloned = np.stack([np.tril(distances(layer, layer) < least, -1).any(axis=1) for layer in both])[..., None]
        return Side(np.where(cloned, np.nan, self.reads), np.where(cloned, np.nan, self.writes))


def agreements(ours: Side, theirs: Side, i: int, j: int, tolerance: float = TOLERANCE) -> Float64s:
    """Of matched neurons of two layers: agreement of how they write beyond how they read, less the tolerance, weighted by the
    margin of the match.

    Args:
        tolerance: 0 for the plain statistic, whose calibration is reported.
    """
    return _weighted(ours.rest(i), theirs.rest(j), nearest(ours.reads[i], theirs.reads[j]), tolerance)


def _weighted(x: Float64s, y: Float64s, match: tuple[Int64s, Int64s, Float64s], tolerance: float = TOLERANCE) -> Float64s:
    left, right, margin = match
    return np.asarray((np.einsum("nf,nf->n", x[left], y[right]) - tolerance * x.shape[1]) * margin)


def _mean_agreements(side: Side, layers: Sequence[int], layer: int) -> list[float]:
    """Correlation of how the heaviest neurons of some layers write and those of another layer of the same model, matched and
    weighted as in `agreements`."""
    found = []
    for other in layers:
        left, right, margin = nearest(side.reads[other, :SEEDS], side.reads[layer, :SEEDS])
        agree = np.einsum("nf,nf->n", side.rest(other)[left], side.rest(layer)[right])
        weight = float(margin.sum()) * side.writes.shape[-1]
        found.append(float(agree @ margin) / weight if weight > 0 else 0.0)
    return found


def unexplained(reads: Float64s, writes: Float64s) -> Float64s:
    """(n, features) what kernel ridge regression on reads leaves of writes, of unit variance; zero for absent neurons."""
    known = np.isfinite(reads).all(axis=1)
    found = np.zeros_like(writes)
    x, y = reads[known], writes[known]
    if len(x) < 3:
        return found
    kernel, y = x @ x.T, y - y.mean(axis=0)
    squares = kernel.diagonal().copy()
    apart = squares[:, None] + squares
    apart -= 2 * kernel
    apart /= -max(_median(apart), 1e-30)
    kernel /= x.shape[1]
    kernel += 2 * np.exp(apart, out=apart)
    means = kernel.mean(axis=0)
    kernel += means.mean() - means - means[:, None]
    ridge = max(0.02 * float(np.trace(kernel)) / len(x), 1e-11)  # the trace is 0 if all neurons read alike
    # y - K (K + r)^-1 y = r (K + r)^-1 y, and K + r is positive definite
    kernel[np.diag_indices_from(kernel)] += ridge
    _, solved, failed = dposv(kernel.T, y, lower=True, overwrite_a=True)  # scipy's `solve` also asks how sure it is
    assert not failed
    rest = ridge * solved
    found[known] = rest / np.maximum(rest.std(axis=0), 1e-30)
    return found


def _median(distances: Float64s) -> float:
    """As `numpy.median`, of a table of distances between at least three things: there are all of them twice, but for the zeros
    of the diagonal, which come first."""
    n = len(distances)
    below = distances.reshape(-1)[_below(n)]
    middle = (n * n - 1) // 2
    low, high = (middle - n) // 2, (n * n // 2 - n) // 2
    below.partition(high)
    upper = below[high]
    return float(upper if low == high else (below[:high].max() + upper) / 2)


@lru_cache(maxsize=8)
def _below(n: int) -> Int64s:
    """Where the entries below the diagonal of a table stand in memory."""
    return np.flatnonzero(np.tri(n, k=-1, dtype=bool))


METHOD = Test(
    name="matched-writes",
    summary="neurons matched by how they read, whatever the disguise, and compared by how they write",
    needs=("neurons.forms",),
    source="kinprint; regression as in Shah and Peters, Annals of Statistics 2020",
    null="Given how neurons read, how the suspect's neurons write has nothing to do with the reference. Approximate: what "
    "reading explains is taken out by regression.",
    run=run,
    of="FFN",
    single_layers=single_layers,
)
