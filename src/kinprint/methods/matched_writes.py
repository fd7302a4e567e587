"""Neurons without a gate, matched by what no disguise changes of their reading: do they write like their partners?

METHODS: disguised models, 2a. Such neurons have no free sign (see `matched-invariants`), so the statement is that of
`kinprint.correspondence.writes`, about the invariants in the trait `neurons.forms`: neurons are matched, and layers aligned, by
the invariants of what they read; tested are those of what they write, and those that join the two, freed in both models of what
the former explain (kernel ridge regression; Shah and Peters, Annals of Statistics 2020). That null is approximate, so
correlations up to a tolerance are taken as nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kinprint.evidence import Evidence, Method, NotApplicable
from kinprint.fingerprints import Fingerprint
from kinprint.methods._matched import aligned, as_evidence, compared, nearest
from kinprint.statistics import label_free_scores

Array = NDArray[np.float64]

GATED = (1, 3, 4)
READS = (2, 7, 13, 19, 25)
"""Columns of neurons.forms: the product of the norms, and u'Mu of the four forms."""

WRITES = (5, 8, 11, 14, 17, 20, 23, 26, 29)
"""cos(up, down), d'Md and u'Md of the four forms."""

MOST = 512
"""Neurons of a layer that take part: the regression takes the cube of their number."""

TOLERANCE = 0.02
"""Correlation of each invariant that is taken as nothing. Not tuned: between unrelated models of the zoo the mean is within a
tenth of it, in descendants it is five times as large (docs/methods.md)."""


def run(reference: Fingerprint, suspect: Fingerprint) -> Evidence:
    """H0: given what they read, what the suspect's neurons write does not depend on the reference."""
    x, y = (np.asarray(model.traits["neurons.forms"], dtype=np.float64)[:, :MOST] for model in (reference, suspect))
    if any(np.isfinite(values[..., GATED]).any() for values in (x, y)):
        raise NotApplicable("one of the models has gated neurons, whose signs `matched-invariants` compares")
    shown = compared(y)
    ours, theirs = Side.of(x), Side.of(y[shown])
    layers = aligned(ours.reads, theirs.reads, shown, len(y))
    each = [agreements(ours, theirs, i, j) for j, i in enumerate(layers)]
    layer_map = tuple(layers) if len(shown) == len(y) else None
    how = "by how they read and tested by how they write; the null is approximate, so small agreement is taken as nothing"
    return as_evidence(METHOD.name, each, layer_map, how)


@dataclass(frozen=True)
class Side:
    """Invariants of one model, (layers, neurons, features) scores that do not depend on labels; NaN rows for no neuron."""

    reads: Array
    writes: Array

    @classmethod
    def of(cls, forms: Array) -> Side:
        absent = ~np.isfinite(forms[..., READS + WRITES]).any(axis=-1)
        found = []
        for columns in (READS, WRITES):
            scores = label_free_scores(forms[..., columns])
            scores[absent] = np.nan
            found.append(scores)
        return cls(*found)


def agreements(ours: Side, theirs: Side, i: int, j: int, tolerance: float = TOLERANCE) -> Array:
    """Of matched neurons of two layers: agreement of how they write beyond how they read, less the tolerance, weighted by the
    margin of the match.

    Args:
        tolerance: 0 for the plain statistic, whose calibration is reported.
    """
    left, right, margin = nearest(ours.reads[i], theirs.reads[j])
    x, y = unexplained(ours.reads[i], ours.writes[i])[left], unexplained(theirs.reads[j], theirs.writes[j])[right]
    return np.asarray((np.einsum("nf,nf->n", x, y) - tolerance * x.shape[1]) * margin)


def unexplained(reads: Array, writes: Array) -> Array:
    """(n, features) what kernel ridge regression on reads leaves of writes, of unit variance; zero for absent neurons."""
    known = np.isfinite(reads).all(axis=1)
    found = np.zeros_like(writes)
    x, y = reads[known], writes[known]
    if len(x) < 3:
        return found
    squares = (x**2).sum(axis=1)
    distances = squares[:, None] + squares - 2 * x @ x.T
    centre = np.eye(len(x)) - 1 / len(x)
    kernel = centre @ (x @ x.T / x.shape[1] + 2 * np.exp(-distances / max(float(np.median(distances)), 1e-30))) @ centre
    ridge = 0.02 * float(np.trace(kernel)) / len(x) * np.eye(len(x))
    rest = centre @ y - kernel @ np.linalg.solve(kernel + ridge, centre @ y)
    found[known] = rest / np.maximum(rest.std(axis=0), 1e-30)
    return found


METHOD = Method(
    name="matched-writes",
    kind="test",
    summary="neurons without a gate, matched by how they read, compared by how they write",
    needs=("neurons.forms",),
    source="kinprint; regression as in Shah and Peters, Annals of Statistics 2020",
    null="Given how neurons read, how the suspect's neurons write has nothing to do with the reference. Approximate: what "
    "reading explains is taken out by regression.",
    run=run,
)
