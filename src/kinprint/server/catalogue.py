"""Names of the library's models in memory, so that looking for one takes milliseconds however many people do."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

from kinprint.library import Library
from kinprint.library.records import Model

FRESH = 2.0
"""Seconds for which what is in memory is not compared with the library."""


@dataclass(frozen=True)
class Page:
    """Some of the models that were asked for, and how many there are."""

    models: Sequence[Model]
    total: int


class Catalogue:
    """Safe to use from threads."""

    def __init__(self, library: Library) -> None:
        self._library, self._lock = library, Lock()
        self._models: tuple[Model, ...] = ()
        self._texts: tuple[str, ...] = ()
        self._names: dict[str, str] = {}
        self._checked, self._version = float("-inf"), ""
        self.refresh()

    @property
    def version(self) -> str:
        """Changes when the library does."""
        self._update()
        return self._version

    def find(self, words: str, offset: int, limit: int) -> Page:
        """Models whose name, source, family and digest hold every word, in the order of their names."""
        self._update()
        wanted = words.casefold().split()
        models, texts = self._models, self._texts
        if not wanted:
            return Page(models[offset : offset + limit], len(models))
        found = [index for index, text in enumerate(texts) if all(word in text for word in wanted)]
        return Page([models[index] for index in found[offset : offset + limit]], len(found))

    def name(self, digest: str) -> str:
        """Name of a model of the library; empty where it is not there."""
        self._update()
        return self._names.get(digest, "")

    def refresh(self) -> None:
        """Look at the library now."""
        with self._lock:
            self._checked = float("-inf")
        self._update()

    def _update(self) -> None:
        if time.monotonic() - self._checked < FRESH or not self._lock.acquire(blocking=not self._models):
            return
        try:
            version = self._library.version
            if version != self._version:
                models = sorted(self._library.models(), key=lambda model: (model.name.casefold(), model.digest))
                self._models, self._version = tuple(models), version
                self._texts = tuple(_text(model) for model in models)
                self._names = {model.digest: model.name for model in models}
            self._checked = time.monotonic()
        finally:
            self._lock.release()


def _text(model: Model) -> str:
    parts: tuple[Any, ...] = (model.name, model.source, model.family, model.model_type, model.digest)
    return " ".join(parts).casefold()
