"""PyTorch zip checkpoints (`torch.save` since 1.6), read without PyTorch and without running their pickle.

Such a file is an uncompressed zip: `NAME/data.pkl` describes the tensors, `NAME/data/KEY` holds the bytes of each
storage. We read the description as data and map the storages where they lie.
"""

from __future__ import annotations

import io
import math
import os
import struct
import sys
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import ml_dtypes
import numpy as np

from kinprint.checkpoints.checkpoint import Tensor
from kinprint.checkpoints.foreign_config import translated
from kinprint.checkpoints.formats._format import Format, Inside
from kinprint.checkpoints.formats._inert import inert, settings
from kinprint.checkpoints.formats._pickle import Kind, Opaque, Stub, read_pickle
from kinprint.checkpoints.mapped import MAX_NAME, MAX_RANK, MAX_TENSORS, MappedTensor, check_name
from kinprint.checkpoints.source import ByteSource
from kinprint.errors import CheckpointError, PickleError

MAX_DIRECTORY = 32_000_000  # bytes of the zip's directory: some 300,000 entries
MAX_PICKLE = 64_000_000
MAX_DEPTH = 16  # of dictionaries within dictionaries
MAX_OVERLAP = 8  # how often, on average, the bytes of a file may be shared between tensors
REMEDY = "where you trust it, load it with PyTorch and save its state dict with safetensors"
WRAPPERS = (
    *("state_dict", "model_state_dict", "model_state", "model", "module", "net", "network", "params", "weights", "ema"),
    *("model_ema", "ema_model", "state"),
)
"""Keys under which trainers save the weights, the first one counts."""

SETTINGS = ("model_args", "model_config", "config", "args", "hyper_parameters", "hparams", "cfg")
"""Keys under which they save what a configuration says."""

TYPES = ("torch.Tensor", "torch.nn.parameter.Parameter", "torch.nn.Parameter", "torch.nn.parameter.Buffer", "torch.nn.Buffer")
"""Types of tensors whose bytes are their values."""

_DTYPES: dict[str, np.dtype[Any]] = {
    "float64": np.dtype("<f8"),
    "float32": np.dtype("<f4"),
    "float16": np.dtype("<f2"),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
    "float8_e4m3fn": np.dtype(ml_dtypes.float8_e4m3fn),
    "float8_e5m2": np.dtype(ml_dtypes.float8_e5m2),
    "float8_e4m3fnuz": np.dtype(ml_dtypes.float8_e4m3fnuz),
    "float8_e5m2fnuz": np.dtype(ml_dtypes.float8_e5m2fnuz),
    "float8_e8m0fnu": np.dtype(ml_dtypes.float8_e8m0fnu),
    "float4_e2m1fn_x2": np.dtype(np.uint8, metadata={"stored": "float4_e2m1fn_x2"}),  # two to a byte
    "complex64": np.dtype("<c8"),
    "complex128": np.dtype("<c16"),
    "int64": np.dtype("<i8"),
    "int32": np.dtype("<i4"),
    "int16": np.dtype("<i2"),
    "int8": np.dtype("i1"),
    "uint64": np.dtype("<u8"),
    "uint32": np.dtype("<u4"),
    "uint16": np.dtype("<u2"),
    "uint8": np.dtype("u1"),
    "bool": np.dtype("?"),
}
_STORAGES = {
    "Double": "float64", "Float": "float32", "Half": "float16", "BFloat16": "bfloat16",
    "ComplexFloat": "complex64", "ComplexDouble": "complex128",
    "Long": "int64", "Int": "int32", "Short": "int16", "Char": "int8", "Byte": "uint8", "Bool": "bool",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _StorageType:
    dtype: np.dtype[Any]


@dataclass(frozen=True, slots=True)
class _Storage:
    """The bytes of one or more tensors: entry `data/KEY` of the zip, holding `numel` elements of `dtype`."""

    key: str
    dtype: np.dtype[Any]
    numel: int


@dataclass(frozen=True, slots=True)
class _View:
    """A tensor as pickled: offset and strides count elements of `dtype`."""

    storage: _Storage
    dtype: np.dtype[Any]
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def open_file(source: ByteSource) -> dict[str, Tensor]:
    """The tensors of one PyTorch file, by name.

    Raises:
        CheckpointError: if the file is damaged, of the form before PyTorch 1.6, compressed, encrypted or big-endian,
            or if its pickle names anything but tensors and plain values.
    """
    with source.open() as file:
        archive = _Archive(source, file)
        order = archive.read("byteorder", limit=16) if archive.has("byteorder") else b"little"
        if order.strip() != b"little":
            raise CheckpointError(source, "written on a big-endian machine", REMEDY)
        try:
            content = read_pickle(archive.read("data.pkl", limit=MAX_PICKLE), _KNOWN, _storage, inert)
            views: dict[str, _View] = {}
            for name, view in _named_views(_state_dict(content)):
                if name in views:
                    raise PickleError(f"two tensors named {name}")
                views[name] = view
        except PickleError as error:
            raise CheckpointError(source, str(error), REMEDY) from error
        tensors = {name: archive.tensor(name, view) for name, view in views.items()}
    if sum(t.nbytes for t in tensors.values()) > MAX_OVERLAP * archive.size + 2**26:
        raise CheckpointError(source, "its tensors claim far more bytes than the file holds", REMEDY)
    return dict(tensors)


# --- what the file says besides


def inside(files: Sequence[ByteSource]) -> Inside:
    """The configuration that a training script has saved beside the weights, where it is of a kind that is known.

    Raises:
        CheckpointError: as `open_file`.
    """
    with files[0].open() as file:
        data = _Archive(files[0], file).read("data.pkl", limit=MAX_PICKLE)
    if not any(key.encode() in data for key in SETTINGS):
        return Inside()
    content = read_pickle(data, _KNOWN, _storage, inert)
    said = (settings(content.get(key)) for key in SETTINGS) if isinstance(content, dict) else ()
    return Inside(next((config for one in said if (config := translated(one))), {}))


# --- the zip


class _Archive:
    """Where the entries of the zip lie in the file; every read is bounded before it is made."""

    def __init__(self, source: ByteSource, file: BinaryIO) -> None:
        self.source, self.file, self.size = source, file, os.fstat(file.fileno()).st_size
        magic = file.read(4)
        if magic[:1] == b"\x80":
            raise CheckpointError(source, "a bare pickle, as PyTorch before 1.6 wrote", REMEDY)
        if magic != b"PK\x03\x04":
            raise CheckpointError(source, "not a PyTorch zip checkpoint", "check that it is complete and a PyTorch file")
        try:
            infos = zipfile.ZipFile(_BoundedReader(file)).infolist()
        except _ZIP_ERRORS as error:
            raise self._damaged(str(error)) from error
        self.entries = {info.filename: info for info in infos}
        if len(self.entries) != len(infos):
            raise self._damaged("two entries of one name")
        roots = [name.removesuffix("data.pkl") for name in self.entries if name.endswith("/data.pkl")]
        if len(roots) != 1:
            raise CheckpointError(source, f"a zip with {len(roots)} PyTorch pickles (data.pkl) instead of one", REMEDY)
        self.root = roots[0]
        self.offsets: dict[str, int] = {}
        starts = (info.header_offset for info in infos if 0 <= info.header_offset <= self.size - 30)
        source.prefetch(*((start, start + 30) for start in starts))

    def has(self, name: str) -> bool:
        return self.root + name in self.entries

    def read(self, name: str, limit: int) -> bytes:
        """The bytes of a small entry. Its checksum is not looked at: PyTorch can be told not to write any."""
        offset, length = self.locate(name)
        if length > limit:
            raise self._damaged(f"{name} of {length:,} bytes, more than the {limit:,} allowed")
        self.file.seek(offset)
        data = self.file.read(length)
        if len(data) < length:
            raise self._damaged(f"{name} ends early")
        return data

    def locate(self, name: str) -> tuple[int, int]:
        """Where the bytes of an entry begin in the file, and how many there are."""
        info = self.entries.get(self.root + name)
        if info is None:
            raise self._damaged(f"{name} is missing")
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size or info.flag_bits & 1:
            raise CheckpointError(self.source, f"{name} is compressed or encrypted", REMEDY)
        if name not in self.offsets:
            self.offsets[name] = self._data_offset(info)
        return self.offsets[name], info.file_size

    def _data_offset(self, info: zipfile.ZipInfo) -> int:
        # Only the local header in front of the data tells how long that header is (PyTorch pads it to align the data).
        if not 0 <= info.header_offset <= self.size - 30:
            raise self._damaged(f"{info.filename} lies outside the file")
        self.file.seek(info.header_offset)
        header = self.file.read(30)
        if len(header) < 30 or not header.startswith(b"PK\x03\x04"):
            raise self._damaged(f"no header in front of {info.filename}")
        name_length, extra_length = struct.unpack("<HH", header[26:])
        offset = int(info.header_offset) + 30 + int(name_length) + int(extra_length)
        if offset + info.file_size > self.size:
            raise self._damaged(f"{info.filename} reaches beyond the end of the file")
        return offset

    def tensor(self, name: str, view: _View) -> MappedTensor:
        """The mapped tensor that a pickled view describes, inside the bounds of its storage."""
        check_name(name, self.source)
        start, length = self.locate(f"data/{view.storage.key}")
        if length != view.storage.numel * view.storage.dtype.itemsize:
            raise self._damaged(f"the storage of tensor {name} has {length:,} bytes, not what the pickle says")
        itemsize = view.dtype.itemsize
        last = view.offset + sum((n - 1) * s for n, s in zip(view.shape, view.strides, strict=True))
        if math.prod(max(n, 1) for n in view.shape) * itemsize > np.iinfo(np.int64).max:
            raise self._damaged(f"the shape of tensor {name} is beyond any memory")
        if 0 not in view.shape and (last + 1) * itemsize > length:
            raise self._damaged(f"tensor {name} reaches beyond its storage")
        strides = tuple(s * itemsize for s in view.strides)
        contiguous = 0 in view.shape or strides == _contiguous(view.shape, itemsize)
        offset = start + view.offset * itemsize
        return MappedTensor(name, view.dtype, view.shape, self.source, self.size, offset, None if contiguous else strides)

    def _damaged(self, problem: str) -> CheckpointError:
        return CheckpointError(self.source, f"a damaged zip: {problem}", "download or write the file again")


_ZIP_ERRORS = (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, ValueError, OverflowError, struct.error)


class _BoundedReader(io.RawIOBase):
    """A file that refuses reads as large as a hostile zip directory could ask for."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file

    def read(self, size: int | None = -1) -> bytes:
        data = self.file.read(min(MAX_DIRECTORY + 1, size if size is not None and size >= 0 else MAX_DIRECTORY + 1))
        if len(data) > MAX_DIRECTORY:
            raise zipfile.BadZipFile("its directory is larger than any real one")
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        return self.file.tell()

    def seekable(self) -> bool:
        return True


def _contiguous(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    return tuple(itemsize * math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


# --- the pickle


def _storage(identifier: Any) -> _Storage:
    match identifier:
        case ("storage", _StorageType(dtype), str(key), str(), int(numel)) if numel >= 0:
            return _Storage(key, dtype, numel)
    raise PickleError("a reference that is no storage")


def _view(dtype: np.dtype[Any] | None, arguments: tuple[Any, ...], metadata: tuple[Any, ...]) -> _View:
    match arguments:
        case (_Storage() as storage, offset, tuple(shape), tuple(strides)):
            if len(shape) != len(strides) or len(shape) > MAX_RANK:
                raise PickleError("a tensor whose shape and strides do not fit")
            if not all(type(n) is int and 0 <= n < 2**63 for n in (offset, *shape, *strides)):
                raise PickleError("a tensor with a size, stride or offset that is no count")
            if any(metadata):  # conjugate and negated views: the bytes are not the values
                raise PickleError("a tensor stored as the negative or conjugate of its values")
            return _View(storage, dtype or storage.dtype, offset, shape, strides)
    raise PickleError("a tensor that is not made of a storage, an offset, a shape and strides")


def _tensor_v2(arguments: tuple[Any, ...]) -> _View:
    """(storage, offset, shape, strides, requires_grad, hooks[, metadata])"""
    return _view(None, arguments[:4], arguments[6:])


def _tensor_v3(arguments: tuple[Any, ...]) -> _View:
    """(storage, offset, shape, strides, requires_grad, hooks, dtype[, metadata]), of an untyped storage"""
    if len(arguments) < 7 or not isinstance(arguments[6], np.dtype):
        raise PickleError("a tensor without a dtype")
    return _view(arguments[6], arguments[:4], arguments[7:])


def _parameter(arguments: tuple[Any, ...]) -> _View:
    """(tensor, requires_grad, hooks[, state])"""
    if not arguments or not isinstance(arguments[0], _View):
        raise PickleError("a parameter that is no tensor")
    return arguments[0]


def _of_type(arguments: tuple[Any, ...]) -> _View | Opaque:
    """(function, type, its arguments, state): a tensor of a type, which may keep anything instead of the values"""
    match arguments:
        case (Stub() as stub, Kind(name), tuple(inner), _):
            view = stub.build(inner)
            return view if isinstance(view, _View) and name in TYPES else Opaque(name)
        case (_, Kind(name), *_):
            return Opaque(name)
    raise PickleError("a tensor of what is no type")


def _wrapper(arguments: tuple[Any, ...]) -> Opaque:
    """(type, ...): a tensor that is made of others"""
    match arguments:
        case (Kind(name), *_):
            return Opaque(name)
    raise PickleError("a tensor of what is no type")


def _ordered_dict(arguments: tuple[Any, ...]) -> dict[Any, Any]:
    """(); the items follow one by one"""
    if arguments:
        raise PickleError("an OrderedDict made at once, as protocol 2 does not")
    return {}


def _size(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """(sizes,)"""
    match arguments:
        case (tuple(sizes),):
            return sizes
    raise PickleError("a torch.Size that is not made of a tuple")


_KNOWN: dict[str, Any] = {
    **{f"torch.{name}": dtype for name, dtype in _DTYPES.items()},
    **{f"torch.{kind}Storage": _StorageType(_DTYPES[name]) for kind, name in _STORAGES.items()},
    "torch.storage.UntypedStorage": _StorageType(np.dtype("u1")),
    **{
        name: Stub(name, build)
        for name, build in {
            "torch._utils._rebuild_tensor_v2": _tensor_v2,
            "torch._utils._rebuild_tensor_v3": _tensor_v3,
            "torch._utils._rebuild_parameter": _parameter,
            "torch._utils._rebuild_parameter_with_state": _parameter,
            "torch._tensor._rebuild_from_type_v2": _of_type,
            "torch._utils._rebuild_wrapper_subclass": _wrapper,
            "collections.OrderedDict": _ordered_dict,
            "torch.Size": _size,
            "torch.device": lambda arguments: None,
        }.items()
    },
}


# --- the dictionary of tensors


def _state_dict(content: Any) -> dict[Any, Any]:
    """The dictionary that holds the model's tensors: what trainers save wraps it, beside an optimizer's state."""
    holding = _holding_tensors(content) if isinstance(content, dict) else set()
    for _ in range(MAX_DEPTH):
        if id(content) not in holding:
            break
        inside = {k: v for k, v in content.items() if id(v) in holding and not _is_optimizer(k)}
        wrapped = next((inside[name] for name in WRAPPERS if name in inside), None)
        if wrapped is None and len(inside) == 1 and not any(isinstance(v, _View) for v in content.values()):
            (wrapped,) = inside.values()
        if wrapped is None:
            return dict(content)
        content = wrapped
    raise PickleError("holds no dictionary of tensors")


TOOLS = {"torchao": "torchao", "quanto": "quanto", "optimum": "quanto", "hqq": "HQQ", "bitsandbytes": "bitsandbytes"}


def _is_value(name: str) -> bool:
    """Whether objects of a class are plain values of Python or numpy, beside which tensors mean what they mean."""
    return name.partition(".")[0] in sys.stdlib_module_names | {"numpy", "__builtin__", "set", "key"}


def _names_tensor(key: Any) -> bool:
    """Whether a key is like those of tensors in modules, and not like "config" or "args"."""
    return isinstance(key, str) and ("." in key or key in ("weight", "bias"))


def _described(name: str) -> str:
    """What an object is that stands where a tensor may be expected, for people."""
    tool = TOOLS.get(name.partition(".")[0])
    return f"quantised by {tool} ({name}), a form that is not read" if tool else f"a {name}, which only its own code can read"


def _is_optimizer(key: Any) -> bool:
    return isinstance(key, str) and key.startswith("optim")


def _holding_tensors(root: dict[Any, Any]) -> set[int]:
    """The ids of the dictionaries with a tensor anywhere inside; they may be shared or contain themselves."""
    containers: dict[int, list[int]] = {id(root): []}
    queue, found = [root], []
    while queue:
        table = queue.pop()
        for value in table.values():
            if isinstance(value, _View):
                found.append(id(table))
            elif isinstance(value, dict):
                if id(value) not in containers:
                    containers[id(value)] = []
                    queue.append(value)
                containers[id(value)].append(id(table))
    holding: set[int] = set()
    while found:
        table_id = found.pop()
        if table_id not in holding:
            holding.add(table_id)
            found.extend(containers[table_id])
    return holding


def _named_views(root: dict[Any, Any]) -> Iterator[tuple[str, _View]]:
    """The tensors in `root` and in the dictionaries within, under dotted names."""
    steps, queue = 0, [("", root, 0)]
    while queue:
        prefix, table, depth = queue.pop()
        tensors = any(isinstance(value, _View) for value in table.values())
        for key, value in table.items():
            steps += 1
            if steps > MAX_TENSORS or depth > MAX_DEPTH:
                raise PickleError(f"more than {MAX_TENSORS:,} tensors, or nested more than {MAX_DEPTH} deep")
            if isinstance(value, Opaque) and tensors and not _is_value(value.name) and _names_tensor(key):
                raise PickleError(f"{prefix}{key} among its tensors is {_described(value.name)}")
            if isinstance(value, _View) and isinstance(key, str):
                yield prefix + key, value
            elif isinstance(value, dict) and not _is_optimizer(key):
                queue.append((f"{prefix}{key}."[: MAX_NAME + 1], value, depth + 1))


FORMAT = Format(
    "PyTorch zip",
    (".bin", ".pt", ".pth", ".ckpt"),
    open_file,
    stem="pytorch_model",
    rank=10,
    inside=inside,
    begins=lambda start: start.startswith(b"PK\x03\x04"),
)
