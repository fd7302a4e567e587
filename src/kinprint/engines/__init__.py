"""Where work on many models is done, an engine a file: a new one that defines ENGINE is found; nothing else names it."""

from __future__ import annotations

import sys
from functools import cache

from kinprint import discovery
from kinprint.engines._engine import Engine, Outcome
from kinprint.errors import EngineError, printable

__all__ = ["Engine", "Outcome", "known", "named"]


@cache
def known() -> dict[str, Engine]:
    """Every engine by name: ours and those of installed packages (entry points `kinprint.engines`)."""
    ours = [module.ENGINE for module in discovery.modules(sys.modules[__name__])]
    return {engine.name: engine for engine in (*ours, *discovery.installed("engines"))}


def named(name: str) -> Engine:
    """The engine of a name.

    Raises:
        EngineError: there is none.
    """
    if name not in known():
        raise EngineError(printable(name, 40), "no engine of this name", f"choose one of {', '.join(sorted(known()))}")
    return known()[name]
