"""A fingerprint: the traits of one model, where they came from, and the file that holds them."""

from __future__ import annotations

import json
import os
import re
import struct
from collections.abc import Hashable, Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

import numpy as np
import safetensors
from blake3 import blake3
from numpy.typing import NDArray

from kinprint.checkpoints.files import replacing
from kinprint.checkpoints.json_text import parse_object
from kinprint.errors import CheckpointError, FingerprintError
from kinprint.fingerprints import trait_table as table
from kinprint.fingerprints.facts import Facts

FORMAT = "kinprint-fingerprint/1"

MAX_FILE_BYTES = 4 << 30
MAX_HEADER_BYTES = 16 << 20
MAX_TRAITS = 4096
MAX_AXES = 4
MAX_NAME = 300

_TRAIT_NAME = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*", re.ASCII)
_STORED = {  # dtype of a trait -> its name in a safetensors header
    "float32": "F32", "float64": "F64", "uint8": "U8", "uint16": "U16", "uint32": "U32", "uint64": "U64",
    "int8": "I8", "int16": "I16", "int32": "I32", "int64": "I64",
}  # fmt: skip
_READ = {stored: np.dtype(name).newbyteorder("<") for name, stored in _STORED.items()}


class Fingerprint:
    """The traits of one model. Measured by `measure`, read from a file, or built from arrays measured elsewhere.

    Only the traits that are present take part in a comparison; see `kinprint.fingerprints.trait_table` for names, shapes
    and meanings. The arrays are copied and made read-only.

    Args:
        name: what people call the model.
        traits: name -> array. Floats (NaN marks what is absent, infinities are refused) or integers.
        facts: numbers and words about the model as its configuration names them; JSON values.
        provenance: where the fingerprint comes from (source, version, notes); JSON values, not part of the digest.

    Raises:
        FingerprintError: a name, a shape, a dtype or a value does not follow the format.

    Example:
        >>> import numpy as np
        >>> Fingerprint("mine", {"gains.final": np.ones(64)}).traits["gains.final"].shape
        (64,)
    """

    def __init__(
        self,
        name: str,
        traits: Mapping[str, Any],
        facts: Mapping[str, Any] | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> None:
        if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or not name.isprintable():
            raise FingerprintError(name, f"a fingerprint's name is 1 to {MAX_NAME} printable characters")
        if len(traits) > MAX_TRAITS:
            raise FingerprintError(name, f"{len(traits)} traits, at most {MAX_TRAITS} are allowed")
        arrays = {key: _trait(name, key, traits[key]) for key in sorted(traits, key=str)}
        wrong = table.problem({key: array.shape for key, array in arrays.items()})
        if wrong:
            raise FingerprintError(name, wrong, "see docs/fingerprint-format.md for the shape of every trait")
        self.name = name
        self.traits: Mapping[str, NDArray[Any]] = MappingProxyType(arrays)
        self.facts: Mapping[str, Any] = MappingProxyType(_json_object(name, "facts", facts))
        self.provenance: Mapping[str, Any] = MappingProxyType(_json_object(name, "provenance", provenance))
        self.kept: dict[Hashable, Any] = {}  # by `kept` alone

    @cached_property
    def digest(self) -> str:
        """BLAKE3 (hex) of traits and facts; the name and the provenance do not matter."""
        content = blake3(f"{FORMAT}\n".encode())
        for key, array in self.traits.items():
            content.update(f"{key} {array.dtype.name} {array.shape}\n".encode())
            content.update(array.tobytes())
        content.update(_sorted_json(self.facts).encode())
        return content.hexdigest()

    @cached_property
    def stated(self) -> Facts:
        """The facts that can be computed with, whoever wrote them."""
        return Facts.of(self.facts)

    @cached_property
    def components(self) -> Mapping[str, Fingerprint]:
        """What stands beside the language model and has layers of its own, by what it is ("vision tower"), each as the
        fingerprint of a model."""
        facts = self.facts.get("components")
        traits: dict[str, dict[str, NDArray[Any]]] = {}
        for key, array in self.traits.items():
            component, own = table.apart(key)
            if component and own:
                traits.setdefault(component, {})[own] = array
        found = {}
        for component, own_traits in traits.items():
            said = facts.get(component) if isinstance(facts, dict) else None
            what, provenance = component.replace("_", " "), {"source": self.provenance.get("source"), "scores": self.scores}
            name = f"{self.name}, {what}"[:MAX_NAME]
            found[what] = Fingerprint(name, own_traits, said if isinstance(said, dict) else {}, provenance)
        return MappingProxyType(found)

    def component(self, what: str) -> Fingerprint:
        """One component as a model of its own; a model that is one itself ("vision tower") is all of it.

        Raises:
            FingerprintError: it has none; the message says what it has.
        """
        if self.stated.component == what:
            return self
        if what not in self.components:
            known = ", ".join(self.components)
            raise FingerprintError(self.name, f"has no {what}", f"it has: {known}" if known else "it has no components")
        return self.components[what]

    def with_components(self, components: Mapping[str, Fingerprint]) -> Fingerprint:
        """A fingerprint that holds those of components, by what they are, beside its own traits."""
        if not components:
            return self
        slugs = {what: what.replace(" ", "_") for what in components}
        traits = {
            f"{table.COMPONENT}{slugs[what]}.{key}": array
            for what, each in components.items()
            for key, array in each.traits.items()
        }
        facts = {slugs[what]: dict(each.facts) for what, each in components.items()}
        return Fingerprint(self.name, {**self.traits, **traits}, {**self.facts, "components": facts}, self.provenance)

    @property
    def layers(self) -> int | None:
        """Number of layers the traits speak of; None if no trait has layers."""
        for key, array in self.traits.items():
            trait = table.describe(key)
            if trait and any(shape[0] == "layers" and len(shape) == array.ndim for shape in trait.shapes):
                return int(array.shape[0])
        return None

    @property
    def quick(self) -> float | None:
        """Share of the weights' bytes that were read, of a quick fingerprint; None of a full one."""
        return self.stated.quick

    @property
    def scores(self) -> bool:
        """Whether the traits that serve scores alone were measured too, as far as the model has them."""
        return self.provenance.get("scores") is True or any(map(table.for_scores, self.traits))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the `.kinprint` file; on any failure an older file of that name stays as it was.

        Raises:
            FingerprintError: the file cannot be written.
        """
        target = Path(path)
        try:
            with replacing(target, durable=True) as file:
                self.write(file)
        except OSError as error:
            raise FingerprintError(target, f"cannot be written: {error.strerror or error}") from error

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Fingerprint:
        """Read a `.kinprint` file, trusting nothing in it.

        Raises:
            FingerprintError: not a fingerprint, damaged, of a newer version, or too large.
        """
        try:
            data = _read_bounded(Path(path))
        except OSError as error:
            raise FingerprintError(path, f"cannot be read: {error.strerror or error}") from error
        return cls.parse(data, path)

    @classmethod
    def parse(cls, data: bytes, source: object) -> Fingerprint:
        """The fingerprint in the bytes of a `.kinprint` file, nothing in them trusted; `source` is named in errors.

        Raises:
            FingerprintError: as `load`.
        """
        try:
            return cls._parse(source, data)
        except FingerprintError as error:
            raise FingerprintError(source, error.problem, error.remedy) from error

    def write(self, file: IO[bytes]) -> None:
        """Write the bytes of the `.kinprint` file, the same for the same fingerprint.

        Raises:
            FingerprintError: facts and provenance are too large.
        """
        # Not safetensors' own writer, which orders metadata at random: the same fingerprint must give the same file.
        order = sorted(self.traits, key=lambda key: (-self.traits[key].itemsize, key))
        header: dict[str, Any] = {
            "__metadata__": {
                "format": FORMAT,
                "name": self.name,
                "facts": _sorted_json(self.facts),
                "provenance": _sorted_json(self.provenance),
                "trait_version": str(table.TRAIT_VERSION),
            }
        }
        end = 0
        for key in order:
            array = self.traits[key]
            begin, end = end, end + array.nbytes
            header[key] = {
                "dtype": _STORED[array.dtype.name], "shape": list(array.shape), "data_offsets": [begin, end],
            }  # fmt: skip
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        if len(text) > MAX_HEADER_BYTES:
            raise FingerprintError(self.name, f"facts and provenance exceed {MAX_HEADER_BYTES >> 20} MiB")
        file.write(struct.pack("<Q", len(text)) + text)
        for key in order:
            file.write(self.traits[key].tobytes())

    @classmethod
    def _parse(cls, path: object, data: bytes) -> Fingerprint:
        metadata = _metadata(path, data)
        if metadata.get("format") != FORMAT:
            raise FingerprintError(path, f"not a {FORMAT} file", "make one with `kinprint fingerprint MODEL -o FILE`")
        if metadata.get("trait_version") != str(table.TRAIT_VERSION):
            raise FingerprintError(
                path, f"measured with trait version {metadata.get('trait_version')}, this is {table.TRAIT_VERSION}",
                "measure the model again, or use the version of kinprint that wrote the file",
            )  # fmt: skip
        try:
            stored = safetensors.deserialize(data)  # type: ignore[no-untyped-call]
        except Exception as error:  # the library raises its own type, not a subclass of ValueError
            raise FingerprintError(path, f"damaged: {error}") from error
        traits = {}
        for key, tensor in stored:
            if tensor["dtype"] not in _READ:
                raise FingerprintError(path, f"trait {key} has dtype {tensor['dtype']}")
            traits[key] = np.frombuffer(tensor["data"], _READ[tensor["dtype"]]).reshape(tensor["shape"])
        facts, provenance = (_loads(path, key, metadata.get(key, "{}")) for key in ("facts", "provenance"))
        return cls(metadata.get("name", ""), traits, facts, provenance)

    def __reduce__(self) -> tuple[Any, ...]:
        return Fingerprint, (self.name, dict(self.traits), dict(self.facts), dict(self.provenance))

    def __eq__(self, other: object) -> bool:
        """Same traits and facts, bit for bit."""
        return isinstance(other, Fingerprint) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"<Fingerprint {self.name!r}: {len(self.traits)} traits, {self.layers or 'no'} layers>"


def _trait(owner: str, key: Any, value: Any) -> NDArray[Any]:
    """A read-only, C-ordered, little-endian copy of one trait with a single kind of NaN."""
    if not isinstance(key, str) or len(key) > 100 or not _TRAIT_NAME.fullmatch(key):
        raise FingerprintError(owner, f"trait name {key!r} is not dotted lower-case of at most 100 characters")
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise FingerprintError(owner, f"trait {key} is not an array: {error}") from error
    if array.dtype == bool:
        array = array.astype(np.uint8)
    elif array.dtype == np.float16 or array.dtype.name == "bfloat16":
        array = array.astype(np.float32)
    if array.dtype.name not in _STORED:
        raise FingerprintError(owner, f"trait {key} has dtype {array.dtype}, expected a float or integer array")
    if not 1 <= array.ndim <= MAX_AXES or array.size == 0:
        raise FingerprintError(owner, f"trait {key} has shape {array.shape}", "leave a trait out if it is absent")
    array = np.array(array, dtype=array.dtype.newbyteorder("<"), order="C")
    if array.dtype.kind == "f":
        if np.isinf(array).any():
            raise FingerprintError(owner, f"trait {key} holds an infinity", "mark what is absent or undefined by NaN")
        array[np.isnan(array)] = np.nan  # one bit pattern, so that digests do not depend on how a NaN arose
    array.setflags(write=False)
    return array


def _sorted_json(value: Mapping[str, Any]) -> str:
    return json.dumps(dict(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def _json_object(owner: str, what: str, value: Mapping[str, Any] | None) -> dict[str, Any]:
    """A private copy of `value` as it will come back from a file."""
    try:
        copied = json.loads(json.dumps(dict(value or {}), sort_keys=True, allow_nan=False, default=_plain))
    except (TypeError, ValueError, RecursionError) as error:
        raise FingerprintError(owner, f"{what} cannot be written as JSON: {error}") from error
    assert isinstance(copied, dict)
    return copied


def _plain(value: Any) -> Any:
    """numpy scalars and arrays, tuples and mappings as JSON knows them."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not a JSON value")


def _read_bounded(path: Path) -> bytes:
    if not path.is_file():
        raise FingerprintError(path, "no such file")
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > MAX_FILE_BYTES:
            raise FingerprintError(path, f"{size} bytes, larger than any fingerprint")
        return file.read(size)


def _metadata(path: object, data: bytes) -> dict[str, str]:
    """The `__metadata__` of a safetensors file, found without trusting its length field."""
    length = int.from_bytes(data[:8], "little") if len(data) >= 8 else MAX_FILE_BYTES
    if length > min(MAX_HEADER_BYTES, len(data) - 8):
        raise FingerprintError(path, "not a fingerprint: no safetensors header")
    metadata = _loads(path, "header", data[8 : 8 + length]).get("__metadata__")
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise FingerprintError(path, "not a fingerprint: no metadata")
    return metadata


def _loads(path: object, what: str, text: str | bytes) -> dict[str, Any]:
    try:
        return parse_object(text if isinstance(text, bytes) else text.encode("utf-8", "replace"), str(path))
    except CheckpointError as error:
        raise FingerprintError(path, f"damaged {what}: {error.problem}") from error
