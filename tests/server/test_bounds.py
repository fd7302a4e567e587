"""What strangers ask for stays bounded: memory, jobs that wait, how long one takes; and how a server begins."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from waiting import until

from kinprint import Fingerprint, Library
from kinprint.errors import BusyError
from kinprint.library import listing
from kinprint.server import jobs
from kinprint.server.bounded import Bounded
from kinprint.server.jobs import Jobs, Progress, new
from kinprint.server.names import Names
from kinprint.server.service import Service
from kinprint.server.settings import Settings


def test_bounded() -> None:
    """The least recently used goes first, by bytes or by number; the newest stays, however large it is."""
    kept = Bounded[str, int](most_bytes=10, most=3)
    for number, key in enumerate("abc"):
        kept.put(key, number, 3)
    assert kept.get("a") == 0
    kept.put("d", 3, 1)
    assert [key in kept for key in "abcd"] == [True, False, True, True]
    kept.put("e", 4, 8)
    assert [key in kept for key in "acde"] == [False, False, True, True]
    kept.put("e", 5, 100)
    assert [key in kept for key in "de"] == [False, True]
    kept.put("f", 6, 1)
    assert (kept.get("e"), kept.get("f")) == (None, 6)


def test_results_count_with_their_fingerprints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A comparison keeps both fingerprints in memory, so it is forgotten by their bytes."""
    Library.open(tmp_path / "library", create=True)
    service = Service(Settings(str(tmp_path / "library")))
    monkeypatch.setattr(service, "_results", Bounded(5000, 256))
    held = [service.keep(Fingerprint(f"m{n}", {"gains.final": np.full(500, 1.0 + n)})) for n in range(3)]
    first, second = service.compare(held[0], held[1]), service.compare(held[0], held[2])
    assert service.compare(held[0], held[2]) is second
    assert service.compare(held[0], held[1]) is not first
    service.close()


def test_jobs_wait_in_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one key there is one; too many are refused; those that ended long ago are forgotten; counts go on."""
    monkeypatch.setattr(jobs, "MOST_WAITING", 2)
    monkeypatch.setattr(jobs, "MOST_KEPT", 1)
    go_on, queue = threading.Event(), Jobs(1)
    first = queue.start(new("search", "a"), lambda progress: go_on.wait() and None, "key")
    assert queue.start(new("search", "a"), lambda progress: None, "key").id == first.id
    for _ in range(2):
        queue.start(new("search", "b"), lambda progress: None)
    with pytest.raises(BusyError, match="too many jobs"):
        queue.start(new("search", "c"), lambda progress: None)
    go_on.set()
    until(lambda: all(job.ended for job in queue.all()))
    queue.start(new("tree", "d"), lambda progress: None)
    assert queue.get(first.id) is None
    assert len(queue.all()) == 2
    until(lambda: queue.counts() == {("search", "done"): 3, ("tree", "done"): 1})
    queue.close()


def test_a_job_ends_some_day() -> None:
    """One that takes too long is given up at its next step, and says so."""

    def endless(progress: Progress) -> None:
        while True:
            progress(0, 1)

    queue = Jobs(1, longest=0.01)
    job = queue.start(new("comparison", "a and b"), endless)
    until(lambda: queue.wait(job.id, 1).ended)
    assert (queue.wait(job.id, 0).state, queue.wait(job.id, 0).error[:8]) == ("failed", "given up")


def test_names_of_a_large_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are kept from one start to the next, and not used once the library has changed."""
    monkeypatch.setattr(listing, "MOST", 1)
    library = Library.open(tmp_path / "library", create=True)
    library.add(Fingerprint(f"m{n}", {"gains.final": np.full(8, 1.0 + n)}) for n in range(3))
    names = Names(str(tmp_path / "library"))
    assert names.read() is None
    models = names.keep(lambda: list(library.listed()))
    kept = names.read()
    assert kept is not None
    assert kept.models == models == list(library.listed())
    assert str(kept.version) == library.version
    library.remove(["m1"])
    assert names.read() is None
    assert Names("memory://names").keep(lambda: models) == models


def test_the_first_page_imports_little() -> None:
    """What compares, and LanceDB, take seconds to import; the pages do not wait for them."""
    code = "import sys, kinprint.server.app; print({'lancedb', 'numba', 'scipy', 'pandas', 'skbio'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
