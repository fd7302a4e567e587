"""Which part of the suspect answers which part of the reference: by layer, role and expert, by token, and by unit.

Layers are told by sampled rows, so that a model with fewer or more layers is compared with those it took. Tokens are told by
their strings. Units that lie in another order are found by what they read or write (`units`), channels by the embeddings of the
same tokens. What answers nothing is listed, not measured: its difference would say nothing about a change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from kinprint.architectures import Place, Weights, folding
from kinprint.architectures.roles import MATRICES
from kinprint.arrays import Float32s, Float64s, Int64s
from kinprint.difference.matrix import Matrix
from kinprint.difference.units import cosine, cosines, matched
from kinprint.progress import counted

ANSWERS = 0.15
"""Cosine of sampled entries from which a matrix answers another. Strangers stay far below (docs/diff.md)."""

SURE = 0.5
"""Cosine from which no other order of the units is looked for."""

ALIKE = 0.95
"""Share of the rows and columns that must each answer, too; else some units may have changed places."""

BETTER = 0.01
"""What another order must add to the cosine to be taken."""

TOKENS = 4096
"""Tokens whose embeddings tell channels."""

SIGNED = ("q", "k", "v", "o", "gate", "up", "down", "mixer_in", "mixer_out", "q_up", "kv_down")
"""Roles whose sampled rows tell layers."""


@dataclass(frozen=True, eq=False)
class Pair:
    """A part of the suspect and the part of the reference that it answers.

    Attributes:
        place, of: layer, role and expert in the suspect, and in the reference.
        reference, suspect: what is compared.
        answers: whether the entries answer each other; if not they are not compared.
        order: "" where units lie in the same order; "units" or "channels" where they were brought into it.
        added, gone: tokens that only the suspect, or only the reference, has.
    """

    place: Place
    of: Place
    reference: Matrix
    suspect: Matrix
    answers: bool = True
    order: str = ""
    added: int = 0
    gone: int = 0


@dataclass(frozen=True)
class Pairing:
    """Which parts answer each other.

    Attributes:
        pairs: of parts that both models have.
        layer_map: reference layer of each suspect layer; None where none answers.
        missing, added: parts of the reference that no part of the suspect has as its place, and the reverse.
        folded: whether norm gains stand in the matrices of one model, so that both are compared in folded form.
        tokens: tokens of both vocabularies by string, tokens of the reference, tokens of the suspect; None where unknown.
    """

    pairs: tuple[Pair, ...]
    layer_map: tuple[int | None, ...]
    missing: tuple[Place, ...]
    added: tuple[Place, ...]
    folded: bool = False
    tokens: tuple[int, int, int] | None = None

    @property
    def answering(self) -> float:
        """The share of the entries of matrices inside layers that answer."""
        sizes = [(np.prod(pair.suspect.part.shape), pair.answers) for pair in self.pairs if is_layer_matrix(pair.place)]
        total = sum(size for size, _ in sizes)
        return float(sum(size for size, answers in sizes if answers) / total) if total else 0.0


def is_layer_matrix(place: Place) -> bool:
    """Whether a place is that of a matrix inside a layer."""
    return place[0] is not None and place[1] in MATRICES


def paired(reference: Weights, suspect: Weights) -> Pairing:
    """Find what answers what.

    Raises:
        CheckpointError: a part cannot be read.
    """
    return _Search(reference, suspect).pairing()


@dataclass(eq=False)
class _Search:
    reference: Weights
    suspect: Weights
    channels: Int64s | None = field(default=None)

    def pairing(self) -> Pairing:
        layer_map = self._layer_map()
        if all(layer is None for layer in layer_map) and self.reference.hidden == self.suspect.hidden:
            self.channels = self._channel_map()
            layer_map = self._layer_map() if self.channels is not None else layer_map
        if self.reference.layers == self.suspect.layers:  # their units may lie in another order
            layer_map = [number if layer is None else layer for number, layer in enumerate(layer_map)]
        sources = dict(self._sources(layer_map))
        pairs = tuple(counted(map(self._pair, sources.items()), "tensors sampled", len(sources)))
        found = set(sources.values())
        return Pairing(
            pairs=pairs,
            layer_map=tuple(_answered(pairs, number, source) for number, source in enumerate(layer_map)),
            missing=tuple(place for place in self.reference.parts if place not in found),
            added=tuple(place for place in self.suspect.parts if place not in sources),
            folded=self._folded,
            tokens=self._tokens[1],
        )

    # --- layers

    def _layer_map(self) -> list[int | None]:
        """Reference layer of each suspect layer: its own number where that answers."""
        ours, theirs = self._signatures(self.reference, self.channels), self._signatures(self.suspect, None)
        found: list[int | None] = []
        for number, their in enumerate(theirs):
            values = [_agreement(our, their) for our in ours]
            best = int(np.argmax(values)) if values else 0
            own = values[number] if number < len(values) else -1.0
            if own >= ANSWERS and (own >= 0.5 or own >= values[best] - ANSWERS):
                best = number
            found.append(best if values and values[best] >= ANSWERS else None)
        return found

    def _signatures(self, weights: Weights, channels: Int64s | None) -> list[dict[str, Float32s]]:
        """Of each layer, sampled rows by role."""
        found = []
        for layer in range(weights.layers):
            rows = {}
            for role in SIGNED:
                part = weights.parts.get((layer, role, None)) or weights.parts.get((layer, role, 0))
                if part is not None:
                    matrix = Matrix(part)
                    matrix = _ordered(matrix, channels)
                    rows[f"{role} {matrix.shape}"] = matrix.sampled()[:16]
            found.append(rows)
        return found

    # --- places

    def _sources(self, layer_map: list[int | None]) -> Iterator[tuple[Place, Place]]:
        """Place in the suspect -> place in the reference, of parts that may be compared."""
        for place in self.suspect.parts:
            layer, role, expert = place
            source = None if layer is None else layer_map[layer] if layer < len(layer_map) else None
            if (layer is not None and source is None) or (self._folded and role in folding.GAINS):
                continue
            options = [(source, role, expert), (source, role, None)] if expert is not None else [(source, role, None)]
            if role == "head":
                options.append((None, "embedding", None))
            found = next((option for option in options if option in self.reference.parts), None)
            if found is not None and len(self.reference.parts[found].shape) == len(self.suspect.parts[place].shape):
                yield place, found

    def _pair(self, item: tuple[Place, Place]) -> Pair:
        place, of = item
        ours, theirs = Matrix(self.reference.parts[of]), Matrix(self.suspect.parts[place])
        if self._folded and theirs.axes[1] == "residual" and place[1] in MATRICES:
            ours = replace(ours, gain=self.reference.gain(of[0], of[1]))
            theirs = replace(theirs, gain=self.suspect.gain(place[0], place[1]))
        ours = _ordered(ours, self.channels)
        pair = Pair(place, of, ours, theirs, order="channels" if self.channels is not None else "")
        if theirs.axes[0] in ("vocabulary", "positions"):
            return self._by_name(pair)
        if len(theirs.part.shape) == 1:
            return replace(pair, answers=ours.shape == theirs.shape)
        if ours.shape != theirs.shape:
            return self._by_units(pair)
        some = ours.sampled(), theirs.sampled()
        near = cosine(*some)
        if near >= SURE and _alike(*some):
            return pair
        moved = self._by_units(pair)
        better = moved.answers and cosine(moved.reference.sampled(), moved.suspect.sampled()) > near + BETTER
        return moved if better else replace(pair, answers=near >= ANSWERS)

    def _by_name(self, pair: Pair) -> Pair:
        """Rows that have names: tokens by their strings, positions by their numbers."""
        ours, theirs = pair.reference, pair.suspect
        if ours.shape[1] != theirs.shape[1]:
            return replace(pair, answers=False)
        origin = self._tokens[0] if theirs.axes[0] == "vocabulary" else None
        if origin is None:
            common = min(ours.shape[0], theirs.shape[0])
            origin = np.arange(theirs.shape[0])
            origin[common:] = -1
        origin = np.concatenate([origin, np.full(max(theirs.shape[0] - len(origin), 0), -1)])[: theirs.shape[0]]
        origin[origin >= ours.shape[0]] = -1
        kept = np.flatnonzero(origin >= 0)
        if not len(kept):
            return replace(pair, answers=False, added=theirs.shape[0], gone=ours.shape[0])
        whole = len(kept) == theirs.shape[0] == ours.shape[0] and np.array_equal(origin, kept)
        return replace(
            pair,
            reference=ours if whole else ours.taking(origin[kept], ours.columns),
            suspect=theirs if whole else theirs.taking(kept, theirs.columns),
            added=theirs.shape[0] - len(kept),
            gone=ours.shape[0] - len(np.unique(origin[kept])),
        )

    def _by_units(self, pair: Pair) -> Pair:
        """Units that have no names, in another order or number: by what they read or write on the residual stream."""
        ours, theirs = pair.reference, pair.suspect
        if "residual" not in theirs.axes or self.reference.hidden != self.suspect.hidden:
            return replace(pair, answers=False)
        turned = theirs.axes[0] == "residual"
        rows = [_all_rows(matrix, turned=turned) for matrix in (ours, theirs)]
        found = matched(*rows)
        if found is None:
            return replace(pair, answers=False)
        if turned:
            return replace(pair, reference=ours.taking(ours.rows, found), order="units")
        return replace(pair, reference=ours.taking(found, ours.columns), order="units")

    # --- what concerns the whole model

    @cached_property
    def _tokens(self) -> tuple[Int64s | None, tuple[int, int, int] | None]:
        """Reference token of each suspect token, -1 for new ones, where their numbers do not say it; and how many there are."""
        ours, theirs = self.reference.tokens, self.suspect.tokens
        if not ours or not theirs:
            return None, None
        counts = (len(ours.keys() & theirs.keys()), len(ours), len(theirs))
        if all(ours.get(token) == number for token, number in theirs.items() if token in ours) and counts[0] == min(counts):
            return None, counts
        origin = np.full(max(theirs.values()) + 1, -1)
        for token, number in theirs.items():
            origin[number] = ours.get(token, -1)
        return origin, counts

    @cached_property
    def _folded(self) -> bool:
        """Whether one model has its norm gains in the matrices and the other has not."""
        flat = [_flat_gains(weights) for weights in (self.reference, self.suspect)]
        return flat[0] is not None and flat[1] is not None and flat[0] != flat[1] and not folding.centred(self.suspect.facts)

    def _channel_map(self) -> Int64s | None:
        """Reference channel of each suspect channel, by the embeddings of the same tokens."""
        place = (None, "embedding", None)
        if place not in self.reference.parts or place not in self.suspect.parts:
            return None
        pair = self._by_name(Pair(place, place, Matrix(self.reference.parts[place]), Matrix(self.suspect.parts[place])))
        if not pair.answers or pair.suspect.axes[1] != "residual":
            return None
        count = min(pair.suspect.shape[0], TOKENS)
        found = []
        for matrix in (pair.reference, pair.suspect):
            opened = matrix.opened()
            rows = opened.read(0, count)
            found.append(np.ascontiguousarray((rows - rows.mean(axis=0)).T))
            opened.close()
        return matched(*found)


def _answered(pairs: Iterable[Pair], layer: int, source: int | None) -> int | None:
    """The reference layer of a layer, if a matrix of it answers."""
    return source if any(pair.answers and pair.place[0] == layer and is_layer_matrix(pair.place) for pair in pairs) else None


def _ordered(matrix: Matrix, channels: Int64s | None) -> Matrix:
    """A matrix of the reference with its residual channels in the suspect's order."""
    if channels is None:
        return matrix
    rows = channels if matrix.axes[0] == "residual" else matrix.rows
    columns = channels if matrix.axes[1] == "residual" else matrix.columns
    return matrix.taking(rows, columns)


def _alike(ours: Float32s, theirs: Float32s) -> bool:
    """Whether rows and columns each answer, nearly all."""
    turned = (np.ascontiguousarray(ours.T), np.ascontiguousarray(theirs.T))
    return all(float(np.mean(cosines(*sides) >= 2 * ANSWERS)) >= ALIKE for sides in ((ours, theirs), turned))


def _agreement(ours: Mapping[str, Float32s], theirs: Mapping[str, Float32s]) -> float:
    """The median cosine of sampled rows of the same roles and shapes."""
    values = [cosine(ours[key], theirs[key]) for key in ours.keys() & theirs.keys()]
    return float(np.median(values)) if values else -1.0


def _all_rows(matrix: Matrix, *, turned: bool) -> Float32s:
    """(units, residual) of a matrix."""
    opened = matrix.opened()
    rows = opened.read(0, matrix.shape[0])
    opened.close()
    return np.ascontiguousarray(rows.T) if turned else rows


def _flat_gains(weights: Weights) -> bool | None:
    """Whether every norm gain in front of a block is the same number; None where there are none."""
    gains: list[Float64s] = [
        part.read().astype(np.float64)
        for place, part in weights.parts.items()
        if place[1] in ("gains.input", "gains.post_attention")
    ]
    return all(np.ptp(gain) == 0 for gain in gains) if gains else None
