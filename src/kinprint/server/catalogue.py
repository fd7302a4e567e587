"""Names of the library's models in memory, so that looking for one takes milliseconds however many people do."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial, reduce
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from kinprint.library import Library
from kinprint.library.records import StoredModel

DIGEST = re.compile("[0-9a-f]{17,64}")

WORDS = 500
"""Words whose results are kept: people search for the same ones."""

FRESH = 2.0
"""Seconds for which names in memory are used without a look at the library."""


@dataclass(frozen=True)
class Page:
    """Some of the models that were asked for, and how many there are."""

    models: Sequence[StoredModel]
    total: int


class Catalogue:
    """Safe to use from threads."""

    def __init__(self, library: Library) -> None:
        self._library, self._lock = library, Lock()
        self._models: tuple[StoredModel, ...] = ()
        self._texts = _Texts(())
        self._names: dict[str, str] = {}
        self._checked, self._version = float("-inf"), ""
        self.refresh()

    @property
    def version(self) -> str:
        """Changes when the library does."""
        self._update()
        return self._version

    def find(self, words: str, offset: int, limit: int) -> Page:
        """Models whose name, source, family or digest hold every word, in the order of their names."""
        self._update()
        wanted = [word[:16] if DIGEST.fullmatch(word) else word for word in words.casefold().split()]
        models, texts = self._models, self._texts
        if not wanted:
            return Page(models[offset : offset + limit], len(models))
        rows = texts.holding(wanted)
        return Page([models[row] for row in rows[offset : offset + limit]], len(rows))

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
                self._texts = _Texts([_text(model) for model in models])
                self._names = {model.digest: model.name for model in models}
            self._checked = time.monotonic()
        finally:
            self._lock.release()


class _Texts:
    """Texts in which words are looked for: as one, since that takes milliseconds for a hundred thousand."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._joined = "\n".join(texts)
        lengths = np.array([len(text) + 1 for text in texts], np.int64)
        self._starts = np.cumsum(lengths) - lengths
        self._rows = lru_cache(WORDS)(self._looked_up)

    def holding(self, words: Sequence[str]) -> list[int]:
        """Which texts hold every word."""
        rows: list[int] = reduce(partial(np.intersect1d, assume_unique=True), map(self._rows, words)).tolist()
        return rows

    def _looked_up(self, word: str) -> NDArray[np.int32]:
        places = np.fromiter(_places(self._joined, word), np.int64)
        return (np.searchsorted(self._starts, places, side="right") - 1).astype(np.int32)


def _places(text: str, word: str) -> Iterator[int]:
    """Where a word is: its first place in each line."""
    at = text.find(word)
    while at >= 0:
        yield at
        end = text.find("\n", at)
        at = text.find(word, end) if end >= 0 else -1


def _text(model: StoredModel) -> str:
    """What words are looked for in; of the digest its beginning, which is what people type."""
    parts = dict.fromkeys((model.name, model.source, model.family, model.model_type, model.digest[:16]))
    return " ".join(parts).casefold()
