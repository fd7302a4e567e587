"""Which parts of two related models are shared: attention, FFN, embedding ..., each with a p-value of its own.

A part is called shared by tests that relabel or match units of its own (heads, neurons, experts): if it had been trained anew
beside parts that are shared, their labels, signs and weights would be as random as those of a stranger. The columns of an
embedding are channels of the whole residual stream. If anything else that lies on the stream is shared, an embedding that was
trained anew agrees too, so it is then only said to follow.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from kinprint.comparison.identity import Sameness, digests_of
from kinprint.comparison.verdict import log10_ps
from kinprint.fingerprints import Fingerprint
from kinprint.json_numbers import finite
from kinprint.methods import Evidence, Method, Test
from kinprint.statistics import smallest
from kinprint.terms import PARTS
from kinprint.words import p_value

ON_THE_STREAM = ("input embedding", "output head")
"""Parts whose tests compare channels of the residual stream, which other parts have too."""

ROLES: Mapping[str, Set[str]] = {
    "input embedding": {"embedding"},
    "attention": {"q", "k", "v", "o"},
    "FFN": {"gate", "up", "down"},
    "routers": {"router"},
    "output head": {"head"},
}
"""Matrices of a part, for those that may be the same bit for bit. Experts hold the FFN's roles."""

State = Literal["identical", "shared", "follows", "no-evidence"]

SAYS: Mapping[State, tuple[str, str]] = {
    "identical": ("is identical", "are identical"),
    "shared": ("is shared", "are shared"),
    "follows": ("was carried over, or trained beside what was", "were carried over, or trained beside what was"),
    "no-evidence": ("shows no relation", "show no relation"),
}
"""Of one part, and of several."""


class Component(Protocol):
    """The comparison of two components."""

    @property
    def everything(self) -> tuple[Evidence, ...]: ...

    @property
    def content(self) -> Sameness: ...


@dataclass(frozen=True)
class SharedPart:
    """What is known of one part of two related models.

    Attributes:
        part: one of `PARTS`, or what a component is ("vision tower").
        state: "identical" (bit for bit), "shared", "follows" (its channels agree, as those of one that was carried over, or
            trained beside what was), "no-evidence".
        log10_p: the smallest of its tests, times the number of all tests that decide; None if none of them applies.
        tests: names of its tests that decide.
    """

    part: str
    state: State
    log10_p: float | None
    tests: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {"part": self.part, "state": self.state, "log10_p": finite(self.log10_p), "tests": list(self.tests)}


def shared_parts(
    models: tuple[Fingerprint, Fingerprint],
    said: tuple[Sequence[Method], Sequence[Evidence]],
    components: Mapping[str, Component],
    alpha: float,
) -> tuple[SharedPart, ...]:
    """Every part that can be told apart in both models, in the order of `PARTS`, then their components.

    All p-values are corrected for all tests of the pair, so that with probability 1 - alpha no part is called shared of models
    that have nothing in common in it.

    Args:
        said: methods, and what they said of the two models.
        components: by what they are, each compared as a model.
    """
    methods, evidence = said
    of = {method.name: method.of for method in methods if isinstance(method, Test)}
    beside = {what: each.everything for what, each in components.items()}
    tries, level = len(log10_ps([*evidence, *(item for items in beside.values() for item in items)])), math.log10(alpha)
    by_part: dict[str, list[Evidence]] = {}
    for item in evidence:
        if item.decides:
            by_part.setdefault(of.get(item.method, ""), []).append(item)
    p_values = {part: smallest(log10_ps(items), tries=tries) for part, items in by_part.items()}
    moving = any(p <= level for part, p in p_values.items() if part not in ON_THE_STREAM)
    found = []
    for part in PARTS:
        same = _identical(part, models)
        if part not in p_values and not same:
            continue
        log10_p = p_values.get(part)
        state: State = "no-evidence"
        if same:
            state = "identical"
        elif log10_p is not None and log10_p <= level:
            state = "follows" if part in ON_THE_STREAM and moving else "shared"
        found.append(SharedPart(part, state, log10_p, tuple(item.method for item in by_part.get(part, ()))))
    return tuple(found) + tuple(_component(what, each, tries, level) for what, each in components.items())


def _component(what: str, compared: Component, tries: int, level: float) -> SharedPart:
    deciding = [item for item in compared.everything if item.decides]
    log10_p = smallest(log10_ps(deciding), tries=tries) if deciding else None
    shared: State = "shared" if log10_p is not None and log10_p <= level else "no-evidence"
    state: State = "identical" if compared.content.identical else shared
    return SharedPart(what, state, log10_p, tuple(item.method for item in deciding))


def sentence(parts: Sequence[SharedPart]) -> str:
    """What is shared and what is not, where that is not all the same or is no language model; else nothing."""
    if len({each.state == "no-evidence" for each in parts}) < 2 and any(each.part in PARTS for each in parts):
        return ""
    if not parts:
        return ""
    names: dict[State, list[str]] = {}
    for part, state in _told(parts):
        names.setdefault(state, []).append(part)
    clauses = [f"{_listed(names[state])} {SAYS[state][len(names[state]) > 1]}" for state in SAYS if state in names]
    return f"By part: {'; '.join(clauses)}."


def sentence_of_part(part: str, known: Sequence[SharedPart], names: tuple[str, str]) -> str:
    """What is known of one part of two models, by their names."""
    found = next((each for each in known if each.part == part), None)
    what = part if part == "attention" else f"the {part}"
    if found is None:
        return f"Nothing can be said about {what} of {names[0]} and {names[1]}: no test of it applies to this pair."
    p = "" if found.log10_p is None or found.state == "identical" else f" (p {p_value(found.log10_p)})"
    return f"Of {names[0]} and {names[1]}, {what} {SAYS[found.state][0]}{p}."


def _told(parts: Sequence[SharedPart]) -> list[tuple[str, State]]:
    """What to name in a sentence: parts of a language model in one word, where components stand beside it and all are alike."""
    own = [each for each in parts if each.part in PARTS]
    states = {each.state for each in own}
    rest = [(f"the {each.part}", each.state) for each in parts if each.part not in PARTS]
    if rest and len(states) == 1:
        return [("the language model", own[0].state), *rest]
    return [(f"the {each.part}" if each.part != "attention" else each.part, each.state) for each in own] + rest


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def parameters(model: Fingerprint, part: str) -> int:
    """How many parameters the matrices of a part have; 0 where the fingerprint does not say."""
    stated = model.stated
    roles = {"gate", "up", "down"} if part == "experts" else ROLES.get(part, set())
    inside = sum(math.prod(shape) for role in roles for shape in stated.shapes.get(role, ()) if shape is not None)
    outside = (stated.vocab_size or 0) * (stated.hidden_size or 0) if part in ON_THE_STREAM else 0
    return inside + outside


def _identical(part: str, models: tuple[Fingerprint, Fingerprint]) -> bool:
    """Whether all matrices of a part are the same bit for bit."""
    ours, theirs = (_digests(model, ROLES.get(part, set())) for model in models)
    return bool(ours) and ours == theirs


def _digests(model: Fingerprint, roles: Set[str]) -> dict[str, bytes]:
    """Place -> digest, of the matrices that play one of these roles."""
    return {name: digest for name, digest in (digests_of(model) or {}).items() if roles & set(name.split("."))}
