"""Who descends from whom: the truth about every pair of models of a zoo, and the file that holds it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

from kinprint.checkpoints.files import replacing
from kinprint.checkpoints.json_text import parse_object
from kinprint.errors import CheckpointError, ZooError, printable

FILE = "lineage.json"
FORMAT = "kinprint-zoo/1"
MAX_BYTES = 16_000_000
MAX_MEMBERS = 1000
MAX_GENERATIONS = 32
MAX_TEXT = 200
"""Characters of a name, a family, a kind."""

Truth = Literal["related", "unrelated", "shared-initialisation"]


@dataclass(frozen=True)
class Member:
    """One model of a zoo.

    Attributes:
        name: also the name of its folder.
        family: model type ("llama", "qwen2", ...).
        kind: how it came from its parents ("fine-tune", "pruned-depth", ...); how it was made, if it has none ("base",
            "distilled", ...).
        parents: models whose trained weights went into it.
        disguise: True if that last step changed the form of the weights and not the function.
        initialisation: name of the random initial weights its line began with; equal names are equal weights.
        teacher: the model whose outputs it learned from, without taking any of its weights.
        seed: of its last step.
        habit: the habit of labels that its last step gave it (`kinprint.zoo.habits`); descendants keep it.
    """

    name: str
    family: str
    kind: str
    parents: tuple[str, ...] = ()
    disguise: bool = False
    initialisation: str = ""
    teacher: str | None = None
    seed: int = 0
    habit: str = field(default="", repr=False)  # members without a habit keep the digests they had before there were habits


@dataclass(frozen=True)
class Relation:
    """The truth about one pair.

    Attributes:
        reference, suspect: names; of two models of one line the ancestor is the reference.
        truth: "related" where trained weights are shared by descent, "shared-initialisation" where only the random
            initial weights are, else "unrelated".
        kind: steps from ancestor to descendant ("fine-tune + disguise"); "relatives" for two models that only have an
            ancestor in common; why they might look alike for pairs that are not related ("distilled", "same habit" of
            labels, "same family", "other family").
        disguised: True if a step between them was a disguise.
    """

    reference: str
    suspect: str
    truth: Truth
    kind: str
    disguised: bool


@dataclass(frozen=True)
class Lineage:
    """Every model of a zoo, by name, parents before children."""

    size: str
    members: Mapping[str, Member]

    @cached_property
    def _paths(self) -> dict[str, dict[str, tuple[str, ...]]]:
        """model -> ancestor (itself included) -> the models on the shortest way from it, ancestor excluded."""
        paths: dict[str, dict[str, tuple[str, ...]]] = {}
        for name, member in self.members.items():
            paths[name] = {name: ()}
            for parent in member.parents:
                for ancestor, steps in paths[parent].items():
                    way = (*steps, name)
                    if ancestor not in paths[name] or len(way) < len(paths[name][ancestor]):
                        paths[name][ancestor] = way
        return paths

    def relation(self, a: str, b: str) -> Relation:
        """The truth about two different models of the zoo."""
        ours, theirs = self._paths[a], self._paths[b]
        if a in theirs or b in ours:
            reference, suspect = (a, b) if a in theirs else (b, a)
            steps = self._paths[suspect][reference]
            kind = " + ".join(self.members[step].kind for step in steps)
            return Relation(reference, suspect, "related", kind, self._disguised(steps))
        common = min(
            (name for name in ours if name in theirs), key=lambda name: len(ours[name]) + len(theirs[name]), default=None
        )
        if common is not None:
            return Relation(a, b, "related", "relatives", self._disguised((*ours[common], *theirs[common])))
        first, second = self.members[a], self.members[b]
        disguised = self._disguised((*ours, *theirs))
        shared = {self.members[name].initialisation for name in ours} & {self.members[name].initialisation for name in theirs}
        if shared - {""}:
            return Relation(a, b, "shared-initialisation", "shared initialisation", disguised)
        taught = {self.members[name].teacher for name in ours} & set(theirs)
        taught |= {self.members[name].teacher for name in theirs} & set(ours)
        kind = "same family" if first.family == second.family else "other family"
        kind = "distilled" if taught else "same habit" if self._habits(ours) & self._habits(theirs) else kind
        return Relation(a, b, "unrelated", kind, disguised)

    def _disguised(self, names: tuple[str, ...]) -> bool:
        return any(self.members[name].disguise for name in names)

    def _habits(self, names: Iterable[str]) -> set[str]:
        return {self.members[name].habit for name in names} - {""}

    def pairs(self) -> Iterator[Relation]:
        """The truth about every pair of different models, once each."""
        for a, b in combinations(self.members, 2):
            yield self.relation(a, b)

    def write(self, folder: str | os.PathLike[str]) -> None:
        """Write `lineage.json` into the zoo's folder, atomically."""
        target = Path(folder) / FILE
        models = [described(member) for member in self.members.values()]
        with replacing(target) as file:
            file.write((json.dumps({"format": FORMAT, "size": self.size, "models": models}, indent=1) + "\n").encode())

    @classmethod
    def read(cls, folder: str | os.PathLike[str]) -> Lineage:
        """The lineage of the zoo in `folder`.

        Raises:
            ZooError: there is none, or it is damaged.
        """
        path = Path(folder) / FILE
        try:
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise ZooError(path, error.strerror or "cannot be read", "build one with `kinprint zoo build`") from None
        try:
            if len(data) > MAX_BYTES:
                raise ValueError("too large")
            content = parse_object(data, path)
            if content["format"] != FORMAT:
                raise ValueError(f"format {content['format']!r}")
            return cls(printable(content["size"], MAX_TEXT), _members(content["models"]))
        except CheckpointError as error:
            raise ZooError(path, error.problem, f"expected {FORMAT}; build the zoo again") from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ZooError(path, f"not a lineage file ({error!r})", f"expected {FORMAT}; build the zoo again") from None


def described(member: Member) -> dict[str, Any]:
    """A member as JSON has it; its habit is left out where it has none."""
    return {key: value for key, value in asdict(member).items() if key != "habit" or value}


def _members(rows: list[dict[str, Any]]) -> dict[str, Member]:
    members: dict[str, Member] = {}
    generations: dict[str, int] = {}
    if not isinstance(rows, list) or len(rows) > MAX_MEMBERS:
        raise ValueError(f"no list of at most {MAX_MEMBERS:,} models")
    for row in rows:
        member = _member(row)
        if member.name in members or not all(parent in members for parent in member.parents):
            raise ValueError(f"model {member.name!r} comes twice or before its parents")
        generations[member.name] = 1 + max((generations[parent] for parent in member.parents), default=0)
        if generations[member.name] > MAX_GENERATIONS:
            raise ValueError(f"model {member.name!r} of generation {generations[member.name]}")
        members[member.name] = member
    return members


def _member(row: dict[str, Any]) -> Member:
    """One model, checked: its name can be a folder in the zoo, its texts are short and printable."""
    parents = row.get("parents", ())
    if not isinstance(parents, (list, tuple)):
        raise ValueError("parents that are no list")
    member = Member(**{**row, "parents": tuple(parents)})
    own = (member.name, member.family, member.kind, member.initialisation, member.teacher or "", member.habit)
    texts = (*own, *member.parents)
    if not all(isinstance(text, str) and text.isprintable() and len(text) <= MAX_TEXT for text in texts):
        raise ValueError(f"model {member.name!r}")
    if member.name in ("", "..") or Path(member.name).name != member.name:
        raise ValueError(f"model {member.name!r} outside the zoo")
    if type(member.disguise) is not bool or type(member.seed) is not int:
        raise ValueError(f"model {member.name!r}")
    return member
