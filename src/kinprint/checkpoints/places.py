"""What a user may call a model, told from the text alone."""

from __future__ import annotations

import os
import re
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

from kinprint.checkpoints.files import mode_of
from kinprint.errors import CheckpointError

HUB = "hf:"
"""In front of a hub id: ask the hub, whatever lies here."""

OLLAMA = "ollama:"
"""In front of a model that Ollama keeps on this disk."""

_LINK = re.compile(
    r"(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/(?P<id>[\w.-]+/[\w.-]+)(?:/(?:tree|blob)/(?P<revision>[\w.-]+)/?)?/?",
    re.ASCII,
)
"""A link to a model's page on the hub."""

LIKE = 0.75
"""Names are spelled nearly alike from this ratio of `difflib` on."""

MOST = 10_000
"""Names of a folder that are looked at."""

FOLDERS = 500
"""Entries of this folder in which a bare name is looked for."""

FEW = 3
"""Paths that are named as what may have been meant, at most: where a name is everywhere, it says nothing."""

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://.*", re.DOTALL)
_LIKE_AN_ID = re.compile(r"(?![.~])(?P<first>[^/\\@]+)/(?P<name>[^/\\@]+)(@.*)?", re.DOTALL)


def means_url(model: str) -> bool:
    """Whether `model` is a URL rather than a path."""
    return _URL.fullmatch(model) is not None and not _LINK.fullmatch(model)


def without_hub(model: str) -> str:
    """A hub id without the prefix that says that it is one, and of a link to a model's page the id."""
    link = _LINK.fullmatch(model)
    if link is None:
        return model.removeprefix(HUB)
    return f"{link['id']}@{link['revision']}" if link["revision"] else link["id"]


def means_hub(model: str) -> bool:
    """Whether `model` says itself that it is on the hub: `hf:org/name`, or a link to its page."""
    return model.startswith(HUB) or _LINK.fullmatch(model) is not None


def name_like_an_id(model: str) -> str | None:
    """The name in what has the form of a hub id, `org/name` or `org/name@revision`; None for any other form.

    A mistyped path has that form too. It is taken for a path if its first part is a folder here, or if a path here is spelled
    nearly so: names of folders are nobody's business. `hf:org/name` means the hub in any case.
    """
    found = None if model.startswith(OLLAMA) else _LIKE_AN_ID.fullmatch(without_hub(model))
    if found is None or (not means_hub(model) and (os.path.isdir(found["first"]) or nearest(model))):
        return None
    return found["name"]


def nearest(path: str) -> str | None:
    """The path that somebody who wrote `path` may have meant: each part as it is here, or spelled nearly so; None if there is
    none, or `path` itself is there."""
    if os.path.lexists(path):
        return None
    *folders, name = Path(path).parts or ("",)
    there = Path()
    for part in (*folders, name):
        if not os.path.lexists(there / part):
            near = get_close_matches(part, _names(there), 1, LIKE)
            if not near:
                return None
            part = near[0]
        there /= part
    return str(there)


def _below(name: str) -> list[str]:
    """The paths of what has this very name one folder below this one; none if they are more than a few. Hidden folders are
    nobody's models."""
    if len(Path(name).parts) != 1 or Path(name).is_absolute():
        return []
    folders = (folder for folder in sorted(_names(Path(), FOLDERS)) if not folder.startswith("."))
    found = [str(path) for path in (Path(folder, name) for folder in folders) if os.path.lexists(path)]
    return found if len(found) <= FEW else []


def _meant(model: str) -> str:
    """What somebody who wrote the path of nothing may have meant, as a question; empty if that cannot be told. It is named,
    never opened."""
    found = _below(model) or [path for path in (nearest(model),) if path]
    return f"did you mean {' or '.join(filter(None, (', '.join(found[:-1]), found[-1])))}?" if found else ""


def _names(folder: Path, most: int = MOST) -> list[str]:
    """What lies in a folder; nothing if that cannot be seen."""
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in islice(entries, most)]
    except (OSError, ValueError):
        return []


def require_there(*models: str) -> None:
    """Refuse a path to nothing before anything is loaded that works on models. What may mean something else (a hub id, a URL,
    BASE+ADAPTER) is let pass.

    Raises:
        CheckpointError: as `kinprint.checkpoints.open_checkpoint` would.
    """
    for model in models:
        elsewhere = means_url(model) or model.startswith(OLLAMA) or name_like_an_id(model) or "+" in model
        if model and not (elsewhere or os.path.lexists(model)):
            asks = f"{HUB}{model} asks the hub" if _LIKE_AN_ID.fullmatch(model) else ""
            if remedy := " ".join(filter(None, (_meant(model), asks))):
                raise CheckpointError(model, "no such file or folder", remedy)
            mode_of(Path(model))
