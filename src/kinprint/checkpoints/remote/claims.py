"""Which thread fetches which bytes of a file, so that none fetches what is there or what another one is fetching."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from kinprint.checkpoints.remote.pieces import Spans, plan
from kinprint.checkpoints.source import Span


@dataclass(frozen=True, eq=False)
class Piece:
    """Bytes that one thread fetches, and others wait for.

    Attributes:
        start, stop: the span.
        arrived: done when the bytes are there; raises what went wrong, AbandonedError if they were not tried.
    """

    start: int
    stop: int
    arrived: Future[None] = field(default_factory=Future)


class Claims:
    """What of a file is there, on its way, and expected; may be used by several threads."""

    def __init__(self, news: Callable[[], Iterable[Span]]) -> None:
        """
        Args:
            news: spans that others, such as other processes, have brought since it was last called.
        """
        self._news = news
        self._lock = threading.Lock()
        self._present, self._expected = Spans(news()), Spans()
        self._flying: list[Piece] = []

    def claim(self, spans: Iterable[Span]) -> tuple[list[Piece], list[Piece]]:
        """What of `spans` the caller has to fetch, and `land`, and what of them others are fetching already."""
        spans = list(spans)
        with self._lock:
            if self._missing(spans):
                for start, stop in self._news():
                    self._present.add(start, stop)
            missing = self._missing(spans)
            if not missing:
                return [], []
            others = [piece for piece in self._flying if any(piece.start < b and a < piece.stop for a, b in missing)]
            taken = self._present.copy()
            for piece in self._flying:
                taken.add(piece.start, piece.stop)
            own = [Piece(start, stop) for start, stop in plan(missing, taken, self._expected)]
            self._flying += own
            return own, others

    def arrived(self, start: int, stop: int) -> None:
        """Bytes are there, whoever asked for them."""
        with self._lock:
            self._present.add(start, stop)

    def land(self, piece: Piece, error: BaseException | None = None) -> None:
        """Say that fetching a piece has ended, well or not; once is enough."""
        with self._lock:
            self._flying = [other for other in self._flying if other is not piece]
        if not piece.arrived.done():
            piece.arrived.set_exception(error) if error is not None else piece.arrived.set_result(None)

    def expect(self, start: int, stop: int) -> int:
        """Say that a span will be needed, so that it may come with what is asked for in front of it.

        Returns:
            How many of its bytes are missing.
        """
        with self._lock:
            self._expected.add(start, stop)
        return sum(b - a for a, b in self.missing([(start, stop)]))

    def missing(self, spans: Sequence[Span]) -> list[Span]:
        """What of `spans` is not there."""
        with self._lock:
            return self._missing(spans)

    def _missing(self, spans: Iterable[Span]) -> list[Span]:
        return [gap for start, stop in spans for gap in self._present.gaps(start, stop)]
