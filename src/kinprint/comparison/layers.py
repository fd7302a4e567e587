"""Where each layer of the suspect comes from: a p-value for every layer, and words for what no map of layers can say.

Only tests of units that one layer alone has (its neurons, its heads) speak of a single layer: a layer that was trained anew
beside copied ones is trained in their residual channels, and agrees with them there. Of each layer of the suspect the
smallest p-value counts, times all layers of the reference and all such tests, whichever of them were tried; then Holm's
procedure over the layers of the suspect. So with probability 1 - alpha no layer is said to come from one that it has nothing
in common with. What a layer writes, and how sampled entries add up, only describes.

Source: Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 1979.
"""

from __future__ import annotations

import contextlib
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kinprint.architectures.roles import MATRICES, MATRIX_ROLES
from kinprint.arrays import Float64s
from kinprint.comparison.identity import digests_of
from kinprint.errors import NotApplicable
from kinprint.fingerprints import Fingerprint
from kinprint.json_numbers import finite
from kinprint.methods import Evidence, Method, SingleLayers, Test
from kinprint.statistics import alpha_of_each, bonferroni, smallest

TRIED = 3
"""Layers of the reference that a test is asked about, for a layer of the suspect: of those that look most alike."""

ALIKE = 0.5
"""Those that look at least so much alike as the best one, and those whose entries have this correlation are copies."""

SILENT = 1e-3
"""Size of what a layer writes with, against the median layer of the reference, below which it writes nothing."""

LEAST = 0.1
"""Smallest weight of a layer in an average."""

CERTAIN = 5.0
"""Standard errors by which each weight of an average must differ from zero."""

WRITING = tuple(role for role in MATRIX_ROLES if MATRICES[role][0] == "residual")
"""What a layer adds to the residual stream, it adds through these."""

CLEAR = 3.0
"""A test speaks of new layers if the p-values of the layers that it finds are, in the median, at most this power of the level:
it would have found layers that were trained further than those."""

State = Literal["identical", "shared", "average", "identity", "new", "no-evidence"]


NEW = "none in the reference: new, dropped there, or trained too far to tell"


@dataclass(frozen=True)
class LayerOrigin:
    """What is known of one layer of the suspect.

    Attributes:
        layer: its number.
        state: "identical" (bit for bit), "shared" (a test says so), "average" (of several layers), "identity" (it writes
            nothing, so the model computes the same without it), "new" (nothing was found by a test that found the sources of
            other layers with a wide margin), "no-evidence".
        sources: layers of the reference that it comes from: of an average all of them, else the likeliest first, then copies of
            that one, if there are any; () if none is known.
        weights: of an average, how much of each source is in it.
        log10_p: for all layers of the reference, all tests and all layers of the suspect corrected; None if it was not tested.
        tests: that found a source.
    """

    layer: int
    state: State
    sources: tuple[int, ...] = ()
    weights: tuple[float, ...] = ()
    log10_p: float | None = None
    tests: tuple[str, ...] = ()

    @property
    def in_place(self) -> bool:
        """Whether it is the layer of its own number, and nothing else is to be said."""
        return self.state in ("identical", "shared") and self.sources[0] == self.layer

    def words(self) -> str:
        """What it is, for people."""
        sources = " or ".join(map(str, self.sources))
        if self.state == "average":
            weights = ", ".join(f"{weight:.2f}" for weight in self.weights)
            return f"average of layers {' and '.join(map(str, self.sources))} ({weights})"
        if self.state == "identity":
            return f"identity layer: writes nothing{f', the rest from layer {sources}' if sources else ''}"
        known = {"identical": f"layer {sources}, bit for bit", "shared": f"from layer {sources}", "new": NEW}
        return known.get(self.state, "no evidence")

    def to_json(self) -> dict[str, Any]:
        return {
            "layer": self.layer,
            "state": self.state,
            "words": self.words(),
            "sources": list(self.sources),
            "weights": list(self.weights),
            "log10_p": finite(self.log10_p),
            "tests": list(self.tests),
        }


def layer_origins(
    models: tuple[Fingerprint, Fingerprint], said: tuple[Sequence[Method], Sequence[Evidence]], alpha: float
) -> tuple[LayerOrigin, ...]:
    """Every layer of the suspect, of two related models; () if nothing tells of any of them where it comes from.

    Args:
        models: reference and suspect.
        said: methods, and what they said of the two models; only tests that decide are asked about single layers.
        alpha: probability with which any layer may be said to come from one that it has nothing in common with.
    """
    above, depth = (model.layers or 0 for model in models)
    if not above or not depth:
        return ()
    tests, entries = _tests(*said), _Entries.of(*models)
    maps = [item.layer_map for item in said[1] if item.decides and item.layer_map and len(item.layer_map) == depth]
    tries = max(len(tests) * above, 1)
    level = math.log10(alpha_of_each(alpha, tries * depth))
    p_values: list[_PValues] = [{} for _ in range(depth)]
    for name, begin in tests.items():
        left = [j for j in range(depth) if not _sources(p_values[j], level)]
        if not left:
            break
        with contextlib.suppress(NotApplicable):
            test = begin(*models)
            pairs = [
                (i, j)
                for j in left
                if test.least[j] <= level
                for i in _candidates(test.likeness(j), entries.correlations(j), [each[j] for each in maps])
            ]
            for (i, j), log10_p in zip(pairs, test.log10_ps(pairs), strict=True):
                p_values[j][name, i] = log10_p
    corrected = holm({j: smallest(list(ps.values()), tries=tries) for j, ps in enumerate(p_values) if ps}, depth)
    # of a layer of experts, tests see one or two of them
    telling = _telling(p_values, level) if (models[1].stated.num_experts or 0) <= 1 else set()
    same, silent, readers = _same(models), _silent(*models), _same(models, without=WRITING)
    found = []
    for j, ps in enumerate(p_values):
        p, sources, weights = corrected.get(j), tuple[int, ...](), tuple[float, ...]()
        state: State = "new" if telling & {name for name, _ in ps} else "no-evidence"
        if p is not None and p <= math.log10(alpha):
            sources, weights = entries.account(j, _sources(ps, level) or _sources(ps, min(ps.values())))
            state = "average" if weights else "shared"
        if silent[j]:
            state, sources, weights = "identity", readers.get(j, sources), ()
        elif j in same:
            state, sources, weights = "identical", same[j], ()
        by = tuple(sorted({name for (name, i), log10_p in ps.items() if i in sources and log10_p <= level}))
        found.append(LayerOrigin(j, state, sources, weights, p, by))
    return tuple(found) if any(origin.sources for origin in found) else ()


_PValues = dict[tuple[str, int], float]
"""(test, reference layer) -> log10 p of one suspect layer, for itself."""


def _tests(methods: Sequence[Method], evidence: Sequence[Evidence]) -> dict[str, Callable[..., SingleLayers]]:
    """Tests of single layers by name, those first that said most of all layers together."""
    ask = {method.name: method.single_layers for method in methods if isinstance(method, Test) and method.single_layers}
    return {item.method: ask[item.method] for item in evidence if item.decides and item.method in ask}


def _candidates(likeness: Float64s, correlations: Float64s, mapped: Sequence[int]) -> list[int]:
    """Layers of the reference that one of the suspect may come from."""
    found = set(mapped)
    for values in (likeness, correlations):
        best = float(np.max(values, initial=-math.inf))
        if best > 0:
            found |= {int(i) for i in np.argsort(-values)[:TRIED] if values[i] >= ALIKE * best}
    return sorted(found)


def _sources(ps: _PValues, level: float) -> tuple[int, ...]:
    """Reference layers with a p-value up to a level, the smallest first."""
    best: dict[int, float] = {}
    for (_, i), log10_p in ps.items():
        if log10_p <= level:
            best[i] = min(log10_p, best.get(i, 0.0))
    return tuple(sorted(best, key=lambda i: best[i]))


def _telling(p_values: Sequence[_PValues], level: float) -> set[str]:
    """Tests that find the sources of layers with a wide margin."""
    found: dict[str, list[float]] = {}
    for ps in p_values:
        for test in {name for name, _ in ps}:
            best = min(log10_p for (name, _), log10_p in ps.items() if name == test)
            if best <= level:
                found.setdefault(test, []).append(best)
    return {test for test, each in found.items() if statistics.median(each) <= CLEAR * level}


def holm(log10_ps: Mapping[int, float], count: int) -> dict[int, float]:
    """Adjusted p-values of some of `count` hypotheses: each is at most alpha where Holm's procedure at alpha rejects it."""
    adjusted, largest = {}, -math.inf
    for number, j in enumerate(sorted(log10_ps, key=lambda j: log10_ps[j])):
        largest = max(largest, bonferroni(log10_ps[j], count - number))
        adjusted[j] = largest
    return adjusted


@dataclass(frozen=True)
class _Entries:
    """Sampled entries of the matrices that both models have in one shape, over their size in the reference.

    Attributes:
        ours, theirs: (layers, entries) of the reference, of the suspect.
    """

    ours: Float64s
    theirs: Float64s

    @classmethod
    def of(cls, *models: Fingerprint) -> _Entries:
        sides: tuple[list[Float64s], list[Float64s]] = ([], [])
        for role in MATRIX_ROLES:
            name, shapes = f"sample.{role}", {shape for model in models for shape in model.stated.shapes.get(role, ())}
            if any(name not in model.traits for model in models) or len(shapes - {None}) != 1:
                continue
            ours, theirs = (np.asarray(model.traits[name], dtype=np.float64) for model in models)
            size = math.sqrt(float(np.mean(np.nan_to_num(ours) ** 2)))
            for side, values in zip(sides, (ours, theirs), strict=True):
                side.append(np.nan_to_num(values) / (size or 1.0))
        empty = [np.zeros((model.layers or 0, 0)) for model in models]
        ours, theirs = (np.concatenate([none, *side], axis=1) for none, side in zip(empty, sides, strict=True))
        return cls(ours, theirs)

    def correlations(self, layer: int) -> Float64s:
        """(reference layers,) of a suspect layer's entries with those of each reference layer; 0 where chance explains them."""
        if not self.ours.shape[1]:
            return np.zeros(len(self.ours))
        found = self.ours @ self.theirs[layer] / _length(self.ours, self.theirs[layer])
        return np.where(found * math.sqrt(self.ours.shape[1]) > CERTAIN, found, 0.0)

    def account(self, layer: int, sources: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[float, ...]]:
        """Which of the layers that a layer shares something with it comes from, and with what weights if it is an average.

        Least squares on their entries; the likeliest source alone, and its copies, where that is no clear average: where
        sources are copies of each other, or entries say nothing.
        """
        x, y = self.ours[list(sources)], self.theirs[layer]
        if len(sources) < 2 or x.shape[1] <= 2 * len(sources):
            return sources[:1], ()
        gram, likeness = x @ x.T, x @ y / _length(x, y)
        size = np.sqrt(np.maximum(np.diag(gram), 1e-300))
        best = int(np.argmax(likeness))
        copies = gram[best] / (size[best] * size) > ALIKE
        if copies.sum() > 1:
            return tuple(sources[k] for k in np.argsort(-likeness) if copies[k]), ()
        weights = np.linalg.lstsq(x.T, y, rcond=None)[0]
        rest = y - weights @ x
        errors = np.sqrt(np.diag(np.linalg.pinv(gram)) * float(rest @ rest) / (x.shape[1] - len(sources)))
        clear = (weights >= LEAST) & (weights >= CERTAIN * errors)
        order = sorted(np.flatnonzero(clear).tolist(), key=lambda k: sources[k])
        if len(order) < 2:
            return (sources[int(np.argmax(weights))] if order else sources[0],), ()
        return tuple(sources[k] for k in order), tuple(float(weights[k]) for k in order)


def _length(rows: Float64s, vector: Float64s) -> Float64s:
    return np.asarray(np.maximum(np.linalg.norm(rows, axis=1) * np.linalg.norm(vector), 1e-300))


def _same(models: tuple[Fingerprint, Fingerprint], without: Sequence[str] = ()) -> dict[int, tuple[int, ...]]:
    """Suspect layer -> reference layers all of whose tensors are the same bit for bit, the nearest by number first.

    Args:
        without: roles that do not count.
    """
    sides: list[dict[int, dict[str, bytes]]] = []
    for model in models:
        layers: dict[int, dict[str, bytes]] = {}
        for name, digest in (digests_of(model) or {}).items():
            number, _, own = name.partition(".")
            if (
                number.isdecimal()
                and len(number) < 9
                and not any(own == role or own.startswith((f"{role}.", f"biases.{role}")) for role in without)
            ):
                layers.setdefault(int(number), {})[own] = digest
        sides.append(layers)
    ours, theirs = sides
    found = {}
    for j, held in theirs.items():
        if same := [i for i, other in ours.items() if other == held]:
            found[j] = tuple(sorted(same, key=lambda i: abs(i - j)))
    return found


def _silent(reference: Fingerprint, suspect: Fingerprint) -> NDArray[np.bool_]:
    """(suspect layers,) whether whatever a layer writes with is next to nothing."""
    depth = suspect.layers or 0
    writes, speaks = np.zeros(depth, bool), np.zeros(depth, bool)
    for role in WRITING:
        for trait, size in ((f"moments.{role}", _root_mean_square), (f"biases.{role}", _length_of_rows)):
            if trait not in suspect.traits:
                continue
            own = size(suspect.traits[trait])
            usual = size(reference.traits[trait]) if trait in reference.traits else own
            there = np.isfinite(own)
            writes |= there
            speaks |= there & (own > SILENT * np.nanmedian(np.append(usual, np.nan if np.isfinite(usual).any() else 0.0)))
    return writes & ~speaks


def _root_mean_square(moments: NDArray[Any]) -> Float64s:
    values = np.asarray(moments, dtype=np.float64)
    return np.hypot(values[:, 0], values[:, 1])


def _length_of_rows(values: NDArray[Any]) -> Float64s:
    return np.asarray(np.linalg.norm(np.asarray(values, dtype=np.float64), axis=1))
