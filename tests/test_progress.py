"""How far long work is: who listens is told, and work goes on the same if nobody does."""

from __future__ import annotations

from kinprint.fingerprints.parallel import each
from kinprint.progress import counted, listened_to

Told = list[tuple[str, int, int]]


def test_who_listens_is_told_of_every_item() -> None:
    told: Told = []
    with listened_to(lambda *said: told.append(said)):
        assert list(counted("ab", "letters", 2)) == ["a", "b"]
        assert each(lambda n: n + 1, [1, 2], 2, "numbers") == [2, 3]
    assert told == [("letters", 1, 2), ("letters", 2, 2), ("numbers", 1, 2), ("numbers", 2, 2)]


def test_only_inside_and_the_inner_listener_alone() -> None:
    outer: Told = []
    inner: Told = []
    assert list(counted([1], "before", 1)) == [1]
    with listened_to(lambda *said: outer.append(said)):
        with listened_to(lambda *said: inner.append(said)):
            list(counted([1], "inside", 1))
        list(counted([1], "outside", 1))
    list(counted([1], "after", 1))
    assert [what for what, *_ in inner] == ["inside"]
    assert [what for what, *_ in outer] == ["outside"]
