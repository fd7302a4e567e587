"""How the parts of a model lie in the tensors of a file: taken out of them, and put back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinprint.architectures.anatomy import Lines
from kinprint.architectures.table import Entry
from kinprint.checkpoints.checkpoint import Tensor, bytes_of_rows, read_rows
from kinprint.errors import ArchitectureError

Rows = slice | NDArray[np.int64]


def rows(entry: Entry, outputs: int, numbers: Mapping[str, Any], name: str, source: str) -> list[Rows]:
    """Which rows of the output axis of a tensor belong to each of its fused roles.

    Args:
        entry: what the tensor holds.
        outputs: length of its output axis; of its input axis if `entry.columns`.
        numbers: facts of the model; fused queries, keys and values need its heads.
        name, source: of the tensor and the model, for errors.

    Raises:
        ArchitectureError: the heads are not known, or do not add up to `outputs`.
    """
    if len(entry.roles) == 1:
        reordered = {"interleaved": _by_halves, "tiled": _by_groups}.get(entry.layout)
        return [reordered(entry, outputs, numbers, name, source) if reordered else slice(0, outputs)]
    kinds = [role.rpartition(".")[2] for role in entry.roles]
    if entry.sizes:
        sizes = _sizes(entry, outputs, numbers, name, source)
    elif not {*kinds} <= {"q", "k", "v"}:
        sizes = [outputs // len(kinds)] * len(kinds)
    else:
        try:
            heads, groups, width = (numbers[n] for n in ("num_attention_heads", "num_key_value_heads", "head_dim"))
        except KeyError:
            raise ArchitectureError(
                source, f"tensor {name} holds queries, keys and values, which only a configuration can tell apart",
                "put the model's config.json beside its weights",
            ) from None  # fmt: skip
        sizes = [(heads if kind == "q" else groups) * width for kind in kinds]
    if sum(sizes) != outputs or not all(sizes):
        raise ArchitectureError(
            source, f"tensor {name} has {outputs} rows where the configuration asks for {sum(sizes)}",
            "use the configuration that belongs to the weights",
        )  # fmt: skip
    if entry.layout == "stacked":
        ends = np.cumsum(sizes).tolist()
        return [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]
    if entry.layout == "alternating":
        return [slice(first, outputs, len(entry.roles)) for first in range(len(entry.roles))]
    if entry.layout in ("by_head", "blocks"):
        blocks = entry.blocks if entry.layout == "blocks" else int(numbers[entry.heads])
        if any(size % blocks for size in sizes):
            raise ArchitectureError(source, f"the {outputs} rows of tensor {name} do not lie in {blocks} equal blocks")
        cuts = np.cumsum([size // blocks for size in sizes])[:-1]
        return [part.ravel() for part in np.split(np.arange(outputs).reshape(blocks, -1), cuts, axis=1)]
    if heads % groups:
        raise ArchitectureError(source, f"{heads} heads cannot share {groups} key-value heads")
    grid = np.arange(outputs).reshape(groups, heads // groups + 2, width)
    return [grid[:, :-2].ravel(), grid[:, -2].ravel(), grid[:, -1].ravel()]


def _by_halves(entry: Entry, outputs: int, numbers: Mapping[str, Any], name: str, source: str) -> NDArray[np.int64]:
    """Rows in an order in which those that rotate together are half a head apart, from one in which they are neighbours."""
    heads = numbers.get("num_attention_heads" if entry.roles[0].endswith("q") else "num_key_value_heads")
    if not heads or outputs % (2 * heads):
        raise ArchitectureError(
            source, f"the {outputs} rows of tensor {name} are not those of {heads or 'a known number of'} heads",
            "use the configuration that belongs to the weights",
        )  # fmt: skip
    return np.arange(outputs).reshape(heads, -1, 2).swapaxes(1, 2).ravel()


def _by_groups(entry: Entry, outputs: int, numbers: Mapping[str, Any], name: str, source: str) -> NDArray[np.int64]:
    """Rows of query heads in an order in which those of a group follow each other, from one in which the groups take turns."""
    heads, groups = (numbers.get(fact) for fact in ("num_attention_heads", "num_key_value_heads"))
    if not heads or not groups or heads % groups or outputs % heads:
        raise ArchitectureError(
            source, f"the {outputs} rows of tensor {name} are not those of {heads} heads in {groups} groups",
            "use the configuration that belongs to the weights",
        )  # fmt: skip
    return np.arange(outputs).reshape(heads // groups, groups, -1).swapaxes(0, 1).ravel()


def _sizes(entry: Entry, outputs: int, numbers: Mapping[str, Any], name: str, source: str) -> list[int]:
    """Rows of each role, from the facts that say them; an equal share of what these leave for each that is "rest"."""
    heads = [entry.heads] if entry.layout == "by_head" else []
    facts = [size for size in entry.sizes if size != "rest"]
    missing = next((fact for fact in (*heads, *facts) if fact not in numbers), None)
    if missing:
        raise ArchitectureError(
            source, f"tensor {name} holds several matrices, which only {missing} in a configuration can tell apart",
            "put the model's config.json beside its weights",
        )  # fmt: skip
    count = numbers[entry.heads] if heads else 1
    left = max(outputs - count * sum(numbers[fact] for fact in facts), 0)
    share = left // (count * max(entry.sizes.count("rest"), 1))
    return [count * (share if size == "rest" else numbers[size]) for size in entry.sizes]


def count(rows: Rows) -> int:
    """How many rows these are."""
    return len(rows) if isinstance(rows, np.ndarray) else len(range(rows.start, rows.stop, rows.step or 1))


def reader(tensor: Tensor, entry: Entry, expert: int | None, own: Rows, shape: tuple[int, ...]) -> Callable[[], NDArray[Any]]:
    """What takes one part out of a tensor when it is called.

    Args:
        expert: which of stacked experts.
        own: the part's rows, of `rows`.
        shape: of all rows together.
    """

    def read() -> NDArray[Any]:
        stacked = expert is not None and entry.stacked_experts
        array = read_rows(tensor, expert or 0, (expert or 0) + 1)[0] if stacked else tensor.read()
        if not entry.matrix:
            array = array.reshape(shape)
        elif entry.flat:
            array = array.reshape(len(array), -1)
        array = array.T if entry.matrix and entry.transposed else array
        part = array[:, own] if entry.columns else array[own]
        return part if not entry.add else (part.astype(np.float32) + np.float32(entry.add))

    return read


def lines(tensor: Tensor, entry: Entry, own: Rows) -> Lines | None:
    """How one part can be read line by line.

    Args:
        own: the part's rows, of `rows`.

    Returns:
        None for vectors, for stacked experts, whose first axis counts the experts, and where columns lie in another order.
    """
    if not entry.matrix or entry.stacked_experts or entry.columns:
        return None

    if isinstance(own, slice) and own.step not in (None, 1):
        own = np.arange(own.start, own.stop, own.step)

    def stored(start: int, stop: int) -> NDArray[Any]:
        part = read_rows(tensor, start, stop)
        part = part.reshape(len(part), -1) if entry.flat else part
        return part if not entry.add else (part.astype(np.float32) + np.float32(entry.add))

    def read(start: int, stop: int) -> NDArray[Any]:
        if isinstance(own, slice):
            return stored(own.start + start, own.start + stop)
        wanted = own[start:stop]
        runs = np.split(wanted, np.flatnonzero(np.diff(wanted) != 1) + 1)
        return np.concatenate([stored(int(run[0]), int(run[-1]) + 1) for run in runs])

    nbytes = partial(bytes_of_rows, tensor)
    if entry.transposed:  # a line holds one input of every fused part
        return Lines(1, tensor.shape[0], lambda start, stop: stored(start, stop)[:, own], nbytes)
    return Lines(0, count(own), read, nbytes)


def join(
    entry: Entry, parts: Sequence[Sequence[NDArray[Any]]], numbers: Mapping[str, Any], dtype: np.dtype[Any], name: str
) -> NDArray[Any]:
    """The tensor of a file from its parts: what `rows` and `reader` take apart.

    Args:
        entry: what the tensor holds.
        parts: for each stacked expert (one, if experts are not stacked) the arrays of `entry.roles`, in order.
        numbers: facts of the model that is written.
        dtype: of the tensor; values are rounded to it once.
        name: of the tensor, for errors.

    Returns:
        a contiguous array; vectors are one-dimensional.
    """
    joined = []
    for arrays in parts:
        outputs = sum(len(array) for array in arrays)
        whole = np.empty((outputs, *arrays[0].shape[1:]), dtype)
        if entry.columns:
            whole[:, rows(entry, whole.shape[1], numbers, name, name)[0]] = arrays[0]
            joined.append(whole)
            continue
        for mine, array in zip(rows(entry, outputs, numbers, name, name), arrays, strict=True):
            whole[mine] = array if not entry.add else np.asarray(array, np.float32) - np.float32(entry.add)
        joined.append(np.ascontiguousarray(whole.T) if entry.transposed and entry.matrix else whole)
    return np.stack(joined) if entry.stacked_experts else joined[0]
