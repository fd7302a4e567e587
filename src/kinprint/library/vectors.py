"""Fingerprints as unit vectors, one a space, in which relatives lie near each other and strangers do not.

Vectors only propose candidates; the tests decide. Two kinds:

**By index** (`channels`, `neurons`): label-free scores of each unit, added up over layers, so that depth does not matter, and
projected by a count sketch (Charikar, Chen and Farach-Colton, 2002) whose hash depends on the width. Descendants keep their
units' labels, so the cosine estimates the correlation of the units. Strangers, and models of other widths, get independent
vectors: cosines of mean 0 and variance near 1 / dimensions.

**Without labels** (`forms`, `signs`): sums over all neurons of a function of the values that no disguise changes; the order and
the number of neurons and layers drop out. A smooth function would only see the distribution of these values, which all models
of one recipe share. `forms` therefore takes the empirical characteristic function at frequencies at which a smooth distribution
has none, so that the rest is particular to these neurons (random Fourier features, Rahimi and Recht, 2007, of a kernel so
narrow
that only the same neuron is near). `signs` takes a function that changes sign with a gated neuron: those signs are random in
models trained independently (`kinprint.matching.signs`), so that cosines of strangers have mean 0 whatever the function.
`readings` does the same with what the first layer's neurons read of tokens, which quick fingerprints have too.

All pseudo-random numbers come from BLAKE3, so vectors of different machines and versions can be compared. Sines and cosines are
those of float32, which take a tenth of the time of float64: a vector is wrong by 1e-6, a stranger's cosine is 0.06.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import NamedTuple

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray
from scipy.special import ndtri

from kinprint.arrays import Float32s, Float64s
from kinprint.errors import NotApplicable
from kinprint.fingerprints import Fingerprint
from kinprint.fingerprints.form_columns import EVEN, ODD
from kinprint.fingerprints.readings import TOKENS
from kinprint.library import spaces
from kinprint.matching.forms import signs_of
from kinprint.matching.invariants import invariants
from kinprint.matching.readings import directions
from kinprint.statistics import label_free_scores
from kinprint.statistics.normal_scores import decorrelation, normal_scores

Vector = NDArray[np.float32]

FREQUENCY = 3.5
"""Root mean square of the phases of `forms`: the characteristic function of a normal distribution is 0.002 there."""

NEARBY = 1.5
"""Root mean square of the phases of unsigned values in `signs`: large enough that different neurons do not add up."""

ODD_SCALE = 0.5
"""Factor of signed invariants before the sine: nearly linear, and no neuron counts for much more than another."""

GATES, UPS = 1.1, 1.0
"""Root mean square of the phases of what gates, and what ups, read of tokens, in `readings`: as for `signs`."""

RIDGE = 0.5
"""Added to the unit variance of invariants before whitening: directions of little variance change most in training."""

BLOCK = 1024
"""Neurons taken at once: few enough that their phases stay in the processor's cache, and that float32 adds them up well."""

CHANNELS = (
    *(f"channels.{role}" for role in ("q", "k", "v", "o", "gate", "up", "down")),
    *("embedding.input", "embedding.output"),
)
"""Traits of residual channels that count: those most models have."""


def vectors(fingerprint: Fingerprint) -> Mapping[str, Vector]:
    """Unit vectors by space, (spaces.DIMENSIONS[space],) float32. A space is absent if its traits are absent or constant."""
    by_index = {"channels": _channels(fingerprint), "neurons": _neurons(fingerprint)}
    sums = by_index | _without_labels(fingerprint) | _readings(fingerprint)
    return {space: unit for space, vector in sums.items() if (unit := _unit(vector)) is not None}


def _channels(fingerprint: Fingerprint) -> Float64s:
    """Each trait's normal scores over channels, averaged over layers."""
    total = np.zeros(spaces.DIMENSIONS["channels"])
    for name in CHANNELS:
        if name in fingerprint.traits:
            scores = normal_scores(np.atleast_2d(fingerprint.traits[name])[..., None])
            total += _sketch("channels", name, normal_scores(scores.mean(axis=0)[None])[0, :, 0])
    return total


def _neurons(fingerprint: Fingerprint) -> Float64s:
    """Whitened scores of neurons by index. Layers are added: those of one model are independent, so only equal ones agree."""
    total = np.zeros(spaces.DIMENSIONS["neurons"])
    if "neurons.invariants" in fingerprint.traits:
        values = invariants(fingerprint)
        known = np.flatnonzero(np.isfinite(values).any(axis=(0, 1)))
        scores = label_free_scores(values[..., known]).sum(axis=0)
        for column, number in enumerate(known):
            total += _sketch("neurons", str(number), scores[:, column])
    return total


class Neurons(NamedTuple):
    """The neurons of a model by what no disguise changes of them.

    Attributes:
        scores: (neurons, features) of all layers, ranked within their layer and decorrelated over the model.
        known: (even columns of `neurons.forms`, then odd ones) which of them the features are.
        complete: (layers, neurons) which neurons these are.
    """

    scores: Float64s
    known: NDArray[np.bool_]
    complete: NDArray[np.bool_]

    @classmethod
    def of(cls, fingerprint: Fingerprint) -> Neurons | None:
        """None where nothing is measured of neurons."""
        if "neurons.forms" not in fingerprint.traits:
            return None
        values = np.asarray(fingerprint.traits["neurons.forms"])
        even = np.concatenate([values[..., list(EVEN)], np.abs(values[..., list(ODD)])], axis=-1)
        known = np.isfinite(even).any(axis=(0, 1))
        complete = np.isfinite(even[..., known]).all(axis=-1)
        return cls(_whitened(even[..., known], complete), known, complete) if complete.any() else None


def _without_labels(fingerprint: Fingerprint) -> dict[str, Float64s]:
    """`forms`, and `signs` where neurons have a free one."""
    neurons = Neurons.of(fingerprint)
    if neurons is None:
        return {}
    values = np.asarray(fingerprint.traits["neurons.forms"], dtype=np.float64)
    sums = {"forms": _characteristic(neurons.scores, neurons.known)}
    signed = [column for column in ODD if np.isfinite(values[..., column]).any()]
    if signed and fingerprint.stated.free_signs:
        signs = signs_of(np.where(neurons.complete[..., None], values, 0.0), signed)[neurons.complete]
        sums["signs"] = _signed(neurons.scores, neurons.known, signs, [ODD.index(column) for column in signed])
    return sums


def _readings(fingerprint: Fingerprint) -> dict[str, Float64s]:
    """`readings`: the sum of functions odd in what a neuron's up reads of tokens, each where its gate makes a cosine large."""
    if "readings.gate" not in fingerprint.traits or not fingerprint.stated.free_signs:
        return {}
    try:
        gates, ups = directions(fingerprint, TOKENS)
    except NotApplicable:
        return {}
    count = spaces.DIMENSIONS["readings"]
    ways, turns = (_directions(f"readings {role}", TOKENS, count)[: gates.shape[1]] for role in ("gates", "ups"))
    shifts = 2 * np.pi * _uniform("readings shifts", count)
    return {"readings": waves(ups, UPS * turns, gates, GATES * ways, shifts)}


def _characteristic(scores: Float64s, known: NDArray[np.bool_]) -> Float64s:
    """Empirical characteristic function of the scores, real and imaginary parts, less that of a normal distribution."""
    ways = frequencies("forms", known, spaces.DIMENSIONS["forms"] // 2, scores, FREQUENCY)
    ways32, total = ways.astype(np.float32), np.zeros(spaces.DIMENSIONS["forms"])
    for block in blocks(len(scores)):
        phases = scores[block].astype(np.float32) @ ways32
        total += np.concatenate([np.cos(phases).sum(axis=0), np.sin(phases).sum(axis=0)])
    total /= len(scores)
    total[: ways.shape[1]] -= np.exp(-(FREQUENCY**2) / 2)
    return total


def _signed(scores: Float64s, known: NDArray[np.bool_], signs: Float64s, columns: list[int]) -> Float64s:
    """Sum of functions odd in a neuron's signed invariants, each where its other scores make a cosine large."""
    count = spaces.DIMENSIONS["signs"]
    ways, shifts = frequencies("signs", known, count, scores, NEARBY), 2 * np.pi * _uniform("signs shifts", count)
    turns = _directions("signs odd", len(ODD), count)[columns]
    turns = turns * (ODD_SCALE / np.linalg.norm(turns, axis=0))
    return waves(signs, turns, scores, ways, shifts) / len(scores)


def waves(odd: Float64s, turns: Float64s, even: Float64s, ways: Float64s, shifts: Float64s) -> Float64s:
    """(count,) sums over neurons of sin(odd turns) cos(even ways + shifts).

    Args:
        odd, even: (neurons, features).
        turns, ways: (features, count).
        shifts: (count,).
    """
    turns32, ways32, shifts32 = (each.astype(np.float32) for each in (turns, ways, shifts))
    total = np.zeros(len(shifts))
    for block in blocks(len(odd)):
        sines: Float32s = np.sin(odd[block].astype(np.float32) @ turns32)
        total += (sines * np.cos(even[block].astype(np.float32) @ ways32 + shifts32)).sum(axis=0)
    return total


def blocks(count: int) -> Iterator[slice]:
    """Few enough neurons at once that memory does not grow with the model."""
    yield from (slice(start, start + BLOCK) for start in range(0, count, BLOCK))


def _whitened(even: Float64s, complete: NDArray[np.bool_]) -> Float64s:
    """(neurons, features) of all layers, ranked within their layer and decorrelated over the model."""
    scores = normal_scores(np.where(complete[..., None], even, np.nan))[complete]
    return np.asarray(scores @ decorrelation(scores.T @ scores / len(scores), RIDGE))


def frequencies(space: str, known: NDArray[np.bool_], count: int, scores: Float64s, size: float) -> Float64s:
    """(features, count): directions of the known features, scaled so that the phases have the root mean square `size`."""
    ways = _directions(f"{space} even", len(known), count)[known]
    spread = np.sqrt(np.einsum("fc,fc->c", ways, (scores.T @ scores / len(scores)) @ ways))
    return np.asarray(ways * (size / np.maximum(spread, 1e-30)))


def _sketch(space: str, part: str, values: Float64s) -> Float64s:
    """Count sketch of one number a unit: each is added to, or subtracted from, one entry that its label decides."""
    words = _words(f"{space} {part} {len(values)}", len(values))
    signed = np.where(words >> 31, -values, values)
    return np.bincount(words % spaces.DIMENSIONS[space], weights=signed, minlength=spaces.DIMENSIONS[space]).astype(np.float64)


@cache
def _directions(text: str, features_: int, count: int) -> Float64s:
    """(features, count) standard normal numbers."""
    return np.asarray(ndtri(_uniform(text, features_ * count))).reshape(features_, count)


def _uniform(text: str, count: int) -> Float64s:
    return np.asarray((_words(text, count) + 0.5) / 2**32)


def _words(text: str, count: int) -> NDArray[np.uint32]:
    """The first 32-bit words of BLAKE3's output stream of a text."""
    stream = blake3(f"kinprint vectors {spaces.VERSION} {text}".encode()).digest(length=4 * count)
    return np.frombuffer(stream, "<u4").astype(np.uint32)


def _unit(vector: Float64s) -> Vector | None:
    """None for a vector without direction: nothing was measured, or every unit has the same value."""
    norm = float(np.linalg.norm(vector))
    return (vector / norm).astype(np.float32) if np.isfinite(norm) and norm > 1e-12 else None
