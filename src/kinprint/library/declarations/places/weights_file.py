"""What a weights file says of itself: `general.*` of GGUF, `__metadata__` of safetensors."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from kinprint.checkpoints.folders import Location
from kinprint.checkpoints.weight_files import what_they_say
from kinprint.library.declarations.declaration import Declaration, parsed
from kinprint.library.declarations.places._place import MAX_BASES, Place, Said, strings

_BASE = re.compile(r"general\.base_model\.(?P<number>[0-9]{1,4})\.(?P<what>repo_url|name|organization)")
SOURCES = ("general.source.huggingface.repository", "general.source.repo_url", "general.source.url")
"""What a GGUF was converted from, in the words of several years."""

MODELS = ("base_model", "base_model_name_or_path", "base_models")
MERGED = ("modelspec.merged_from", "merge_recipe", "mergekit_config", "sd_merge_recipe")
LICENCES = ("general.license", "general.license.name", "license", "modelspec.license")
NAMES = ("general.name", "modelspec.title", "name")


def said(says: Mapping[str, str]) -> Said:
    """What the keys and values in front of the weights say."""
    licences = tuple(says[key] for key in LICENCES if says.get(key, "").strip())
    called = next((says[key] for key in NAMES if says.get(key, "").strip()), "")
    return Said(tuple(_bases(says))[: MAX_BASES + 1], licences, called)


def _bases(says: Mapping[str, str]) -> Iterator[Declaration]:
    numbered: dict[int, dict[str, str]] = {}
    for key, value in says.items():
        if match := _BASE.fullmatch(key):
            numbered.setdefault(int(match["number"]), {})[match["what"]] = value
    for _, base in sorted(numbered.items()):
        yield _named(base)
    for key in SOURCES:
        page = parsed(says.get(key, ""))
        if "/" in page.name:
            yield page
    for key in MODELS:
        yield from (parsed(name.strip()) for name in _listed(says.get(key, "")))
    for key in MERGED:
        yield from (parsed(name.strip(), "merge") for name in _listed(says.get(key, "")))


def _named(base: Mapping[str, str]) -> Declaration:
    """A base of a GGUF: by its page, else by organisation and name, in which spaces stand for hyphens."""
    page = parsed(base.get("repo_url", ""))
    if page.name:
        return page
    words = [base[key].strip().replace(" ", "-") for key in ("organization", "name") if base.get(key, "").strip()]
    return parsed("/".join(words))


def _listed(value: str) -> list[str]:
    """Names from what may be JSON (a list, or a recipe that names models) or a list with commas."""
    content: Any = None
    with suppress(ValueError, RecursionError):
        content = json.loads(value)
    if isinstance(content, dict):
        content = content.get("models", content.get("base_model"))
    return list(strings(content)) if content is not None else [name for name in value.split(",") if name.strip()]


def read(location: Location) -> Said:
    return said(what_they_say(location.folder, location.only))


PLACE = Place("weights file", 30, read)
