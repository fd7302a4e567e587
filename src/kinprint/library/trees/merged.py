"""Which models of a family are combinations of others: `gather` is run on each, and its answers are made to agree.

A sum does not say who is the result: if d = b + c - a, then just as well b = a + d - c. A base that is subtracted must be an
ancestor of the models that it is subtracted from, so such an answer is kept only if marks say that of the two the base is the
ancestor (`marks`). A part that is a combination itself is replaced by its own parts: the mean of a and b + c - a is that of b
and c.

A sum that leaves more than rounding is none: a base is nearly a mean of its children, and a copy with fewer layers explains
most of the layers of the model that it was made from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kinprint.comparison.in_order import in_order
from kinprint.fingerprints import Fingerprint
from kinprint.json_numbers import finite
from kinprint.library.merges.gather import gather
from kinprint.library.trees.families import Progress
from kinprint.library.trees.marks import first_mark


@dataclass(frozen=True)
class Merge:
    """A model that is a combination of others.

    Attributes:
        model: the combination.
        kind: how they were combined, as `gather` calls it.
        parents: models, the largest coefficient first; the base that differences were taken from is not among them.
        coefficients, errors: of each parent, and its standard error where there is one; None where it has no single one.
    """

    model: int
    kind: str
    parents: tuple[int, ...]
    coefficients: tuple[float | None, ...]
    errors: tuple[float | None, ...]

    @property
    def told(self) -> bool:
        """Whether no parent can be the combination instead: a mean lies between them, while of sums and differences each part
        is one of the others."""
        return self.kind in ("linear", "slerp", "ties") and all(c is None or c > 0 for c in self.coefficients)


def merged(models: Sequence[Fingerprint], form: Sequence[int], progress: Progress, workers: int | None = None) -> list[Merge]:
    """The combinations among models of one form.

    Args:
        models: all of them.
        form: indices of those whose weights stand at the same places.
        workers: models taken apart at once (`in_order`); the result is the same.
    """
    by_digest = {models[number].digest: number for number in form}

    def answer(number: int) -> Merge | None:
        return _answer(models, number, [member for member in form if member != number], by_digest)

    merges: dict[int, Merge] = {}
    for step, merge in enumerate(in_order(answer, form, workers)):
        progress("merges", step, len(form))
        if merge is not None:
            merges[merge.model] = merge
    for number, first in list(merges.items()):
        if any(parent in merges for parent in first.parents):
            plain = [member for member in form if member not in merges]
            merges[number] = _answer(models, number, plain, by_digest) or first
    return list(merges.values())


def _answer(models: Sequence[Fingerprint], number: int, others: Sequence[int], by_digest: dict[str, int]) -> Merge | None:
    """What `gather` says, if that is a combination of two models and more that leaves nothing but rounding."""
    if len(others) < 2:
        return None
    gathering = gather(models[number], [models[member] for member in others], changed=False)
    base = None if gathering.base is None else by_digest.get(gathering.base.digest)
    parents = [parent for parent in gathering.parents if by_digest[parent.model.digest] != base]
    if not gathering.exact or len(parents) < 2:
        return None
    told = gathering.kind == "ties"  # which keeps entries of its base and of nothing else
    if base is not None and not told and not all(_descends(parent.model, models[base]) for parent in parents):
        return None
    return Merge(
        number,
        gathering.kind,
        tuple(by_digest[parent.model.digest] for parent in parents),
        tuple(finite(parent.coefficient) for parent in parents),
        tuple(finite(parent.error) for parent in parents),
    )


def _descends(model: Fingerprint, base: Fingerprint) -> bool:
    mark = first_mark(base, model)
    return mark is not None and mark[1]
