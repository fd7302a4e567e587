"""What a user may call a model, told from the text alone."""

from __future__ import annotations

import os
import re
from pathlib import Path

from kinprint.checkpoints.files import mode_of

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://.*", re.DOTALL)
_LIKE_AN_ID = re.compile(r"(?![.~])[^/\\@]+/(?P<name>[^/\\@]+)(@.*)?", re.DOTALL)


def means_url(model: str) -> bool:
    """Whether `model` is a URL rather than a path."""
    return _URL.fullmatch(model) is not None


def name_like_an_id(model: str) -> str | None:
    """The name in what has the form of a hub id, `org/name` or `org/name@revision`; None for any other form."""
    found = _LIKE_AN_ID.fullmatch(model)
    return found["name"] if found else None


def require_there(*models: str) -> None:
    """Refuse a path to nothing before anything is loaded that works on models. What may mean something else (a hub id, a URL,
    BASE+ADAPTER) is let pass.

    Raises:
        CheckpointError: as `kinprint.checkpoints.open_checkpoint` would.
    """
    for model in models:
        if model and not (os.path.lexists(model) or means_url(model) or name_like_an_id(model) or "+" in model):
            mode_of(Path(model))
