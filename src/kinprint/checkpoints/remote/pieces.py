"""Sets of bytes of a file, and which pieces to ask for: numbers alone, no files and no threads."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

from kinprint.checkpoints.source import Span

PIECE = 1 << 24
"""Bytes of one request, at most."""

BRIDGE = 1 << 16
"""A hole of so many bytes between two spans that will be needed is fetched with them: less than another request costs."""


class Spans:
    """A set of bytes, as disjoint spans in order."""

    def __init__(self, spans: Iterable[Span] = ()) -> None:
        self.starts: list[int] = []
        self.stops: list[int] = []
        for start, stop in spans:
            self.add(start, stop)

    def add(self, start: int, stop: int) -> None:
        first = bisect_left(self.stops, start)  # spans that touch become one
        last = bisect_right(self.starts, stop)
        if first < last:
            start, stop = min(start, self.starts[first]), max(stop, self.stops[last - 1])
        self.starts[first:last], self.stops[first:last] = [start], [stop]

    def within(self, start: int, stop: int) -> list[Span]:
        """What of the span from `start` to `stop` is in the set."""
        first, last = bisect_right(self.stops, start), bisect_left(self.starts, stop)
        pairs = zip(self.starts[first:last], self.stops[first:last], strict=True)
        return [(max(a, start), min(b, stop)) for a, b in pairs]

    def gaps(self, start: int, stop: int) -> list[Span]:
        """What of it is not."""
        gaps, position = [], start
        for a, b in self.within(start, stop):
            if a > position:
                gaps.append((position, a))
            position = b
        return [*gaps, (position, stop)] if position < stop else gaps

    def copy(self) -> Spans:
        copied = Spans()
        copied.starts, copied.stops = list(self.starts), list(self.stops)
        return copied


def plan(needed: Iterable[Span], taken: Spans, expected: Spans) -> list[Span]:
    """The pieces to ask for: in order, PIECE long at most, together all of `needed` that is not taken, and no byte twice.

    Args:
        needed: what has to come now.
        taken: what is there or asked for already.
        expected: what will be needed later: a piece takes with it what lies directly behind it.
    """
    taken, pieces = taken.copy(), []
    for start, stop in _bridged(needed):
        while gaps := taken.gaps(start, stop):
            first, end = gaps[0]
            last = _extended_stop(first, min(first + PIECE, end), taken, expected)
            pieces.append((first, last))
            taken.add(first, last)
    return pieces


def _extended_stop(start: int, stop: int, taken: Spans, expected: Spans) -> int:
    """Where a piece that must reach `stop` may end, so that it brings what is expected behind it."""
    for a, b in expected.within(stop, start + PIECE):
        for first, last in taken.gaps(a, b):
            if first - stop > BRIDGE:
                return stop
            stop = last
    return stop


def _bridged(spans: Iterable[Span]) -> list[Span]:
    """Spans in order, those with no more than a small hole between them as one."""
    bridged: list[Span] = []
    for start, stop in sorted(spans):
        if bridged and start - bridged[-1][1] <= BRIDGE:
            bridged[-1] = bridged[-1][0], max(stop, bridged[-1][1])
        else:
            bridged.append((start, stop))
    return bridged
