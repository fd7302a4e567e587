"""What options are where nobody types them: by a file of the user, and by the environment.

    [all]                       # every command that has the option
    library = "/data/models.lib"

    [compare]                   # one command; [library.add] is `kinprint library add`
    deep = true

The file is $KINPRINT_CONFIG, or config.toml in the user's folder for settings. None is looked for where models lie: whoever
hands over a folder could otherwise set --alpha in it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from kinprint.errors import ReportError, printable

ALL = "all"
"""The table of options for every command that has them."""

NAMED = "KINPRINT_CONFIG"


def settings_file() -> Path | None:
    """The file: named by the environment, or the user's own if there is one. An empty name stands for none."""
    named = os.environ.get(NAMED)
    if named is not None:
        return Path(named) if named else None
    import platformdirs

    own = Path(platformdirs.user_config_dir("kinprint"), "config.toml")
    return own if own.is_file() else None


@cache
def _read(path: Path) -> dict[str, Any]:
    """The tables of a file.

    Raises:
        ReportError: it cannot be read, is no TOML, or has something outside of a table.
    """
    import tomllib

    remedy = "see docs/settings.md, or set KINPRINT_CONFIG to nothing"
    try:
        tables = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ReportError(path, f"cannot be read as settings: {printable(error, 200)}", remedy) from error
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise ReportError(path, f"{printable(name, 60)} stands in no table", "[all] is for every command")
    return tables


def set_for(words: Sequence[str], options: Mapping[str, str]) -> dict[str, Any]:
    """What the file sets for a command.

    Args:
        words: of the command, as ("library", "add").
        options: long name without its dashes, "json" or "no-cache" -> what the command's function calls it.

    Returns:
        what the function calls an option -> its value.

    Raises:
        ReportError: the file cannot be read, or the command's table names an option that the command does not have.
    """
    path = settings_file()
    if path is None:
        return {}
    tables = _read(path)
    own: Any = tables
    for word in words:
        own = own.get(word, {}) if isinstance(own, dict) else {}
    shared = {name: value for name, value in tables.get(ALL, {}).items() if name in options}
    if not isinstance(own, dict):
        raise ReportError(path, f"{' '.join(words)} is no table", "see docs/settings.md")
    for name in own:
        if name not in options:
            near = get_close_matches(name, options, 1)
            meant = f"did you mean {near[0]}?" if near else f"see `kinprint {' '.join(words)} --help`"
            raise ReportError(path, f"[{'.'.join(words)}] sets {printable(name, 60)}, which is no option of it", meant)
    return {options[name]: value for name, value in {**shared, **own}.items()}


def variable(words: Sequence[str], option: str) -> str:
    """The variable of the environment that sets an option: KINPRINT_LIBRARY_ADD_JOBS."""
    return "_".join(("kinprint", *words, option)).upper().replace("-", "_")
