"""Turns the names on a command line into models: a folder of models stands for all models in it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from kinprint.library.model_folders import models_below


def models_in(names: Iterable[str]) -> list[str]:
    """Each name once, a folder of models replaced by the models in it, at any depth (`models_below`).

    Raises:
        CheckpointError: a folder cannot be listed.
    """
    return list(dict.fromkeys(model for name in names for model in _models(name)))


def _models(name: str) -> Iterator[str]:
    if not os.path.isdir(name):
        yield name
        return
    yield from sorted(str(path) for path in models_below(Path(name))) or [name]  # whoever opens it says that there is nothing
