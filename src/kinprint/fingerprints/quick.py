"""Quick measuring: the traits that tests by index need, from one line in a hundred of the weights, and what tells copies in
disguise (`kinprint.fingerprints.readings`).

A matrix that reads or writes neurons is read if one line of it, as stored, holds all residual channels: gate and up where they
are stored as (output, input), down where it is transposed (GPT-2). Of each the leading lines are read, in one run, which on a
hub is one range of bytes. How many depends on the number of lines alone, so that models of one shape are read at the same
places, whatever their depth. Leading ones, because where a descendant has lost or gained neurons, the lines before the first
change are still those of its parent. Norm gains and routers are read whole; biases not, since no test looks at them.

Everything is in folded form (`kinprint.architectures.folding`), and only what a few lines show in that form is kept: the
sizes of queries, keys, values, ups and downs are fixed in products alone, whose other factor is not read.

Why the tests stay exact (METHODS: exchangeability tests). Which lines are read depends on the labels of neurons, heads and
tokens, never on those of channels. Every value of a channel is computed from that channel's entries in these lines, by one rule
for all channels. So if the channels of a model are relabelled, what is measured of them, sampling errors included, is
relabelled with them: under the null hypothesis the estimates are as exchangeable as exact norms, also beside the exact norms
of a full fingerprint. Leading neurons are another matter: relabelling would bring other neurons to the front. But given which
neurons are in front, their order among themselves is uniformly random, and only they are compared.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from threading import Lock
from typing import Any, NamedTuple

import numpy as np

from kinprint.architectures import Anatomy, Part
from kinprint.architectures.folding import centred, degree, folded, gain_before
from kinprint.architectures.roles import MATRIX_ROLES
from kinprint.arrays import Array
from kinprint.checkpoints import Checkpoint
from kinprint.fingerprints.assembly import assemble, facts, provenance, require_parts, vocabulary, work
from kinprint.fingerprints.fingerprint import Fingerprint
from kinprint.fingerprints.kernels import widened
from kinprint.fingerprints.layer import finite
from kinprint.fingerprints.measure import Progress
from kinprint.fingerprints.parallel import each
from kinprint.fingerprints.pieces import pieces
from kinprint.fingerprints.readings import readings
from kinprint.fingerprints.traits.experts import router_norms
from kinprint.fingerprints.traits.neurons import FFN

LINES = 100
"""One line in so many is read, and at least one."""


def measure_quick(
    checkpoint: Checkpoint, anatomy: Anatomy, *, threads: int | None = None, progress: Progress | None = None
) -> Fingerprint:
    """Measure what tests by index need, and readings, from 1 % of the weights or less; the fact `quick` is the share.

    A matrix of fewer than 100 lines gives one, and readings take 256 neurons at least, which makes the share of models below
    some 100 million parameters larger. Of experts the first one is
    read if it has tensors of its own; experts stacked in one tensor are not.

    Raises:
        CheckpointError: a tensor cannot be read.
        FingerprintError: nothing could be measured.
    """
    require_parts(checkpoint, anatomy)
    wanted, where = _wanted(anatomy), readings(anatomy, sparing=True)
    total, done, lock = sum(map(_nbytes, wanted)) + (where.nbytes if where else 0), 0, Lock()

    def run(item: tuple[int | None, list[Part]]) -> tuple[int | None, dict[str, Array]]:
        nonlocal done
        layer, parts = item
        rows = _rows(parts, anatomy.facts)
        with lock:
            done += sum(map(_nbytes, parts))
            if progress:
                progress(done, total)
        return layer, rows

    rows_by_layer = each(run, work(wanted), threads)
    traits = assemble(rows_by_layer, int(anatomy.facts["num_hidden_layers"])) | (where.read() if where else {})
    traits |= vocabulary(checkpoint)
    if progress:
        progress(total, total)
    whole = sum(math.prod(tensor.shape) * tensor.dtype.itemsize for tensor in checkpoint.tensors.values())
    told = facts(checkpoint, anatomy) | {"quick": round((total + anatomy.nbytes) / max(whole, 1), 6)}
    return Fingerprint(checkpoint.name, traits, told, provenance(checkpoint, anatomy))


def holds_channels(part: Part, hidden: int) -> bool:
    """Whether each line of a matrix, as stored, holds all residual channels."""
    if part.role not in (*MATRIX_ROLES, "embedding", "head") or part.lines is None or "residual" not in part.axes:
        return False
    residual = part.axes.index("residual")
    return part.lines.axis != residual and part.shape[residual] == hidden


def lines_read(part: Part) -> int:
    """How many leading lines of such a matrix are read."""
    return 0 if part.lines is None else max(part.lines.count // LINES, 1)


class Columns(NamedTuple):
    """Sums over some lines, of each channel (float64): of entries, of their squares, of their fourth powers."""

    sums: Array
    squares: Array
    fourths: Array


def columns(lines: Array) -> Columns:
    """(lines, channels) -> their sums; entries that are not finite count as zeros."""
    sums = Columns(*np.zeros((3, lines.shape[1])))
    for piece in pieces(lines):
        wide = widened(piece, np.float64)
        wide = np.where(np.isfinite(wide), wide, 0.0)
        squares = wide**2
        sums.sums[:] += wide.sum(axis=0)
        sums.squares[:] += squares.sum(axis=0)
        sums.fourths[:] += (squares**2).sum(axis=0)
    return sums


def estimated_norms(columns: Columns, read: int, lines: int) -> tuple[Array, Array]:
    """Norms of whole columns, and their standard errors, from a random sample of `read` of their `lines` entries (two or more).

    The mean square of the sample times the number of lines estimates the square; its error is that of a mean without
    replacement, carried through the root (delta method).
    """
    mean = columns.squares / read
    spread = np.maximum(columns.fourths / read - mean**2, 0.0) / (read - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        errors = np.sqrt(lines * spread * (1 - read / lines)) / (2 * np.sqrt(mean))
    return np.sqrt(lines * mean), errors


def _wanted(anatomy: Anatomy) -> list[Part]:
    """The parts that are read; of experts the first."""
    hidden = int(anatomy.facts["hidden_size"])
    first: dict[tuple[int | None, str], Part] = {}
    for part in anatomy.parts:
        if _whole(part) or (part.role in FFN and holds_channels(part, hidden)):
            first.setdefault((part.layer, part.role), part)
    gated = {layer for layer, role in first if role == "gate"}
    return [part for (layer, role), part in first.items() if role != "down" or layer not in gated]


def _whole(part: Part) -> bool:
    """Norm gains and routers: next to the matrices they are nothing."""
    return part.role == "router" or part.role.startswith("gains.")


def _nbytes(part: Part) -> int:
    """Bytes that are read of a part."""
    if _whole(part) or part.lines is None:
        return math.prod(part.shape) * part.dtype.itemsize
    return part.lines.nbytes(lines_read(part))


def _rows(parts: list[Part], facts: Mapping[str, Any]) -> dict[str, Array]:
    """What the parts of one layer, or one part outside the layers, add to the traits."""
    rows: dict[str, Array] = {}
    read: dict[str, Array] = {}
    gains = {part.role: part.read() for part in parts if part.role.startswith("gains.")}
    for part in parts:
        gain = gains.get(gain_before(part.role, facts, gains) or "")
        if part.role == "router":
            norms = router_norms(part.read(), gain, centred(facts))
            rows["experts.norms"] = np.column_stack([norms, np.full(len(norms), np.nan)])
        elif part.role in gains:
            rows[part.role] = finite(gains[part.role].astype(np.float32))
        elif part.lines is not None:
            lines = widened(part.lines.read(0, lines_read(part)), np.float64)
            with np.errstate(all="ignore"):
                read[part.role] = folded(lines, gain, centre=centred(facts))
    for part in parts:
        if part.role in read and (part.role == "gate" or "gate" not in read):
            rows |= _channels(part, read[part.role], degree(facts))
    return rows | _neurons(read.get("gate"), read.get("up"), degree(facts))


def _channels(part: Part, lines: Array, homogeneous: int | None) -> dict[str, Array]:
    """leading.<role> (hidden,), and channels.<role>, errors.<role> (hidden,) where lines are a random sample: those of a
    layer's neurons, which are exchangeable. Where the size of a neuron's line can be traded for that of another, lines count
    with length 1, and what they show of norms is left out."""
    if homogeneous is not None:
        with np.errstate(all="ignore"):
            lines = lines / np.sqrt((lines**2).sum(axis=1, keepdims=True))
    assert part.lines is not None
    totals = columns(lines)
    channels = {f"leading.{part.role}": totals.sums / len(lines)}
    if homogeneous is None and part.expert is None and len(lines) > 1:
        norms, errors = estimated_norms(totals, len(lines), part.lines.count)
        channels |= {f"channels.{part.role}": norms, f"errors.{part.role}": errors}
    return channels


def _neurons(gate: Array | None, up: Array | None, homogeneous: int | None) -> dict[str, Array]:
    """neurons.leading (neurons, 2): log ||gate|| (without a gate ||up||) unless the activation is homogeneous, and cos(gate,
    up) of the neurons whose rows were read, in folded form."""
    if up is None or (gate is not None and gate.shape != up.shape):
        return {}
    with np.errstate(all="ignore"):
        u = np.sqrt((up**2).sum(axis=1))
        g = u if gate is None else np.sqrt((gate**2).sum(axis=1))
        angle = np.full(len(u), np.nan) if gate is None else (gate * up).sum(axis=1) / (g * u)
        size = np.log(g) if homogeneous is None else np.full(len(u), np.nan)
        known = (g > 0) & (u > 0)
        return {"neurons.leading": finite(np.where(known[:, None], np.column_stack([size, angle]), np.nan))}
