"""Heads matched by their queries and keys: do their values and outputs agree with those of their partners?

METHODS: disguised models, 2a. What a head computes fixes two products of matrices, that of queries with keys and that of values
with outputs, up to the basis of the residual stream; their singular values do not depend on that either. Heads of a layer are
assigned by the spectrum of the first product alone, whole key-value groups with the heads inside them; tested is whether the
spectra of the second agree more between partners than they would between each other's, after what the first explains of them
was taken out of both models. No label, sign, scale or basis enters: nobody can make this evidence without changing what a model
computes, or hide it by relabelling. FFNs do not enter either. Kinds of heads are real, so the null is approximate, and
correlations up to a tolerance are taken as nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from kinprint.arrays import Float64s, Int64s
from kinprint.errors import NotApplicable
from kinprint.fingerprints import Fingerprint
from kinprint.fingerprints.kept import kept
from kinprint.matching.assignment import assignments
from kinprint.matching.layers import once, pairwise
from kinprint.methods._by_index import ATTAINABLE
from kinprint.methods._by_layer import by_layer
from kinprint.methods._heads import SPECTRA, Side, structure
from kinprint.methods._method import Finding, Test
from kinprint.statistics import RelabellingGroup, partners_test
from kinprint.statistics.alignment import layers_in_order

TOLERANCE = 0.05
"""Correlation of each feature that is taken as nothing. Not tuned: between strangers the mean is within a fifth of it, in
descendants it is ten times as large (docs/methods.md)."""

REPEATED = 0.5
"""Mean agreement of two layers of one model from which they count as copies of each other."""

AT_ONCE = 1 << 20
"""Products of features worked out at a time."""

FAR = 1e12
"""Distance of what is not there."""


def run(reference: Fingerprint, suspect: Fingerprint) -> Finding:
    """H0: given their queries and keys, the values and outputs of the suspect's heads do not depend on the reference."""
    ours, theirs = (structure(model) for model in (reference, suspect))
    members = ours.members if ours.members == theirs.members else None
    x = kept(reference, ("matched-heads reference", members), lambda: Side.of(reference, members).without_clones())
    y = kept(suspect, ("matched-heads suspect", members), lambda: Side.of(suspect, members))
    shown = [int(layer) for layer in np.flatnonzero(np.isfinite(y.rest).any(axis=(1, 2, 3)))]
    if not shown or not np.isfinite(x.rest).any():
        raise NotApplicable("one of the models has no heads that are finite")
    layers = aligned(x, y, shown)
    partners = dict(zip(shown, assigned(x.match[layers], y.match[shown]), strict=True))

    def copies(among: tuple[int, ...]) -> NDArray[np.bool_]:
        likeness = partial(mean_agreements, x, x)
        return kept(reference, ("matched-heads copies", members, among), lambda: pairwise(among, likeness) > REPEATED)

    tested = once(dict(zip(shown, layers, strict=True)), {j: -one.distance for j, one in partners.items()}, copies)
    each = [tested_of(x.rest[i], y.rest[j], partners[j]) for j, i in tested.items()]
    groups = min(x.rest.shape[1], y.rest.shape[1])
    units = RelabellingGroup(groups, x.rest.shape[2])
    if -len(each) * units.log10_relabellings() > ATTAINABLE:
        raise NotApplicable(f"too few heads ({units.units} in {len(each)} layers): no p-value could be small")
    flat = [np.stack([pair[side].reshape(units.units, -1) for pair in each]) for side in (0, 1)]
    result = partners_test(flat[0], flat[1], units, TOLERANCE)
    return Finding(
        statistic=result.z,
        log10_p=result.log10_p,
        bound=result.bound,
        layer_map=tuple(layers) if len(shown) == len(y.rest) else None,
        layers=by_layer(dict(zip(tested, result.layers, strict=True)), len(y.rest)),
        forgeable=False,
        parts={"agreement": float(np.mean([correlation(*pair) for pair in each]))},
        note=f"{units.units} {'heads' if members else 'groups of heads'} in {len(each)} layers matched by their queries and "
        "keys and tested by their values and outputs; the null is approximate, so small agreement is taken as nothing.",
    )


def aligned(x: Side, y: Side, shown: list[int]) -> list[int]:
    """Reference layer of each suspect layer: by number in models of equal depth, else by how well their heads match."""
    if len(x.match) == len(y.match):
        return shown
    known = [int(layer) for layer in np.flatnonzero(np.isfinite(x.match).any(axis=(1, 2, 3)))]
    fits = np.array([[-one.distance for one in assigned(x.match[[i]], y.match[shown])] for i in known])
    found = layers_in_order(fits - fits.min(), deeper=len(shown) > len(known))
    return [known[i] for i in found]


class Partners(NamedTuple):
    """Heads of two layers that belong together.

    Attributes:
        ours, theirs: (pairs, members, 2) group and member of each head on either side, groups in their order in the first.
        distance: mean, of what they are assigned by.
    """

    ours: Int64s
    theirs: Int64s
    distance: float


def assigned(x: Float64s, y: Float64s) -> list[Partners]:
    """Partners in each of some pairs of layers.

    Args:
        x, y: (pairs, groups, members, features) of the one and of the other layer; one layer may stand for all.
    """
    groups, members, features = x.shape[1:]
    step = max(AT_ONCE // (groups * y.shape[1] * members**2 * features), 1)
    found: list[Partners] = []
    for start in range(0, max(len(x), len(y)), step):
        ours, theirs = (side if len(side) == 1 else side[start : start + step] for side in (x, y))
        squares = ((ours[:, :, None, :, None] - theirs[:, None, :, None]) ** 2).mean(axis=-1)
        between = np.where(np.isfinite(squares), squares, FAR)  # pairs, groups, groups, members, members
        inside, costs = np.zeros(between.shape[:-1], dtype=np.int64), between[..., 0, 0]
        if members > 1:
            inside = assignments(between.reshape(-1, members, members)).reshape(between.shape[:-1])
            costs = np.take_along_axis(between, inside[..., None], axis=-1)[..., 0].mean(axis=-1)
        found += [_of_layer(one, cost) for one, cost in zip(inside, costs, strict=True)]
    return found


def _of_layer(inside: Int64s, cost: Float64s) -> Partners:
    """Groups assigned by their cost (groups, groups), heads as is best `inside` (groups, groups, members) of two groups."""
    left, right = linear_sum_assignment(cost)
    members = inside.shape[-1]
    there = cost[left, right] < FAR / (2 * members)
    left, right = left[there], right[there]
    ours, theirs = (np.empty((len(left), members, 2), dtype=np.int64) for _ in range(2))
    ours[..., 0], ours[..., 1] = left[:, None], np.arange(members)
    theirs[..., 0], theirs[..., 1] = right[:, None], inside[left, right]
    return Partners(ours, theirs, float(cost[left, right].mean()) if len(left) else FAR)


def tested_of(x: Float64s, y: Float64s, partners: Partners) -> tuple[Float64s, Float64s]:
    """What is tested of the partners of two layers, (groups, members, features), NaN where a group has no partner."""
    found = []
    for side, index in ((x, partners.ours), (y, partners.theirs)):
        values = np.full((min(len(x), len(y)), *side.shape[1:]), np.nan)
        values[: len(index)] = side[index[..., 0], index[..., 1]]
        found.append(values)
    return found[0], found[1]


def mean_agreements(x: Side, y: Side, layers: Sequence[int], layer: int) -> list[float]:
    """Correlation of what is tested of the partners of some layers of one model in a layer of another."""
    partners = assigned(x.match[list(layers)], y.match[[layer]])
    return [correlation(*tested_of(x.rest[i], y.rest[layer], one)) for i, one in zip(layers, partners, strict=True)]


def correlation(one: Float64s, other: Float64s) -> float:
    """Mean product of the features of partners that are there."""
    products = one * other
    known = products[np.isfinite(products)]
    return float(known.mean()) if known.size else 0.0


METHOD = Test(
    name="matched-heads",
    summary="heads matched by their queries and keys, whatever the disguise, and compared by their values and outputs",
    needs=SPECTRA,
    source="kinprint; spectra as in GhostSpec, arXiv 2511.06390",
    null="Given queries and keys of heads, values and outputs of the suspect's heads have nothing to do with the reference. "
    "Approximate: what queries and keys explain is taken out by regression.",
    run=run,
    of="attention",
)
