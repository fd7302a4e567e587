"""Waiting for what another process or thread does: for a condition, not for a time, which a busy machine needs more of."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")

PATIENCE = 900.0
"""Seconds after which a test calls what it waits for hung. No machine is so busy."""


def until(condition: Callable[[], Result], every: float = 0.05) -> Result:
    """What `condition`, asked every so many seconds, returns as soon as that is true; AssertionError if it never is."""
    end = time.monotonic() + PATIENCE
    while not (result := condition()):
        assert time.monotonic() < end, "still waiting"
        time.sleep(every)
    return result
