"""Whether values lie on the grid of a quantisation, as those of a block that shares a scale do, and those of training do not.

A block of weights that was rounded to a few bits holds few distinct values, or multiples of one step. Which blocks shared a
scale is not known, so several lengths are tried, along the inputs, which is how every format lays them. The reference's values,
rounded to the suspect's number type, say how many distinct values there are without quantisation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kinprint.arrays import Float32s, Int64s

BLOCKS = (16, 32, 64, 128, 256)
"""Lengths of blocks that share a scale; whole rows and whole matrices besides."""

FEWER = 0.7
"""Distinct values of a block, as a share of the reference's, up to which it counts as on a grid."""

STEPS = (3, 4, 7, 8, 15, 16, 31, 32, 127, 128)
"""Steps on one side of zero of two to eight bits."""

OFF = 0.02
"""Distance from a multiple of the step, in steps, up to which a value counts as one."""

MOST = 0.9
"""Share of the blocks that must lie on a grid."""


@dataclass(frozen=True)
class Grid:
    """The grid that a matrix lies on.

    Attributes:
        block: "16", "32" ... inputs, "row" or "matrix" that share a scale, as far as sampled rows tell.
        levels: distinct values of a block, the median.
        nearest: share of the entries that are the level nearest to the reference's entry, among the levels their block holds.
    """

    block: str
    levels: int
    nearest: float


def grid(reference: Float32s, suspect: Float32s) -> Grid | None:
    """The grid that the suspect's values lie on and the reference's do not.

    Args:
        reference: (rows, columns) sampled rows, rounded to the suspect's number type.
        suspect: the same rows of the suspect.
    """
    if suspect.size < BLOCKS[0] or not suspect.any():
        return None
    reference = np.where(suspect == 0, np.float32(0), reference)  # entries set to zero are pruned, and on every grid
    columns = suspect.shape[1]
    for length in (*(block for block in BLOCKS if block < columns), columns, suspect.size):
        ours, theirs = (_blocks(values, length) for values in (reference, suspect))
        fewer = _distinct(theirs) <= FEWER * _distinct(ours)
        if np.mean(fewer) >= MOST or _on_steps(theirs) >= MOST > _on_steps(ours):
            name = str(length) if length < columns else "row" if length == columns else "matrix"
            return Grid(name, int(np.median(_distinct(theirs))), _nearest(ours, theirs))
    return None


def _blocks(values: Float32s, length: int) -> Float32s:
    """(blocks, length); what makes no whole block is left out."""
    if length == values.size:
        return values.reshape(1, -1)
    whole = values[:, : values.shape[1] // length * length]
    return whole.reshape(-1, length)


def _distinct(blocks: Float32s) -> Int64s:
    ordered = np.sort(blocks, axis=1)
    return np.asarray(1 + np.count_nonzero(np.diff(ordered, axis=1), axis=1), np.int64)


def _on_steps(blocks: Float32s) -> float:
    """The share of blocks whose values are multiples of a step that divides the largest."""
    largest = np.abs(blocks).max(axis=1, keepdims=True)
    some = blocks[(largest > 0).ravel()]
    if not len(some):
        return 0.0
    on = np.zeros(len(some), bool)
    for steps in STEPS:
        scaled = some * (steps / np.abs(some).max(axis=1, keepdims=True))
        on |= (np.abs(scaled - np.round(scaled)) <= OFF).all(axis=1)
    return float(np.mean(on))


def _nearest(reference: Float32s, suspect: Float32s) -> float:
    """The share of entries that no other value of their block is nearer to, of some blocks."""
    hits = total = 0
    for ours, theirs in zip(reference[:: max(len(reference) // 256, 1)], suspect[:: max(len(suspect) // 256, 1)], strict=True):
        levels = np.unique(theirs)
        at = np.searchsorted(levels, ours)
        below, above = levels[np.maximum(at - 1, 0)], levels[np.minimum(at, len(levels) - 1)]
        closest = np.minimum(np.abs(ours - below), np.abs(ours - above))
        hits += int(np.count_nonzero((np.abs(ours - theirs) <= closest * 1.001 + 1e-30) & (theirs != 0)))
        total += int(np.count_nonzero(theirs))
    return hits / total if total else 0.0
