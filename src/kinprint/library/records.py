"""What a library knows of a model without its fingerprint, and how both are stored: the tables' columns, rows and versions."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kinprint._version import __version__
from kinprint.checkpoints.json_text import parse_object
from kinprint.errors import CheckpointError, printable
from kinprint.families import family_name
from kinprint.fingerprints import TRAIT_VERSION, Fingerprint
from kinprint.library import spaces

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA = 4
"""Version of the tables' columns."""

VECTOR = "vector_"
"""What the names of the columns of index vectors begin with; the space follows."""

_KEY = MappingProxyType({"lance-schema:unenforced-primary-key": "true"})
"""With it Lance reports a conflict when two writers insert the same digest; it enforces nothing else."""

_MAX_COUNT = 1 << 62
_MAX_SOURCE = 2000


@dataclass(frozen=True)
class ListedModel:
    """What a listing says of a model of a library.

    Attributes:
        digest: of the fingerprint (`Fingerprint.digest`): identifies the model in the library.
        name: what people call it; several models may share a name.
        source: what was measured: a folder, a hub id, a file; empty if unknown.
        revision: the commit, where it comes from a hub.
        family: the architecture table that it fits.
        model_type: as its configuration calls it.
        layers, hidden_size, parameters: None where unknown.
        quick: share of the weights' bytes that was read, of a quick fingerprint; None of a full one.
        size: bytes of the fingerprint.
        added: when it came into the library, UTC.
        kinprint: version that put it there.
        trait_version: of the fingerprint.
    """

    digest: str
    name: str
    source: str
    revision: str
    family: str
    model_type: str
    layers: int | None
    hidden_size: int | None
    parameters: int | None
    quick: float | None
    size: int
    added: datetime
    kinprint: str
    trait_version: int

    @property
    def family_name(self) -> str:
        """What people call its family."""
        return family_name(self.family, self.model_type)

    def to_json(self) -> dict[str, Any]:
        """What `kinprint library list --json` prints of a model."""
        keys = ("digest", "name", "source", "revision", "family", "model_type", "layers", "hidden_size", "parameters", "quick")
        return {key: getattr(self, key) for key in (*keys, "size", "kinprint", "trait_version")} | {
            "added": self.added.isoformat(timespec="seconds")
        }


@dataclass(frozen=True)
class StoredModel(ListedModel):
    """A model of a library.

    Attributes:
        identity: of the content that was measured (`kinprint.fingerprints.cache.key`); empty if unknown.
    """

    identity: str
    facts_json: str = field(repr=False)
    provenance_json: str = field(repr=False)

    @cached_property
    def facts(self) -> Mapping[str, Any]:
        """As `Fingerprint.facts`."""
        return MappingProxyType(_object(self.facts_json, self.name))

    @cached_property
    def provenance(self) -> Mapping[str, Any]:
        """As `Fingerprint.provenance`."""
        return MappingProxyType(_object(self.provenance_json, self.name))


LISTED = tuple(ListedModel.__dataclass_fields__)
"""Columns of a ListedModel in the table `models`."""

COLUMNS = tuple(StoredModel.__dataclass_fields__)
"""Columns of a StoredModel; the vectors are others."""


def models_schema() -> pa.Schema:
    """Columns of the table `models`: those of StoredModel, and a nullable float32 vector for each space."""
    import pyarrow as pa

    types = {
        "digest": pa.string(), "layers": pa.int64(), "hidden_size": pa.int64(), "parameters": pa.int64(), "quick": pa.float64(),
        "size": pa.int64(), "added": pa.timestamp("us", "UTC"), "trait_version": pa.int32(),
    }  # fmt: skip
    optional = ("layers", "hidden_size", "parameters", "quick")
    columns = [
        pa.field(
            name, types.get(name, pa.string()), nullable=name in optional, metadata=dict(_KEY) if name == "digest" else None
        )
        for name in COLUMNS
    ]
    return pa.schema([*columns, *_vector_fields()])


def parts_schema() -> pa.Schema:
    """Columns of the table `parts`: the digest of a model, which component of it (`kinprint.library.parts`), both as one key,
    and its vectors."""
    import pyarrow as pa

    key = pa.field("key", pa.string(), nullable=False, metadata=dict(_KEY))
    return pa.schema([key, *(pa.field(name, pa.string(), nullable=False) for name in ("digest", "part")), *_vector_fields()])


def _vector_fields() -> list[pa.Field]:
    import pyarrow as pa

    return [pa.field(VECTOR + space, pa.list_(pa.float32(), length)) for space, length in spaces.DIMENSIONS.items()]


def fingerprints_schema() -> pa.Schema:
    """Columns of the table `fingerprints`: the digest, and the bytes of the `.kinprint` file."""
    import pyarrow as pa

    key = pa.field("digest", pa.string(), nullable=False, metadata=dict(_KEY))
    return pa.schema([key, pa.field("data", pa.large_binary(), nullable=False)])


def versions_schema() -> pa.Schema:
    """Columns of the table `versions`: of columns, vectors and kinprint, and since when. The highest row counts."""
    import pyarrow as pa

    columns = {"schema": pa.int32(), "vectors": pa.int32(), "kinprint": pa.string(), "since": pa.timestamp("us", "UTC")}
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in columns.items()])


def row(fingerprint: Fingerprint, size: int, identity: str = "") -> dict[str, Any]:
    """A row of the table `models`, its vectors included; facts and provenance are whatever a stranger wrote."""

    stated, provenance = fingerprint.stated, fingerprint.provenance
    return {
        "digest": fingerprint.digest,
        "name": fingerprint.name,
        "source": _text(provenance.get("source"), _MAX_SOURCE),
        "revision": _text(provenance.get("revision")),
        "family": printable(stated.family),
        "model_type": printable(stated.model_type),
        "layers": _count(fingerprint.layers),
        "hidden_size": stated.hidden_size,
        "parameters": stated.parameters,
        "quick": fingerprint.quick,
        "size": size,
        "added": datetime.now(UTC),
        "kinprint": __version__,
        "trait_version": TRAIT_VERSION,
        "identity": identity,
        "facts_json": json.dumps(dict(fingerprint.facts), separators=(",", ":")),
        "provenance_json": json.dumps(dict(provenance), separators=(",", ":")),
        **vector_columns(fingerprint),
    }


def part_rows(fingerprint: Fingerprint) -> list[dict[str, Any]]:
    """Rows of the table `parts`: one for each component of a model, and one for a model that is one."""
    from kinprint.library.parts import parts

    digest = fingerprint.digest
    return [
        {"key": f"{digest} {part}", "digest": digest, "part": part, **vector_columns(each)}
        for part, each in parts(fingerprint).items()
    ]


def has_parts(facts_json: str) -> bool:
    """Whether a model has rows in the table `parts`, by the facts of its row in `models`."""
    facts = facts_of(facts_json)
    return bool(facts.get("components") or facts.get("component"))


def vector_columns(fingerprint: Fingerprint | None) -> dict[str, NDArray[np.float32] | None]:
    """Column -> vector, None where the fingerprint lacks the traits or is not there.

    Raises:
        ValueError: a vector of `kinprint.library.vectors` has the wrong length, or is not finite.
    """
    from kinprint.library.vectors import vectors

    found = vectors(fingerprint) if fingerprint else {}
    for space, vector in found.items():
        if vector.shape != (spaces.DIMENSIONS[space],) or not np.isfinite(vector).all():
            raise ValueError(f"the vector of {space} has shape {vector.shape}, or is not finite")
    return {VECTOR + space: found.get(space) for space in spaces.DIMENSIONS}


def data_of(fingerprint: Fingerprint) -> bytes:
    """The bytes of the `.kinprint` file of a fingerprint."""
    file = io.BytesIO()
    fingerprint.write(file)
    return file.getvalue()


def facts_of(text: str) -> dict[str, Any]:
    """Facts as the column `facts_json` holds them; empty if they cannot be parsed."""
    return _object(text, "facts")


def migrated(row: dict[str, Any], since: int) -> dict[str, Any]:
    """A row of `models` as version `since` stored it, as SCHEMA stores it."""
    for version in range(since, SCHEMA):
        row = _STEPS[version](row)
    return row


def _with_parameters(row: dict[str, Any]) -> dict[str, Any]:
    """2: the number of parameters has a column of its own."""
    return {**row, "parameters": _count(_object(row["facts_json"], row["name"]).get("parameters"))}


def _unchanged(row: dict[str, Any]) -> dict[str, Any]:
    """3: vectors of the space `readings`, which are measured. 4: the table `parts`, which is made."""
    return row


_STEPS: Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]] = MappingProxyType(
    {1: _with_parameters, 2: _unchanged, 3: _unchanged}
)
"""Version -> what makes a row of the next version from one of it."""


def _object(text: str, name: str) -> dict[str, Any]:
    """A JSON object stored in a library; empty if it cannot be parsed."""
    try:
        return parse_object(text.encode(), name)
    except CheckpointError:
        return {}


def _text(value: Any, limit: int = 300) -> str:
    return printable(value, limit) if isinstance(value, str) else ""


def _count(value: Any) -> int | None:
    """A number that counts something; None for what a stranger may have written instead."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value < _MAX_COUNT else None
