"""Are the weights the same? By digest of every tensor, or up to one rounding to a narrower type."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import ml_dtypes
import numpy as np

from kinprint.architectures.companions import in_a_layer
from kinprint.fingerprints import Fingerprint
from kinprint.fingerprints.facts import Other

TELLING = 8
"""Entries of a tensor that differ from each other, of those that are kept, so that a tensor equal to it is no coincidence."""

LOOSE = ("channels.", "neurons.norms", "embedding.", "gains.", "biases.")
"""Traits that a cast changes by no more than its rounding."""

State = Literal["differs", "missing in the reference", "missing in the suspect", "not known"]


@dataclass(frozen=True)
class Difference:
    """Tensors beside the language model that are not the same in both.

    Attributes:
        what: they belong to, in words.
        state: how they differ; "not known" where a fingerprint does not hold them.
        tensors: how many.
        share: of the bytes of the model that has them, the larger share of the two; None where it is not known.
    """

    what: str
    state: State
    tensors: int
    share: float | None

    def words(self) -> str:
        """A clause for people: "the vision tower (38 % of the bytes) differs"."""
        size = "" if self.share is None else f" ({_percent(self.share)} of the bytes)"
        what = self.what if self.what.startswith("the ") else f"the {self.what}"
        many = what.startswith("the tensors")
        be = "are" if many else "is"
        known = {"differs": "differ" if many else "differs", "not known": f"{be} not recorded in an older fingerprint"}
        return f"{what}{size} {known.get(self.state, f'{be} {self.state}')}"


@dataclass(frozen=True)
class Sameness:
    """How far two models hold the same weights.

    Attributes:
        weights: a clause about how those with a role are known to be the same; None if they are not, or nothing shows it.
        differences: what else differs, the largest share first.
    """

    weights: str | None
    differences: tuple[Difference, ...] = ()

    @property
    def identical(self) -> str | None:
        """The clause, if nothing differs."""
        return None if self.differences else self.weights

    def to_json(self) -> dict[str, Any]:
        return {
            "weights": self.weights,
            "differences": [
                {"what": each.what, "state": each.state, "tensors": each.tensors, "share": each.share}
                for each in self.differences
            ],
        }


def sameness(reference: Fingerprint, suspect: Fingerprint) -> Sameness:
    """Whether two models hold the same weights, and what besides them differs."""
    ours, theirs = reference.stated, suspect.stated
    if ours.content is not None and ours.content == theirs.content and not _buffers_differ(reference, suspect):
        count = len(digests_of(reference) or ()) + sum(not other.buffer for other in ours.others or ())
        return Sameness(f"all {count} tensors agree bit for bit")
    weights, exact = _with_a_role(reference, suspect)
    return Sameness(weights, _differences(reference, suspect, exact=exact) if weights else ())


def _with_a_role(reference: Fingerprint, suspect: Fingerprint) -> tuple[str | None, bool]:
    """How the tensors with a role are known to be the same, and whether bit for bit."""
    ours, theirs = (digests_of(model) for model in (reference, suspect))
    if ours is None or theirs is None:
        return None, True
    beside = sum(not other.buffer for other in reference.stated.others or ())
    if ours == theirs:
        return f"all {len(ours) + beside} tensors agree bit for bit", True
    types = [model.stated.dtypes for model in (reference, suspect)]
    if ours.keys() != theirs.keys() or types[0] == types[1]:
        return None, True
    return _equal_up_to_rounding(reference, suspect, *types), False


def digests_of(model: Fingerprint) -> dict[str, bytes] | None:
    """Part name -> digest of its content."""
    names, digests = model.stated.digest_parts, model.traits.get("digests")
    if names is None or digests is None or len(names) != len(digests):
        return None
    return {name: digest.tobytes() for name, digest in zip(names, digests, strict=True)}


# --- what has no role


@dataclass(frozen=True)
class _Beside:
    """A tensor without a role, its digest and some of its entries."""

    other: Other
    digest: bytes
    sample: np.ndarray

    def agrees(self, there: _Beside, *, exact: bool) -> bool:
        if self.digest == there.digest:
            return True
        if exact or self.other.dtype == there.other.dtype or self.other.nbytes == 0:
            return False
        pairs = ((self.sample, there.other.dtype, there.sample), (there.sample, self.other.dtype, self.sample))
        known = all(dtype in ("float64", "float32", "float16", "bfloat16") for _, dtype, _ in pairs)
        return known and any(np.array_equal(_cast(x, dtype), y, equal_nan=True) for x, dtype, y in pairs)

    @property
    def may_be_tied(self) -> bool:
        """Whether another tensor with the same entries is this one: no coincidence, as of two that are nothing but zeros."""
        values = self.sample[np.isfinite(self.sample)]
        return self.other.tied or (len(np.unique(values)) >= TELLING and not in_a_layer(self.other.name))


_Others = Mapping[str, _Beside]


def _beside(model: Fingerprint) -> dict[str, _Beside] | None:
    """Name -> tensor without a role; None where the fingerprint does not hold them."""
    others, digests, samples = model.stated.others, model.traits.get("others.digests"), model.traits.get("others.samples")
    if others is None:
        return None
    if digests is None or samples is None or not len(others) == len(digests) == len(samples):
        return {} if not others else None
    return {
        other.name: _Beside(other, digest.tobytes(), np.asarray(sample, np.float64))
        for other, digest, sample in zip(others, digests, samples, strict=True)
    }


def _buffers_differ(reference: Fingerprint, suspect: Fingerprint) -> bool:
    """Whether something that models compute themselves is stored in both, and is not the same."""
    ours, theirs = _beside(reference) or {}, _beside(suspect) or {}
    common = [name for name in ours.keys() & theirs.keys() if ours[name].other.buffer]
    return any(ours[name].digest != theirs[name].digest for name in common)


def _differences(reference: Fingerprint, suspect: Fingerprint, *, exact: bool) -> tuple[Difference, ...]:
    ours, theirs = _beside(reference), _beside(suspect)
    if ours is None or theirs is None:
        return _not_known(reference, suspect, ours, theirs)
    groups: dict[tuple[str, State], list[_Beside]] = defaultdict(list)
    for name in sorted(ours.keys() & theirs.keys()):
        if not ours[name].agrees(theirs[name], exact=exact):
            groups[ours[name].other.what, "differs"].append(ours[name])
    sides: tuple[tuple[State, _Others, _Others], ...] = (
        ("missing in the suspect", ours, theirs),
        ("missing in the reference", theirs, ours),
    )
    for state, own, there in sides:
        for name in sorted(own.keys() - there.keys()):
            held = own[name]
            if not held.other.buffer and not _is_tied(held, own, there, exact=exact):
                groups[held.other.what, state].append(held)
    found = [
        Difference(what, state, len(held), _share(held, suspect if state == "missing in the reference" else reference))
        for (what, state), held in groups.items()
    ]
    return tuple(sorted(found, key=lambda each: (-(each.share or 0), each.what)))


def _is_tied(held: _Beside, own: _Others, there: _Others, *, exact: bool) -> bool:
    """Whether a tensor of one model is another one of it, stored a second time, which the other model has too."""
    if not held.may_be_tied:
        return False
    twins = (name for name, each in own.items() if each.digest == held.digest and name != held.other.name)
    return any(name in there and there[name].agrees(held, exact=exact) for name in twins)


def _not_known(
    reference: Fingerprint, suspect: Fingerprint, ours: _Others | None, theirs: _Others | None
) -> tuple[Difference, ...]:
    """What a fingerprint that does not hold tensors without a role leaves open: nothing if its model had none."""
    old = [model for model, beside in ((reference, ours), (suspect, theirs)) if beside is None]
    there = {str(name) for model in old for key in ("unknown_tensors", "skipped_tensors")
             for name in _listed(model.provenance.get(key))}  # fmt: skip
    there |= {name for beside in (ours, theirs) for name, held in (beside or {}).items() if not held.other.buffer}
    return (Difference("tensors without a role", "not known", len(there), None),) if there else ()


def _listed(value: object) -> Iterable[object]:
    return value if isinstance(value, list) else ()


def _share(held: Iterable[_Beside], model: Fingerprint) -> float | None:
    total = model.stated.stored_bytes
    return min(sum(each.other.nbytes for each in held) / total, 1.0) if total else None


def _percent(share: float) -> str:
    if share < 0.001:
        return "less than 0.1 %"
    return f"{100 * share:.0f} %" if share >= 0.01 else f"{100 * share:.1f} %"


# --- up to rounding


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
