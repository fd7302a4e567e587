"""What is kept in memory for as long as there is room: the least recently used goes first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Bounded(Generic[Key, Value]):
    """Values by key, bounded by their sizes and their number; safe to use from threads.

    Args:
        most_bytes: of all values; the newest is kept, however large it is.
        most: values.
    """

    def __init__(self, most_bytes: int, most: int) -> None:
        self._most_bytes, self._most, self._bytes = most_bytes, most, 0
        self._held: OrderedDict[Key, tuple[Value, int]] = OrderedDict()
        self._lock = Lock()

    def put(self, key: Key, value: Value, size: int) -> None:
        """Keep a value of so many bytes, instead of an earlier one of this key."""
        with self._lock:
            self._drop(key)
            self._held[key] = value, size
            self._bytes += size
            while len(self._held) > 1 and (self._bytes > self._most_bytes or len(self._held) > self._most):
                self._drop(next(iter(self._held)))

    def get(self, key: Key) -> Value | None:
        """What is kept under the key."""
        with self._lock:
            if key not in self._held:
                return None
            self._held.move_to_end(key)
            return self._held[key][0]

    def __contains__(self, key: Key) -> bool:
        with self._lock:
            return key in self._held

    def _drop(self, key: Key) -> None:
        if key in self._held:
            self._bytes -= self._held.pop(key)[1]
