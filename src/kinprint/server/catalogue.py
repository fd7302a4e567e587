"""Names of the library's models in memory, so that looking for one takes milliseconds however many people do."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial, reduce
from threading import Lock
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from kinprint.library.records import ListedModel

DIGEST = re.compile("[0-9a-f]{17,64}")

WORDS = 500
"""Words whose results are kept: people search for the same ones."""

FRESH = 2.0
"""Seconds for which names in memory are used without a look at the library."""

Order = Literal["name", "family", "layers", "hidden_size", "parameters", "added"]
ORDERS: tuple[Order, ...] = get_args(Order)

Size = Literal["", "under-1b", "1b-8b", "8b-40b", "over-40b", "unknown"]
SIZES: Mapping[Size, tuple[str, float, float]] = {
    "under-1b": ("under 1 billion parameters", 0, 1e9),
    "1b-8b": ("1 to 8 billion", 1e9, 8e9),
    "8b-40b": ("8 to 40 billion", 8e9, 40e9),
    "over-40b": ("40 billion and more", 40e9, np.inf),
}
"""Name -> what people call it, the fewest parameters, and the fewest of the next."""

Reading = Literal["", "full", "quick"]


class Wanted(NamedTuple):
    """Which models are asked for.

    Attributes:
        words: all in name, source, family or digest.
        family: the architecture table; any if empty.
        size: by number of parameters, one of SIZES or "unknown"; any if empty.
        reading: how the fingerprint was measured; any if empty.
    """

    words: str = ""
    family: str = ""
    size: Size = ""
    reading: Reading = ""


@dataclass(frozen=True)
class Page:
    """Some of the models that were asked for, and how many there are."""

    models: Sequence[ListedModel]
    total: int


class Catalogue:
    """Safe to use from threads.

    Args:
        version: of the library; changes when the library does.
        models: reads all of them.
    """

    def __init__(self, version: Callable[[], str], models: Callable[[], Iterable[ListedModel]]) -> None:
        self._ask_version, self._ask_models, self._lock = version, models, Lock()
        self._listed = _Listed("", ())
        self._checked = float("-inf")
        self.refresh()

    @property
    def version(self) -> str:
        """Changes when the library does."""
        return self._now().version

    @property
    def total(self) -> int:
        """Number of models."""
        return len(self._now().models)

    def families(self) -> dict[str, int]:
        """Families of the models and how many each has, by name; those of no known family under "unknown"."""
        return self._now().families

    def find(self, wanted: Wanted, offset: int, limit: int, order: Order = "name", down: bool = False) -> Page:
        """Models that are asked for, in an order; equals by name, and what is unknown comes last either way."""
        listed = self._now()
        rows = listed.rows(wanted, order, down)
        return Page([listed.models[row] for row in rows[offset : offset + limit]], len(rows))

    def name(self, digest: str) -> str:
        """Name of a model of the library; empty where it is not there."""
        return self._now().names.get(digest, "")

    def refresh(self) -> None:
        """Look at the library now."""
        with self._lock:
            self._checked = float("-inf")
        self._now()

    def _now(self) -> _Listed:
        """What is in the library; while one thread looks, others use what was there before."""
        if time.monotonic() - self._checked < FRESH or not self._lock.acquire(blocking=not self._listed.version):
            return self._listed
        try:
            version = self._ask_version()
            if version != self._listed.version:
                models = sorted(self._ask_models(), key=lambda model: (model.name.casefold(), model.digest))
                self._listed = _Listed(version, tuple(models))
            self._checked = time.monotonic()
        finally:
            self._lock.release()
        return self._listed


class _Listed:
    """The models of one version of the library, by name, and what is worked out of them when it is first asked for."""

    def __init__(self, version: str, models: tuple[ListedModel, ...]) -> None:
        self.version, self.models = version, models
        self._ranks = lru_cache(2 * len(ORDERS))(self._ranked)

    @cached_property
    def names(self) -> dict[str, str]:
        return {model.digest: model.name for model in self.models}

    @cached_property
    def families(self) -> dict[str, int]:
        return dict(sorted(Counter(_family(model) for model in self.models).items()))

    def rows(self, wanted: Wanted, order: Order, down: bool) -> NDArray[np.intp]:
        """Numbers of the models that are asked for, in an order."""
        words = [word[:16] if DIGEST.fullmatch(word) else word for word in wanted.words.casefold().split()]
        rows = self._texts.holding(words) if words else np.arange(len(self.models))
        for kept in self._kept(wanted):
            rows = rows[kept[rows]]
        return rows if order == "name" and not down else rows[np.argsort(self._ranks(order, down)[rows])]

    def _kept(self, wanted: Wanted) -> Iterator[NDArray[np.bool_]]:
        """For each filter, whether a model passes it."""
        if wanted.family:
            yield self._family_of == wanted.family
        if wanted.size == "unknown":
            yield np.isnan(self._parameters)
        elif wanted.size:
            _, least, next_least = SIZES[wanted.size]
            yield (self._parameters >= least) & (self._parameters < next_least)
        if wanted.reading:
            yield self._quick == (wanted.reading == "quick")

    @cached_property
    def _texts(self) -> _Texts:
        return _Texts([_text(model) for model in self.models])

    @cached_property
    def _family_of(self) -> NDArray[np.object_]:
        return np.array([_family(model) for model in self.models], object)

    @cached_property
    def _parameters(self) -> NDArray[np.float64]:
        return np.array([np.nan if model.parameters is None else model.parameters for model in self.models], np.float64)

    @cached_property
    def _quick(self) -> NDArray[np.bool_]:
        return np.array([model.quick is not None for model in self.models], np.bool_)

    def _ranked(self, order: Order, down: bool) -> NDArray[np.intp]:
        """Place of each model in an order; models are sorted by name already, and sorting keeps that among equals."""
        values: list[Any] = [
            model.name.casefold() if order == "name" else _shown_family(model) if order == "family" else getattr(model, order)
            for model in self.models
        ]
        known = [row for row, value in enumerate(values) if value is not None]
        unknown = [row for row, value in enumerate(values) if value is None]
        ranks = np.empty(len(values), np.intp)
        ranks[[*sorted(known, key=values.__getitem__, reverse=down), *unknown]] = np.arange(len(values))
        return ranks


class _Texts:
    """Texts in which words are looked for: as one, since that takes milliseconds for a hundred thousand."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._joined = "\n".join(texts)
        lengths = np.array([len(text) + 1 for text in texts], np.int64)
        self._starts = np.cumsum(lengths) - lengths
        self._rows = lru_cache(WORDS)(self._looked_up)

    def holding(self, words: Sequence[str]) -> NDArray[np.intp]:
        """Which texts hold every word."""
        return reduce(partial(np.intersect1d, assume_unique=True), map(self._rows, words)).astype(np.intp)

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


def _text(model: ListedModel) -> str:
    """What words are looked for in; of the digest its beginning, which is what people type."""
    parts = dict.fromkeys((model.name, model.source, model.family, model.model_type, model.family_name, model.digest[:16]))
    return " ".join(parts).casefold()


def _family(model: ListedModel) -> str:
    return model.family or "unknown"


def _shown_family(model: ListedModel) -> str:
    """What a list sorts its families by: the name that it shows."""
    return (model.family_name or "unknown").casefold()
