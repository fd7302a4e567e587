"""Plug-ins: the modules of a package of ours, and what third parties add through entry points.

A method, a transform or a checkpoint format is one new file: its package finds it here, nothing else names it.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any


def modules(package: ModuleType) -> Iterator[ModuleType]:
    """Every public module directly inside `package`, imported, in alphabetical order."""
    for found in sorted(pkgutil.iter_modules(package.__path__), key=lambda m: m.name):
        if not found.name.startswith("_"):
            yield importlib.import_module(f"{package.__name__}.{found.name}")


def installed(group: str) -> Iterator[Any]:
    """Objects that other installed packages offer under the entry-point group `kinprint.<group>`."""
    for point in sorted(entry_points(group=f"kinprint.{group}"), key=lambda p: p.name):
        yield point.load()
