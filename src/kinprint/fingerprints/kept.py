"""What was computed from one fingerprint, kept for the next comparison with it.

A search or a tree compares one model with many: ranks, decorrelated features and checks of labels belong to one model and are
the same in each pair. They are kept with the fingerprint as long as it lives; of all of them together the longest unused are
dropped first.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, TypeVar
from weakref import ref

from kinprint.fingerprints.fingerprint import Fingerprint

T = TypeVar("T")

MOST_BYTES = 1 << 30
"""Of all fingerprints together."""

_sizes: OrderedDict[tuple[int, Hashable], tuple[ref[Fingerprint], int]] = OrderedDict()
"""(id of a fingerprint, key) -> the fingerprint, bytes; the longest unused first."""

_lock = Lock()


def kept(model: Fingerprint, key: Hashable, compute: Callable[[], T]) -> T:
    """What `compute` gives, computed once for a model and a key; whoever gets it must not change it.

    Args:
        key: names the function and everything that it depends on besides the model's traits and facts.
    """
    place = (id(model), key)
    with _lock:
        if key in model.kept:
            if place in _sizes:
                _sizes.move_to_end(place)
            return model.kept[key]  # type: ignore[no-any-return]
    value = compute()  # outside the lock: what two threads compute at once is the same
    with _lock:
        model.kept[key] = value
        _sizes[place] = ref(model), _bytes(value)
        _drop()
    return value


def _drop() -> None:
    """Forget what belonged to fingerprints that are gone, then the longest unused until the rest fits."""
    for place in [place for place, (model, _) in _sizes.items() if model() is None]:
        del _sizes[place]
    while sum(size for _, size in _sizes.values()) > MOST_BYTES and len(_sizes) > 1:
        (_, key), (model, _) = _sizes.popitem(last=False)
        if (alive := model()) is not None:
            alive.kept.pop(key, None)


def _bytes(value: Any) -> int:
    """Of the arrays in it, to the depth at which methods keep them."""
    if isinstance(value, (tuple, list)):
        return sum(map(_bytes, value))
    if isinstance(value, dict):
        return sum(map(_bytes, value.values()))
    if parts := getattr(value, "__dict__", None):
        return _bytes(parts)
    return int(getattr(value, "nbytes", sys.getsizeof(value)))
