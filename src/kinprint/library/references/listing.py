"""The reference list: well-known base models by their hub ids, and where each fact about them was read.

`references.json` ships with the package, and `first.json`: the hundred to begin with, in order, by the rule of
`benchmarks/first_models.py`. A fact without a source is null. Lists of other people have the same form and are untrusted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kinprint.checkpoints.files import read_bounded
from kinprint.checkpoints.json_text import parse_object
from kinprint.errors import CheckpointError, LibraryError, printable

FORMAT = "kinprint-references/1"
FILE = Path(__file__).with_name("references.json")
FIRST = FILE.with_name("first.json")
MAX_BYTES = 16_000_000
MAX_MODELS = 10_000
MAX_LAYERS, MAX_HIDDEN = 1000, 200_000

_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_REVISION = re.compile(r"\w[\w./+-]*", re.ASCII)


@dataclass(frozen=True)
class Reference:
    """One model of the list.

    Attributes:
        id: `org/name` on the hub.
        revision: a commit where a source states one, else a branch; `library build` resolves and records the commit.
        family: the part of the name that its relatives share.
        size: as the name states it ("7B", "30B-A3B"); None where it states none.
        architecture: the class that runs it, as transformers calls it.
        layers, hidden_size: of the language model.
        licence: an SPDX identifier, or LicenseRef-NAME for a licence that SPDX does not list.
        sources: fact -> key of the list's table of sources.
    """

    id: str
    revision: str = "main"
    family: str = ""
    size: str | None = None
    architecture: str | None = None
    layers: int | None = None
    hidden_size: int | None = None
    licence: str | None = None
    sources: Mapping[str, str] | None = None

    @property
    def place(self) -> str:
        """As `kinprint.fingerprint` takes it."""
        return f"{self.id}@{self.revision}"


def references(path: Path = FILE, families: Sequence[str] = ()) -> list[Reference]:
    """The models of a list.

    Args:
        path: the list; the one of this package by default.
        families: only these, by name or by its beginning ("qwen" means qwen2 and qwen3 too); all by default.

    Raises:
        LibraryError: it is no such list, or a model of it has no valid id, or none is of these families.
    """
    try:
        content = parse_object(read_bounded(path, MAX_BYTES), path, strict=True)
    except CheckpointError as error:
        raise LibraryError(path, error.problem, error.remedy) from error
    rows = content.get("models")
    if content.get("format") != FORMAT or not isinstance(rows, list) or len(rows) > MAX_MODELS:
        raise LibraryError(path, f"no list of at most {MAX_MODELS:,} models", f"expected {FORMAT}, see docs/references.md")
    models = {}
    for row in rows:
        model = _reference(path, row)
        if model.id in models:
            raise LibraryError(path, f"lists {model.id} twice", "remove one of them")
        models[model.id] = model
    wanted = [model for model in models.values() if not families or model.family.startswith(tuple(map(str.lower, families)))]
    if not wanted:
        named = printable(", ".join(families), 80) or "any family"
        raise LibraryError(path, f"lists no model of {named}", "see the families in the list")
    return wanted


def _reference(path: Path, row: Any) -> Reference:
    """A row, with what is needed to open the model checked, and everything else made harmless."""
    if not isinstance(row, dict) or not isinstance(row.get("id"), str) or not _ID.fullmatch(row["id"]) or ".." in row["id"]:
        raise LibraryError(path, f"a model without an id of the form org/name: {printable(row, 80)}", "give its hub id")
    revision = row.get("revision", "main")
    if not isinstance(revision, str) or not _REVISION.fullmatch(revision) or ".." in revision:
        raise LibraryError(path, f"{row['id']} has the revision {printable(revision, 40)}", "give a branch, a tag or a commit")
    sources = row.get("sources")
    return Reference(
        id=row["id"],
        revision=revision,
        family=_text(row.get("family")) or "",
        size=_text(row.get("size")),
        architecture=_text(row.get("architecture")),
        layers=_count(row.get("layers"), MAX_LAYERS),
        hidden_size=_count(row.get("hidden_size"), MAX_HIDDEN),
        licence=_text(row.get("licence")),
        sources={printable(k, 40): printable(v, 40) for k, v in sources.items()} if isinstance(sources, dict) else {},
    )


def _text(value: Any) -> str | None:
    return printable(value, 100) if isinstance(value, str) else None


def _count(value: Any, most: int) -> int | None:
    return value if type(value) is int and 0 < value <= most else None
