"""Was one model made from the other's weights? Steps that lose entries, or repeat them, say so, and say which came first.

Training moves every weight, and two models that were trained from a third look like parent and child. These steps lose
something, or repeat it, and leave the rest as it was: entry by entry in the samples, bit for bit in the digests. What was made
so holds nothing that the other does not hold: it was made from that model, or from a copy of it. The other way about somebody
would have had to invent what is missing, and to invent it so that nothing else changes.

None of this has a null hypothesis. `kinprint.library.descent.arrows` says how often each was true.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from kinprint.architectures.roles import MATRIX_ROLES
from kinprint.arrays import Float64s
from kinprint.comparison.identity import digests_of
from kinprint.fingerprints import Fingerprint
from kinprint.fingerprints.kept import kept

ENOUGH = 16
"""Sampled entries that are zero in one model alone, from which it is no coincidence."""

AT_ZERO = 0.12
"""Root mean square, in smallest entries of the other model, up to which entries have stayed where they were zero. Before they
were set to zero they have 0.29 or more: rounding makes zeros of all up to half a step, pruning of all up to one."""

NO_WIDER = 1.5
"""How many times further than others entries may have moved that were zero."""

SAME_FUNCTION = 5e-4
"""Relative difference of heads' spectra, of two forms of one model: one rounding to bfloat16 makes 3e-4 of it, rounding to
eight bits 9e-4."""

UNLIKE = 0.3
"""Cosine with other layers below which a layer was not made from one of them."""

Rule = Callable[[Fingerprint, Fingerprint], bool]
"""Whether the second model was made from the weights of the first."""


def zeroed(source: Fingerprint, copy: Fingerprint) -> bool:
    """Entries set to zero: all others are equal, as far as they were sampled."""
    set_to_zero = 0
    for x, y in _same_places(source, copy):
        gone = (y == 0) & (x != 0)
        if not np.array_equal(x[~gone], y[~gone]):
            return False
        set_to_zero += int(gone.sum())
    return set_to_zero >= ENOUGH


def zeros_kept(source: Fingerprint, copy: Fingerprint) -> bool:
    """Trained on from zeros: where the first has zeros, the second has not moved further from them than elsewhere.

    A sister, or an ancestor, has there what it was before it was set to zero.
    """
    at_zeros, elsewhere = [], []
    for of_role in _same_places(source, copy):
        if not (of_role[0] == 0).any():
            continue
        for x, y in zip(*of_role, strict=True):
            zero, there = (x == 0) & (y != 0), x != 0
            if zero.any() and there.any():
                smallest = np.abs(x[there]).min()
                at_zeros.append(y[zero] / smallest)
                elsewhere.append((y - x)[there] / smallest)
    if sum(map(len, at_zeros)) < ENOUGH:
        return False
    moved, usual = (_size(np.concatenate(values)) for values in (at_zeros, elsewhere))
    return moved <= min(AT_ZERO, NO_WIDER * usual)


def shortened(source: Fingerprint, copy: Fingerprint) -> bool:
    """Layers left out: the others are equal bit for bit and in order, and those left out were made from none of them."""
    ours, theirs = (kept(model, "layers by digest", partial(_layers, model)) for model in (source, copy))
    if not theirs or len(theirs) >= len(ours) or len(set(ours)) < len(ours):
        return False
    places = {layer: number for number, layer in enumerate(ours)}
    taken = [places.get(layer, -1) for layer in theirs]
    if -1 in taken or taken != sorted(set(taken)):
        return False
    return _unlike(source, [number for number in range(len(ours)) if number not in taken])


def repeated(source: Fingerprint, copy: Fingerprint) -> bool:
    """Layers or experts repeated: every matrix inside the layers is one of the first model's, some in several places."""
    ours, theirs = (kept(model, "matrices by digest", partial(_matrices, model)) for model in (source, copy))
    once = max(ours.values(), default=2) == 1
    return once and bool(theirs) and theirs.keys() <= ours.keys() and max(theirs.values()) > 1


def folded(source: Fingerprint, copy: Fingerprint) -> bool:
    """Norm gains folded in: the same heads up to one rounding, and gains of exactly 1, where no training ends."""
    ones = [kept(model, "gains of 1", partial(_all_one, model)) for model in (source, copy)]
    shared = ones[0].keys() & ones[1].keys()
    if not any(ones[1][name] and not ones[0][name] for name in shared) or any(ones[0][n] and not ones[1][n] for n in shared):
        return False
    spectra = [(m.traits.get("heads.qk_spectrum"), m.traits.get("heads.vo_spectrum")) for m in (source, copy)]
    return all(_same_spectra(x, y) for x, y in zip(*spectra, strict=True))


RULES: Mapping[str, Rule] = {
    "entries set to zero": zeroed,
    "layers left out": shortened,
    "layers or experts repeated": repeated,
    "norm gains folded in": folded,
    "trained on from zeros": zeros_kept,
}
"""In the order in which they are asked."""


def rule(source: Fingerprint, copy: Fingerprint) -> str | None:
    """The first rule that calls the second model made from the first; None if none does."""
    return next((name for name, made in RULES.items() if made(source, copy)), None)


def _same_places(source: Fingerprint, copy: Fingerprint) -> Iterator[tuple[NDArray[np.floating], NDArray[np.floating]]]:
    """(layers, entries) of both models, of every role, at the same places; nothing of models of other shapes."""
    if source.stated.shapes != copy.stated.shapes:
        return
    for role in source.stated.shapes:
        x, y = (model.traits.get(f"sample.{role}") for model in (source, copy))
        if role in MATRIX_ROLES and x is not None and y is not None and x.shape == y.shape:
            yield x, y


def _size(values: NDArray[np.floating]) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


def _layers(model: Fingerprint) -> list[frozenset[tuple[str, bytes]]]:
    """The parts of every layer, by name within it."""
    layers: dict[int, set[tuple[str, bytes]]] = {}
    for name, digest in (digests_of(model) or {}).items():
        number, _, own = name.partition(".")
        if number.isdecimal() and len(number) < 9:  # names come from strangers
            layers.setdefault(int(number), set()).add((own, digest))
    return [frozenset(layers[number]) for number in sorted(layers)]


def _matrices(model: Fingerprint) -> Counter[bytes]:
    """How often every matrix occurs inside the layers, of the roles that a copy of experts takes over."""
    counts: Counter[bytes] = Counter()
    for layer in _layers(model):
        for name, digest in layer:
            role = name.partition(".")[0]
            if role in MATRIX_ROLES and not role.startswith("shared_"):
                counts[digest] += 1
    return counts


def _unlike(model: Fingerprint, layers: list[int]) -> bool:
    """Whether these layers were made from none of the others, by the sampled entries of their matrices."""
    cosines = []
    for role in model.stated.shapes:
        entries = model.traits.get(f"sample.{role}")
        if role in MATRIX_ROLES and entries is not None and len(entries) == model.layers:
            unit: Float64s = np.asarray(entries, np.float64)
            unit = unit / np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-30)
            cosines.append(unit @ unit.T)
    if not cosines:
        return False
    mean = np.mean(cosines, axis=0)
    np.fill_diagonal(mean, 0.0)
    return bool(mean[layers].max() < UNLIKE)


def _all_one(model: Fingerprint) -> dict[str, bool]:
    """Norm gain -> whether all of them are exactly 1."""
    return {name: bool((values == 1).all()) for name, values in model.traits.items() if name.startswith("gains.")}


def _same_spectra(first: NDArray[np.floating] | None, second: NDArray[np.floating] | None) -> bool:
    """Whether the heads of every layer, in any order, have the same singular values up to one rounding."""
    if first is None or second is None or first.shape != second.shape:
        return False
    x, y = (np.sort(np.nan_to_num(np.asarray(values, np.float64)), axis=1) for values in (first, second))
    size = np.linalg.norm(x)
    return bool(size > 0 and np.linalg.norm(x - y) <= SAME_FUNCTION * size)
