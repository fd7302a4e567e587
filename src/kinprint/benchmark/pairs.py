"""Labelled pairs: which models to compare, and the truth about each pair. From a zoo, or from a list."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

from kinprint.checkpoints.json_text import parse
from kinprint.errors import CheckpointError, ZooError
from kinprint.zoo import Lineage
from kinprint.zoo.lineage import Truth

MAX_BYTES = 64_000_000
REMEDY = 'expected a JSON list of {"a": MODEL, "b": MODEL, "related": true or false, "relation": "..."}'


@dataclass(frozen=True)
class Pair:
    """Two models and the truth about them.

    Attributes:
        reference, suspect: names; of two models of one line the ancestor is the reference.
        truth: "related", "unrelated" or "shared-initialisation" (a class of its own: weights in common, but none by descent
            of one from the other).
        kind: how they are related, or why they might look alike.
        disguised: True if a step between them changed the form of the weights on purpose.
        source: who labelled the pair.
    """

    reference: str
    suspect: str
    truth: Truth
    kind: str
    disguised: bool = False
    source: str = ""


@dataclass(frozen=True)
class Pairs:
    """What a benchmark runs on.

    Attributes:
        name: of the zoo or the list.
        pairs: each compared once.
        models: where each named model is: a path, or whatever else `kinprint.fingerprint` opens.
        notes: what a reader of the figures should know: sentences.
    """

    name: str
    pairs: tuple[Pair, ...]
    models: Mapping[str, str]
    notes: tuple[str, ...] = ()


def from_zoo(folder: str | os.PathLike[str]) -> Pairs:
    """Every pair of models of a zoo.

    Raises:
        ZooError: there is no zoo, it is damaged, or it has fewer than two models.
    """
    lineage = Lineage.read(folder)
    pairs = tuple(Pair(r.reference, r.suspect, r.truth, r.kind, r.disguised, "lineage") for r in lineage.pairs())
    if not pairs:
        raise ZooError(folder, "fewer than two models", "build a zoo with `kinprint zoo build`")
    name = f"zoo of size {lineage.size}" if lineage.size else "zoo"
    return Pairs(name, pairs, {name: str(Path(folder) / name) for name in lineage.members})


def from_list(path: str | os.PathLike[str]) -> Pairs:
    """The pairs of a JSON list.

    Each entry has `a` and `b` (a folder, a file or a hub id; relative to the list's folder if it exists there), `related`,
    and may have `relation` (the kind), `source`, `disguised` and `truth` ("related", "unrelated", "shared-initialisation").
    Without `truth`, entries that are not related are unrelated; entries marked related whose relation is "none" are put in
    the class "shared-initialisation": their source says that they have weights in common and that neither was made from
    the other (siblings, or one random seed). The same pair is taken once.

    Raises:
        ZooError: the list is missing, damaged or empty, or labels one pair in two ways.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ZooError(path, error.strerror or "cannot be read", REMEDY) from None
    try:
        rows = parse(data, path) if len(data) <= MAX_BYTES else None
    except CheckpointError as error:
        raise ZooError(path, error.problem, REMEDY) from None
    if not isinstance(rows, list) or not rows:
        raise ZooError(path, "holds no list of pairs", REMEDY)
    return pairs_of(rows, path.name, path.parent, path)


def pairs_of(rows: Sequence[Any], name: str, folder: Path | None = None, path: str | os.PathLike[str] | None = None) -> Pairs:
    """The pairs of the rows of a list, see `from_list`.

    Args:
        name: of the list.
        folder: where models may lie that are named by a path; None if all names are hub ids.
        path: what errors name; the list's name by default.

    Raises:
        ZooError: a row is no pair, or one pair is labelled in two ways.
    """
    subject = Path(path or name)
    pairs: dict[frozenset[str], Pair] = {}
    for number, row in enumerate(rows, 1):
        pair = _pair(subject, number, row)
        earlier = pairs.setdefault(frozenset((pair.reference, pair.suspect)), pair)
        if earlier.truth != pair.truth:
            problem = f"pair {number} ({pair.reference}, {pair.suspect}) is labelled in two ways"
            raise ZooError(subject, problem, "keep one")
    names = sorted({each for pair in pairs.values() for each in (pair.reference, pair.suspect)})
    return Pairs(name, tuple(pairs.values()), {each: each if folder is None else _place(folder, each) for each in names})


def _pair(path: Path, number: int, row: Any) -> Pair:
    if not isinstance(row, dict):
        raise ZooError(path, f"pair {number} is no object", REMEDY)
    a, b, related = row.get("a"), row.get("b"), row.get("related")
    kind, truth, disguised = row.get("relation") or "none", row.get("truth"), row.get("disguised", False)
    texts = (a, b, kind, row.get("source") or "")
    if not all(isinstance(text, str) for text in texts) or not a or not b:
        raise ZooError(path, f"pair {number} does not name two models", REMEDY)
    if truth is None and isinstance(related, bool):
        truth = "unrelated" if not related else "shared-initialisation" if kind == "none" else "related"
    if truth not in get_args(Truth) or not isinstance(disguised, bool):
        raise ZooError(path, f"pair {number} ({a}, {b}) does not say whether it is related", REMEDY)
    if a == b:
        if truth != "related":
            raise ZooError(path, f"pair {number} is one model twice ({a}) and not labelled related", REMEDY)
        kind = "the same model"
    elif truth == "unrelated":
        kind = "unrelated" if kind == "none" else kind
    elif kind == "none":
        kind = "siblings or shared initialisation" if truth == "shared-initialisation" else "related"
    return Pair(str(a), str(b), cast(Truth, truth), str(kind), disguised, str(row.get("source") or ""))


def _place(folder: Path, name: str) -> str:
    """A model named relative to the list, if it lies there; else the name as it is (a path or a hub id)."""
    try:
        return str(folder / name) if (folder / name).exists() else name
    except OSError:  # no possible path
        return name
