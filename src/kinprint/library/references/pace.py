"""How fast a build is, from what it has done so far, and what still fits into its time."""

from __future__ import annotations

import time
from collections.abc import Callable


class Pace:
    """Bytes a second of whole models: fetched, measured and stored.

    Args:
        hours: that the build may take; None for as long as it takes.
        earlier: bytes a second of a model in an earlier build, used until the first model of this one is done; None if unknown.
        clock: seconds, ever more.
    """

    def __init__(
        self, hours: float | None = None, earlier: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.hours, self.earlier = hours, earlier
        self._clock, self._begun = clock, clock()
        self._nbytes, self._seconds = 0, 0.0

    def done(self, nbytes: int, seconds: float) -> None:
        """Count a model of so many bytes that took so many seconds."""
        self._nbytes += nbytes
        self._seconds += seconds

    @property
    def rate(self) -> float | None:
        """Bytes a second of one model; None before anything was measured."""
        return self._nbytes / self._seconds if self._nbytes and self._seconds else self.earlier

    @property
    def taken(self) -> float:
        """Seconds since the build began."""
        return self._clock() - self._begun

    def left(self, nbytes: int) -> float | None:
        """Seconds that so many bytes will take, by all models that are worked on at once; None if nothing says how fast."""
        together = self._nbytes / self.taken if self._nbytes and self.taken else self.earlier
        return nbytes / together if together else None

    def too_long(self, nbytes: int) -> bool:
        """Whether a model of so many bytes would end after the build's time. One of which nobody knows how long it takes is
        begun while there is time."""
        if self.hours is None:
            return False
        alone = nbytes / self.rate if self.rate else 0.0
        return self.taken >= 3600 * self.hours or self.taken + alone > 3600 * self.hours
