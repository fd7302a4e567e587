"""Work on several threads: in order, and given up at once."""

from __future__ import annotations

import threading

import pytest
from waiting import PATIENCE

from kinprint.fingerprints.parallel import each


def test_results_are_in_order() -> None:
    assert each(lambda n: n * n, range(50), 4) == [n * n for n in range(50)]


def test_what_still_runs_is_not_waited_for() -> None:
    """One item fails while another would take for ever: the failure comes out at once."""
    never, done = threading.Event(), list[int]()

    def work(n: int) -> None:
        if n == 1:
            raise ValueError("no")
        never.wait(PATIENCE)
        done.append(n)

    with pytest.raises(ValueError, match="no"):
        each(work, [1, 0, 0], 2)
    assert done == []
    never.set()
