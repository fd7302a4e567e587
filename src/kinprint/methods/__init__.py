"""The methods, one file each. A new file that defines METHOD is found, listed and run; nothing else names it."""

from __future__ import annotations

import sys
from functools import cache

from kinprint import discovery
from kinprint.evidence import Method


@cache
def known() -> tuple[Method, ...]:
    """Every method: ours and those of installed packages (entry points `kinprint.methods`), tests first, by name."""
    ours = [module.METHOD for module in discovery.modules(sys.modules[__name__])]
    return tuple(sorted([*ours, *discovery.installed("methods")], key=lambda m: (m.kind != "test", m.name)))
