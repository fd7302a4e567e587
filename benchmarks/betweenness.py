"""Arrows by geometry alone, which `kinprint tree` does not draw: `benchmarks/directions.py` shows why.

If training steps are independent of each other, an ancestor stands between its descendants: given its weights, what two of them
have more is uncorrelated, while a sister's own training is missing in both others and correlates them. So P is taken for an
ancestor of C if, given P, C is uncorrelated with two other models at least, C holds all of P (slope), and the first mark that
speaks calls P the older. What spoils it is that trainings on like text pull alike, and that a sister that was trained for short
stands where the parent would: nothing that two or three models show tells her from it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from kinprint import Fingerprint
from kinprint.library.trees import marks
from kinprint.library.trees.distances import Sampled, _layers, compared_by_position
from kinprint.library.trees.tree import Family

OWN = 0.1
"""Largest branch of its own that an ancestor may have, as a share of the shorter of the others', with two standard errors."""

RATIO = 5.0
"""Models more than so many times farther away than each other are not compared."""

SLOPE = 0.9
"""Of the descendant on the ancestor; of two trainings from one start it is smaller."""

OTHERS = 2
"""Models that an ancestor has to stand between the descendant and."""

Blocks = Mapping[tuple[str, int], NDArray[np.float64]]


def between(models: Mapping[str, Fingerprint], names: Sequence[str], family: Family) -> Iterator[tuple[str, str, str]]:
    """(rule, ancestor, descendant): from the nearest model of the family that looks like an ancestor."""
    sampled = {model: Sampled.of(models[names[model]]) for model in family.models}
    alike = {pair for pair in itertools.combinations(family.models, 2) if compared_by_position(*(sampled[m] for m in pair))}
    beyond = {
        (p, c): _given(sampled[p], sampled[c])
        for p, c in itertools.permutations(family.models, 2)
        if (min(p, c), max(p, c)) in alike
    }
    size = {pair: np.mean([float(block @ block) for block in blocks.values()]) for pair, (_, blocks) in beyond.items()}
    for child in family.models:
        above = [p for p in family.models if (p, child) in beyond and _older(models[names[p]], models[names[child]])]
        above = [p for p in above if beyond[p, child][0] >= SLOPE and _stands_between(p, child, family.models, beyond, size)]
        if above:
            yield "stands between", names[min(above, key=lambda p: size[p, child])], names[child]


def _older(first: Fingerprint, second: Fingerprint) -> bool:
    mark = marks.first_mark(first, second)
    return mark is not None and mark[1]


def _stands_between(
    p: int,
    child: int,
    members: Sequence[int],
    beyond: Mapping[tuple[int, int], tuple[float, Blocks]],
    size: Mapping[tuple[int, int], float],
) -> bool:
    found = 0
    for other in members:
        if other == child or (p, other) not in beyond:
            continue
        ratio = np.sqrt(max(size[p, other], 1e-12) / max(size[p, child], 1e-12))
        if not 1 / RATIO <= ratio <= RATIO:
            continue
        ours, theirs = beyond[p, child][1], beyond[p, other][1]
        cosines = [_cosine(ours[key], theirs[key]) for key in ours.keys() & theirs.keys()]
        known = [cosine for cosine in cosines if cosine is not None]
        if len(known) > 1:
            error = np.std(known, ddof=1) / np.sqrt(len(known))
            found += (np.mean(known) + 2 * error) * max(ratio, 1 / ratio) < OWN and np.mean(known) > -0.5
    return found >= OTHERS


def _cosine(x: NDArray[np.float64], y: NDArray[np.float64]) -> float | None:
    sizes = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(x @ y) / sizes if sizes > 1e-12 else None


def _given(p: Sampled, c: Sampled) -> tuple[float, Blocks]:
    """Mean slope of c on p, and (role, layer of p) -> what of c is not a multiple of p, in units of p's norm."""
    slopes, blocks = [], {}
    deeper, shallower = (p, c) if p.depth >= c.depth else (c, p)
    layers = _layers([(deeper.entries[role], shallower.entries[role]) for role in deeper.shapes])
    pairs = [(layer, number) if deeper is p else (number, layer) for number, layer in enumerate(layers)]
    for role in p.shapes:
        for ours, theirs in pairs:
            x, y = p.entries[role][ours], c.entries[role][theirs]
            square = float(x @ x)
            if square:
                slopes.append(float(x @ y) / square)
                blocks[role, ours] = (y - slopes[-1] * x) / np.sqrt(square)
    return float(np.mean(slopes)) if slopes else 0.0, blocks
