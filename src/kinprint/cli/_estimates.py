"""How long reading a model will take, said before; and how far it is, in bytes of the file that the user sees."""

from __future__ import annotations

import os
from collections.abc import Callable

RATE = 0.4e9
"""Bytes of unpacked weights that a full fingerprint reads in a second on one thread, about (docs/speed.md)."""

LONG = 30.0
"""Seconds from which a user is told before."""

Progress = Callable[[int, int], None]


def expectation(size: int) -> str | None:
    """How long reading so many bytes takes, where that is long: "13.5 GB to read, about 34 s"; None where it is not."""
    seconds = size / RATE
    if seconds < LONG:
        return None
    about = (
        f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.0f} h"
    )
    return f"{size / 1e9:.1f} GB to read, about {about}"


def told(model: str, progress: Progress, say: Callable[[str], None]) -> Progress:
    """Progress of reading a model: what is long is said at the first call, and bytes are those of the file, where a model is
    one, since what reads it counts packed weights as unpacked ones.

    Args:
        model: the place of the model.
        progress: is told of bytes done and bytes in all.
        say: is told how long it will take.
    """
    size = os.path.getsize(model) if os.path.isfile(model) else 0
    waiting = [True]

    def tell(done: int, total: int) -> None:
        if waiting and waiting.pop() and (words := expectation(total)):
            say(words)
        progress(*((done, total) if not size else (round(size * min(done / max(total, 1), 1)), size)))

    return tell
