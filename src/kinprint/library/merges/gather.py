"""Take a model apart: the smallest set of known models whose combination explains it, from fingerprints alone.

1. Who shares entries with the suspect at all? An exact test, corrected for the number of candidates (`relatives`).
2. Which of them are needed? Least squares on common entries, forward and backward (`combination`); where more than rounding is
   left, also those whose coefficients stand in every tensor (`established`).
3. How were they combined? Every kind of merge predicts other entries (`merge_kinds`, `layer_sources`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain

import numpy as np

from kinprint.arrays import Float64s
from kinprint.comparison import ALPHA
from kinprint.fingerprints import Fingerprint
from kinprint.library.merges.account import Account
from kinprint.library.merges.caveats import NOISE, SCATTER, TRAINED, UNEVEN, alike, left_out, not_told
from kinprint.library.merges.collinearity import INFLATED, inflation, instead
from kinprint.library.merges.combination import Data, Fit, added, fit, part, rounding_bias, roundings, select
from kinprint.library.merges.established import established
from kinprint.library.merges.gather_result import Gathering, LayerOrigin, Parent, TensorOrigin
from kinprint.library.merges.layer_sources import LayerSources, layer_sources
from kinprint.library.merges.merge_kinds import CHOSEN, EXACT, accounts, by_tensor, centre, choose, constant, copied
from kinprint.library.merges.per_tensor import Pooled, experts, group_fit, tensors, whole_of
from kinprint.library.merges.relatives import relatives, same_entries
from kinprint.library.merges.sampled_entries import OUTSIDE, layer_shape, matrix_of, places, shape, spacing, values
from kinprint.library.merges.sparse_sums import dropped
from kinprint.library.merges.unaligned import unaligned
from kinprint.statistics import bonferroni

Progress = Callable[[str, int, int], None]

STAND_INS = 4
"""Relatives that are tried in a part's place."""

DROPPED = 0.02
"""Share of entries left as the base's that is worth words."""


def gather(
    suspect: Fingerprint,
    candidates: Sequence[Fingerprint],
    *,
    alpha: float = ALPHA,
    size: int | None = None,
    changed: bool = True,
    progress: Progress = lambda what, done, total: None,
) -> Gathering:
    """Find what a model was put together from.

    Args:
        suspect: the model that is taken apart.
        candidates: models that may be parts of it; copies of the suspect itself (of its digest) are left out.
        alpha: largest p-value, corrected for all that was searched, at which a candidate counts.
        size: number of models that the candidates were chosen from, for which p-values are corrected; their own by default.
        changed: whether parts are sought that something done after the merge hides.
        progress: called with the name of a candidate, how many were compared by other tests, and how many there are.
    """
    others = [model for model in candidates if model.digest != suspect.digest]
    alike = [number for number, model in enumerate(others) if shape(model) == shape(suspect)]
    one_layer = layer_shape(suspect)
    layered = [number for number, model in enumerate(others) if one_layer and layer_shape(model) == one_layer]
    searched = (max(size or 0, len(others)), len(set(alike) | set(layered)))
    stacked = _stacked(suspect, others, layered, alpha * len(others) / max(searched[0], 1))
    data = _data(suspect, [others[number] for number in alike])
    sharing, p = relatives(data, alpha / 2, searched[0])
    if not sharing:
        if stacked is not None and stacked.models:
            return replace(_of_layers(suspect, others, stacked, None), searched=searched)
        hidden = unaligned(suspect, others, alpha, searched[0], progress) if others else ()
        return Gathering(suspect, "untestable" if hidden else "none", elsewhere=hidden, searched=searched)
    twins = same_entries(data, sharing)
    explained = _explained_by(data, list(twins), stacked, alpha, changed=changed)
    if explained[0].kind == "passthrough" and stacked is not None:
        return replace(_of_layers(suspect, others, stacked, data), searched=searched)
    plain = len(explained[0].models) == 1 or explained[0].kind in CHOSEN
    best, *equal = [explained] if plain else _all_exact(data, explained, list(twins), alpha)
    models = [others[number] for number in alike]
    account, forward = best
    if len(account.models) == 1:
        gathering = _of_one(suspect, models, data, account, forward, twins, p)
    else:
        gathering = _of_mixture(suspect, models, data, account, forward, twins, alpha)
    sets = tuple(tuple(models[number].name for number in account.models) for account, _ in equal)
    return replace(gathering, searched=searched, alternatives=sets)


def _explained_by(
    data: Data, relatives: list[int], stacked: LayerSources | None, alpha: float, *, changed: bool = True
) -> tuple[Account, Fit]:
    """The preferred account of the suspect by some of its relatives, and the largest combination on the way to it.

    Args:
        changed: whether parts are sought that something done later hides.
    """
    kept, forward = select(data, relatives, alpha)
    if changed and roundings(data, kept.remainder) > EXACT:
        kept = _with_parts(data, kept, established(data, forward, relatives, alpha))
    first = [constant(kept)]
    if stacked is not None and (len(stacked.models) > 1 or not stacked.in_place):
        first.append(_account(stacked))
    return choose(data, chain(first, accounts(data, kept, forward, relatives)), alpha), forward


def _with_parts(data: Data, kept: Fit, parts: Sequence[int]) -> Fit:
    """The combination of established parts and of those that halve the remainder; a single model is only the nearest."""
    if not parts:
        return kept
    halving = [number for number in kept.chosen if number not in parts] if len(kept.chosen) > 1 else []
    return fit(data, [*parts, *halving])


def _all_exact(data: Data, first: tuple[Account, Fit], relatives: list[int], alpha: float) -> list[tuple[Account, Fit]]:
    """The account, and those of other models that leave nothing but rounding either, the smallest remainder first.

    Leaves out each of its models in turn: if a library holds several merges of the same models, one sum can be written in
    several ways.
    """
    again = [
        _explained_by(data, [number for number in relatives if number != without], None, alpha, changed=False)
        for without in first[0].models
    ]
    by_models = {frozenset(account.models): (account, fitted) for account, fitted in again if len(account.models) > 1}
    known = [first, *(explained for models, explained in by_models.items() if models != frozenset(first[0].models))]
    sizes = [roundings(data, account.remainder) for account, _ in known]
    kept = [number for number, size in enumerate(sizes) if size <= EXACT or not number]
    if len(kept) > 1 and sizes[0] > EXACT:
        kept.remove(0)
    return [known[number] for number in sorted(kept, key=lambda number: sizes[number])]


def _data(suspect: Fingerprint, models: Sequence[Fingerprint]) -> Data:
    where, entries = places(suspect), values(suspect, suspect)
    return Data(entries, matrix_of(models, suspect), where, spacing(suspect, where, entries))


def _stacked(suspect: Fingerprint, models: Sequence[Fingerprint], layered: Sequence[int], alpha: float) -> LayerSources | None:
    """The sources of the layers, with candidates numbered as in `others`."""
    if not layered:
        return None
    stacked = layer_sources(suspect, [models[number] for number in layered], alpha / 2)
    numbered = [
        source
        and replace(source, model=layered[source.model], same=tuple((layered[model], layer) for model, layer in source.same))
        for source in stacked.sources
    ]
    return replace(stacked, sources=tuple(numbered))


def _account(stacked: LayerSources) -> Account:
    models = stacked.models
    shares = np.array([[s.model for s in stacked.sources if s].count(model) for model in models]) / len(stacked.sources)
    return Account("passthrough", models, shares, np.full(len(models), np.nan), stacked.remainder)


def _of_layers(suspect: Fingerprint, models: Sequence[Fingerprint], stacked: LayerSources, data: Data | None) -> Gathering:
    data = data or _data(suspect, [])
    account, layers, parents = _account(stacked), [], []
    for source in stacked.sources:
        layers.append(
            LayerOrigin(source=(models[source.model].name, source.layer, source.log10_p)) if source else LayerOrigin()
        )
    for model, share in zip(account.chosen, account.coefficients, strict=True):
        sources = [source for source in stacked.sources if source and source.model == model]
        same = sorted(set.intersection(*({models[twin].name for twin, _ in source.same} for source in sources)))
        parents.append(Parent(models[model], float(share), None, min(source.log10_p for source in sources), tuple(same)))
    size = roundings(data, account.remainder)
    unknown = [number for number, source in enumerate(stacked.sources) if source is None]
    notes = ["Tensors outside of the layers (embeddings, last norm) were not looked at."]
    if unknown:
        notes.append(f"No source was found for layers {' '.join(map(str, unknown))}.")
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


def _of_one(
    suspect: Fingerprint,
    models: Sequence[Fingerprint],
    data: Data,
    account: Account,
    forward: Fit,
    twins: dict[int, list[int]],
    p: Float64s,
) -> Gathering:
    """A suspect that one model explains as well as any combination does."""
    (number,) = account.models
    coefficient, _ = account.coefficient_of(number)
    parent = Parent(models[number], coefficient, None, float(p[number]), _names(models, twins[number]))
    gathering = _of_account(suspect, models, data, account, fit(data, account.models), forward, len(twins))
    return replace(gathering, parents=(parent,))


def _of_mixture(
    suspect: Fingerprint,
    models: Sequence[Fingerprint],
    data: Data,
    account: Account,
    forward: Fit,
    twins: dict[int, list[int]],
    alpha: float,
) -> Gathering:
    """A suspect that takes several models, the largest coefficient first; a base without a coefficient last."""
    whole = fit(data, account.models)
    account, pooled = _changed_since(data, account, forward)
    ordered = sorted(account.models, key=lambda number: -np.nan_to_num(account.coefficient_of(number)[0], nan=-math.inf))
    exact = roundings(data, account.remainder) <= EXACT
    found = _of_account(suspect, models, data, account, whole, forward, len(twins))
    trained = bool(found.associated) or pooled is None or (pooled.log10_p < UNEVEN and float(pooled.scatter.max()) > SCATTER)
    parents = []
    for number in ordered:
        log10_p = bonferroni(part(data, whole, number).log10_p, len(twins))
        same = _names(models, twins[number])
        near = [] if exact else _near(data, number, list(twins))
        places = _names(models, instead(data, whole, number, near, alpha, half=trained))
        parents.append(Parent(models[number], *account.coefficient_of(number), log10_p, same, places))
    base = account.base if account.kind != "task-arithmetic" else centre(data, account.chosen)
    nearest = min(float(np.nansum(whole.weights * (data.y - data.x[number]) ** 2)) for number in account.models)
    left = float(np.nansum(whole.weights * account.remainder**2))
    gone = _dropped(data, account, list(twins))
    largest = max(zip(inflation(data, whole), _names(models, whole.chosen), strict=True))
    notes = [
        *found.notes,
        *([] if exact or account.kind not in ("linear", "task-arithmetic") else [TRAINED if trained else NOISE]),
        *([left_out(gone)] if gone else []),
        *([alike(largest[1], largest[0])] if largest[0] > INFLATED else []),
    ]
    return replace(
        found,
        parents=tuple(parents),
        base=None if base is None else models[base],
        layers=_layers(data, ordered, account) if account.kind not in CHOSEN else (),
        tensors=_tensors(data, ordered) if account.kind not in ("ties", "slerp") else (),
        beyond=1 - left / nearest if nearest else None,
        details=found.details
        | ({} if pooled is None else {"scatter": float(pooled.scatter.max())})
        | ({"dropped": gone} if gone else {}),
        notes=tuple(notes),
    )


def _changed_since(data: Data, account: Account, forward: Fit) -> tuple[Account, Pooled | None]:
    """The coefficients of a sum, pooled over tensors where more than rounding is left.

    The errors hold what tensors disagree by, and by how much coefficients change if all models that speak for the suspect are
    let in: training moves a merge in directions that it shares with other models. It moves tensors alike: where they disagree
    by more than their errors, their mean is no better known than one of them. Where only rounding is left, the coefficients are
    freed of what rounding does to them, and the errors hold it.
    """
    if account.kind not in ("linear", "task-arithmetic"):
        return account, None
    if roundings(data, account.remainder) <= EXACT:
        bias = rounding_bias(data, account.chosen, account.coefficients)
        errors = np.hypot(account.errors, bias)
        return replace(account, coefficients=account.coefficients - bias, errors=errors), None
    own = whole_of(data, account.chosen)
    if own is None or not np.isfinite(own.errors).all():
        return account, None
    beside, moved = whole_of(data, forward.chosen), np.zeros(len(account.chosen))
    for at, number in enumerate(account.chosen):
        if beside is not None and number in forward.chosen:
            moved[at] = beside.coefficients[forward.chosen.index(number)] - own.coefficients[at]
    errors = np.hypot(own.errors, moved)
    if own.log10_p < UNEVEN:
        errors = np.hypot(errors, own.scatter)
    return replace(account, coefficients=own.coefficients, errors=errors), own


def _near(data: Data, number: int, relatives: Sequence[int]) -> list[int]:
    """The relatives nearest to a part: who might stand in its place."""
    others = [other for other in relatives if other != number]
    return sorted(others, key=lambda other: float(np.nanmean((data.x[other] - data.x[number]) ** 2)))[:STAND_INS]


def _dropped(data: Data, account: Account, relatives: Sequence[int]) -> float:
    """Share of the entries in which all parts differ from a base and the suspect is the base's; 0 if there are next to none."""
    if account.kind not in ("linear", "task-arithmetic", "sparse"):
        return 0.0
    pool = copied(data, relatives)
    others = [number for number in account.models if pool and number != pool[0]]
    share = dropped(data, pool[0], others) if others else 0.0
    return share if share > DROPPED else 0.0


def _tensors(data: Data, chosen: Sequence[int]) -> tuple[TensorOrigin, ...]:
    """Coefficients of every tensor and every expert that has entries enough."""
    found = [group_fit(data, chosen, group) for group in chain(tensors(data.places), experts(data.places))]
    return tuple(
        TensorOrigin(
            one.group.name,
            None if one.group.layer == OUTSIDE else one.group.layer,
            None if one.group.expert < 0 else one.group.expert,
            len(one.group.columns),
            tuple(map(float, one.coefficients)),
            tuple(map(float, one.errors)),
        )
        for one in found
        if one is not None
    )


def _of_account(
    suspect: Fingerprint,
    models: Sequence[Fingerprint],
    data: Data,
    account: Account,
    whole: Fit,
    forward: Fit,
    tries: int,
) -> Gathering:
    """The result of any account, without its parents: how much it explains, what remains, and which other models are related.

    Args:
        whole: the best combination of the account's models.
        forward: the largest combination on the way to it.
        tries: candidates that p-values are corrected for.
    """
    size = roundings(data, account.remainder)
    exact = size <= EXACT
    speaking = [] if exact else [number for number in forward.chosen if number not in account.models]
    log10_ps = [bonferroni(value, tries) for value in added(data, whole, speaking)]
    return Gathering(
        suspect,
        account.kind,
        details=account.details,
        explained=_explained(data, account.remainder),
        roundings=size,
        exact=exact,
        associated=tuple((models[number], value) for number, value in zip(speaking, log10_ps, strict=True)),
        notes=not_told(_names(models, account.models), data, account, exact),
    )


def _names(models: Sequence[Fingerprint], numbers: Sequence[int]) -> tuple[str, ...]:
    return tuple(models[number].name for number in numbers)


def _layers(data: Data, chosen: Sequence[int], account: Account) -> tuple[LayerOrigin, ...]:
    """Coefficients by layer: means over its tensors, weighted by their precision."""
    if account.kind == "slerp":
        coefficients, errors, _ = by_tensor(data, chosen, affine=False)
        owner = data.places.layers
    else:
        fits = [one for group in tensors(data.places) if (one := group_fit(data, chosen, group)) is not None]
        owner = np.array([one.group.layer for one in fits], np.int64)
        coefficients = np.array([one.coefficients for one in fits]).reshape(-1, len(chosen))
        errors = np.array([one.errors for one in fits]).reshape(-1, len(chosen))
    layers = []
    for layer in range(int(data.places.layers.max(initial=OUTSIDE)) + 1):
        rows = (owner == layer) & np.isfinite(errors).all(axis=1)
        if not rows.any():
            layers.append(LayerOrigin())
            continue
        precision = 1 / np.maximum(errors[rows], 1e-12) ** 2
        total = precision.sum(axis=0)
        mean = (coefficients[rows] * precision).sum(axis=0) / total
        layers.append(LayerOrigin(tuple(map(float, mean)), tuple(map(float, 1 / np.sqrt(total)))))
    return tuple(layers)


def _explained(data: Data, remainder: Float64s) -> float:
    """Share of the variance of the matrices' entries; every tensor counts alike."""
    kept = data.places.matrix & np.isfinite(remainder)
    tensor = data.places.tensor[kept]
    left, all_of_it = np.bincount(tensor, remainder[kept] ** 2), np.bincount(tensor, data.y[kept] ** 2)
    known = all_of_it > 0
    return float(1 - np.mean(left[known] / all_of_it[known])) if known.any() else math.nan
