"""How a model tells positions apart: by its table, by its configuration, by its tensors, or unknown.

A table that serves a model type says it. A table that was guessed says nothing: other architectures have tensors of the same
names. Then configuration and tensors are asked, first for what names units (`kinprint.architectures.named`), since a test by
index that is not made costs less than an accusation that does not hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kinprint.architectures import facts as configuration
from kinprint.architectures.anatomy import Part
from kinprint.architectures.named import POSITIONS
from kinprint.architectures.table import Table
from kinprint.checkpoints import Tensor
from kinprint.checkpoints.checkpoint import bytes_of_rows, read_rows

KINDS = (
    "position_embedding_type",
    "positional_embedding_type",
    "position_encoding_type",
    "positional_encoding_type",
    "position_embedding",
    "positional_embedding",
    "position_encoding",
    "pos_embedding_type",
    "pos_emb_type",
    "pos_emb",
)
"""Keys of configurations whose value is the name of a kind of positions."""

ROTARY = (
    *("rope_theta", "rope_scaling", "rope_parameters", "rope_local_base_freq", "rope_base", "rope_ratio", "rope"),
    *("partial_rotary_factor", "rotary_pct", "rotary_percent", "rotary_base", "rotary_emb_base", "rotary_emb_fraction"),
)
"""Keys of configurations that only models with rotary positions set."""

WITHOUT = ("nope", "none")
"""Values of these keys that say that nothing tells positions apart."""

INNER = ("attn_config", "attention_config")
"""Tables inside a configuration that may hold such keys too (MPT)."""

TENSORS = (
    ("alibi", re.compile(r"(^|\.)(alibi|alibi_slopes|slopes)(\.|$)")),
    ("decay", re.compile(r"(^|\.)(decay|decays|decay_mask|slope_rate|query_decay|key_decay|diagonal_decay)(\.|$)")),
    ("rope", re.compile(r"(^|\.)(inv_freq|rope_freqs|rope_factors_\w+|attn_rot_embd)(\.|$)")),
)
"""Names of buffers that some files hold, and the positions they belong to."""

TABLE = re.compile(r"pos(?!t)|(^|\.)wpe(\.|$)", re.IGNORECASE)
"""Names of matrices with a row for every position: no digits, which count layers."""

FIRST, ROWS, TRIED = 2, 8, 8
"""Rows of such a matrix that are read (the first two may be padding), and how many matrices at most."""


class Found(NamedTuple):
    """The positions of a model, a key of `named.POSITIONS`, and how many bytes of its tensors were read to know them."""

    positions: str
    nbytes: int = 0


def found(
    table: Table,
    config: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    parts: Iterable[Part],
    *,
    guessed: bool,
) -> Found:
    """The positions of a model.

    Args:
        table: the one that the model is read by.
        config: of the language model; may be anything that JSON can say.
        tensors: all of the checkpoint's. A few rows of matrices of positions are read.
        parts: of the model.
        guessed: the table was chosen by its fit alone.

    Raises:
        CheckpointError: a matrix of positions cannot be read.
    """
    stored = [tensors[part.tensor] for part in parts if part.role == "position"]
    told = [stated(config), *(_by_names(tensors) if guessed else ())]
    naming: str | None = next((positions for positions in told if positions and POSITIONS[positions]), None)
    if naming:
        return Found(naming)
    nbytes = 0
    tried = {tensor.name: tensor for tensor in (*stored, *(_tables(tensors) if guessed else ()))}
    for tensor in tried.values():
        rows = range(FIRST, min(FIRST + ROWS, tensor.shape[0]))
        nbytes += bytes_of_rows(tensor, len(rows))
        if are_sinusoids(read_rows(tensor, rows.start, rows.stop)):
            return Found("sinusoidal", nbytes)
    own = configuration.lookup(table.positions, config)
    own = own if isinstance(own, str) and own in POSITIONS else "unknown"
    if guessed:  # a matrix of positions is all there is, unless models with such tensors have more that names heads (MPNet)
        alone = bool(stored) and (own == "unknown" or "heads" not in POSITIONS[own])
        own = "rope" if "rope" in told else "learned" if alone else "unknown"
    return Found(own, nbytes)


def stated(config: Mapping[str, Any]) -> str | None:
    """The positions that a configuration names, whatever the type of the model: "alibi", "sinusoidal" or "rope"; None if it
    names none of these."""
    inner = (config.get(key) for key in INNER)
    places = [config, *(place for place in inner if isinstance(place, Mapping))]
    keys = [(str(key).lower(), value) for place in places for key, value in place.items()]
    kinds = [value.lower() for key, value in keys if key in KINDS and isinstance(value, str)]
    if any("alibi" in kind for kind in kinds) or any(_on("alibi", key, value) for key, value in keys):
        return "alibi"
    sines = (value is True for key, value in keys if "sinusoid" in key or key == "static_position_embeddings")
    if any("sinus" in kind or "sincos" in kind for kind in kinds) or any(sines):
        return "sinusoidal"
    if any("rope" in kind or "rotary" in kind for kind in kinds):
        return "rope"
    without = any(kind in WITHOUT for kind in kinds)  # keys of rotary positions often stay where those are switched off
    return "rope" if not without and any(key in ROTARY and value for key, value in keys) else None


def _on(word: str, key: str, value: Any) -> bool:
    """Whether a key with that word in it is switched on; of the word itself, whether it is set to anything true."""
    return (word in key and value is True) or (key == word and bool(value))


def _by_names(tensors: Mapping[str, Tensor]) -> list[str]:
    return [positions for positions, pattern in TENSORS if any(pattern.search(name) for name in tensors)]


def _tables(tensors: Mapping[str, Tensor]) -> list[Tensor]:
    """Matrices that may have a row for every position, some at most."""
    named = (t for name, t in tensors.items() if TABLE.search(name) and not re.search(r"\d", name))
    return [t for t in named if len(t.shape) == 2 and t.dtype.kind in "fV"][:TRIED]


def are_sinusoids(rows: NDArray[Any]) -> bool:
    """Whether successive rows of a matrix of positions are sines and cosines: each pair of channels is a point on one circle,
    which turns by the same angle from row to row.

    Both known orders of channels are tried: sines in the first half and cosines in the second, and neighbours. An odd channel
    at the end is left out. The radius may be any, and up to a tenth of it may be noise: bf16 and training for a while change
    less. Pairs of a matrix that was learned from random values have radii that differ by half of their mean.

    Args:
        rows: (positions, channels), in order; at least 3 and 8, or the answer is no.
    """
    if rows.ndim != 2 or rows.shape[0] < 3 or rows.shape[1] < 8:
        return False
    values = rows.astype(np.float64)[:, : rows.shape[1] // 2 * 2]
    if not np.isfinite(values).all() or not 0 < np.abs(values).max() < 1e100:
        return False
    half = values.shape[1] // 2
    return any(_on_a_circle(x + 1j * y) for x, y in ((values[:, :half], values[:, half:]), (values[:, ::2], values[:, 1::2])))


def _on_a_circle(points: NDArray[np.complex128]) -> bool:
    """(positions, pairs): one radius for all, one angle for each pair from each row to the next, and not all of them zero."""
    radii = np.abs(points)
    if radii.std() > 0.1 * radii.mean():
        return False
    steps = points[1:] * points[:-1].conj() / np.maximum(radii[1:] * radii[:-1], 1e-6 * radii.mean() ** 2)
    return bool(np.abs(steps.mean(axis=0)).mean() > 0.9 and np.abs(np.angle(steps)).max() > 0.1)
