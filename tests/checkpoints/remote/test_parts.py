"""The parts of a sparse copy, each by itself: which pieces to ask for, who fetches what, what is on disk, fetching."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinprint.checkpoints.remote import pieces
from kinprint.checkpoints.remote.claims import Claims, Piece
from kinprint.checkpoints.remote.download import CONNECTIONS, download
from kinprint.checkpoints.remote.pieces import Spans, plan
from kinprint.checkpoints.remote.record import Record
from kinprint.errors import AbandonedError, CheckpointError

spans = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 9)).map(lambda pair: (pair[0], sum(pair))), max_size=10)


def numbers(spans: list[tuple[int, int]]) -> set[int]:
    return {number for start, stop in spans for number in range(start, stop)}


# --- pieces


@given(spans, st.integers(0, 70), st.integers(0, 30))
def test_spans_are_a_set_of_numbers(added: list[tuple[int, int]], start: int, length: int) -> None:
    """Adding, looking up and the gaps agree with a plain set; spans stay disjoint and in order."""
    held, asked = Spans(added), set(range(start, start + length))
    assert numbers(held.within(start, start + length)) == numbers(added) & asked
    assert numbers(held.gaps(start, start + length)) == asked - numbers(added)
    edges = [edge for pair in zip(held.starts, held.stops, strict=True) for edge in pair]
    assert edges == sorted(set(edges))


@given(spans, spans, spans, st.integers(1, 12), st.integers(0, 6))
def test_a_plan_brings_what_is_needed_once(
    needed: list[tuple[int, int]], taken: list[tuple[int, int]], expected: list[tuple[int, int]], piece: int, bridge: int
) -> None:
    """All that is needed and not taken, no byte in two pieces, no piece too long, nothing that nobody needs but small holes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "PIECE", piece)
        patch.setattr(pieces, "BRIDGE", bridge)
        asked = plan(needed, Spans(taken), Spans(expected))
    assert asked == sorted(asked)
    assert all(0 < stop - start <= piece for start, stop in asked)
    assert len(numbers(asked)) == sum(stop - start for start, stop in asked)
    assert numbers(asked) >= numbers(needed) - numbers(taken)
    unasked = sorted(numbers(asked) - numbers(needed) - numbers(expected))
    wanted = sorted(numbers(needed) | numbers(expected))
    assert all(any(other < number for other in wanted) and any(number < other for other in wanted) for number in unasked)


def test_a_piece_takes_along_what_lies_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE", 1000)
    monkeypatch.setattr(pieces, "BRIDGE", 50)
    expected = Spans([(0, 300), (340, 400), (600, 700)])
    assert plan([(0, 100)], Spans(), expected) == [(0, 400)]
    assert plan([(0, 100), (130, 200)], Spans([(0, 20)]), Spans()) == [(20, 200)]
    assert plan([(0, 2500)], Spans([(1000, 1200)]), Spans()) == [(0, 1000), (1200, 2200), (2200, 2500)]


# --- claims


def test_what_others_fetch_is_waited_for_and_not_claimed() -> None:
    """Two threads that need overlapping bytes share them out; what has landed badly is claimed anew."""
    claims = Claims(list)
    (first,), others = claims.claim([(0, 100)])
    assert ((first.start, first.stop), others) == ((0, 100), [])
    (second,), others = claims.claim([(50, 150)])
    assert ((second.start, second.stop), others) == ((100, 150), [first])
    claims.land(first, CheckpointError("x", "broken off"))
    with pytest.raises(CheckpointError):
        first.arrived.result(0)
    assert [(piece.start, piece.stop) for piece in claims.claim([(0, 100)])[0]] == [(0, 100)]


def test_what_has_arrived_is_never_claimed() -> None:
    """Whoever brought it: this process or, as its news say, another one."""
    news: list[tuple[int, int]] = []
    claims = Claims(lambda: news)
    claims.arrived(0, 100)
    assert claims.claim([(0, 100)]) == ([], [])
    news.append((100, 200))
    assert claims.missing([(0, 200)]) == [(100, 200)]
    assert claims.claim([(50, 200)]) == ([], [])
    assert claims.expect(0, 300) == 100


# --- record


def record(folder: Path, version: str = "1", size: int = 1000) -> Record:
    return Record(folder / "files" / "copy", folder / "ranges" / "copy", subject="x", size=size, version=version)


def test_a_record_remembers_for_the_next_process(tmp_path: Path) -> None:
    """What was noted by one object is news to another, once; an earlier version says nothing of a later one."""
    first, second = record(tmp_path), record(tmp_path)
    with first.writing() as file:
        first.write(file, 10, b"x" * 20)
        first.note(file, 10, 30)
    assert (second.news(), second.news(), record(tmp_path).news()) == ([(10, 30)], [], [(10, 30)])
    assert record(tmp_path, version="2").news() == []
    with pytest.raises(CheckpointError, match="was replaced"):
        first.news()


def test_a_record_knows_its_copy(tmp_path: Path) -> None:
    """A file that took its place is not written to, and bytes beyond its end are refused; no temporary file is left."""
    made = record(tmp_path)
    with made.writing() as file, pytest.raises(CheckpointError, match="larger than was said"):
        made.write(file, 990, bytes(11))
    os.replace(tmp_path / "files" / "copy", tmp_path / "aside")
    (tmp_path / "files" / "copy").write_bytes(bytes(1000))
    with pytest.raises(CheckpointError, match="was replaced"), made.writing():
        pass
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["aside", "copy", "copy", "copy.lock"]


# --- download


def fetched(
    count: int, failing: int | None = None, error: type[BaseException] = CheckpointError
) -> tuple[list[Piece], list[int]]:
    """Pieces after their download, and which of them were begun."""
    made, begun = [Piece(number, number + 1) for number in range(count)], list[int]()

    def fetch(start: int, stop: int) -> None:
        begun.append(start)
        if start == failing:
            raise error("x", "broken off")

    def land(piece: Piece, error: BaseException | None) -> None:
        piece.arrived.set_exception(error) if error else piece.arrived.set_result(None)

    try:
        download(made, fetch, land, threading.BoundedSemaphore(1))
    except error:
        assert failing is not None
    else:
        assert failing is None
    return made, begun


def test_every_piece_is_fetched_once() -> None:
    made, begun = fetched(5 * CONNECTIONS)
    assert sorted(begun) == list(range(5 * CONNECTIONS))
    assert all(piece.arrived.done() for piece in made)


@pytest.mark.parametrize("error", [CheckpointError, KeyboardInterrupt])
def test_after_a_failure_nothing_is_begun_and_nobody_waits(error: type[BaseException]) -> None:
    """Pieces that were not begun are abandoned, also where the user has interrupted; whoever waits for one is woken."""
    made, begun = fetched(100, failing=0, error=error)
    assert len(begun) <= CONNECTIONS
    assert isinstance(made[0].arrived.exception(0), error)
    assert all(piece.arrived.done() for piece in made)
    assert isinstance(made[-1].arrived.exception(0), AbandonedError)
