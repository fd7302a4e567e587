"""GGUF, the file of llama.cpp: configuration, tokenizer and tensors in one, most of them quantised.

The header is read here (`_gguf`); what a block of codes stands for is left to the `gguf` library, which is ggml's own.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from kinprint.checkpoints.checkpoint import Deferred, Tensor
from kinprint.checkpoints.formats._format import Format, Inside
from kinprint.checkpoints.formats._gguf import Entry, Header, damaged, read_header
from kinprint.checkpoints.mapped import MappedTensor
from kinprint.checkpoints.source import ByteSource
from kinprint.errors import CheckpointError, printable

PLAIN: dict[int, np.dtype[Any]] = {
    0: np.dtype("<f4"),
    1: np.dtype("<f2"),
    24: np.dtype("i1"),
    25: np.dtype("<i2"),
    26: np.dtype("<i4"),
    27: np.dtype("<i8"),
    28: np.dtype("<f8"),
    30: np.dtype(ml_dtypes.bfloat16),
}
"""ggml's numbers of the types whose elements lie in the file as they are."""

PIECE = 1 << 22
"""Elements decoded at a time; the library needs several times their memory."""

LONG = 1 << 13
"""Elements of a row, at least, that is given to the library."""

CONFIG: Mapping[str, Sequence[str]] = {
    "hidden_size": ("embedding_length",),
    "num_hidden_layers": ("block_count",),
    "num_attention_heads": ("attention.head_count",),
    "num_key_value_heads": ("attention.head_count_kv",),
    "head_dim": ("attention.key_length",),
    "intermediate_size": ("expert_feed_forward_length", "feed_forward_length"),
    "num_experts": ("expert_count",),
    "num_experts_per_tok": ("expert_used_count",),
    "rotary_dim": ("rope.dimension_count",),
    "max_position_embeddings": ("context_length",),
    "vocab_size": ("vocab_size",),
}
"""What configurations call a number -> where the metadata may have it, behind the name of the architecture."""

POSITIVE: Mapping[str, str] = {
    "rope_theta": "rope.freq_base",
    "alibi": "attention.max_alibi_bias",
    "rms_norm_eps": "attention.layer_norm_rms_epsilon",
    "layer_norm_eps": "attention.layer_norm_epsilon",
}
"""The same of numbers above 0 that need not be whole: of positions, and what norms add to a variance."""


@dataclass(frozen=True, slots=True)
class CodedTensor:
    """A tensor stored as blocks of codes, which lie along its last axis; float32 when read.

    Attributes:
        name, shape: as `Tensor` says.
        codes: uint8 of shape (product of all axes but the last, bytes a row).
        kind: ggml's number for the type.
    """

    name: str
    shape: tuple[int, ...]
    codes: MappedTensor
    kind: int

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.float32)

    def read(self) -> NDArray[Any]:
        return self._decoded(self.codes.read()).reshape(self.shape)

    def read_rows(self, start: int, stop: int) -> NDArray[Any]:
        """`read()[start:stop]`, decoding no more than that."""
        if len(self.shape) < 2:
            return self.read()[start:stop]
        start, stop, _ = slice(start, stop).indices(self.shape[0])
        inner = math.prod(self.shape[1:-1])
        return self._decoded(self.codes.read_rows(start * inner, stop * inner)).reshape(-1, *self.shape[1:])

    @property
    def spans(self) -> tuple[tuple[ByteSource, tuple[int, int]], ...]:
        """The bytes that `read` needs."""
        return self.codes.spans

    def _decoded(self, codes: NDArray[np.uint8]) -> NDArray[np.float32]:
        values = np.empty((len(codes), self.shape[-1]), np.float32)
        step = max(PIECE // max(self.shape[-1], 1), 1)
        for first in range(0, len(codes), step):
            values[first : first + step] = _decode(codes[first : first + step], self.kind)
        values.flags.writeable = False
        return values


def open_file(source: ByteSource) -> dict[str, Tensor]:
    """The tensors of one GGUF file, by name.

    Raises:
        CheckpointError: no GGUF file, damaged, big-endian, of version 1, or with a type that cannot be decoded.
    """
    header = read_header(source)
    _refuse_parts(source, header.metadata)
    alignment = header.metadata.get("general.alignment", 32)
    if type(alignment) is not int or alignment not in (1 << n for n in range(17)):
        raise damaged(source, "its alignment is not a small power of two")
    start = _aligned(header.length, alignment)
    tensors = {name: _tensor(source, header, name, entry, start) for name, entry in header.tensors.items()}
    stored = {name: t.codes if isinstance(t, CodedTensor) else t for name, t in tensors.items()}
    _check_cover(source, stored.values(), alignment, start, header.size)
    return dict(tensors)


def _refuse_parts(source: ByteSource, metadata: Mapping[str, Any]) -> None:
    """Raise CheckpointError for what is no model by itself, by the file's own word."""
    kind, architecture = (metadata.get(f"general.{key}") for key in ("type", "architecture"))
    if kind == b"adapter" or "adapter.type" in metadata:
        base = metadata.get("general.base_model.0.repo_url") or metadata.get("general.base_model.0.name")
        told = f" of {printable(base.decode('utf-8', 'backslashreplace'), 100)}" if isinstance(base, bytes) else ""
        raise CheckpointError(
            source, f"a LoRA adapter{told} as GGUF, not a model",
            "merge it with llama.cpp's llama-export-lora, or give BASE+ADAPTER with the adapter that peft has written",
        )  # fmt: skip
    if kind == b"mmproj" or architecture == b"clip":
        raise CheckpointError(source, "the vision or audio part of a model, without its language model", "give the other GGUF")
    if kind == b"imatrix":
        raise CheckpointError(source, "statistics for quantising a model (imatrix), not a model", "give the model's GGUF")


def _aligned(offset: int, alignment: int) -> int:
    return offset + -offset % alignment


def _tensor(source: ByteSource, header: Header, name: str, entry: Entry, start: int) -> MappedTensor | CodedTensor:
    """The tensor that an entry of the header describes; whether it lies inside the file is seen when all are there."""
    shape, offset = entry.shape, start + entry.offset
    if math.prod(max(n, 1) for n in shape) * 8 > np.iinfo(np.int64).max:
        raise damaged(source, f"the shape of tensor {name} is beyond any memory")
    if entry.kind in PLAIN:
        return MappedTensor(name, PLAIN[entry.kind], shape, source, header.size, offset)
    known = _coding(entry.kind)
    if isinstance(known, str):
        raise CheckpointError(source, f"tensor {name} is of {known}", "use another quantisation of the model")
    elements, size = known
    if 0 in shape:
        raise damaged(source, f"the quantised tensor {name} is empty")
    if not shape or shape[-1] % elements:
        raise damaged(source, f"the last axis of tensor {name} is no whole number of blocks of {elements}")
    codes = (math.prod(shape[:-1]), shape[-1] // elements * size)
    return CodedTensor(name, shape, MappedTensor(name, np.dtype(np.uint8), codes, source, header.size, offset), entry.kind)


def _check_cover(source: ByteSource, tensors: Iterable[MappedTensor], alignment: int, start: int, size: int) -> None:
    """Each tensor begins where the padded one before it ends: neither overlaps nor holes, where something could hide."""
    position = start
    for tensor in sorted(tensors, key=lambda t: (t.offset, t.nbytes)):
        if tensor.offset != position:
            raise damaged(source, f"tensor {tensor.name} begins at {tensor.offset:,}, not at {position:,}")
        if position + tensor.nbytes > size:
            raise CheckpointError(source, f"truncated: tensor {tensor.name} reaches beyond its end", "download it again")
        position = _aligned(position + tensor.nbytes, alignment)
    if position < size:
        raise damaged(source, f"{size - position:,} bytes after the last tensor")


# --- codes


@cache
def _coding(kind: int) -> tuple[int, int] | str:
    """Elements and bytes of a block, or what is wrong with a type that cannot be decoded."""
    import gguf

    try:
        known = gguf.GGMLQuantizationType(kind)
        elements, size = gguf.GGML_QUANT_SIZES[known]
    except (ValueError, KeyError):
        return f"the unknown type {kind}"
    try:
        gguf.quants.dequantize(np.zeros((1, size), np.uint8), known)
    except NotImplementedError:
        return f"type {known.name}, which the gguf library does not decode"
    return elements, size


def _decode(codes: NDArray[np.uint8], kind: int) -> NDArray[np.float32]:
    """The values of some rows of codes, a row each."""
    import gguf

    known = gguf.GGMLQuantizationType(kind)
    elements, size = gguf.GGML_QUANT_SIZES[known]
    # Blocks do not know their row, and the library takes 16 rows at a time: short ones take it as long as long ones.
    joined = max(LONG // (codes.shape[1] // size * elements), 1)
    whole = len(codes) - len(codes) % joined
    parts = [part for part in (codes[:whole].reshape(-1, joined * codes.shape[1]), codes[whole:]) if len(part)]
    with np.errstate(all="ignore"):  # scales from strangers may be infinite
        decoded = [gguf.quants.dequantize(part, known).reshape(-1, codes.shape[1] // size * elements) for part in parts]
    return np.concatenate(decoded) if len(decoded) > 1 else decoded[0]


# --- what the file says besides


def inside(files: Sequence[ByteSource]) -> Inside:
    """Configuration, vocabulary and types of a model in one or more GGUF files (the first of them has the metadata).

    Raises:
        CheckpointError: as `open_file`.
    """
    headers = [read_header(source) for source in files]
    metadata = next((h.metadata for h in headers if "general.architecture" in h.metadata), {})
    return Inside(_config(metadata), _vocabulary(metadata, files[0]), _types(headers))


def says(source: ByteSource) -> dict[str, str]:
    """The words of `general.*`: names, bases, sources, licences; CheckpointError as `open_file`."""
    words = {key: value for key, value in read_header(source).metadata.items() if key.startswith("general.")}
    return {key: value.decode("utf-8", "replace") for key, value in words.items() if isinstance(value, bytes)}


def _config(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of the model under the names that configurations of transformers have for them."""
    architecture = metadata.get("general.architecture")
    if not isinstance(architecture, bytes):
        return {}
    name = architecture.decode("utf-8", "backslashreplace")
    config: dict[str, Any] = {"model_type": name}
    for key, places in CONFIG.items():
        numbers = (_number(metadata.get(f"{name}.{place}")) for place in places)
        found = next((number for number in numbers if number is not None), None)
        if found is not None:
            config[key] = found
    said = {key: metadata.get(f"{name}.{place}") for key, place in POSITIVE.items()}
    return config | {key: value for key, value in said.items() if isinstance(value, float) and value > 0}


def _number(value: Any) -> int | None:
    """A positive whole number, or the one that an array of them has for every layer."""
    if isinstance(value, np.ndarray):
        value = value[0].item() if value.size and (value == value[0]).all() else None
    return value if type(value) is int and value > 0 else None


def _vocabulary(metadata: Mapping[str, Any], source: ByteSource) -> Mapping[str, int] | None:
    tokens = metadata.get("tokenizer.ggml.tokens")
    if tokens is None:
        return None

    def load() -> Mapping[str, int]:
        if not isinstance(tokens, list) or not all(isinstance(token, bytes) for token in tokens):
            raise CheckpointError(source, "its tokens are not an array of strings")
        return {token.decode("utf-8", "backslashreplace"): index for index, token in enumerate(tokens)}

    return Deferred(load)


def _types(headers: Sequence[Header]) -> str:
    """ "GGUF, Q4_K and Q6_K": the types of the quantised tensors, the one of most weights first; "" if there are none."""
    counts: Counter[int] = Counter()
    for header in headers:
        for entry in header.tensors.values():
            if entry.kind not in PLAIN:
                counts[entry.kind] += math.prod(entry.shape)
    if not counts:
        return ""
    import gguf

    *names, last = (gguf.GGMLQuantizationType(kind).name for kind, _ in counts.most_common())
    return "GGUF, " + (f"{', '.join(names)} and {last}" if names else last)


FORMAT = Format(
    "GGUF",
    (".gguf",),
    open_file,
    stem="model",
    rank=20,
    inside=inside,
    begins=lambda start: start.startswith(b"GGUF"),
    says=says,
)
