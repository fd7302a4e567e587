"""Fetching pieces side by side; where one fails, those that have not begun are given up."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence

from kinprint.checkpoints.remote.claims import Piece
from kinprint.checkpoints.remote.session import CONNECTIONS
from kinprint.errors import AbandonedError

Fetch = Callable[[int, int], None]
"""Fetches a span, whole; raises what went wrong."""

Land = Callable[[Piece, BaseException | None], None]
"""Told about every piece: that it is there, or what went wrong."""


def download(pieces: Sequence[Piece], fetch: Fetch, land: Land, slots: threading.Semaphore) -> None:
    """Fetch pieces, CONNECTIONS at a time at most. After an error or an interruption those that have not begun are given up.

    Args:
        slots: one is held while a piece is fetched.

    Raises:
        BaseException: what `fetch` raised first.
    """
    _Download(pieces, fetch, land, slots).run()


class _Download:
    def __init__(self, pieces: Sequence[Piece], fetch: Fetch, land: Land, slots: threading.Semaphore) -> None:
        self.fetch, self.land, self.slots = fetch, land, slots
        self.waiting = deque(pieces)
        self.errors: list[BaseException] = []

    def run(self) -> None:
        """Work in this thread and in helpers; if this one is interrupted, they finish what they have begun."""
        helpers = [threading.Thread(target=self._work, daemon=True) for _ in range(min(len(self.waiting), CONNECTIONS) - 1)]
        try:
            for helper in helpers:
                helper.start()
            self._work()
            for helper in helpers:
                helper.join()
        finally:
            self._abandon()
        if self.errors:
            raise self.errors[0]

    def _work(self) -> None:
        while (piece := self._next()) is not None:
            try:
                with self.slots:
                    self.fetch(piece.start, piece.stop)
            except BaseException as error:  # KeyboardInterrupt too: others wait for this piece
                self.errors.append(error)
                self.land(piece, error)
                self._abandon()
            else:
                self.land(piece, None)

    def _next(self) -> Piece | None:
        try:
            return self.waiting.popleft()
        except IndexError:
            return None

    def _abandon(self) -> None:
        while (piece := self._next()) is not None:
            self.land(piece, AbandonedError())
