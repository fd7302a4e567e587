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

import numpy as np
from scipy.linalg import solve

from kinprint.arrays import Float64s
from kinprint.errors import NotApplicable
from kinprint.fingerprints import Fingerprint
from kinprint.fingerprints.form_columns import COLUMNS, GATED, ODD, Column, where
from kinprint.fingerprints.kept import kept
from kinprint.matching.forms import one_expert
from kinprint.matching.layers import SEEDS, aligned, compared, once
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
    key, gated, y, ours = _both(reference, suspect)
    shown = compared(y)
    theirs = kept(suspect, (*key, "suspect"), lambda: Side.of(y[shown], gated=gated))
    layers = aligned(ours.reads, theirs.reads, shown, len(y))
    each = [agreements(ours, theirs, i, j) for j, i in enumerate(layers)]
    few = kept(reference, (*key, "few"), lambda: Side(ours.reads[:, :SEEDS], ours.writes[:, :SEEDS]))
    fit = {j: float(nearest(ours.reads[i], theirs.reads[j])[2].sum()) for j, i in enumerate(layers)}

    def copies(i: int, k: int) -> bool:
        return kept(reference, (*key, "copies", i, k), lambda: _mean_agreement(few, i, k) > REPEATED)

    tested = once(dict(enumerate(layers)), fit, copies)
    layer_map = tuple(layers) if len(shown) == len(y) else None
    how = "by how they read and tested by how they write; the null is approximate, so small agreement is taken as nothing"
    return as_finding({int(shown[j]): each[j] for j in tested}, len(y), layer_map, how, forgeable=False)


def single_layers(reference: Fingerprint, suspect: Fingerprint) -> SingleLayers:
    """H0: given what they read, what the neurons of one layer of the suspect write does not depend on the reference."""
    key, gated, y, ours = _both(reference, suspect, alone=True)
    theirs = kept(suspect, (*key, "every layer"), lambda: Side.of_each(y, gated=gated))
    counts = [np.isfinite(side.reads).all(axis=-1).sum(axis=1) for side in (ours, theirs)]

    def likeness(layer: int) -> Float64s:
        return np.array([nearest(reads[:SEEDS], theirs.reads[layer, :SEEDS])[2].sum() for reads in ours.reads])

    def log10_ps(pairs: Sequence[tuple[int, int]]) -> list[float]:
        return [sign_test(agreements(ours, theirs, i, j)).log10_p for i, j in pairs]

    return SingleLayers(likeness, log10_ps, -np.minimum(counts[0].max(), counts[1]) * math.log10(2))


def _both(
    reference: Fingerprint, suspect: Fingerprint, *, alone: bool = False
) -> tuple[tuple[object, ...], bool, Float64s, Side]:
    """A key for what is kept, whether neurons are gated, the suspect's neurons, and the reference's.

    Args:
        alone: decorrelate each layer by itself, so that none depends on what else is in its model.

    Raises:
        NotApplicable: only one of the models has gated neurons.
    """
    x, y = (np.asarray(model.traits["neurons.forms"], dtype=np.float64) for model in (reference, suspect))
    gated, *others = {bool(np.isfinite(values[..., GATED]).any()) for values in (x, y)}
    if others:
        raise NotApplicable("only one of the models has gated neurons")
    key = "matched-writes", gated
    side = Side.of_each if alone else Side.of
    ours = kept(reference, (*key, "reference", alone), lambda: side(one_expert(x), gated=gated).without_clones())
    return key, gated, y, ours


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
        both = np.concatenate([self.reads, self.writes], axis=-1)
        least = 2 * CLONES**2 * both.shape[-1]
        cloned = np.stack([np.tril(distances(layer, layer) < least, -1).any(axis=1) for layer in both])[..., None]
        return Side(np.where(cloned, np.nan, self.reads), np.where(cloned, np.nan, self.writes))


def agreements(ours: Side, theirs: Side, i: int, j: int, tolerance: float = TOLERANCE) -> Float64s:
    """Of matched neurons of two layers: agreement of how they write beyond how they read, less the tolerance, weighted by the
    margin of the match.

    Args:
        tolerance: 0 for the plain statistic, whose calibration is reported.
    """
    left, right, margin = nearest(ours.reads[i], theirs.reads[j])
    x, y = ours.rest(i)[left], theirs.rest(j)[right]
    return np.asarray((np.einsum("nf,nf->n", x, y) - tolerance * x.shape[1]) * margin)


def _mean_agreement(side: Side, i: int, j: int) -> float:
    """Correlation of the invariants of how matched neurons of two layers of one model write."""
    plain, less = (agreements(side, side, i, j, tolerance).sum() for tolerance in (0.0, 1.0))
    return float(plain / (plain - less)) if plain > less else 0.0


def unexplained(reads: Float64s, writes: Float64s) -> Float64s:
    """(n, features) what kernel ridge regression on reads leaves of writes, of unit variance; zero for absent neurons."""
    known = np.isfinite(reads).all(axis=1)
    found = np.zeros_like(writes)
    x, y = reads[known], writes[known]
    if len(x) < 3:
        return found
    gram, y = x @ x.T, y - y.mean(axis=0)
    distances = np.diag(gram)[:, None] + np.diag(gram) - 2 * gram
    kernel = gram / x.shape[1] + 2 * np.exp(-distances / max(float(np.median(distances)), 1e-30))
    means = kernel.mean(axis=0)
    kernel += means.mean() - means - means[:, None]
    ridge = max(0.02 * float(np.trace(kernel)) / len(x), 1e-11)  # the trace is 0 if all neurons read alike
    # y - K (K + r)^-1 y = r (K + r)^-1 y, and K + r is positive definite
    kernel[np.diag_indices_from(kernel)] += ridge
    rest = ridge * solve(kernel, y, assume_a="pos", overwrite_a=True, check_finite=False)
    found[known] = rest / np.maximum(rest.std(axis=0), 1e-30)
    return found


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
