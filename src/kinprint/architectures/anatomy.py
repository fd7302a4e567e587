"""Which tensor of a checkpoint plays which role: what an architecture's table makes of one checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinprint.architectures.table import Entry, Table

Place = tuple[int | None, str, int | None]
"""Layer, role, expert."""


@dataclass(frozen=True)
class Lines:
    """A matrix as its tensor stores it: some lines along the tensor's first axis can be read without the others.

    Attributes:
        axis: of the matrix, along which lines are counted: 0 if a line is a row of it, 1 if a column.
        count: how many lines there are.
        read: (start, stop) -> (stop - start, length of a line), a row for each line.
        nbytes: number of lines -> bytes of the checkpoint that are read for them.
    """

    axis: int
    count: int
    read: Callable[[int, int], NDArray[Any]] = field(repr=False, compare=False)
    nbytes: Callable[[int], int] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Part:
    """One array of the model by its role, not read yet.

    Matrices are (output, input) as in `y = W x`, whatever the file's layout: q (heads * head_dim, hidden), k and v
    (kv heads * head_dim, hidden), o (hidden, heads * head_dim), gate and up (neurons, hidden), down (hidden, neurons),
    router (experts, hidden), embedding and head (vocabulary, hidden). Vectors are one-dimensional: `gains.*` as the
    factor the model multiplies by, `biases.*`.

    Attributes:
        role: "q", "gate", "gains.input", "biases.k" ...
        layer: index of the layer, or None outside the layers (embedding, head, gains.final).
        expert: index of the expert, or None.
        axes: the space of each axis ("residual", "heads", "kv_heads", "neurons", "experts", "vocabulary", "head_dim").
        shape: of the array.
        dtype: element type as stored.
        tensor: name of the tensor in the checkpoint it comes from.
        read: returns the array; a view of the stored tensor wherever a view can express it.
        lines: of a matrix that can be read in part; None of vectors and of experts stacked in one tensor.
        as_stored: whether it is all of its tensor, as the file has it.
    """

    role: str
    layer: int | None
    expert: int | None
    axes: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    tensor: str
    read: Callable[[], NDArray[Any]] = field(repr=False, compare=False)
    lines: Lines | None = field(default=None, repr=False, compare=False)
    as_stored: bool = field(default=False, repr=False, compare=False)


def experts_by_layer(parts: Iterable[Place]) -> dict[int, list[int | None]]:
    """Where each layer that has an FFN keeps its neurons: [None] if it is dense, else the indices of its experts, ascending."""
    experts: dict[int, list[int | None]] = {}
    for layer, role, expert in parts:
        if layer is not None and role == "up":
            experts.setdefault(layer, []).append(expert)
    return {layer: sorted(each, key=lambda expert: -1 if expert is None else expert) for layer, each in experts.items()}


@dataclass(frozen=True)
class Name:
    """How this checkpoint calls a kind of tensor: `pattern` with `{layer}` and `{expert}`, what it holds, a shape it has."""

    pattern: str
    entry: Entry
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Anatomy:
    """A checkpoint seen through its architecture.

    Attributes:
        family: name of the table that was used ("llama", "gpt2", ...).
        facts: num_hidden_layers, hidden_size, num_attention_heads, num_key_value_heads, head_dim, intermediate_size,
            vocab_size, num_experts (0 if dense), model_type, positions ("rope" | "alibi" | "learned" | ...),
            named_spaces (space -> why its units have names, see `named`),
            norm ("rms" | "layer"), norm_first (False: after the blocks, on the residual stream), activation, rotary_dim
            (dimensions of a head that positions rotate), rotary_pairs ("halves" | "interleaved"), tie_word_embeddings,
            qk_norm (queries and keys are normed without gains), free_signs (a gated neuron computes the same with its up and
            down vectors turned around), layer_kinds (for each layer what it is made of, "attention + experts"): numbers checked
            against the shapes of the tensors.
        parts: every part, ordered by layer (None last), then role, then expert.
        unknown: names of tensors that the table does not know.
        skipped: names of tensors that the table knows and gives no role.
        notes: what a reader should know (a configuration that was missing, a role absent in some layers, ...).
        names: the kinds of tensors the checkpoint has, for writing another one like it.
        others: name of every tensor without a role, whether the table knows it or not -> what it belongs to, in words.
        buffers: names of tensors that the model computes itself.
        shared: names of tensors without a role that layers have in common, so that a file may hold them once or several times.
        guessed: whether no type and no user says that this table is the right one.
        why: a clause for people about how the table was chosen.
        table: the table.
        nbytes: bytes of the tensors that were read to find this out (`positions`).
    """

    family: str
    facts: Mapping[str, Any]
    parts: tuple[Part, ...]
    unknown: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    names: tuple[Name, ...] = ()
    skipped: tuple[str, ...] = ()
    others: Mapping[str, str] = field(default_factory=dict)
    buffers: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    guessed: bool = False
    why: str = ""
    table: Table | None = None
    nbytes: int = 0

    @cached_property
    def at(self) -> Mapping[Place, Part]:
        """The part at every place."""
        return {(part.layer, part.role, part.expert): part for part in self.parts}
