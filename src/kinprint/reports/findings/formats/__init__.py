"""Formats of findings: a module each, with a function `render`. A new format is one new file here.

`table` and `json` are each command's own.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module

from kinprint.reports.findings.finding import Findings


def names() -> list[str]:
    """The formats that there are, found without loading one."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__) if module.name[0] != "_")


def rendered(found: Findings, form: str) -> str:
    """The findings in a format.

    Args:
        form: one of `names()`.

    Raises:
        KinprintError: the format cannot hold these findings, or an extra is missing.
    """
    if form in found.own:
        return found.own[form]()
    text: str = import_module(f"{__name__}.{form.replace('-', '_')}").render(found)
    return text
