"""kinprint doctor"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

from kinprint.cli._options import JsonOption, OfflineOption
from kinprint.cli._output import emit
from kinprint.errors import printable

if TYPE_CHECKING:
    from rich.console import RenderableType

EXTRAS = {
    "library": "library, identify, tree",
    "server": "serve",
    "behaviour": "observe, zoo",
    "supply-chain": "compare --cyclonedx, verify --timestamp",
    "cluster": "library add --engine ray",
}
"""Optional parts, and the commands that need them."""

PATIENCE = 5.0
"""Seconds that a hub has to answer."""

_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)[^;]*(;.*\bextra\s*==\s*[\"'](?P<extra>[\w-]+)[\"'])?")


def command(
    as_json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """Show what kinprint found on this machine: versions, optional parts, threads, cache, settings, hub. For reports of faults.

    Example: kinprint doctor

    prints versions, for each optional part whether it is installed and how to install it, where the cache is, and whether the
    hub answers.
    """
    found = examined(offline)
    emit(as_json, lambda: found, lambda: _shown(found))


def examined(offline: bool) -> dict[str, Any]:
    """Everything that `kinprint doctor --json` prints. Missing packages and hubs are findings, not errors."""
    from kinprint._version import __version__
    from kinprint.checkpoints.files import cache_folder

    needed = _requirements()
    cache = cache_folder()
    above = next((folder for folder in (cache, *cache.parents) if folder.exists()), cache)
    return {
        "format": "kinprint-doctor/1",
        "kinprint": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": {name: _version(name) for name in needed.get("", [])},
        "extras": {extra: {name: _version(name) for name in needed.get(extra, [])} for extra in EXTRAS},
        "processors": os.cpu_count(),
        "threads": {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")},
        "cache": {"folder": str(cache), "writable": os.access(above, os.W_OK)},
        "settings": _settings(),
        "hub": _hub(offline),
    }


def _requirements() -> dict[str, list[str]]:
    """Extra -> packages that it needs; "" of what is always needed."""
    found: dict[str, list[str]] = {}
    for line in importlib.metadata.requires("kinprint") or ():
        if (match := _REQUIREMENT.match(line)) and match["name"] != "kinprint":
            found.setdefault(match["extra"] or "", []).append(match["name"])
    return found


def _version(package: str) -> str | None:
    """The installed version; None if there is none."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _settings() -> dict[str, Any]:
    """The file of settings, and whether it is there."""
    from kinprint.cli._settings import settings_file

    path = settings_file()
    return {"file": None if path is None else str(path), "exists": path is not None and path.is_file()}


def _hub(offline: bool) -> dict[str, Any]:
    """Where the hub is, and whether it answers: True, False with the reason, or None if it was not asked."""
    address = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    from kinprint.checkpoints.remote.hub import says_offline

    if offline or says_offline():
        return {"address": address, "answers": None, "reason": "not asked (--offline)" if offline else "HF_HUB_OFFLINE is set"}
    try:
        with urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=PATIENCE):
            pass
    except urllib.error.HTTPError:  # it answers, if not with a page
        pass
    except (OSError, ValueError) as error:
        return {"address": address, "answers": False, "reason": str(getattr(error, "reason", error))}
    return {"address": address, "answers": True, "reason": None}


def _shown(found: dict[str, Any]) -> RenderableType:
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    head = Text(f"kinprint {found['kinprint']}, Python {found['python']}, {found['system']}")
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("optional part", "for", "state"):
        table.add_column(column, overflow="fold")
    for extra, packages in found["extras"].items():
        missing = [name for name, version in packages.items() if version is None]
        state = f"missing: pip install 'kinprint[{extra}]'" if missing else "installed"
        table.add_row(extra, EXTRAS[extra], Text(state))
    absent = [name for name, version in found["packages"].items() if version is None]
    core = f"missing: {', '.join(absent)}; install kinprint again" if absent else "all there"
    threads = ", ".join(f"{name}={value}" for name, value in found["threads"].items() if value) or "no limit set"
    cache, hub = found["cache"], found["hub"]
    writable = "" if cache["writable"] else ", which cannot be written: nothing is kept between runs"
    answers = {True: "answers", False: "does not answer", None: "not asked"}[hub["answers"]]
    reason = f" ({printable(hub['reason'])})" if hub["reason"] else ""
    lines = [
        f"Packages that are always needed: {core}",
        f"Threads: {found['processors']} processors, {threads}",
        f"Cache: {printable(cache['folder'])}{writable}",
        f"Settings: {_named(found['settings'])}",
        f"Hub: {printable(hub['address'])} {answers}{reason}",
    ]
    return Group(head, table, *map(Text, lines))


def _named(settings: dict[str, Any]) -> str:
    if settings["file"] is None:
        return "no file"
    return printable(settings["file"]) + ("" if settings["exists"] else ", which is not there")
