"""Local copies of files that lie elsewhere: what is fetched, what is remembered, and what happens when it goes wrong."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from waiting import PATIENCE

from kinprint.checkpoints.mapped import MappedTensor
from kinprint.checkpoints.remote import download, pieces
from kinprint.checkpoints.remote.expectation import Expectation
from kinprint.checkpoints.remote.sparse import RemoteFile, SparseCopy, open_sparse
from kinprint.errors import CheckpointError

CONTENT = np.random.default_rng(0).integers(0, 256, 1_000_000, dtype=np.uint8).tobytes()


class Elsewhere:
    """A file in memory that counts what is read of it."""

    def __init__(self, content: bytes = CONTENT, chunk: int = 10_000) -> None:
        self.content, self.chunk = content, chunk
        self.asked: list[tuple[int, int]] = []
        self.whole = False
        self.broken: range = range(0)
        self.delay = 0.0
        self.together: threading.Barrier | None = None
        """Reads go on only when so many are on their way."""
        self.reading = self.most = 0
        """Reads that are on their way, and the most that ever were."""
        self.lock = threading.Lock()

    def read(self, start: int, stop: int) -> Iterator[tuple[int, bytes]]:
        with self.lock:
            self.asked.append((start, stop))
            self.reading += 1
            self.most = max(self.most, self.reading)
        time.sleep(self.delay)
        if self.together:
            self.together.wait(PATIENCE)
        start, stop = (0, len(self.content)) if self.whole else (start, stop)
        for at in range(start, stop, self.chunk):
            if at in self.broken:
                raise CheckpointError("elsewhere", "broken off")
            if at + self.chunk >= stop:
                with self.lock:
                    self.reading -= 1
            yield at, self.content[at : min(at + self.chunk, stop)]

    @property
    def served(self) -> int:
        return sum(stop - start for start, stop in self.asked)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where copies and their records lie."""
    return tmp_path


def opened(root: Path, elsewhere: Elsewhere, version: str = "1", size: int | None = None) -> SparseCopy:
    """The copy as a process that has just started opens it."""
    remote = RemoteFile("elsewhere", len(elsewhere.content) if size is None else size, version, elsewhere.read)
    return open_sparse(root, "copy.bin", remote)


def read(copy: SparseCopy, start: int, stop: int) -> bytes:
    return bytes(copy.map(start, stop, copy.size))


def check(copy: SparseCopy, start: int, stop: int) -> None:
    assert read(copy, start, stop) == CONTENT[start:stop]


def test_only_what_is_asked_for_is_fetched_and_only_once(root: Path) -> None:
    """The second read of a span, and of a part of it, costs nothing; overlapping spans cost what is new."""
    elsewhere = Elsewhere()
    copy = opened(root, elsewhere)
    assert copy.path.stat().st_size == len(CONTENT)
    check(copy, 1000, 5000)
    check(copy, 2000, 3000)
    assert elsewhere.asked == [(1000, 5000)]
    check(copy, 500, 6000)
    assert sorted(elsewhere.asked[1:]) == [(500, 1000), (5000, 6000)]


def test_a_mapped_tensor_and_its_rows_fetch_their_own_bytes(root: Path) -> None:
    """`read` and `read_rows` of a tensor in a partial file give the bytes elsewhere, and fetch no others."""
    elsewhere = Elsewhere()
    copy = opened(root, elsewhere)
    tensor = MappedTensor("w", np.dtype("<u2"), (100, 50), copy, len(CONTENT), 4000)
    whole = np.frombuffer(CONTENT, "<u2", 5000, 4000).reshape(100, 50)
    np.testing.assert_array_equal(tensor.read_rows(10, 20), whole[10:20])
    assert elsewhere.asked == [(5000, 6000)]
    np.testing.assert_array_equal(tensor.read(), whole)
    assert elsewhere.served == 10_000
    assert tensor.spans == ((copy, (4000, 14_000)),)


def test_reading_a_partial_file_as_a_stream(root: Path) -> None:
    """A parser that reads in small steps gets the right bytes in few requests; the size is checked before anything comes."""
    elsewhere = Elsewhere()
    copy = opened(root, elsewhere)
    with pytest.raises(CheckpointError, match="larger than the 999,999 bytes"):
        copy.read(len(CONTENT) - 1)
    assert elsewhere.asked == []
    with copy.open() as file:
        assert b"".join(iter(lambda: file.read(100), b"")) == CONTENT
        file.seek(-5, os.SEEK_END)
        assert (file.read(), file.read(1)) == (CONTENT[-5:], b"")
    assert len(elsewhere.asked) < 10


def test_what_was_fetched_outlives_the_process(root: Path) -> None:
    """A new start fetches what is missing only; a torn line at the end of the record hides nothing that follows it."""
    copy = opened(root, Elsewhere())
    check(copy, 0, 300_000)
    record = root / "ranges" / "copy.bin"
    with record.open("ab") as file:
        file.write(b"\n300000 9")
    elsewhere = Elsewhere()
    copy = opened(root, elsewhere)
    check(copy, 290_000, 400_000)
    assert elsewhere.asked == [(300_000, 400_000)]
    elsewhere = Elsewhere()
    copy = opened(root, elsewhere)
    check(copy, 0, 400_000)
    assert elsewhere.asked == []


@pytest.mark.parametrize("damage", [b"\n0 1000000 00000000\n", b"\nx y\n", b"\n-5 7 1\n", b"\n\xff \xfe\n"])
def test_a_damaged_record_is_never_believed(root: Path, damage: bytes) -> None:
    """Lines whose check does not fit count as nothing."""
    copy = opened(root, Elsewhere())
    with (root / "ranges" / "copy.bin").open("ab") as file:
        file.write(damage)
    copy = opened(root, Elsewhere())
    check(copy, 0, 1000)


def test_two_processes_share_a_copy(root: Path) -> None:
    """What another process has recorded meanwhile is not fetched again."""
    mine, theirs = Elsewhere(), Elsewhere()
    copy = opened(root, mine)
    check(opened(root, theirs), 0, 5000)
    check(copy, 0, 6000)
    assert (theirs.asked, mine.asked) == ([(0, 5000)], [(5000, 6000)])


@pytest.mark.parametrize(("version", "size"), [("2", None), ("1", len(CONTENT) - 1), ("", None)])
def test_another_version_begins_anew(root: Path, version: str, size: int | None) -> None:
    """Nothing of an earlier version is used, and one without a version has no earlier one."""
    copy = opened(root, Elsewhere(), version and "1")
    check(copy, 0, 5000)
    elsewhere = Elsewhere(bytes(len(CONTENT)))
    copy = opened(root, elsewhere, version, size)
    assert read(copy, 0, 5000) == bytes(5000)
    assert elsewhere.asked == [(0, 5000)]


def test_a_copy_replaced_under_a_reader_is_an_error(root: Path) -> None:
    """Who opened the old version is told, and never gets a mixture; the same for a copy that was deleted."""
    copy = opened(root, Elsewhere())
    check(copy, 0, 5000)
    opened(root, Elsewhere(), "2")
    with pytest.raises(CheckpointError, match="was replaced while it was being read"):
        read(copy, 5000, 6000)
    copy.path.unlink()
    with pytest.raises(CheckpointError, match="no such file"):
        read(copy, 5000, 6000)


def test_a_copy_without_its_bytes_begins_anew(root: Path) -> None:
    """A record without the file that it speaks of says nothing."""
    copy = opened(root, Elsewhere())
    check(copy, 0, 5000)
    copy.path.unlink()
    copy = opened(root, Elsewhere())
    check(copy, 0, 5000)


def test_large_spans_come_in_pieces_side_by_side(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several pieces are on their way at the same time, each asked for once, and never more than the limit."""
    monkeypatch.setattr(pieces, "PIECE", 50_000)
    monkeypatch.setattr(download, "CONNECTIONS", 4)
    elsewhere = Elsewhere()
    elsewhere.together = threading.Barrier(4)  # of twenty pieces
    copy = opened(root, elsewhere)
    check(copy, 0, len(CONTENT))
    assert elsewhere.most == 4
    assert sorted(elsewhere.asked) == [(at, at + 50_000) for at in range(0, len(CONTENT), 50_000)]


def test_threads_that_need_the_same_bytes_fetch_them_once(root: Path) -> None:
    """What another thread is fetching is waited for."""
    elsewhere = Elsewhere()
    elsewhere.delay = 0.2
    copy = opened(root, elsewhere)
    threads = [threading.Thread(target=check, args=(copy, 100 * i, 50_000)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert elsewhere.served == 50_000


def test_neighbours_that_will_be_needed_come_along(root: Path) -> None:
    """Announced spans are fetched with the one in front of them, over small holes; others are not."""
    elsewhere = Elsewhere()
    copy = opened(root, elsewhere)
    needed = Expectation([(copy, (0, 1000)), (copy, (1000, 3000)), (copy, (3100, 5000)), (copy, (500_000, 500_100))])
    assert (needed.total, needed.missing) == (5000, 5000)
    told: list[tuple[int, int]] = []
    with needed.watched(lambda done, total: told.append((done, total))) as other:
        assert other is None
        check(copy, 0, 1000)
        assert elsewhere.asked == [(0, 5000)]
        check(copy, 500_000, 500_100)
    assert elsewhere.asked[1:] == [(500_000, 500_100)]
    assert (told[0], told[-1]) == ((0, 5000), (5000, 5000))
    here = Expectation([(copy, (0, 1000))])
    with here.watched(print) as other:
        assert (here.missing, other) == (0, print)


def test_a_full_disk_is_told_before_anything_is_fetched(root: Path) -> None:
    """What does not fit is refused by its size."""
    elsewhere = Elsewhere()
    copy = opened(root, elsewhere, size=1 << 43)
    with pytest.raises(CheckpointError, match=r"are needed of it.*make room, or set KINPRINT_CACHE"):
        Expectation([(copy, (0, 1 << 43))])
    assert elsewhere.asked == []


def test_what_came_before_a_failure_is_kept(root: Path) -> None:
    """The error is the source's own, once; the next try fetches the rest only."""
    elsewhere = Elsewhere()
    elsewhere.broken = range(40_000, 50_000)
    copy = opened(root, elsewhere)
    with pytest.raises(CheckpointError, match="broken off"):
        read(copy, 0, 100_000)
    elsewhere.broken = range(0)
    check(copy, 0, 100_000)
    assert elsewhere.asked[-1] == (40_000, 100_000)


def test_a_failing_piece_ends_all(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many pieces the first failure is the answer, pieces that wait are not begun, and nobody hangs."""
    monkeypatch.setattr(pieces, "PIECE", 10_000)
    elsewhere = Elsewhere()
    elsewhere.broken = range(len(CONTENT))
    elsewhere.delay = 0.05
    copy = opened(root, elsewhere)
    with pytest.raises(CheckpointError, match="broken off"):
        read(copy, 0, len(CONTENT))
    assert len(elsewhere.asked) < 50


def test_a_source_that_gives_everything(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever ignores ranges is read once, from its beginning to its end, and everything is kept."""
    monkeypatch.setattr(pieces, "PIECE", 50_000)
    elsewhere = Elsewhere()
    elsewhere.whole = True
    copy = opened(root, elsewhere)
    check(copy, 500_000, 900_000)
    before = len(elsewhere.asked)
    assert (0, len(CONTENT)) in elsewhere.asked
    check(copy, 0, len(CONTENT))
    assert len(elsewhere.asked) == before <= 1 + download.CONNECTIONS


@pytest.mark.parametrize("whole", [False, True])
def test_too_few_bytes_are_an_error(root: Path, whole: bool) -> None:
    """A source that ends early does not end in an endless loop."""
    elsewhere = Elsewhere(CONTENT[:5000])
    elsewhere.whole = whole
    copy = opened(root, elsewhere, size=10_000)
    elsewhere.read = lambda start, stop: ((at, CONTENT[at : at + 10]) for at in range(0 if whole else start, 5000, 10))  # type: ignore[method-assign]
    copy = opened(root, elsewhere, size=10_000)
    with pytest.raises(CheckpointError, match="fewer bytes came"):
        read(copy, 10, 10_000)


def test_more_bytes_than_said_are_an_error(root: Path) -> None:
    """The copy never grows beyond the size that was announced."""
    elsewhere = Elsewhere()
    elsewhere.whole = True
    copy = opened(root, elsewhere, size=15_000)
    with pytest.raises(CheckpointError, match="larger than was said"):
        read(copy, 10, 15_000)
    assert copy.path.stat().st_size == 15_000


def test_a_size_beyond_any_disk_is_an_error(root: Path) -> None:
    """What the file system cannot hold even as holes is refused in one line."""
    with pytest.raises(CheckpointError, match="cannot be stored"):
        opened(root, Elsewhere(), size=1 << 62)
