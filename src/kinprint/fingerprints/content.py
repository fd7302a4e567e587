"""Every tensor of a checkpoint by its content, with a role or without: what "identical" rests on.

A tensor goes by its name without what stands in front of all names of a model, so that shards, containers and wrappers do not
count. What is stored a second time (an output matrix tied to the embedding) counts once.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from kinprint.architectures import Anatomy, known
from kinprint.architectures.companions import in_a_layer
from kinprint.checkpoints import Checkpoint, Tensor
from kinprint.checkpoints.checkpoint import read_rows
from kinprint.checkpoints.names import apart
from kinprint.fingerprints.pieces import pieces

SAMPLED = 16
"""Entries of each tensor without a role that are kept, to compare it with a copy in another type."""


class Stored(NamedTuple):
    """One tensor: BLAKE3 of its dtype, shape and entries, and some of these, float64, NaN where it has fewer."""

    digest: bytes
    sample: NDArray[np.float64]


def digest_of(array: NDArray[Any], tell: Callable[[int], None] = lambda count: None) -> bytes:
    """BLAKE3 of dtype, shape and entries, in the order of the axes; `tell` is given the bytes of each piece."""
    found = blake3(f"{array.dtype.name} {array.shape}\n".encode())
    if not array.size:
        return found.digest()
    for piece in pieces(array.reshape(-1, array.shape[-1]) if array.ndim > 1 else array.reshape(1, -1)):
        found.update(piece.view(np.uint8).data)
        tell(piece.nbytes)
    return found.digest()


def digest_of_tensor(tensor: Tensor, stacked: bool) -> bytes:
    """As `digest_of`; what is stacked along the first axis is read one by one.

    Raises:
        CheckpointError: it cannot be read.
    """
    if not stacked:
        return digest_of(tensor.read())
    found = blake3(f"{tensor.dtype.name} {tensor.shape}\n".encode())
    for index in range(tensor.shape[0]):
        found.update(np.ascontiguousarray(read_rows(tensor, index, index + 1)).reshape(-1).view(np.uint8).data)
    return found.digest()


def stored(tensor: Tensor, tell: Callable[[int], None]) -> Stored:
    """Read a tensor without a role.

    Raises:
        CheckpointError: it cannot be read.
    """
    array = tensor.read()
    sample = np.full(SAMPLED, np.nan)
    if array.size and (array.dtype.kind in "fiub" or array.dtype.name in ("bfloat16", "float8_e4m3fn", "float8_e5m2")):
        flat = array.reshape(-1)
        where = np.unique(np.linspace(0, flat.size - 1, min(SAMPLED, flat.size)).astype(np.int64))
        values = flat[where].astype(np.float64)
        sample[: len(where)] = np.where(np.isfinite(values), values, np.nan)
    return Stored(digest_of(array, tell), sample)


def others_of(checkpoint: Checkpoint, anatomy: Anatomy) -> dict[str, Tensor]:
    """The tensors without a role, by name."""
    return {name: checkpoint.tensors[name] for name in sorted((*anatomy.others, *anatomy.buffers))}


def to_read_again(checkpoint: Checkpoint, anatomy: Anatomy) -> dict[str, tuple[Tensor, bool]]:
    """Tensors with a role that no part shows as they are stored (several in one, transposed, something added), and whether
    experts are stacked in them. None of a quantised model, whose tensors are decoded each time they are read."""
    if checkpoint.quantization:
        return {}
    changed = {part.tensor: part.expert is not None for part in anatomy.parts if not part.as_stored}
    return {name: (checkpoint.tensors[name], stacked) for name, stacked in changed.items() if name in checkpoint.tensors}


def described(
    checkpoint: Checkpoint,
    anatomy: Anatomy,
    parts: Mapping[str, bytes],
    again: Mapping[str, bytes],
    others: Mapping[str, Stored],
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Traits and facts about the content.

    Args:
        parts: name of a tensor -> digest of its one part, which is the tensor as stored.
        again: digests of `to_read_again`.
        others: of `others_of`.
    """
    parts = {name: digest for name, digest in parts.items() if name in checkpoint.tensors}
    digests = {**parts, **again, **{name: each.digest for name, each in others.items() if name not in anatomy.buffers}}
    tied = _stored_twice(checkpoint.tensors, digests, anatomy)
    may_be_tied = {*tied, *tied.values(), *anatomy.shared}
    short = short_names(checkpoint.tensors)
    with_a_role = {part.tensor for part in anatomy.parts}
    kept = [name for name in others if tied.get(name) not in with_a_role]
    complete = with_a_role <= digests.keys()
    once = {name: digest for name, digest in digests.items() if name not in tied}
    facts = {
        "content": _combined(short, once) if complete else None,
        "stored_bytes": sum(bytes_of(tensor) for name, tensor in checkpoint.tensors.items() if name not in tied),
        "others": [
            {
                "name": short[name],
                "what": anatomy.others.get(name, "buffers"),
                "bytes": bytes_of(checkpoint.tensors[name]),
                "dtype": checkpoint.tensors[name].dtype.name,
                "buffer": name in anatomy.buffers,
                "tied": name in may_be_tied,
            }
            for name in kept
        ],
    }
    if not kept:
        return {}, facts
    return {
        "others.digests": np.frombuffer(b"".join(others[name].digest for name in kept), np.uint8).reshape(-1, 32),
        "others.samples": np.stack([others[name].sample for name in kept]),
    }, facts


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Names without what stands in front of all names of some family, as far as `apart` allows."""
    fronts = sorted({front for table in known() for front in table.prefixes if front}, key=len, reverse=True)
    return apart({name: name.removeprefix(next((front for front in fronts if name.startswith(front)), "")) for name in names})


def _stored_twice(tensors: Mapping[str, Tensor], digests: Mapping[str, bytes], anatomy: Anatomy) -> dict[str, str]:
    """Tensors outside the layers, a row for every token, that repeat another one -> that one, which models keep."""
    rows = anatomy.facts.get("vocab_size")
    groups: dict[bytes, list[str]] = defaultdict(list)
    for name, digest in digests.items():
        if not in_a_layer(name) and tensors[name].shape[:1] == (rows,):
            groups[digest].append(name)
    keep = {part.tensor for part in anatomy.parts if part.role == "embedding"}
    first = {
        digest: min(names, key=lambda name: (name not in keep, "emb" not in name, len(name), name))
        for digest, names in groups.items()
    }
    return {name: first[digest] for digest, names in groups.items() for name in names if name != first[digest]}


def _combined(short: Mapping[str, str], digests: Mapping[str, bytes]) -> str:
    found = blake3()
    for name, digest in sorted((short[name], digest) for name, digest in digests.items()):
        found.update(name.encode("utf-8", "surrogatepass") + b"\n" + digest)
    return found.hexdigest()


def bytes_of(tensor: Tensor) -> int:
    """Of all its entries."""
    return math.prod(tensor.shape) * tensor.dtype.itemsize
