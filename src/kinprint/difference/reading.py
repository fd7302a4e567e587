"""A difference in words: what kind of change the measured numbers are like. A description, not a test.

Rules follow from how changes are made (`kinds`); their limits were set on models trained for it, and how often each word is
right is counted on others (`measured.json`, docs/diff.md). Where no word is supported, none is given.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import numpy as np

from kinprint.architectures.kinds import spans
from kinprint.architectures.roles import MATRICES
from kinprint.difference.kinds import Kind, kind
from kinprint.difference.pairing import Pairing, is_layer_matrix
from kinprint.difference.tensor_change import TensorChange

Word = Literal[
    "same", "cast", "another-form", "upcycled", "layers", "width", "vocabulary", "part", "quantised", "noise", "one-direction",
    "low-rank", "pruned", "sparse", "fine-tune", "continued", "not-told",
]  # fmt: skip

MEANS: dict[Word, str] = {
    "same": "nothing changed",
    "cast": "rounded once to another number type",
    "another-form": "units in another order, scale or basis, or replaced",
    "upcycled": "FFNs became experts",
    "layers": "layers left out, repeated or added",
    "width": "neurons or heads left out or added",
    "vocabulary": "another vocabulary",
    "part": "only parts outside the layers' matrices, or only routers, changed",
    "quantised": "rounded to few bits",
    "noise": "random numbers added",
    "one-direction": "one direction taken out of, or added to, all layers (abliteration)",
    "low-rank": "a low-rank change (LoRA)",
    "pruned": "small entries set to zero, or lost and trained anew",
    "sparse": "only some entries of each matrix changed: trimmed differences (TIES, DARE)",
    "fine-tune": "trained on: a full fine-tune, or a mean of such",
    "continued": "trained on for long: continued pretraining",
    "not-told": "changed, and nothing says how",
}
"""Every word, and what it means."""

MOST = 0.8
"""Share of the changed entries whose matrices must agree."""

OTHER = 0.02
"""Share of the tokens that are new, and of the reference's that are gone, from which the vocabulary is another. Special tokens
are fewer; an extension keeps all."""

ANSWERING_ROWS = 0.8
"""Share of the embeddings that must point as the reference's do, where no tokenizer says which token is which."""

ALIKE = 0.95
"""Cosine of a matrix's one direction with that of all, from which it is the same."""

SCALED = 0.6
"""Share of the change that factors of rows or columns explain, the median of a group of roles, from which units are scaled."""

GROUPS = (("q", "k", "v", "o"), ("gate", "up", "down"))
"""Roles whose units are scaled together."""

LONG = 0.25
"""Change of all layers' matrices, relative to them, from which it counts as continued pretraining. Small models set it; large
ones move less (docs/diff.md)."""


@dataclass(frozen=True)
class Reading:
    """What the numbers are like.

    Attributes:
        word: one of `MEANS`.
        words: a sentence or two for people.
        right: pairs of known lineage of which this word was said, and of how many of these it was right; None where that
            was not measured.
        rank: of a change of low rank.
        then: the word for what changed besides, of models that were reshaped.
    """

    word: Word
    words: str
    right: tuple[int, int] | None = None
    rank: int | None = None
    then: Word | None = None

    def to_json(self) -> dict[str, Any]:
        said = None if self.right is None else {"right": self.right[0], "of": self.right[1]}
        return {"word": self.word, "words": self.words, "measured": said, "rank": self.rank, "then": self.then}


@dataclass(frozen=True)
class Evidence:
    """What a reading rests on: which parts answer, and how each changed."""

    pairing: Pairing
    tensors: tuple[TensorChange, ...]
    layers: tuple[int, int]

    @property
    def matrices(self) -> list[TensorChange]:
        """Of the layers."""
        return [change for change in self.tensors if is_layer_matrix(change.place)]

    @property
    def relative(self) -> float:
        """Norm of the change of all layers' matrices against their norm."""
        total = sum(change.norm**2 for change in self.matrices)
        return math.sqrt(sum(change.change_norm**2 for change in self.matrices) / total) if total else 0.0


def reading(evidence: Evidence) -> Reading:
    """What a difference is like."""
    for apart in (_elsewhere, _scaled, _replaced):
        if (words := apart(evidence)) is not None:
            return Reading("another-form", words, _right("another-form"))
    for structure in (_upcycled, _layers, _width, _another_form, _vocabulary):
        if (found := structure(evidence)) is not None:
            word, words = found
            then, more, rank = _how(evidence)
            return Reading(word, f"{words} {more}", _right(word), rank, then)
    word, words, rank = _how(evidence)
    return Reading(word, words, _right(word), rank)


# --- what was done to the shape


def _elsewhere(evidence: Evidence) -> str | None:
    """Where much of the suspect answers nothing."""
    pairing = evidence.pairing
    if pairing.answering >= MOST:
        return None
    return (
        f"{1 - pairing.answering:.0%} of the entries of the layers' matrices answer none of the reference's: these units lie "
        "in another order or basis, or were replaced. Their difference would say nothing, and is not shown. "
        "`kinprint compare --deep` names disguises."
    )


def _replaced(evidence: Evidence) -> str | None:
    """Where some units of matrices that answer as a whole do not."""
    total = sum(change.entries for change in evidence.matrices)
    found = [change for change in evidence.matrices if kind(change) == "replaced"]
    if not total or sum(change.entries for change in found) < (1 - MOST) * total:
        return None
    share = 1 - float(np.median([change.units_answering for change in found]))
    return (
        f"In {len(found)} matrices about {share:.0%} of the units answer none of the reference's: they were replaced, or "
        "changed places and signs. The other numbers include them."
    )


def _scaled(evidence: Evidence) -> str | None:
    """Where units were multiplied by factors of their own: a difference of entries says little then."""
    if _resized(evidence):
        return None
    scaled = [group for group in GROUPS if _median(evidence, group, lambda change: change.scaled) >= SCALED]
    names = " and ".join("heads" if "q" in group else "neurons" for group in scaled)
    return f"The {names} are multiplied by factors of their own, which explain most of the change." if scaled else None


def _another_form(evidence: Evidence) -> tuple[Word, str] | None:
    if any(change.order for change in evidence.matrices):
        return "another-form", "The units lie in another order; they are compared in the reference's."
    if evidence.pairing.folded:
        return "another-form", "One model has its norm gains in the matrices; both are compared in that form."
    return None


def _upcycled(evidence: Evidence) -> tuple[Word, str] | None:
    copies = {change.place[2] for change in evidence.tensors if change.place[2] is not None and change.of[2] is None}
    return ("upcycled", f"Every FFN became {len(copies)} experts.") if copies else None


def _layers(evidence: Evidence) -> tuple[Word, str] | None:
    ours, theirs = evidence.layers
    sources = [layer for layer in evidence.pairing.layer_map if layer is not None]
    if ours == theirs and sources == list(range(ours)):
        return None
    gone = sorted(set(range(ours)) - set(sources))
    again = sorted({layer for layer in sources if sources.count(layer) > 1})
    said = [f"{theirs} layers of {ours}"]
    said += [f"layers {spans(gone)} of the reference are left out"] if gone else []
    said += [f"layers {spans(again)} stand there more than once"] if again else []
    new = [number for number, layer in enumerate(evidence.pairing.layer_map) if layer is None]
    said += [f"layers {spans(new)} are of no layer of the reference"] if new else []
    return "layers", "; ".join(said)[0].upper() + "; ".join(said)[1:] + "."


def _width(evidence: Evidence) -> tuple[Word, str] | None:
    said = dict.fromkeys(f"{theirs} of {ours} {space}" for space, ours, theirs in _resized(evidence))
    return ("width", f"Units left out or added: {', '.join(said)}.") if said else None


def _resized(evidence: Evidence) -> list[tuple[str, int, int]]:
    """Space, units in the reference and in the suspect, where these differ."""
    found = []
    for pair in evidence.pairing.pairs:
        if is_layer_matrix(pair.place) and len(pair.suspect.part.shape) == 2:
            for axis, space in enumerate(pair.suspect.part.axes):
                ours, theirs = pair.reference.part.shape[axis], pair.suspect.part.shape[axis]
                if ours != theirs and space != "experts":
                    found.append(("head dimensions" if "heads" in space else space, ours, theirs))
    return found


def _vocabulary(evidence: Evidence) -> tuple[Word, str] | None:
    embedding = next((change for change in evidence.tensors if change.place == (None, "embedding", None)), None)
    tokens = evidence.pairing.tokens
    if tokens is not None and all(count - tokens[0] > OTHER * count for count in tokens[1:]):
        return "vocabulary", f"{tokens[0]:,} of its {tokens[2]:,} tokens are the reference's."
    if embedding is not None and embedding.rows_answering < ANSWERING_ROWS:
        return "vocabulary", f"{1 - embedding.rows_answering:.0%} of the tokens have embeddings that are not the reference's."
    lost = any(pair.place == (None, "embedding", None) and not pair.answers for pair in evidence.pairing.pairs)
    return ("vocabulary", "No token is the reference's.") if lost else None


# --- how weights were changed


def _how(evidence: Evidence) -> tuple[Word, str, int | None]:
    changed = [change for change in evidence.matrices if change.changed]
    if not [change for change in changed if change.role != "router"]:
        return (*_outside(evidence), None)
    share = _shares(changed)
    told = next((name for name, value in share.items() if value >= MOST), None)
    told = told or ("rounded" if share.get("rounded", 0) + share.get("noise", 0) >= MOST else None)
    if told is None and share.get("low-rank", 0) + share.get("dense", 0) >= MOST:
        told = "dense"
    word, words, rank = _training(evidence) if told == "dense" else _other(changed, told)
    return word, f"{words} {unchanged(evidence)}".strip(), rank


def _other(changed: Sequence[TensorChange], told: Kind | None) -> tuple[Word, str, int | None]:
    if told == "rounded":
        grids = [change.grid for change in changed if change.grid is not None]
        levels = f", about {np.median([found.levels for found in grids]):.0f} levels a block" if grids else ""
        return "quantised", f"Every changed matrix moved as rounding to few bits moves it{levels}.", None
    if told == "noise":
        return "noise", "The change has no structure: it is like random numbers, and like no training.", None
    if told == "low-rank":
        ranks = [change.directions.rank for change in changed if change.directions and change.directions.rank]
        rank = max(ranks)
        if rank == 1 and (alike := _one_direction(changed)):
            return "one-direction", f"One direction of the residual stream changed in {alike} matrices, the same in all.", 1
        return "low-rank", f"Every changed matrix differs by a matrix of rank {rank} at most, as by a merged LoRA.", rank
    if told == "pruned":
        zeros = np.median([change.zeroed for change in changed])
        how = f"{zeros:.0%} of the entries became zero" if zeros >= 0.01 else "small entries were lost and trained anew"
        return "pruned", f"In the matrices {how}; large ones were kept.", None
    if told == "sparse":
        share = np.median([change.share for change in changed])
        return "sparse", f"Of each changed matrix about {share:.0%} of the entries changed, the others not at all.", None
    return "not-told", f"{len(changed)} matrices of the layers changed; how they were changed is not told.", None


def _training(evidence: Evidence) -> tuple[Word, str, int | None]:
    relative = evidence.relative
    long = relative >= LONG
    how = "as much as small models move in continued pretraining" if long else "as a full fine-tune does, or a mean of such"
    changed = [change for change in evidence.matrices if change.changed]
    grid = sum(change.entries for change in changed if change.grid) >= MOST * sum(change.entries for change in changed)
    more = " Their values lie on a grid of few levels: they were rounded besides." if grid else ""
    return "continued" if long else "fine-tune", f"The layers changed by {relative:.2g} of their norm, {how}.{more}", None


def _outside(evidence: Evidence) -> tuple[Word, str]:
    """Where no matrix inside a layer changed but routers."""
    roles = dict.fromkeys(change.role for change in evidence.tensors if change.changed)
    added = sum(change.added for change in evidence.tensors)
    if roles or added:
        more = f" {added:,} tokens are new." if added else ""
        return "part", f"Only {listed(roles)} changed.{more}" if roles else f"Nothing changed.{more}"
    if evidence.pairing.answering == 0:
        return "not-told", "No matrix of the layers is compared."
    if any(change.types[0] != change.types[1] for change in evidence.tensors):
        return "cast", f"Every entry is the reference's, rounded once ({_types(evidence.tensors)})."
    return "same", "No entry that answers one of the reference changed."


def unchanged(evidence: Evidence) -> str:
    """A sentence about the parts of which no entry changed; "" if there are none."""
    still: dict[str, list[int | None]] = defaultdict(list)
    moved: dict[str, list[int | None]] = defaultdict(list)
    for change in evidence.tensors:
        (moved if change.changed else still)[change.role].append(change.layer)
    whole = [role for role in still if role not in moved]
    said = [listed(whole)] if whole else []
    layers = {number for role in still for number in still[role] if number is not None}
    frozen = sorted(layers - {number for role in moved for number in moved[role] if number is not None})
    if frozen and len(frozen) < evidence.layers[1]:
        said.append(f"layers {spans(frozen)}")
    return f"Unchanged: {'; '.join(said)}." if said else ""


def listed(roles: Iterable[str]) -> str:
    """Roles in words: matrices first."""
    names = sorted(roles, key=lambda role: (role not in MATRICES, list(MATRICES).index(role) if role in MATRICES else 0))
    return ", ".join(names)


def _shares(changed: Sequence[TensorChange]) -> dict[Kind, float]:
    sizes: dict[Kind, float] = defaultdict(float)
    for change in changed:
        sizes[kind(change)] += change.entries
    total = sum(sizes.values())
    return {name: size / total for name, size in sizes.items()}


def _one_direction(changed: Sequence[TensorChange]) -> int:
    """In how many matrices one direction changed, if it is the same in most; else 0."""
    first = [change.directions.first for change in changed if change.directions and change.directions.first is not None]
    if len(first) < 2:
        return 0
    together = np.stack(first)
    common = np.linalg.svd(together, full_matrices=False)[2][0]
    alike = int(np.sum(np.abs(together @ common) >= ALIKE))
    return alike if alike >= MOST * len(changed) else 0


def _median(evidence: Evidence, roles: Sequence[str], value: Callable[[TensorChange], float]) -> float:
    found = [value(change) for change in evidence.matrices if change.role in roles]
    return float(np.median(found)) if found else 0.0


def _types(tensors: Iterable[TensorChange]) -> str:
    pairs = dict.fromkeys(" to ".join(change.types) for change in tensors if change.types[0] != change.types[1])
    return ", ".join(pairs)


@cache
def _measured() -> dict[str, list[int]]:
    text = files("kinprint.difference").joinpath("measured.json").read_text(encoding="utf-8")
    found: dict[str, list[int]] = json.loads(text)["words"]
    return found


def _right(word: str) -> tuple[int, int] | None:
    found = _measured().get(word)
    return None if found is None else (found[0], found[1])
