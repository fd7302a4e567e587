"""The tables of architectures as their files have them, and what people call the families that they read."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from kinprint import discovery


@cache
def _files() -> dict[str, Any]:
    """Where every table is, by family: ours, and those of installed packages (entry points `kinprint.architectures`)."""
    folder = resources.files("kinprint") / "architectures" / "tables"
    found: dict[str, Any] = {Path(file.name).stem: file for file in folder.iterdir() if file.name.endswith(".toml")}
    return found | {Path(path).stem: Path(path) for path in discovery.installed("architectures")}


@cache
def _raw(family: str) -> dict[str, Any]:
    """A table as its file has it."""
    return tomllib.loads(_files()[family].read_text())


@cache
def raw_tables() -> dict[str, dict[str, Any]]:
    """Every table as its file has it, by family."""
    return {family: _raw(family) for family in _files()}


def _titles(family: str) -> dict[str, str]:
    """What a table says of the names of what it reads: itself, and model types; nothing of a table that is not known."""
    return {name: str(title) for name, title in _raw(family).get("titles", {}).items()} if family in _files() else {}


@cache
def _names() -> dict[str, str]:
    """The published name of each table and model type that has one; of a table before that of a type."""
    titles = {family: _titles(family) for family in _files()}
    types = {name: title for each in titles.values() for name, title in each.items()}
    return types | {family: each[family] for family, each in titles.items() if family in each}


def published_name(name: str) -> str:
    """What its authors call a family or a model type ("GPT-NeoX"); the identifier itself where no table says."""
    return _names().get(name, name)


def family_name(table: str, model_type: str = "") -> str:
    """What people call a model's family: by its type, where the table that read it names that type, else by the table.

    Tables of GGUF files read models of other names.

    Args:
        table: "llama", "gguf_llama", "gguf".
        model_type: as the model's header states it, "" if unknown.

    Example:
        >>> family_name("gpt_neox"), family_name("llama", "mistral"), family_name("gguf_llama", "llama")
        ('GPT-NeoX', 'Mistral', 'Llama')
    """
    own = _titles(table)
    if table.startswith("gguf"):
        name = model_type or table.removeprefix("gguf").removeprefix("_") or table
        return own.get(model_type or table) or published_name(name)
    return own.get(model_type) or own.get(table) or table
