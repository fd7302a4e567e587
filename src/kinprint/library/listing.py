"""The listing beside the tables of a library in a folder: what `kinprint library list` prints, without LanceDB.

To load LanceDB takes ten times as long as all else that listing does. So whoever writes to a library leaves a file that
names the newest manifest of the table `models` and says what that version holds. Lance gives every version a manifest of
its own, so a listing is current if the newest manifest is the one that it names. One that is missing, late or damaged is
not used, and the tables are read. In object storage there is none.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from types import NoneType
from typing import Any, NamedTuple

from blake3 import blake3

from kinprint.checkpoints.files import read_bounded, replacing
from kinprint.checkpoints.json_text import parse_object
from kinprint.errors import CheckpointError
from kinprint.library import records, spaces
from kinprint.library.records import ListedModel

FILE = ".kinprint.listing.json"
FORMAT = "kinprint-listing/1"

MOST = 1000
"""Models up to which there is a listing, written anew with each commit. To read more takes longer than to load LanceDB."""

MOST_BYTES = 16 << 20
"""Of a listing, and of a manifest."""

TABLES = ("models", "fingerprints", "parts", "versions")
"""The tables of a library."""

_MANIFEST = re.compile(r"\d{20}\.manifest")
"""Their names count down from 2^64 - 1, so the newest is the first."""

_KINDS: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "int | None": (int, NoneType),
    "float | None": (int, float, NoneType),
    "datetime": (str,),
}
"""Annotation of a field -> types of its value in JSON."""


class Listing(NamedTuple):
    """A current listing.

    Attributes:
        version: of the table `models`.
        models: in it.
    """

    version: int
    models: list[ListedModel]


def read(where: str | os.PathLike[str], file: Path | None = None) -> Listing | None:
    """The listing of a library; None if it has no current one.

    Args:
        where: a folder, or a URL, where there is no listing.
        file: that has it; the one in the folder by default.
    """
    if "://" in os.fspath(where):
        return None
    folder = Path(where)
    try:
        told = parse_object(read_bounded(file or folder / FILE, MOST_BYTES), FILE)
        models = [_model(values) for values in told["models"]]
    except (CheckpointError, OSError, KeyError, TypeError, ValueError, AttributeError):
        return None
    complete = all((folder / f"{table}.lance").is_dir() for table in TABLES)
    return Listing(_version(told), models) if complete and told.items() >= _state(folder).items() else None


def write(
    folder: Path,
    models_now: Callable[[], Iterable[ListedModel] | None],
    before: Listing | None = None,
    added: Sequence[ListedModel] = (),
    file: Path | None = None,
) -> None:
    """Bring the listing up to date, atomically; leave none of a library of more than `MOST` models.

    Args:
        models_now: reads the models from the tables; None if there are more than `MOST`.
        file: to write; the one in the folder by default.
        before: the listing that was current before the models of `added` came, with one commit: then no table is read.

    Raises:
        OSError: it cannot be written. Then there is none, or an older one, which nobody will use.
    """
    state = _state(folder)
    if before is not None and not added and _version(state) == before.version:
        return
    if before is not None and added and _version(state) == before.version + 1:
        models: Iterable[ListedModel] | None = [*before.models, *added]
        if len(before.models) + len(added) > MOST:
            models = None
    else:
        models = models_now()
    if models is None:
        (file or folder / FILE).unlink(missing_ok=True)
        return
    told = {**state, "models": [_values(model) for model in models]}
    if _state(folder) == state:  # or somebody has written meanwhile, where locks do not work
        with replacing(file or folder / FILE) as stream:
            stream.write(json.dumps(told, separators=(",", ":")).encode())


def _version(state: dict[str, Any]) -> int:
    """The number of the version that a state names; 0 of none."""
    name = str(state["manifest"]).partition(".")[0]
    return (1 << 64) - 1 - int(name) if name else 0


def _state(folder: Path) -> dict[str, Any]:
    """The version of the tables, and of what reads them; without a manifest that is known one that no listing has."""
    versions = folder / "models.lance" / "_versions"
    try:
        names = [name for name in os.listdir(versions) if name.endswith(".manifest")]
        newest = min(names) if all(map(_MANIFEST.fullmatch, names)) else ""
        digest = blake3(read_bounded(versions / newest, MOST_BYTES)).hexdigest()
    except (CheckpointError, OSError, ValueError):
        newest, digest = "", ""
    columns = {"schema": records.SCHEMA, "vectors": spaces.VERSION}
    return {"format": FORMAT, **columns, "manifest": newest, "digest": digest or os.urandom(16).hex()}


def _values(model: ListedModel) -> dict[str, Any]:
    """The fields of a model as JSON has them; `dataclasses.asdict` would take several times as long."""
    return {name: getattr(model, name) for name in ListedModel.__dataclass_fields__} | {"added": model.added.isoformat()}


def _model(values: dict[str, Any]) -> ListedModel:
    """Raises an error of Python if these are not the values of a model."""
    for name, kind in ListedModel.__annotations__.items():
        if type(values[name]) not in _KINDS[kind]:
            raise TypeError(name)
    return ListedModel(**{**values, "added": datetime.fromisoformat(values["added"])})
