"""Are the weights the same? By digest, or up to one rounding to a narrower type."""

from __future__ import annotations

from collections.abc import Mapping

import ml_dtypes
import numpy as np

from kinprint.fingerprints import Fingerprint

LOOSE = ("channels.", "neurons.norms", "embedding.", "gains.", "biases.")
"""Traits that a cast changes by no more than its rounding."""


def identical(reference: Fingerprint, suspect: Fingerprint) -> str | None:
    """A clause for people that says how the two are known to hold the same weights; None if they do not, or nothing shows
    it."""
    ours, theirs = (_digests(model) for model in (reference, suspect))
    if ours is None or theirs is None:
        return None
    if ours == theirs:
        return f"all {len(ours)} tensors agree bit for bit"
    types = [model.stated.dtypes for model in (reference, suspect)]
    if ours.keys() != theirs.keys() or types[0] == types[1]:
        return None
    return _equal_up_to_rounding(reference, suspect, *types)


def _digests(model: Fingerprint) -> dict[str, bytes] | None:
    """Part name -> digest of its content."""
    names, digests = model.stated.digest_parts, model.traits.get("digests")
    if names is None or digests is None or len(names) != len(digests):
        return None
    return {name: digest.tobytes() for name, digest in zip(names, digests, strict=True)}


def _equal_up_to_rounding(
    reference: Fingerprint, suspect: Fingerprint, ours: Mapping[str, str], theirs: Mapping[str, str]
) -> str | None:
    """Every sampled entry is the other's, rounded once, and every norm agrees as far as rounding lets it."""
    sampled = 0
    for name, a in reference.traits.items():
        b = suspect.traits.get(name)
        if not name.startswith(("sample.", *LOOSE)):
            continue
        if b is None or a.shape != b.shape:
            return None
        role = name.removeprefix("sample.")
        if role != name:
            types = ours.get(role), theirs.get(role)
            if None in types or not any(np.array_equal(_cast(x, t), y, equal_nan=True) for x, t, y in (
                (a, types[1], b), (b, types[0], a))):  # fmt: skip
                return None
            sampled += a.size
        elif name.startswith(LOOSE):
            coarsest = max(_spacing(t) for t in (*ours.values(), *theirs.values()))
            if not np.allclose(a, b, rtol=coarsest, atol=coarsest * float(np.nanmax(np.abs(a), initial=0)), equal_nan=True):
                return None
    narrow = " and ".join(sorted(set(theirs.values()))), " and ".join(sorted(set(ours.values())))
    return f"all {sampled} sampled weights agree up to one rounding between {narrow[1]} and {narrow[0]}" if sampled else None


def _cast(values: np.ndarray, dtype: str | None) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.asarray(values.astype(np.dtype(dtype)).astype(np.float64))


def _spacing(dtype: str) -> float:
    """Relative distance of neighbouring numbers of a floating type."""
    return float(ml_dtypes.finfo(np.dtype(dtype)).eps)  # type: ignore[no-untyped-call]
