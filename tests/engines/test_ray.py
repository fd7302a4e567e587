"""On a cluster of two nodes whose workers die: every item has its outcome once."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from kinprint.engines import known, named
from kinprint.engines._engine import RETRIES
from kinprint.errors import EngineError, MissingExtraError

RUN = known()["ray"].run


def by_value(function: Callable[..., object]) -> Callable[..., object]:
    """The function as Ray's workers take it, which have no folder of tests to import it from."""
    import ray.cloudpickle

    ray.cloudpickle.register_pickle_by_value(sys.modules[function.__module__])
    return function


def dies_first(folder: str, item: int) -> tuple[int, int, str]:
    """Every third item kills the worker that is first to try it."""
    mark = Path(folder, str(item))
    if item % 3 == 0 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return item, int(os.environ["OMP_NUM_THREADS"]), os.getcwd()


def dies_of(poison: int, item: int) -> int:
    if item == poison:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


STUCK = 300
"""Seconds."""


def slow_once(folder: str, item: int) -> int:
    """The first worker to try item 0 is stuck; whoever tries it again is not."""
    mark = Path(folder, "slow")
    if item == 0 and not mark.exists():
        mark.touch()
        time.sleep(STUCK)
    return item


def fails(item: int) -> int:
    raise ValueError(f"not {item}")


def test_a_killed_worker_loses_nothing(cluster: None, tmp_path: Path) -> None:
    """Items whose worker is killed once are done by another; each has one outcome, computed on one thread, in the folder from
    which relative names are meant."""
    found = list(RUN(partial(by_value(dies_first), str(tmp_path)), range(7), None))
    assert sorted((outcome.item, outcome.result) for outcome in found) == [(n, (n, 1, os.getcwd())) for n in range(7)]


def test_an_item_that_kills_every_worker_is_named(cluster: None) -> None:
    """It is given up after a few, and the others are done."""
    found = {outcome.item: outcome for outcome in RUN(partial(by_value(dies_of), 1), range(3), None)}
    assert {found[0].result, found[2].result} == {0, 2}
    assert isinstance(found[1].error, EngineError)
    assert str(found[1].error).startswith(f"1: {RETRIES + 1} workers died while they worked on it")


def test_a_straggler_is_tried_by_another(cluster: None, tmp_path: Path) -> None:
    """The item whose worker is stuck is done by the other node, once nothing else waits: sooner than the stuck one wakes."""
    start = time.monotonic()
    found = [outcome.item for outcome in RUN(partial(by_value(slow_once), str(tmp_path)), range(6), None)]
    assert sorted(found) == list(range(6))
    assert time.monotonic() - start < STUCK


def test_no_more_are_in_flight_than_wanted(cluster: None) -> None:
    """Of a sequence of a million items only the first few are looked at before the first outcome."""

    class Counted:
        seen = 0

        def __len__(self) -> int:
            return 1_000_000

        def __getitem__(self, index: int) -> int:
            Counted.seen = max(Counted.seen, index)
            return index

    outcomes = RUN(partial(by_value(dies_of), -1), Counted(), None)  # type: ignore[arg-type]
    next(outcomes)
    outcomes.close()
    assert Counted.seen < 10


def test_an_unexpected_exception_ends_the_run(cluster: None) -> None:
    with pytest.raises(ValueError, match="not 0"):
        list(RUN(by_value(fails), [0], None))


def test_a_cluster_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address, and what to check."""
    ray = pytest.importorskip("ray")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda *_, **__: (_ for _ in ()).throw(ConnectionError("nobody there")))
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(EngineError, match=r"127\.0\.0\.1:1: no Ray cluster to work on \(nobody there\); check RAY_ADDRESS"):
        list(RUN(dies_first, [0], None))


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'kinprint\[cluster\]'"):
        list(named("ray").run(dies_first, [0], None))
