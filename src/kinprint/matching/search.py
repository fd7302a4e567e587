"""The search: rotation, layers and neurons that belong together, found from what neurons read.

Nothing here looks at the sign of a neuron's up and down vectors, and directions are taken from what neurons read alone:
what gated neurons' signs, and what neurons write, can be tested on the matches afterwards (METHODS: disguised models, 2b).

The search is given up where it finds nothing (`standing`), and what it has matched until then is tested like any other matches.
That rule looks at what the search looks at, and at nothing else. So given all that decides which neurons are matched, and
whether the search went on, the signs of the suspect's gated neurons are as random as before: the test of signs stays exact, at
every pair and on average. Nor does a pair that is given up leave the count of tests, which would let the rule choose for how
many tries the verdict is corrected. What giving up costs is power, where a search that stands for nothing would have come to
something.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kinprint.architectures.weights import Weights
from kinprint.arrays import Float32s, Float64s, Int64s
from kinprint.fingerprints.kernels import widened
from kinprint.fingerprints.parallel import each
from kinprint.matching.device import product
from kinprint.matching.layers import SEEDS, evenly
from kinprint.matching.nearest import mutual
from kinprint.matching.neurons import DESCRIBED, Layer, Neurons, neurons, whole
from kinprint.matching.rotation import cosines, nearest_rotation, unit
from kinprint.progress import counted
from kinprint.statistics.alignment import layers_in_order
from kinprint.statistics.normal_scores import decorrelation

LAYERS = 12
"""Layers of the suspect that are compared, evenly chosen."""

MOST_LAYERS = 64
"""Layers of the reference among which theirs are looked for if the depths differ."""

TOKENS = 4096
"""Leading ones whose embeddings give a first rotation."""

FIRST_ROUNDS = 8
"""Times the rotation and the first matches are found anew from each other, at most, before a search that stands for nothing is
given up."""

STANDING = 8.0
"""`standing` from which a search goes on. Strangers seldom come so far in as many rounds, and disguised descendants that are
found at all come far beyond (docs/how-it-works.md)."""

ROUNDS = 12
"""Times the rotation and all matches are found anew from each other, at most."""

SETTLED = 2e-4
"""Change of the mean cosine of the matches from which a further round is not worth it."""

RIDGE = 0.02
"""Added to the unit variance of descriptors before whitening."""


@dataclass(frozen=True)
class Match:
    """Neurons of one layer of the reference and one of the suspect that were found to belong together, each once.

    Attributes:
        reference, suspect: the layers.
        ours, theirs: (m,) indices into their neurons.
        closeness: (m,) float64 cosine of what they read after the rotation, at least zero.
    """

    reference: Layer
    suspect: Layer
    ours: NDArray[np.int64]
    theirs: NDArray[np.int64]
    closeness: Float64s

    @property
    def strength(self) -> float:
        return float(np.sum(self.closeness**3))


@dataclass(frozen=True)
class Correspondence:
    """What was found, whether or not the models have anything to do with each other.

    Attributes:
        reference, suspect: their neurons.
        rotation: (suspect directions, reference directions) float32 the rotation, in the bases of the neurons.
        matches: what can be tested: each layer of the reference once, and none that is a copy of another.
        layer_map: reference layer of each suspect layer that was looked at.
        given_up: whether the search stood for nothing: then the matches are the first ones, of few neurons a layer.
    """

    reference: Neurons
    suspect: Neurons
    rotation: Float32s
    matches: tuple[Match, ...]
    layer_map: tuple[int, ...]
    given_up: bool = False


def correspondence(reference: Weights, suspect: Weights, *, by_tokens: bool = False) -> Correspondence:
    """Find which neurons of two models belong together.

    Neurons are matched both ways by the angles of their descriptors, which gives a first rotation; of it and no rotation the
    better is kept. Or the first rotation is the one that takes the embeddings of the leading tokens to those of the same
    tokens: where two models have a vocabulary in common, it outlasts more training. Then matches are found by the rotation and
    the rotation by the matches, in turn: of the heaviest neurons first, and of all if these stand for something (`standing`).
    Layers of models of equal depth are compared by number, others aligned in order by their heaviest neurons, with repeats and
    gaps as fits best; those of a deeper suspect, which may be copies of copies, in any order.

    Args:
        by_tokens: begin with the embeddings. What neurons write must not be tested then: models that have nothing but their
            tokens in common read and write by tokens.

    Raises:
        CheckpointError: a matrix cannot be read.
    """
    ours, theirs = looked_at(reference, suspect)
    a, b = neurons(reference, ours), neurons(suspect, theirs)
    if not a.layers or not b.layers or a.gated != b.gated:
        return Correspondence(a, b, np.zeros((b.basis.shape[1], a.basis.shape[1]), np.float32), (), ())
    if by_tokens:
        starts = [_by_embeddings(a, b)]
    else:
        starts = [nearest_rotation(_cross(_by_descriptors(a, b)))]
        if reference.hidden == suspect.hidden:
            starts.append(np.asarray(b.basis.T @ a.basis))  # no rotation at all
    matches = max((_aligned(a, b, start) for start in starts), key=_strength)
    matches = _aligned(a, b, nearest_rotation(_cross(matches)))
    rotation = nearest_rotation(_cross(matches))
    for _ in counted(range(FIRST_ROUNDS), "first rounds", FIRST_ROUNDS):
        if standing(a, matches) >= STANDING:
            break
        matches = _rematched([(m.reference, m.suspect) for m in matches], rotation, DESCRIBED)
        rotation = nearest_rotation(_cross(matches))
    else:
        return Correspondence(a, b, rotation, _distinct(a, matches), _map(matches), given_up=True)
    matches = _aligned(a, b, rotation)
    rotation = nearest_rotation(_cross(matches))
    pairs = list(zip(whole(a, [m.reference for m in matches]), whole(b, [m.suspect for m in matches]), strict=True))
    before = 0.0
    for _ in counted(range(ROUNDS), "rounds", ROUNDS):
        matches = _rematched(pairs, rotation)
        rotation = nearest_rotation(_cross(matches))
        now = float(np.mean(np.concatenate([m.closeness for m in matches])))
        if abs(now - before) < SETTLED:
            break
        before = now
    return Correspondence(a, b, rotation, _distinct(a, matches), _map(matches))


def standing(reference: Neurons, matches: Sequence[Match]) -> float:
    """By how many standard deviations more the neurons of layers agree than those of layers that do not belong together.

    Layers are matched by the rotation that the other half of the layers says: what was fitted to chance stands for little in
    layers that it was not fitted to, and what all layers of two models have in common counts on both sides. Infinite where
    there are too few layers to ask.
    """
    layers = _distinct(reference, matches)
    apart = []
    for half in (0, 1):
        some, rotation = layers[half::2], _rotation(layers[1 - half :: 2])
        if rotation is None or len(some) < 2:
            continue
        others = [some[(i + len(some) // 2) % len(some)] for i in range(len(some))]
        for match, other in zip(some, others, strict=True):
            own, stranger = (
                _by_direction(match.reference, suspect, rotation, DESCRIBED) for suspect in (match.suspect, other.suspect)
            )
            difference = np.zeros(min(len(match.reference.index), DESCRIBED))
            difference[own.ours] += own.closeness**3
            difference[stranger.ours] -= stranger.closeness**3
            apart.append(difference)
    if not apart:
        return math.inf
    values = np.concatenate(apart)
    return float(values.sum() / max(np.linalg.norm(values), 1e-30))


def _distinct(reference: Neurons, matches: Sequence[Match]) -> tuple[Match, ...]:
    """Each layer of the reference once, by its best match, and no copies of layers (depth up-scaling).

    Copies of a layer share their neurons' signs: in one of the models every neuron must be there once.
    """
    best = {m.reference.layer: m for m in sorted(matches, key=lambda m: m.strength)}
    kept: list[Match] = []
    for layer in sorted(best):
        if not any(reference.copies(best[layer].reference, match.reference) for match in kept):
            kept.append(best[layer])
    return tuple(kept)


def matched_again(matching: Correspondence, which: Sequence[int], rotation: Float32s, most: int) -> list[Match]:
    """Some of the layers, their first neurons matched by another rotation, copies left out."""
    pairs = [(matching.matches[i].reference, matching.matches[i].suspect) for i in which]
    return _rematched(pairs, rotation, most, originals=True)


def rotation_without(matching: Correspondence, which: Sequence[int]) -> Float32s | None:
    """The rotation as the other layers alone say it; None if there are none."""
    return _rotation([match for i, match in enumerate(matching.matches) if i not in set(which)]) if which else None


def _rotation(matches: Sequence[Match]) -> Float32s | None:
    return nearest_rotation(_cross(matches)) if matches else None


def looked_at(reference: Weights, suspect: Weights) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The layers of both models that are read; of models of equal depth the same ones."""
    theirs = _evenly(suspect, LAYERS)
    return (theirs if reference.layers == suspect.layers else _evenly(reference, MOST_LAYERS)), theirs


def _evenly(model: Weights, most: int) -> tuple[int, ...]:
    """Some of the layers that have an FFN."""
    layers = [layer for layer in range(model.layers) if model.experts(layer)]
    return tuple(layers[i] for i in evenly(len(layers), most))


def _map(matches: Sequence[Match]) -> tuple[int, ...]:
    return tuple(match.reference.layer for match in matches)


def _strength(matches: Sequence[Match]) -> float:
    return sum(match.strength for match in matches)


def _rematched(
    pairs: Sequence[tuple[Layer, Layer]], rotation: Float32s, most: int | None = None, *, originals: bool = False
) -> list[Match]:
    return each(lambda pair: _by_direction(*pair, rotation, most, originals=originals), pairs, what="layers matched")


def _aligned(a: Neurons, b: Neurons, rotation: Float32s) -> list[Match]:
    """Layers and their first neurons matched by a rotation."""
    theirs = [widened(layer.reads[:SEEDS]) for layer in b.layers]

    def fits(i: int) -> list[float]:
        layer = a.layers[i]
        ours = widened(layer.reads[layer.first][:SEEDS]) @ rotation.T
        return [float(np.sum(_closeness(ours @ reads.T)[2] ** 3)) for reads in theirs]

    return _in_order(a, b, fits, lambda i, j: _by_direction(a.layers[i], b.layers[j], rotation, DESCRIBED))


def _by_embeddings(a: Neurons, b: Neurons) -> Float32s:
    """The rotation between what two models call the same tokens; those without finite embeddings count for nothing."""
    ours, theirs = (np.nan_to_num(unit(model.weights.leading_tokens(TOKENS) @ model.basis)) for model in (a, b))
    shared = min(len(ours), len(theirs))
    return nearest_rotation(theirs[:shared].T @ ours[:shared])


def _by_descriptors(a: Neurons, b: Neurons) -> list[Match]:
    """First matches: neurons nearest to each other both ways; a match counts the more the farther the second nearest is."""
    joined = np.concatenate([np.concatenate([layer.descriptors for layer in model.layers]) for model in (a, b)])
    count = sum(len(layer.descriptors) for layer in a.layers)
    known = joined[:count].any(axis=0) & joined[count:].any(axis=0)  # of forms that both models have
    joined = joined[:, known]
    whitening = decorrelation(joined.T @ joined / len(joined), RIDGE)
    x, y = ([unit(layer.descriptors[:, known] @ whitening).astype(np.float32) for layer in model.layers] for model in (a, b))

    def matched(i: int, j: int, most: int) -> Match:
        near = x[i][:most] @ y[j][:most].T
        near[~a.layers[i].first[: len(near)]] = -np.inf
        near[:, ~b.layers[j].first[: near.shape[1]]] = -np.inf
        ours, theirs = mutual(-near)
        best = -np.partition(-near[ours], 1, axis=1)[:, :2] if near.shape[1] > 1 else np.zeros((len(ours), 2))
        margin = np.where(np.isfinite(best[:, 1]), best[:, 0] - best[:, 1], 0.0).astype(np.float64)
        return Match(a.layers[i], b.layers[j], ours, theirs, np.sqrt(margin))

    def fits(i: int) -> list[float]:
        return [float(np.sum(matched(i, j, SEEDS).closeness ** 2)) for j in range(len(b.layers))]

    return _in_order(a, b, fits, lambda i, j: matched(i, j, DESCRIBED))


def _by_direction(a: Layer, b: Layer, rotation: Float32s, most: int | None = None, *, originals: bool = False) -> Match:
    """Neurons whose reads are nearest to each other both ways after the rotation.

    Args:
        most: how many of the first of each layer take part.
        originals: leave out the suspect's copies, as the reference's always are: two copies of a neuron share its sign, so
            one of the models must be free of them for signs to be independent.
    """
    near = cosines(a.reads[a.first][:most], b.reads[b.first if originals else slice(None)][:most], rotation)
    return Match(a, b, *_closeness(near))


def _closeness(near: NDArray[np.floating]) -> tuple[Int64s, Int64s, Float64s]:
    """Rows and columns of a table of cosines that are each other's nearest, and how close they are, at least zero."""
    ours, theirs = mutual(-near)
    return ours, theirs, np.maximum(near[ours, theirs].astype(np.float64), 0.0)


def _cross(matches: Sequence[Match]) -> Float32s:
    """Sum of y x^T over the matches: closer ones count more."""
    total = None
    for m in matches:
        x = widened(m.reference.reads[m.ours]) * (m.closeness**2)[:, None].astype(np.float32)
        part = product(widened(m.suspect.reads[m.theirs]).T, x)
        total = part if total is None else total + part
    assert total is not None
    return np.asarray(total)


def _in_order(a: Neurons, b: Neurons, fits: Callable[[int], list[float]], matched: Callable[[int, int], Match]) -> list[Match]:
    """For each layer of the suspect the match with a layer of the reference that is best in all.

    Layers of models of equal depth are compared by number, others as they fit.

    Args:
        fits: of a layer of the reference, how well it fits each layer of the suspect, by their SEEDS heaviest neurons.
        matched: of a layer of the reference and one of the suspect.
    """
    rows, columns = range(len(a.layers)), range(len(b.layers))
    chosen = list(columns)
    if a.weights.layers != b.weights.layers or len(rows) != len(columns):
        table = np.array(each(fits, rows, what="layers aligned"))
        chosen = layers_in_order(table, deeper=b.weights.layers > a.weights.layers)
    return each(lambda pair: matched(*pair), list(zip(chosen, columns, strict=True)), what="layers matched")
