"""What was computed from one fingerprint, kept for the next comparison with it.

A search or a tree compares one model with many: ranks, decorrelated features and checks of labels belong to one model and are
the same in each pair. They are kept with the fingerprint as long as it lives; of all of them together the longest unused are
dropped first.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, TypeVar
from weakref import ref

from kinprint.fingerprints.fingerprint import Fingerprint

T = TypeVar("T")

MOST_BYTES = 1 << 30
"""Of all fingerprints together."""


@dataclass
class _Everything:
    """What is kept of all fingerprints: (id of the fingerprint, key) -> the fingerprint and bytes, the longest unused first."""

    sizes: OrderedDict[tuple[int, Hashable], tuple[ref[Fingerprint], int]] = field(default_factory=OrderedDict)
    total: int = 0
    lock: Lock = field(default_factory=Lock)

    def enter(self, model: Fingerprint, key: Hashable, size: int) -> None:
        """Note that a model has something of so many bytes; forget what was not used for longest where it is too much."""
        self.forget((id(model), key))
        self.sizes[id(model), key] = ref(model), size
        self.total += size
        while self.total > MOST_BYTES and len(self.sizes) > 1:
            place = next(iter(self.sizes))
            if (other := self.sizes[place][0]()) is not None:
                other.kept.pop(place[1], None)
            self.forget(place)

    def forget(self, place: tuple[int, Hashable]) -> None:
        _, size = self.sizes.pop(place, (None, 0))
        self.total -= size


_everything = _Everything()


def kept(model: Fingerprint, key: Hashable, compute: Callable[[], T]) -> T:
    """What `compute` gives, computed once for a model and a key; whoever gets it must not change it.

    Args:
        key: names the function and everything that it depends on besides the model's traits and facts.
    """
    with _everything.lock:
        if key in model.kept:
            if (place := (id(model), key)) in _everything.sizes:
                _everything.sizes.move_to_end(place)
            return model.kept[key]  # type: ignore[no-any-return]
    value = compute()  # outside the lock: what two threads compute at once is the same
    with _everything.lock:
        model.kept[key] = value
        _everything.enter(model, key, bytes_of(value))
    return value


def bytes_of(value: Any) -> int:
    """Of the arrays in it, to the depth at which methods keep them."""
    if isinstance(value, (tuple, list)):
        return sum(map(bytes_of, value))
    if isinstance(value, dict):
        return sum(map(bytes_of, value.values()))
    if parts := getattr(value, "__dict__", None):
        return bytes_of(parts)
    return int(getattr(value, "nbytes", sys.getsizeof(value)))
