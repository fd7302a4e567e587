"""The tables of architectures as their files have them, and what people call the families that they read."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from kinprint import discovery


@cache
def raw_tables() -> dict[str, dict[str, Any]]:
    """Every table as its file has it, by family: ours, and those of installed packages (entry points `kinprint.architectures`:
    a path)."""
    folder = resources.files("kinprint") / "architectures" / "tables"
    texts = {Path(str(file)).stem: file.read_text() for file in folder.iterdir() if file.name.endswith(".toml")}
    for path in discovery.installed("architectures"):
        texts[Path(path).stem] = Path(path).read_text()
    return {family: tomllib.loads(text) for family, text in texts.items()}


@cache
def _titles() -> dict[str, dict[str, str]]:
    """What each table says of the names of what it reads: itself, and model types."""
    return {family: {name: str(title) for name, title in raw.get("titles", {}).items()} for family, raw in raw_tables().items()}


@cache
def _names() -> dict[str, str]:
    """The published name of each table and model type that has one; of a table before that of a type."""
    types = {name: title for titles in _titles().values() for name, title in titles.items()}
    return types | {family: titles[family] for family, titles in _titles().items() if family in titles}


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
    own = _titles().get(table, {})
    if table.startswith("gguf"):
        name = model_type or table.removeprefix("gguf").removeprefix("_") or table
        return own.get(model_type or table) or published_name(name)
    return own.get(model_type) or own.get(table) or table
