"""How the user says that a model is to be read: as a type, or by a table of their own."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterable
from pathlib import Path

from kinprint.architectures.table import Table, inherited, known, parse
from kinprint.errors import ArchitectureError, CheckpointError, printable
from kinprint.families import raw_tables

MAX_TABLE = 1 << 20


def tables_of(model_type: str) -> tuple[Table, ...]:
    """The tables that serve a type of configurations.

    Raises:
        ArchitectureError: none does; it names the nearest types.
    """
    found = tuple(table for table in known() if model_type in table.model_types)
    if not found:
        raise ArchitectureError(
            printable(model_type, 60), "no table knows this model type", f"the nearest known ones: {nearest(model_type)}"
        )
    return found


def table_from(path: str | os.PathLike[str]) -> tuple[Table, ...]:
    """The table in a file (docs/architectures.md).

    Raises:
        CheckpointError: it cannot be read.
        ArchitectureError: it is no table.
    """
    file = Path(path)
    try:
        with open(file, "rb") as opened:
            text = opened.read(MAX_TABLE).decode()
        raw = tomllib.loads(text)
    except OSError as error:
        raise CheckpointError(file, f"cannot be read: {error.strerror}", "give the TOML file of a table") from error
    except ValueError as error:
        raise ArchitectureError(file, f"is no TOML: {error}", "docs/architectures.md shows a table") from error
    family = file.stem
    try:
        return (parse(family, inherited(family, {**raw_tables(), family: {"model_types": [], **raw}})),)
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise ArchitectureError(file, f"is no table: {error!r}", "docs/architectures.md says which keys a table has") from error


def nearest(model_type: object, count: int = 5) -> str:
    """The known types that are spelled most alike, in words."""
    types = known_types()
    close = difflib.get_close_matches(str(model_type), types, n=count, cutoff=0.4)
    return ", ".join(close or types[:count])


def known_types(tables: Iterable[Table] | None = None) -> list[str]:
    """Every model type that some table serves."""
    return sorted({name for table in (known() if tables is None else tables) for name in table.model_types})
