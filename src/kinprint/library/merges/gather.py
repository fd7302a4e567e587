"""Take a model apart: the smallest set of known models whose combination explains it, from fingerprints alone.

1. Who shares entries with the suspect at all? An exact test, corrected for the number of candidates (`relatives`).
2. Which of them are needed? Least squares on common entries, forward and backward (`combination`).
3. How were they combined? Every kind of merge predicts other entries (`merge_kinds`, `layer_sources`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain

import numpy as np

from kinprint.comparison import ALPHA
from kinprint.fingerprints import Fingerprint
from kinprint.library.merges.caveats import not_told
from kinprint.library.merges.combination import Data, Fit, added, fit, part, roundings, select
from kinprint.library.merges.gather_result import Gathering, Layer, Parent
from kinprint.library.merges.layer_sources import LayerSources, layer_sources
from kinprint.library.merges.merge_kinds import EXACT, Account, accounts, by_tensor, centre, choose, constant
from kinprint.library.merges.relatives import relatives, same_entries
from kinprint.library.merges.sampled_entries import OUTSIDE, Array, layer_shape, matrix_of, places, shape, spacing, values
from kinprint.library.merges.unaligned import unaligned
from kinprint.statistics import bonferroni

Progress = Callable[[str, int, int], None]


def gather(
    suspect: Fingerprint,
    candidates: Sequence[Fingerprint],
    *,
    alpha: float = ALPHA,
    size: int | None = None,
    progress: Progress = lambda what, done, total: None,
) -> Gathering:
    """Find what a model was put together from.

    Args:
        suspect: the model that is taken apart.
        candidates: models that may be parts of it; copies of the suspect itself (of its digest) are left out.
        alpha: largest p-value, corrected for all that was searched, at which a candidate counts.
        size: number of models that the candidates were chosen from, for which p-values are corrected; their own by default.
        progress: called with the name of a candidate, how many were compared by other tests, and how many there are.
    """
    others = [model for model in candidates if model.digest != suspect.digest]
    alike = [number for number, model in enumerate(others) if shape(model) == shape(suspect)]
    one_layer = layer_shape(suspect)
    layered = [number for number, model in enumerate(others) if one_layer and layer_shape(model) == one_layer]
    searched = (max(size or 0, len(others)), len(set(alike) | set(layered)))
    stacked = _stacked(suspect, others, layered, alpha * len(others) / max(searched[0], 1))
    data = _data(suspect, [others[number] for number in alike])
    found, p = relatives(data, alpha / 2, searched[0])
    if not found:
        if stacked is not None and stacked.models:
            return replace(_of_layers(suspect, others, stacked, None), searched=searched)
        hidden = unaligned(suspect, others, alpha, searched[0], progress) if others else ()
        return Gathering(suspect, "untestable" if hidden else "none", elsewhere=hidden, searched=searched)
    twins = same_entries(data, found)
    explained = _explained_by(data, list(twins), stacked, alpha)
    if explained[0].kind == "passthrough" and stacked is not None:
        return replace(_of_layers(suspect, others, stacked, data), searched=searched)
    plain = len(explained[0].models) == 1 or explained[0].kind == "ties"
    best, *equal = [explained] if plain else _all_exact(data, explained, list(twins), alpha)
    models = [others[number] for number in alike]
    mixture = _of_mixture(suspect, models, data, *best, twins, p)
    sets = tuple(tuple(models[number].name for number in account.models) for account, _ in equal)
    return replace(mixture, searched=searched, alternatives=sets)


def _explained_by(data: Data, relatives: list[int], stacked: LayerSources | None, alpha: float) -> tuple[Account, Fit]:
    """The preferred account of the suspect by some of its relatives, and the largest combination on the way to it."""
    kept, forward = select(data, relatives, alpha)
    first = [constant(kept)]
    if stacked is not None and (len(stacked.models) > 1 or not stacked.in_place):
        first.append(_account(stacked))
    return choose(data, chain(first, accounts(data, kept, forward, relatives)), alpha), forward


def _all_exact(data: Data, first: tuple[Account, Fit], relatives: list[int], alpha: float) -> list[tuple[Account, Fit]]:
    """The account, and those of other models that leave nothing but rounding either, the smallest remainder first.

    Each of its models is left out in turn: where a library holds several merges of the same models, one sum can be written in
    several ways.
    """
    again = [
        _explained_by(data, [number for number in relatives if number != left_out], None, alpha) for left_out in first[0].models
    ]
    exact = {frozenset(found[0].models): found for found in again if len(found[0].models) > 1}
    known = [first, *(found for models, found in exact.items() if models != frozenset(first[0].models))]
    sizes = [roundings(data, account.remainder) for account, _ in known]
    kept = [number for number, size in enumerate(sizes) if size <= EXACT or not number]
    if len(kept) > 1 and sizes[0] > EXACT:
        kept.remove(0)
    return [known[number] for number in sorted(kept, key=lambda number: sizes[number])]


def _data(suspect: Fingerprint, models: Sequence[Fingerprint]) -> Data:
    where, entries = places(suspect), values(suspect, suspect)
    return Data(entries, matrix_of(models, suspect), where, spacing(suspect, where, entries))


def _stacked(suspect: Fingerprint, others: Sequence[Fingerprint], layered: Sequence[int], alpha: float) -> LayerSources | None:
    """The sources of the layers, with candidates numbered as in `others`."""
    if not layered:
        return None
    found = layer_sources(suspect, [others[number] for number in layered], alpha / 2)
    numbered = [
        source
        and replace(source, model=layered[source.model], same=tuple((layered[model], layer) for model, layer in source.same))
        for source in found.sources
    ]
    return replace(found, sources=tuple(numbered))


def _account(stacked: LayerSources) -> Account:
    models = stacked.models
    shares = np.array([[s.model for s in stacked.sources if s].count(model) for model in models]) / len(stacked.sources)
    return Account("passthrough", models, shares, np.full(len(models), np.nan), stacked.remainder)


def _of_layers(suspect: Fingerprint, others: Sequence[Fingerprint], stacked: LayerSources, data: Data | None) -> Gathering:
    data = data or _data(suspect, [])
    account, layers, parents = _account(stacked), [], []
    for source in stacked.sources:
        layers.append(Layer(source=(others[source.model].name, source.layer, source.log10_p)) if source else Layer())
    for model, share in zip(account.chosen, account.coefficients, strict=True):
        mine = [source for source in stacked.sources if source and source.model == model]
        same = sorted(set.intersection(*({others[other].name for other, _ in source.same} for source in mine)))
        parents.append(Parent(others[model], float(share), None, min(source.log10_p for source in mine), tuple(same)))
    size = roundings(data, account.remainder)
    unknown = [number for number, source in enumerate(stacked.sources) if source is None]
    notes = ["What lies outside of the layers (embeddings, last norm) has no part in this."]
    if unknown:
        notes.append(f"No source was found of layers {' '.join(map(str, unknown))}.")
    return Gathering(
        suspect,
        "passthrough",
        tuple(parents),
        layers=tuple(layers),
        explained=_explained(data, account.remainder),
        roundings=size,
        exact=size <= EXACT and not unknown,
        notes=tuple(notes),
    )


def _of_mixture(
    suspect: Fingerprint,
    models: Sequence[Fingerprint],
    data: Data,
    chosen: Account,
    forward: Fit,
    twins: dict[int, list[int]],
    p: Array,
) -> Gathering:
    whole = fit(data, chosen.models)
    single = len(chosen.models) == 1
    parents = []
    for number in chosen.models:
        at = chosen.chosen.index(number) if number in chosen.chosen else None
        log10_p = float(p[number]) if single else bonferroni(part(data, whole, number).log10_p, len(twins))
        weight, error = (chosen.coefficients[at], chosen.errors[at]) if at is not None else (math.nan, math.nan)
        same = tuple(models[other].name for other in twins[number])
        parents.append(Parent(models[number], float(weight), None if single else float(error), log10_p, same))
    base = chosen.base if chosen.kind != "task-arithmetic" else centre(data, chosen.chosen)
    size = roundings(data, chosen.remainder)
    exact = size <= EXACT
    nearest = min(float(np.nansum(whole.weights * (data.y - data.x[number]) ** 2)) for number in chosen.models)
    left = float(np.nansum(whole.weights * chosen.remainder**2))
    speaking = [number for number in forward.chosen if number not in chosen.models]
    p_around = [bonferroni(value, len(twins)) for value in added(data, whole, speaking)]
    around = [] if exact else [(models[n], value) for n, value in zip(speaking, p_around, strict=True)]
    order = sorted(range(len(parents)), key=lambda at: -np.nan_to_num(parents[at].coefficient, nan=-math.inf))
    return Gathering(
        suspect,
        chosen.kind,
        tuple(parents[at] for at in order),
        base=None if base is None else models[base],
        details=chosen.details,
        layers=_layers(data, [chosen.models[at] for at in order], chosen) if not single and chosen.kind != "ties" else (),
        explained=_explained(data, chosen.remainder),
        beyond=None if single or not nearest else 1 - left / nearest,
        roundings=size,
        exact=exact,
        associated=tuple(around),
        notes=not_told([models[n].name for n in chosen.models], data, chosen, exact),
    )


def _layers(data: Data, chosen: Sequence[int], account: Account) -> tuple[Layer, ...]:
    """Coefficients by layer: means over its tensors, weighted by their precision."""
    coefficients, errors, _ = by_tensor(data, chosen, affine=account.kind != "slerp")
    found = []
    for layer in range(int(data.places.layers.max(initial=OUTSIDE)) + 1):
        here = (data.places.layers == layer) & np.isfinite(errors).all(axis=1)
        precision = 1 / np.maximum(errors[here], 1e-12) ** 2
        total = precision.sum(axis=0)
        if not here.any():
            found.append(Layer())
            continue
        mean = (coefficients[here] * precision).sum(axis=0) / total
        found.append(Layer(tuple(map(float, mean)), tuple(map(float, 1 / np.sqrt(total)))))
    return tuple(found)


def _explained(data: Data, remainder: Array) -> float:
    """Share of the variance of the matrices' entries; every tensor counts alike."""
    kept = data.places.matrix & np.isfinite(remainder)
    tensor = data.places.tensor[kept]
    left, all_of_it = np.bincount(tensor, remainder[kept] ** 2), np.bincount(tensor, data.y[kept] ** 2)
    known = all_of_it > 0
    return float(1 - np.mean(left[known] / all_of_it[known])) if known.any() else math.nan
