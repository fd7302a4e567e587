"""Work in several threads: the results come in order, closing stops it, what is raised arrives."""

from __future__ import annotations

import threading
from contextlib import closing

import pytest

from kinprint.comparison.in_order import in_order


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_results_come_in_order(workers: int) -> None:
    """Also where a later one is there first: the even ones wait for the odd ones behind them."""
    ready = [threading.Event() for _ in range(10)]

    def work(number: int) -> int:
        if workers > 1 and number % 2 == 0:
            assert ready[number + 1].wait(10)
        ready[number].set()
        return number * number

    assert list(in_order(work, range(10), workers)) == [number * number for number in range(10)]


@pytest.mark.parametrize("workers", [1, 2])
def test_closing_stops_the_work(workers: int) -> None:
    """Only what was under way is done: two items for each thread, and one more for each result taken."""
    begun = list[int]()

    def work(number: int) -> int:
        begun.append(number)
        return number

    with closing(in_order(work, range(1000), workers)) as results:  # type: ignore[type-var]
        assert next(results) == 0
    assert len(begun) < 20


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_raised_arrives(workers: int) -> None:
    def work(number: int) -> int:
        return 1 // (number - 3)

    with pytest.raises(ZeroDivisionError):
        list(in_order(work, range(10), workers))


def test_nothing_to_do() -> None:
    assert list(in_order(lambda number: number, [], 2)) == []
