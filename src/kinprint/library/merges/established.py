"""Parts that stand although more is left than they explain: what noise, rounding to few bits, a random drop or training hide.

A part's coefficient is that of its own direction among all models that speak for the suspect, whatever their order and however
much is left: noise is independent of every direction, so that least squares gives a part its coefficient, and a sister nothing.
Training is not. Models trained on from one origin share directions, and an origin that the library lacks is what its children
have in common; both give a model that is no part a coefficient. A part has to differ from both:

- size: its coefficient is above MATERIAL, significantly;
- evenness: tensors scatter by no more than a quarter of it, UNEVEN. A merge takes as much in every tensor, a shared direction
  does not;
- the other models: it is above LOADED times what the same regression, of them on each other, gives it as evenly.

The three numbers were chosen on models that are no merge (docs/gather.md says how often one is called a merge all the same).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from kinprint.arrays import Float64s
from kinprint.library.merges.combination import Data, Fit
from kinprint.library.merges.per_tensor import Pooled, whole_of
from kinprint.statistics import bonferroni
from kinprint.statistics.half_remainder import student_log10_p

MATERIAL = 0.05
"""Coefficient that a part has to exceed."""

UNEVEN = 0.25
"""Deviation between tensors, as a share of the coefficient, that a part may have."""

ALONE = 0.1
"""The same of a part that stands with an origin only: no second part bears it out."""

LOADED = 2.0
"""How many times what other models load on a model its coefficient has to exceed."""

NEAREST = 4
"""Nearest relatives that the suspect's models are regressed on beside each other."""

LOOKED_AT = 24
"""Nearest relatives among which the origin is sought."""


def established(data: Data, forward: Fit, relatives: Sequence[int], alpha: float) -> tuple[int, ...]:
    """Those of a selection's models that are parts, whatever remains; none if there are not two.

    Null hypothesis of each: its coefficient is at most MATERIAL, or LOADED times what other models load on it. Student's t over
    tensors, corrected for the number of relatives. An origin is loaded by all its children; it is taken if the parts'
    coefficients leave it what they lack to one.
    """
    chosen = forward.chosen
    whole = whole_of(data, chosen)
    if whole is None:
        return ()
    limit = math.log10(alpha)

    def exceeds(at: int, least: float) -> bool:
        surplus = abs(float(whole.coefficients[at])) - least
        if surplus <= 0 or not math.isfinite(whole.errors[at]):
            return False
        log10_p = student_log10_p(surplus / max(float(whole.errors[at]), 1e-12), whole.tensors)
        return bonferroni(log10_p, len(relatives)) <= limit

    material = [at for at in range(len(chosen)) if exceeds(at, MATERIAL)]
    even = [at for at in material if whole.unevenness[at] <= UNEVEN]
    if len(material) < 2 or not even:
        return ()
    loads = _loads(data, chosen, [chosen[at] for at in material], relatives)
    found = [at for at in even if exceeds(at, LOADED * loads(chosen[at], float(whole.unevenness[at])))]
    if len(found) == 1 and whole.unevenness[found[0]] > ALONE:
        return ()
    lacking = 1 - sum(float(whole.coefficients[at]) for at in found)
    rest = [at for at in material if at not in found]
    if found and rest and abs(lacking) > MATERIAL:
        found.append(max(rest, key=lambda at: abs(float(whole.coefficients[at]))))
    return tuple(chosen[at] for at in found) if len(found) > 1 else ()


def _loads(
    data: Data, chosen: Sequence[int], material: Sequence[int], relatives: Sequence[int]
) -> Callable[[int, float], float]:
    """What models that are like the suspect load on one of its models, as evenly as it does.

    Every one that has a material coefficient, but for the origin, is regressed on the others, and on the suspect's nearest
    relatives, as if it were the suspect. An origin that is missing, or that only some have, is in all of them: so the median
    is taken, the lower of two. Of one such model only, or of the origin alone, three quarters of all.
    """
    beside = sorted(set(relatives) - set(chosen), key=lambda row: _apart(data.y, data.x[row], data))[:LOOKED_AT]
    origin = _centre(data, [*chosen, *beside])
    companions = list(dict.fromkeys([*chosen, origin, *beside[:NEAREST]]))
    known: dict[int, tuple[list[int], Pooled | None]] = {}

    def load(number: int, row: int, uneven: float) -> float:
        if number not in known:
            others = [other for other in companions if other != number]
            known[number] = (others, whole_of(replace(data, y=data.x[number]), others) if len(others) > 2 else None)
        others, whole = known[number]
        if whole is None:
            return 1.0
        at = others.index(row)
        size = abs(float(whole.coefficients[at]))
        return size if whole.scatter[at] <= (2 * uneven + 0.05) * size else 0.0

    def shared(row: int, uneven: float) -> float:
        alike = [number for number in material if number not in (row, origin)]
        if alike:
            return float(np.quantile([load(number, row, uneven) for number in alike], 0.5, method="lower"))
        return float(np.quantile([load(number, row, uneven) for number in companions if number != row], 0.75))

    return shared


def _centre(data: Data, relatives: Sequence[int]) -> int:
    """The model nearest to all others."""
    totals = {row: sum(_apart(data.x[row], data.x[other], data) for other in relatives) for row in relatives}
    return min(totals, key=lambda row: totals[row])


def _apart(first: Float64s, second: Float64s, data: Data) -> float:
    """Mean over tensors of the square difference, in units of the suspect's own square."""
    kept = np.isfinite(first) & np.isfinite(second) & np.isfinite(data.y)
    tensor = data.places.tensor[kept]
    square, own = np.bincount(tensor, (first[kept] - second[kept]) ** 2), np.bincount(tensor, data.y[kept] ** 2)
    known = own > 0
    return float(np.mean(square[known] / own[known])) if known.any() else math.inf
