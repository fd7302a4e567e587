"""merge: one model from several of the same shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from kinprint.architectures import Part, Place
from kinprint.arrays import Float32s
from kinprint.errors import TransformError
from kinprint.transforms._model import Model, changed, drawn, generator, read_model, widened
from kinprint.transforms._sparse_merges import SPARSE
from kinprint.transforms._transform import Transform

Way = Literal["linear", "slerp", "ties", "task-arithmetic", "dare", "della", "breadcrumbs", "sce"]


def merge(
    model: Model,
    *,
    others: Sequence[Path],
    method: Way = "linear",
    weights: Sequence[float] | None = None,
    base: Path | None = None,
    density: float = 0.5,
    seed: int | None = None,
) -> Model:
    """Merge a model with others of the same architecture and shape, tensor by tensor.

    Args:
        others: the models to merge it with.
        method: linear: the weighted mean. slerp: two models on the arc between them. task-arithmetic: the weighted
            differences from the base, added to it (arXiv 2212.04089). ties: only the largest differences, those of the
            elected sign, averaged (arXiv 2306.01708). dare, della, breadcrumbs, sce: weighted differences of which entries were
            dropped (arXiv 2311.03099, 2406.11617, 2312.06795, 2408.07990).
        weights: one a model, the first model first; by default equal (1 each for differences).
        base: the common ancestor, for all but linear and slerp.
        density: share of each model's differences that is kept, for all but linear, slerp and task-arithmetic.
        seed: of what dare and della drop.
    """
    models = [model, *(read_model(path) for path in others)]
    away = method not in ("linear", "slerp")
    if away != (base is not None):
        raise TransformError(model.source, f"{method} {'needs a' if away else 'takes no'} base")
    if len(models) < 2 or (method == "slerp" and len(models) != 2):
        raise TransformError(model.source, f"{method} takes {'two' if method == 'slerp' else 'at least two'} models")
    chosen = list(weights) if weights is not None else [1.0 if away else 1 / len(models)] * len(models)
    if len(chosen) != len(models) or not np.isfinite(chosen).all() or not 0 < density <= 1:
        raise TransformError(model.source, f"{len(models)} models need {len(models)} finite weights, and a density in (0, 1]")
    if method != "task-arithmetic" and sum(chosen) == 0:
        raise TransformError(model.source, "the weights sum to zero")
    start = read_model(base) if base is not None else None
    seed = drawn(seed)
    for partner in [*models[1:], *([start] if start else [])]:
        _require_alike(model, partner)

    def merged(place: Place, part: Part) -> Part:
        theirs = [partner.parts[place] for partner in models[1:]]
        if start is None:
            combine = slerp if method == "slerp" else linear
            return changed(part, lambda first: combine([first, *(widened(p.read()) for p in theirs)], chosen))
        way: Callable[..., Float32s] = partial(ties, density=density) if method == "ties" else task_arithmetic
        if method in SPARSE:
            way = partial(SPARSE[method], density=density, random=generator(seed, method, place))
        return changed(part, partial(_from_base, start.parts[place], theirs, way, chosen))

    return model.each(merged)


def _from_base(base: Part, theirs: list[Part], way: Callable[..., Float32s], weights: list[float], first: Float32s) -> Float32s:
    origin = widened(base.read())
    return origin + way([first - origin, *(widened(part.read()) - origin for part in theirs)], weights)


def _require_alike(first: Model, second: Model) -> None:
    shapes = [{place: part.shape for place, part in model.parts.items()} for model in (first, second)]
    if shapes[0] == shapes[1]:
        return
    place = next(iter(sorted(shapes[0].items() ^ shapes[1].items(), key=str)))[0]
    raise TransformError(
        second.source,
        f"not the shape of {first.source} (first difference: {place[1]})",
        "merge models of one architecture and size",
    )


def linear(arrays: Sequence[Float32s], weights: Sequence[float]) -> Float32s:
    """sum_i w_i W_i / sum_i w_i."""
    total = sum(weights)
    shares = [np.float32(weight / total) for weight in weights]
    return np.asarray(np.sum([array * share for array, share in zip(arrays, shares, strict=True)], axis=0))


def slerp(arrays: Sequence[Float32s], weights: Sequence[float]) -> Float32s:
    """Spherical interpolation of two flattened tensors: sin((1-t) a) / sin(a) V + sin(t a) / sin(a) W.

    The angle a is between their directions, t the second's share of the weights; nearly parallel tensors are interpolated
    linearly.
    """
    share = weights[1] / sum(weights)
    first, second = (array.astype(np.float64) for array in arrays)
    sizes = np.linalg.norm(first) * np.linalg.norm(second)
    cosine = float(np.clip(np.vdot(first, second) / sizes, -1, 1)) if sizes else 1.0
    if abs(cosine) > 0.9995:
        return ((1 - share) * first + share * second).astype(arrays[0].dtype)
    angle = np.arccos(cosine)
    arc = (np.sin((1 - share) * angle) * first + np.sin(share * angle) * second) / np.sin(angle)
    return np.asarray(arc.astype(arrays[0].dtype))


def task_arithmetic(deltas: Sequence[Float32s], weights: Sequence[float]) -> Float32s:
    """sum_i w_i (W_i - B) (Ilharco et al., section 2)."""
    return np.asarray(np.sum([delta * np.float32(weight) for delta, weight in zip(deltas, weights, strict=True)], axis=0))


def ties(deltas: Sequence[Float32s], weights: Sequence[float], density: float) -> Float32s:
    """Trim, elect sign, disjoint merge (Yadav et al., section 3).

    Of every difference the `density` largest entries stay; every entry takes the sign of the weighted sum; the weighted mean
    of the entries that have it is the merged difference.
    """
    trimmed = np.stack([_trimmed(delta, density) for delta in deltas])
    shares = np.asarray(weights, dtype=np.float32).reshape(-1, *[1] * deltas[0].ndim)
    weighted = trimmed * shares
    agrees = (np.sign(weighted) == np.sign(weighted.sum(axis=0))) & (trimmed != 0)
    total = np.where(agrees, shares, 0).sum(axis=0)
    return np.asarray(np.where(agrees, weighted, 0).sum(axis=0) / np.where(total == 0, 1, total))


def _trimmed(delta: Float32s, density: float) -> Float32s:
    gone = delta.size - max(round(delta.size * density), 1)
    if gone == 0:
        return delta
    sizes = np.abs(delta)
    return np.where(sizes > np.partition(sizes, gone - 1, axis=None)[gone - 1], delta, np.float32(0))


TRANSFORM = Transform(
    "merge",
    "derivation",
    merge,
    "kinprint transform merge examples/models/base -o merged --others examples/models/finetune --method slerp",
)
