"""What `gather` found: the parts of a model, with how much of each, and how they were put together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kinprint.fingerprints import Fingerprint
from kinprint.json_numbers import finite
from kinprint.notebook import Shown

FORMAT = "kinprint-gathering/1"

KINDS = {
    "none": "no candidate shares entries with it",
    "untestable": "relatives, but none whose entries lie at the same places",
    "single": "one model",
    "linear": "a weighted mean",
    "task-arithmetic": "task arithmetic",
    "slerp": "spherical interpolation",
    "ties": "a TIES merge",
    "dare": "a sum of differences from a base, some dropped at random and the others enlarged (DARE),",
    "breadcrumbs": "a sum of differences from a base without the largest and the smallest (Breadcrumbs)",
    "sparse": "a sum of differences from a base, some of them dropped,",
    "varying": "a weighted mean, with other weights in each tensor,",
    "passthrough": "layers put together",
}


@dataclass(frozen=True)
class Parent:
    """A model that the suspect is explained by.

    Attributes:
        model: its fingerprint.
        coefficient, error: its coefficient in the sum and the standard error. Coefficients sum to one (task arithmetic: with
            the base's). For "varying" their mean over tensors; for "passthrough" the share of the layers, without an error.
        log10_p: of the null hypothesis that the suspect is explained as well without it ("single", "passthrough": that it was
            trained apart), corrected for the number of candidates.
        same: names of candidates that hold the same entries.
        instead: names of relatives with which the sum explains as much if they stand in its place.
    """

    model: Fingerprint
    coefficient: float
    error: float | None
    log10_p: float
    same: tuple[str, ...] = ()
    instead: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return _model(self.model) | {
            "coefficient": finite(self.coefficient),
            "standard_error": finite(self.error),
            "log10_p": finite(self.log10_p),
            "same": list(self.same),
            "instead": list(self.instead),
        }


@dataclass(frozen=True)
class LayerOrigin:
    """What one layer of the suspect is made of.

    Attributes:
        coefficients, errors: of each parent, in their order.
        source: (name, layer, log10 p) where layers were put together.
    """

    coefficients: tuple[float, ...] = ()
    errors: tuple[float, ...] = ()
    source: tuple[str, int, float] | None = None

    def to_json(self, number: int) -> dict[str, Any]:
        data: dict[str, Any] = {"layer": number}
        if self.source:
            data |= dict(zip(("source", "source_layer", "log10_p"), self.source, strict=True))
        if self.coefficients:
            data |= {"coefficients": [*map(finite, self.coefficients)], "standard_errors": [*map(finite, self.errors)]}
        return data


@dataclass(frozen=True)
class TensorOrigin:
    """How much of each parent one tensor has, or one expert.

    Attributes:
        name: role of the tensor, "q"; "experts" for all matrices of one expert.
        layer: None outside of the layers.
        expert: its number; None for a tensor.
        entries: sampled.
        coefficients, errors: of each parent, in their order; they sum to one.
    """

    name: str
    layer: int | None
    expert: int | None
    entries: int
    coefficients: tuple[float, ...]
    errors: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "tensor": self.name,
            "layer": self.layer,
            "expert": self.expert,
            "entries": self.entries,
            "coefficients": [*map(finite, self.coefficients)],
            "standard_errors": [*map(finite, self.errors)],
        }


@dataclass(frozen=True)
class Gathering(Shown):
    """What a suspect is made of.

    Attributes:
        suspect: its fingerprint.
        kind: a key of KINDS.
        parents: those who take part, the largest coefficient first; empty if nothing was found.
        base: of task arithmetic and TIES; one of the parents.
        details: what else was estimated: `t` and `arc` of slerp, `density` of TIES and of sparse sums, `scatter` (standard
            deviation of coefficients between tensors, beyond their errors), `dropped` (share of entries left as a base's).
        layers: of the suspect.
        tensors: every tensor and every expert of which enough entries are known, for sums.
        explained: share of the variance of the suspect's matrix entries that the combination explains.
        beyond: share of the nearest single model's remainder that the combination explains; None for a single model.
        roundings: mean square of the remainder, in units of one rounding to the suspect's type.
        exact: whether nothing but rounding is left.
        associated: models that explain part of the remainder, but less than half: relatives, not parts. (model, log10 p)
        elsewhere: relatives by kinprint's other tests whose entries are not at the same places. (model, log10 p)
        searched: number of candidates, and how many of them have the suspect's shape or its layers'.
        alternatives: names of other models that explain the suspect up to rounding, too.
        notes: what could not be told apart, and why.
    """

    measure = "coefficient"

    suspect: Fingerprint
    kind: str
    parents: tuple[Parent, ...] = ()
    base: Fingerprint | None = None
    details: dict[str, float] = field(default_factory=dict)
    layers: tuple[LayerOrigin, ...] = ()
    tensors: tuple[TensorOrigin, ...] = ()
    explained: float | None = None
    beyond: float | None = None
    roundings: float | None = None
    exact: bool = False
    associated: tuple[tuple[Fingerprint, float], ...] = ()
    elsewhere: tuple[tuple[Fingerprint, float], ...] = ()
    searched: tuple[int, int] = (0, 0)
    alternatives: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()

    def sentence(self) -> str:
        """What was found, in plain words."""
        name, count, fitting = self.suspect.name, *self.searched
        if self.kind == "none":
            return f"No part of {name} was found in {count} candidates, {fitting} of them with layers of its shape."
        if self.kind == "untestable":
            return (
                f"{name} is related to {self.elsewhere[0][0].name}, but shares no entries with any candidate at the same "
                "places (relabelled, rotated or resized): samples cannot show what it was made from."
            )
        names = ", ".join(parent.model.name for parent in self.parents)
        rest = "nothing but rounding is left" if self.exact else "more than rounding is left"
        if self.kind == "single":
            return f"The entries of {name} are nearest to those of {names}, and no other candidate adds to it; {rest}."
        return f"{name} is {KINDS[self.kind]} of {names}; {rest}."

    def headline(self) -> str:
        return f"{self.kind}: {self.suspect.name}"

    def summary(self) -> str:
        return self.sentence()

    def rows(self) -> list[dict[str, Any]]:
        """One row a part: name, coefficient, standard error, log10_p, whether it is the base."""
        return [
            {
                "name": parent.model.name,
                "coefficient": parent.coefficient,
                "standard_error": parent.error,
                "log10_p": parent.log10_p,
                "base": self.base is not None and parent.model is self.base,
            }
            for parent in self.parents
        ]

    def to_json(self) -> dict[str, Any]:
        """The object that `kinprint gather --json` prints."""
        return {
            "format": FORMAT,
            "suspect": _model(self.suspect),
            "kind": self.kind,
            "sentence": self.sentence(),
            "parents": [parent.to_json() for parent in self.parents],
            "base": None if self.base is None else _model(self.base),
            "details": {key: finite(value) for key, value in self.details.items()},
            "layers": [layer.to_json(number) for number, layer in enumerate(self.layers)],
            "tensors": [tensor.to_json() for tensor in self.tensors],
            "explained": finite(self.explained),
            "explained_beyond_nearest": finite(self.beyond),
            "remainder_in_roundings": finite(self.roundings),
            "exact": self.exact,
            "associated": [_model(model) | {"log10_p": finite(p)} for model, p in self.associated],
            "elsewhere": [_model(model) | {"log10_p": finite(p)} for model, p in self.elsewhere],
            "alternatives": [list(names) for names in self.alternatives],
            "searched": {"candidates": self.searched[0], "of_its_shape": self.searched[1]},
            "notes": list(self.notes),
        }


def _model(model: Fingerprint) -> dict[str, Any]:
    return {"name": model.name, "source": model.provenance.get("source"), "digest": model.digest}
