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


@pytest.mark.parametrize("workers", [1, 2])
def test_work_inside_work_stays_in_its_thread(workers: int) -> None:
    """No pool inside a pool: all that an item asks for is done where the item is, in order, and the results are the same."""

    def inner(number: int) -> tuple[int, int]:
        return number, threading.get_ident()

    def outer(number: int) -> tuple[int, set[int], list[int]]:
        found = list(in_order(inner, range(number, number + 5), 2))
        return threading.get_ident(), {thread for _, thread in found}, [value for value, _ in found]

    for number, (thread, used, values) in enumerate(in_order(outer, range(6), workers)):
        assert values == list(range(number, number + 5))
        if workers > 1:
            assert used == {thread}
