"""The recipe that mergekit leaves beside what it merged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from kinprint.checkpoints.card import parse_yaml
from kinprint.checkpoints.folders import Location
from kinprint.errors import CheckpointError
from kinprint.library.declarations.declaration import parsed
from kinprint.library.declarations.places._place import MAX_BASES, Place, Said, strings

RECIPES = ("mergekit_config.yml", "mergekit_config.yaml")
MAX_BYTES = 256_000
DEEPEST = 12


def read(location: Location) -> Said:
    bases: list[str] = []
    for source in location.folder.sources(sorted(location.folder.there(RECIPES))):
        try:
            recipe = parse_yaml(source.read(MAX_BYTES).decode("utf-8", errors="replace"))
        except (yaml.YAMLError, RecursionError, ValueError, TypeError) as error:
            raise CheckpointError(source, f"not valid YAML ({error})", "check the recipe") from error
        bases += _models(recipe)
    return Said(tuple(parsed(name, "merge") for name in list(dict.fromkeys(bases))[: MAX_BASES + 1]))


def _models(recipe: Any, deep: int = 0) -> Iterator[str]:
    """Every `model` and `base_model` of a recipe, wherever they stand; an adapter behind a plus is left out."""
    if deep > DEEPEST:
        return
    if isinstance(recipe, list):
        for item in recipe:
            yield from _models(item, deep + 1)
    elif isinstance(recipe, dict):
        for key, value in recipe.items():
            if key in ("model", "base_model") and (named := strings(value)):
                yield named[0].partition("+")[0].strip()
            else:
                yield from _models(value, deep + 1)


PLACE = Place("merge recipe", 15, read)
