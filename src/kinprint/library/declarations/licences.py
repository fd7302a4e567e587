"""Which licence a model is said to be under, and whether that is the one of the model it was made from. Facts; no legal advice.

An identifier, a title or a text is recognised by `licences.toml`. What is not recognised stays as it was written.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from kinprint.errors import printable

Kind = Literal["permissive", "share-alike", "non-commercial", "own terms", "not recognised"]

LONGEST_NAME = 120
"""Characters of an identifier or title; what is longer is a text."""


@dataclass(frozen=True)
class Licence:
    """A licence, as one place states it.

    Attributes:
        id: identifier, in the spelling of hubs; what was written, printable, where it is not recognised.
        kind: what family of terms it is.
        where: the place.
    """

    id: str
    kind: Kind
    where: str = ""

    def to_json(self) -> dict[str, Any]:
        return {"id": self.id, "kind": self.kind, "stated_in": self.where}


@dataclass(frozen=True)
class LicenceFinding:
    """The licences of a model beside those of one that its weights come from or are shared with.

    Attributes:
        relative: whose weights are in it.
        own, theirs: what each states.
    """

    relative: str
    own: tuple[Licence, ...]
    theirs: tuple[Licence, ...]

    @property
    def same(self) -> bool | None:
        """Whether they state the same licences; None where one states none."""
        if not self.own or not self.theirs:
            return None
        return {licence.id for licence in self.own} == {licence.id for licence in self.theirs}

    def sentence(self) -> str:
        """What is stated, and no judgement of it."""
        theirs, own = _list(self.theirs), _list(self.own)
        if not self.theirs:
            return f"Licence: {self.relative} states none that could be read here; this model states {own or 'none'}."
        if not self.own:
            return f"Licence: {self.relative} states {theirs}; this model states none."
        if self.same:
            return f"Licence: both state {own}."
        return f"Licence: {self.relative} states {theirs}; this model states {own}. Whether that may be is not judged here."

    def to_json(self) -> dict[str, Any]:
        return {
            "relative": self.relative,
            "own": [licence.to_json() for licence in self.own],
            "theirs": [licence.to_json() for licence in self.theirs],
            "same": self.same,
        }


def recognised(written: str, where: str = "") -> Licence:
    """The licence that an identifier, a title or a text stands for."""
    short = len(written) <= LONGEST_NAME
    if short and (found := _by_name().get(_bare(written))):
        return Licence(found["id"], found["kind"], where)
    words = " ".join(written.lower().split())
    for entry in _known():
        if all(phrase in words for phrase in entry["text"]):
            return Licence(entry["id"], entry["kind"], where)
    return Licence(printable(written.strip(), 60) if short else "a text that is not recognised", "not recognised", where)


def _list(licences: Sequence[Licence]) -> str:
    return " and ".join(f"{licence.id} ({licence.kind}; {licence.where})" for licence in licences)


def _bare(name: str) -> str:
    return re.sub(r"[\s._-]|licen[sc]e", "", name.lower())


@cache
def _known() -> tuple[dict[str, Any], ...]:
    return tuple(tomllib.loads((files(__package__) / "licences.toml").read_text(encoding="utf-8"))["licence"])


@cache
def _by_name() -> dict[str, dict[str, Any]]:
    return {_bare(name): entry for entry in reversed(_known()) for name in (entry["id"], *entry.get("aliases", ()))}
