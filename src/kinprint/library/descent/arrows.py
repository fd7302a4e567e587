"""Arrows: this model was made from that one's weights. Drawn only by rules whose arrows were true often enough.

How often was counted over all arrows that each rule draws in families whose lineage is recorded (`measured.json`, written by
`benchmarks/directions.py`): an arrow between sisters, or from a model that shares the start alone, counts as false like one
that points the wrong way. The zoos are others than those that the rules were chosen on, and arrows are also drawn where half
of a family is missing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import permutations
from pathlib import Path
from typing import Any

from kinprint.comparison.identity import digests_of, sameness
from kinprint.fingerprints import Fingerprint
from kinprint.library.descent.copies import rule
from kinprint.statistics import wilson

FORMAT = "kinprint-descent/1"
FILE = Path(__file__).with_name("measured.json")
"""Written by `benchmarks/directions.py --calibration`. Without it no arrow is drawn."""

MADE_UP = (
    "Whoever has a model can make up an ancestor for it, by filling in what it lacks: an arrow holds where the model that it "
    "begins at was public, or committed to, before the other."
)
"""What anybody may do against the rules, and what rules it out."""

LOWEST = 0.8
"""A rule draws arrows if the lower end of the 95 % interval of the share that is true is at least this."""


@dataclass(frozen=True)
class Arrow:
    """One model was made from another's weights, or from those of a copy of it.

    Attributes:
        ancestor, descendant: indices of models.
        rule: what says so.
        true, drawn: how often that rule's arrows were true, of all that it drew where it was measured.
    """

    ancestor: int
    descendant: int
    rule: str
    true: int
    drawn: int

    @property
    def interval(self) -> tuple[float, float]:
        return wilson(self.true, self.drawn)

    def words(self) -> str:
        """The rule, and how often its arrows were true."""
        low, high = self.interval
        return f"{self.rule}: true in {self.true} of {self.drawn} arrows, {low:.0%} to {high:.0%}"

    def to_json(self) -> dict[str, Any]:
        return {"rule": self.rule, "true": self.true, "drawn": self.drawn, "interval": list(self.interval)}


def arrows(
    models: Sequence[Fingerprint], group: Sequence[int], merges: Iterable[tuple[int, Sequence[int]]] = ()
) -> tuple[Arrow, ...]:
    """The claims of rules whose arrows were true often enough; arguments as of `claims`."""
    return tuple(Arrow(a, b, name, *measured()[name]) for a, b, name in claims(models, group, merges) if allowed(name))


def claims(
    models: Sequence[Fingerprint], group: Sequence[int], merges: Iterable[tuple[int, Sequence[int]]] = ()
) -> list[tuple[int, int, str]]:
    """(ancestor, descendant, rule): what the rules say of a family, however often they were right.

    A model may seem made from several: what was zeroed further from what was zeroed before, and both from the first. That one
    is taken from which the others were made too: the claim is true whichever way it went. Where there is none, none is made.

    Args:
        models: all of them.
        group: indices of the family.
        merges: models that are combinations of others, and those, where no other of them can be the combination.
    """
    combined = {model: tuple(parents) for model, parents in merges}
    made: dict[tuple[int, int], str] = {}
    for a, b in permutations(group, 2):
        name = rule(models[a], models[b]) if b not in combined else None
        if name is not None:
            made[a, b] = name
    found = [(ancestor, model, MERGED) for model, parents in combined.items() for ancestor in parents]
    for model in group:
        sources = [a for a, b in made if b == model and (b, a) not in made]
        oldest = eldest(models, model, sources, made)
        if oldest is not None:
            found.append((oldest, model, made[oldest, model]))
    return found


MERGED = "combined from models"
"""The rule of merges (`kinprint gather`)."""


def eldest(
    models: Sequence[Fingerprint], model: int, sources: Sequence[int], made: Mapping[tuple[int, int], str]
) -> int | None:
    """Of the models that one seems made from, the one that the others were made from; None if there is no such one.

    Models of the same weights stand for one, the one first that holds most parts of the model bit for bit.
    """
    eldest = [a for a in sources if all((a, b) in made or _same(models[a], models[b]) for b in sources if b != a)]
    return max(eldest, key=lambda a: (_in_common(models[a], models[model]), -a), default=None)


def allowed(name: str) -> bool:
    """Whether arrows of a rule are drawn."""
    return name in measured() and wilson(*measured()[name])[0] >= LOWEST


@cache
def measured(path: Path = FILE) -> Mapping[str, tuple[int, int]]:
    """Rule -> how many of its arrows were true, and how many it drew; none if the file is absent or not readable."""
    try:
        data = json.loads(path.read_text())
        if data["format"] != FORMAT:
            return {}
        counts = {name: (int(entry["true"]), int(entry["drawn"])) for name, entry in data["rules"].items()}
        return {name: (true, drawn) for name, (true, drawn) in counts.items() if 0 <= true <= drawn and drawn > 0}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _same(first: Fingerprint, second: Fingerprint) -> bool:
    """Whether two models hold the same weights, in whatever type."""
    return sameness(first, second).weights is not None


def _in_common(first: Fingerprint, second: Fingerprint) -> int:
    """Parts that are equal bit for bit."""
    return len(set((digests_of(first) or {}).values()) & set((digests_of(second) or {}).values()))
