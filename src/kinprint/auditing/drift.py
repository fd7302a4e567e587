"""How far the weights move from one checkpoint to the next, place by place, and where they jump.

A training keeps its coordinates: entry for entry, a checkpoint is the one before it plus what the steps between added. So the
sampled entries of each matrix (a place: a layer and a role) are compared as they are. Three things do not look like steps of
one training:

- other weights: the entries of a place go together no better than a stranger's, while those of most places do;
- a part that moves: the change of a place is far above what link and place usually have;
- a link that moves: the change of all places is far above that of the links on both sides.

These are scores, not tests: a learning rate may really jump. The limits were set on other runs than those on which
docs/audit.md counts the errors.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from kinprint.architectures.roles import MATRIX_ROLES
from kinprint.arrays import Array, Float64s
from kinprint.auditing.chain import Stage
from kinprint.auditing.findings import AuditFinding
from kinprint.fingerprints import Fingerprint

CERTAIN = 5.0
"""Standard deviations of a stranger's cosine up to which entries go together no better than a stranger's."""

NEAR = 0.8
"""Cosine of most places from which a link is near enough to tell other weights from trained ones."""

PLACE_JUMP = 4.0
"""Factor by which a place may move more than link and place usually do."""

LINK_JUMP = 1.9
"""Factor by which a link may move more, for its steps, than the geometric mean of the links on both sides."""

LEAST = 1e-4
"""Change below which a place counts as not moved: less than rounding does."""

SHOWN = 4
"""Places of a jump that are named."""

READINGS = "a checkpoint left out, another training of the same start, other coordinates, or a learning rate that jumped"
"""What a link that moves may be."""

Place = tuple[int | None, str]
"""Layer and role; no layer for the embedding and the head."""


@dataclass(frozen=True)
class Drift:
    """Change of sampled entries along a chain; NaN where one of two checkpoints has no such place, or another shape of it.

    Attributes:
        places: layer and role.
        sizes: (places,) entries sampled of each.
        change: (links, places) norm of the change over the norm before it.
        cosine: (links, places) of the entries before and after.
    """

    places: tuple[Place, ...]
    sizes: Array
    change: Float64s
    cosine: Float64s

    @classmethod
    def of(cls, models: Sequence[Fingerprint]) -> Drift:
        """Of two fingerprints or more."""
        entries = [_entries(model) for model in models]
        places = tuple(dict.fromkeys(place for each in entries for place in each))
        change, cosine = (np.full((len(models) - 1, len(places)), np.nan) for _ in range(2))
        for link, (a, b) in enumerate(pairwise(range(len(models)))):
            for number, place in enumerate(places):
                if place in entries[a] and place in entries[b] and _one_shape(models[a], models[b], place):
                    change[link, number], cosine[link, number] = _moved(entries[a][place], entries[b][place])
        sizes = np.array([next(len(each[place]) for each in entries if place in each) for place in places])
        return cls(places, sizes, change, cosine)

    @property
    def links(self) -> Float64s:
        """(links,) median change of all places; NaN where none is known."""
        return np.array([float(np.median(row[~np.isnan(row)])) if (~np.isnan(row)).any() else math.nan for row in self.change])

    def excess(self) -> Float64s:
        """(links, places) log of the change over what link and place usually have; NaN where that is not known."""
        logs = np.log(np.maximum(self.change, LEAST))
        logs -= _medians(logs, axis=1)
        return logs - _medians(logs, axis=0) if len(logs) >= 3 else np.full_like(logs, np.nan)

    def foreign(self) -> Array:
        """(links, places) whether entries go together no better than a stranger's, in links where most places do."""
        near = _medians(self.cosine, axis=1) >= NEAR
        return near & (self.cosine * np.sqrt(self.sizes) <= CERTAIN)

    def surplus(self, steps: Sequence[int | None]) -> Float64s:
        """(links,) log of the change of a link over that of the links on both sides, for its steps; NaN at both ends, and
        beside a link in which nothing changed.

        Change grows with the steps where they lead one way, with their root where they do not: the reading in which less is
        too much counts.
        """
        found = np.full(len(self.change), np.nan)
        logs = np.log(np.where(self.links > 0, np.maximum(self.links, LEAST), np.nan))
        known = [step for step in steps if step is not None]
        lengths = np.log(np.diff(known)) if len(known) == len(steps) else np.zeros(len(logs))
        for link in range(1, len(logs) - 1):
            rates = [logs - power * lengths for power in (0.5, 1.0)]
            found[link] = min(rate[link] - (rate[link - 1] + rate[link + 1]) / 2 for rate in rates)
        return found


def drift_findings(stages: Sequence[Stage], models: Sequence[Fingerprint]) -> list[AuditFinding]:
    """A finding for every link that jumps or cannot be looked at; one for all if there is none."""
    drift = Drift.of(models)
    places, links = drift.foreign() | (drift.excess() > math.log(PLACE_JUMP)), drift.surplus([stage.step for stage in stages])
    findings = []
    for number, (a, b) in enumerate(pairwise(stages)):
        where, moved = f"{a.label} to {b.label}", drift.links[number]
        if math.isnan(moved):
            words = "no matrix has sampled entries and one shape on both sides"
            findings.append(AuditFinding("drift", "not-testable", where, words))
        elif moved == 0:
            words = "nothing changed: the same weights at two places of the chain"
            findings.append(AuditFinding("drift", "broken", where, words))
        elif places[number].any():
            jumped = [place for place, jumps in zip(drift.places, places[number], strict=True) if jumps]
            change = float(np.median(drift.change[number][places[number]]))
            words = f"{_named(jumped, drift.places)} changed by {change:.2g} of the norm, most by {moved:.2g}"
            findings.append(AuditFinding("drift", "broken", where, words))
        elif links[number] > math.log(LINK_JUMP):
            times = math.exp(links[number])
            words = f"everything changed {times:.1f} times as far as on both sides, for its steps: {READINGS}"
            findings.append(AuditFinding("drift", "broken", where, words))
        elif np.nanmedian(drift.cosine[number]) < NEAR:
            words = f"too far apart to tell other weights from trained ones (change {moved:.2g}): name checkpoints between them"
            findings.append(AuditFinding("drift", "not-testable", where, words))
    if not findings:
        changes = drift.links
        words = f"no jump: {changes.min():.2g} to {changes.max():.2g} of the norm a link"
        findings.append(AuditFinding("drift", "holds", "", words))
    return findings


def _entries(model: Fingerprint) -> dict[Place, Float64s]:
    """Sampled entries by place; places with an entry that is absent are left out."""
    found: dict[Place, Float64s] = {}
    for role in (*MATRIX_ROLES, "embedding", "head"):
        for layer, row in enumerate(np.asarray(model.traits.get(f"sample.{role}", np.zeros((0, 1))), dtype=np.float64)):
            if not np.isnan(row).any() and row.any():
                found[None if role in ("embedding", "head") else layer, role] = row
    return found


def _one_shape(a: Fingerprint, b: Fingerprint, place: Place) -> bool:
    """Whether positions that were sampled are the same entries; where shapes are not stated, they are taken to be."""
    ours, theirs = (set(model.stated.shapes.get(place[1], ())) for model in (a, b))
    return ours == theirs or not ours or not theirs


def _moved(before: Float64s, after: Float64s) -> tuple[float, float]:
    size, later = float(np.linalg.norm(before)), float(np.linalg.norm(after))
    return float(np.linalg.norm(after - before)) / size, float(before @ after) / (size * later)


def _medians(values: Float64s, axis: int) -> Float64s:
    """Medians of what is known, with the axis kept; 0 where nothing is."""
    masked = np.ma.masked_invalid(values)
    return np.asarray(np.ma.median(masked, axis=axis, keepdims=True).filled(0.0))  # type: ignore[no-untyped-call]


def _named(jumped: Sequence[Place], places: Sequence[Place]) -> str:
    """Places in words: whole layers, roles of all layers, single matrices."""
    return ", ".join(_words(set(jumped), places))


def _words(left: set[Place], places: Sequence[Place]) -> Iterator[str]:
    layers = sorted({layer for layer, _ in places if layer is not None})
    if left == set(places):
        yield "everything"
        return
    for layer in layers:
        own = {place for place in places if place[0] == layer}
        if own <= left:
            left = left - own
            yield f"layer {layer}"
    for role in dict.fromkeys(role for _, role in places):
        own = {place for place in places if place[1] == role}
        if own <= left:
            left = left - own
            yield role if (None, role) in own else f"{role} of all layers"
    rest = [f"{role} of layer {layer}" if layer is not None else role for layer, role in places if (layer, role) in left]
    yield from rest[:SHOWN]
    if len(rest) > SHOWN:
        yield f"{len(rest) - SHOWN} more"
