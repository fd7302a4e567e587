"""The streaming pass: every part of a model is read piece by piece, everything a fingerprint needs is taken from it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from threading import Lock
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from kinprint.architectures import Anatomy, Part
from kinprint.architectures.kinds import spans
from kinprint.arrays import Array
from kinprint.checkpoints import Checkpoint
from kinprint.fingerprints import content
from kinprint.fingerprints.assembly import assemble, facts, left_out, provenance, require_parts, vocabulary, work
from kinprint.fingerprints.fingerprint import Fingerprint
from kinprint.fingerprints.layer import Layer, scanned
from kinprint.fingerprints.parallel import each
from kinprint.fingerprints.readings import readings
from kinprint.fingerprints.traits import rows as rows_of

Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all."""


class Found(NamedTuple):
    """What is kept of a layer (or of one part outside the layers): small, whatever the layer's size."""

    layer: int | None
    rows: dict[str, Array]
    digests: list[tuple[Part, bytes]]
    non_finite: dict[str, int]
    notes: list[str]

    def without_head(self) -> Found:
        """As if the model had no head of its own."""
        rows = {trait: row for trait, row in self.rows.items() if trait not in OF_HEAD}
        digests = [(part, digest) for part, digest in self.digests if part.role != "head"]
        return self._replace(rows=rows, digests=digests)


OF_HEAD = ("moments.head", "sample.head", "embedding.output", "columns.head")
"""Traits of a head that is not the embedding."""


def _tied(layers: list[Found]) -> bool:
    """Whether the head is the embedding, stored a second time."""
    seen = {part.role: digest for item in layers for part, digest in item.digests if part.role in ("embedding", "head")}
    return len(seen) == 2 and seen["embedding"] == seen["head"]


def _without_head(anatomy: Anatomy) -> Anatomy:
    parts = tuple(part for part in anatomy.parts if part.role != "head")
    return replace(anatomy, parts=parts, facts={**anatomy.facts, "tie_word_embeddings": True})


def measure(
    checkpoint: Checkpoint,
    anatomy: Anatomy,
    *,
    scores: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Fingerprint:
    """Measure every trait of a checkpoint in one streaming pass; those that serve scores alone only with `scores`.

    The result does not depend on `threads`, on sharding or on the file format. Mapped tensors cost each thread some
    100 MiB at most, whatever their size; of what has to be decoded, 256 MiB of a layer stay in memory while it is measured.

    Raises:
        CheckpointError: a tensor cannot be read.
        FingerprintError: nothing could be measured.
    """
    require_parts(checkpoint, anatomy)
    others, again = content.others_of(checkpoint, anatomy), content.to_read_again(checkpoint, anatomy)
    total = sum(math.prod(part.shape) * part.dtype.itemsize for part in anatomy.parts)
    total += sum(content.bytes_of(tensor) for tensor in others.values())
    done, lock = 0, Lock()

    def tell(count: int) -> None:
        nonlocal done
        with lock:
            done += count
            if progress:
                progress(done, total)

    def run(work: tuple[int | None, list[Part]]) -> Found:
        index, parts = work
        layer = Layer(index, anatomy.facts, scanned(parts, tell))
        rows = rows_of(layer, scores=scores)
        counts = {name(item.part): int(item.sums.totals[7]) for item in layer.scans if item.sums.totals[7]}
        digests = [(part, item.digest) for part, item in zip(parts, layer.scans, strict=True)]  # parts that keep no memory
        return Found(index, rows, digests, counts, layer.notes)

    with threadpool_limits(limits=1, user_api="blas"):
        layers = each(run, work(anatomy.parts), threads)
        whole = each(lambda item: content.digest_of_tensor(*item), list(again.values()), threads)
        beside = each(lambda tensor: content.stored(tensor, tell), list(others.values()), threads)
    if _tied(layers):
        anatomy, layers = _without_head(anatomy), [item.without_head() for item in layers]
    digests = [pair for item in layers for pair in item.digests]
    as_stored = {part.tensor: digest for item in layers for part, digest in item.digests if part.as_stored}
    content_traits, content_facts = content.described(
        checkpoint, anatomy, as_stored, dict(zip(again, whole, strict=True)), dict(zip(others, beside, strict=True))
    )
    traits = assemble(((item.layer, item.rows) for item in layers), int(anatomy.facts["num_hidden_layers"]))
    traits["digests"] = np.frombuffer(b"".join(digest for _, digest in digests), np.uint8).reshape(-1, 32)
    where = readings(anatomy, sparing=False)
    traits |= (where.read() if where else {}) | vocabulary(checkpoint) | content_traits
    facts_of_pass = {
        **facts(checkpoint, anatomy),
        **content_facts,
        "digest_parts": [name(part) for part, _ in digests],
        "non_finite": {part: count for item in layers for part, count in item.non_finite.items()},
    }
    notes = _notes(layers) + left_out((item.layer, item.rows) for item in layers)
    return Fingerprint(checkpoint.name, traits, facts_of_pass, provenance(checkpoint, anatomy, notes) | {"scores": scores})


def _notes(layers: Iterable[Found]) -> list[str]:
    """What could not be measured, each once, with the layers."""
    places: dict[str, list[int]] = {}
    for item in layers:
        for note in item.notes:
            places.setdefault(note, []).extend([] if item.layer is None else [item.layer])
    return [f"{note} (layers {spans(sorted(where))})" if where else note for note, where in places.items()]


def name(part: Part) -> str:
    """What a part is called in the facts: layer, role, expert, without those that do not apply."""
    return ".".join(str(piece) for piece in (part.layer, part.role, part.expert) if piece is not None)
