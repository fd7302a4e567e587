"""Machines of a Ray cluster: when a worker or a machine dies, its items are tried again, and machines may join meanwhile.

The cluster is the one that $RAY_ADDRESS names (`auto`: the one this machine belongs to); without it, one is started on this
machine and ended afterwards. Workers need kinprint in the version that is here, and models under the same names: hub ids,
URLs, or folders that all machines share.
"""

from __future__ import annotations

import contextlib
import logging
import os
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from kinprint.engines._engine import RETRIES, Engine, Outcome, attempt, lost
from kinprint.errors import EngineError, MissingExtraError

QUEUED = 2
"""Items in flight for each processor: the next is there when one is done, and a million items do not flood the driver."""

SLOW = 2.0
"""An item that takes so many times the median is tried by a second worker too, once there is nothing else to do."""

LOOK = 1.0
"""Seconds between two looks at what is slow."""


def run(function: Callable[[Any], Any], items: Sequence[Any], workers: int | None) -> Iterator[Outcome[Any, Any]]:
    """As `Engine.run`; by default an item a processor, each computing on one.

    Raises:
        MissingExtraError: Ray is not installed.
        EngineError: the cluster cannot be reached, or has no kinprint, or another version of it.
    """
    ray = _ray()
    ours = not ray.is_initialized()
    if ours:
        _connect(ray, workers)
    flight = Flight(ray, function, items, workers)
    try:
        yield from flight.outcomes()
    finally:
        flight.stop()
        if ours:
            ray.shutdown()


class Flight:
    """Items on their way: tasks of Ray that are not done, a second one for what is slow at the end.

    Args:
        ray: the module, connected.
        function, items, workers: as of `Engine.run`.
    """

    def __init__(self, ray: Any, function: Callable[[Any], Any], items: Sequence[Any], workers: int | None) -> None:
        self._ray, self._function, self._items, self._workers = ray, function, items, workers
        self._remote = ray.remote(_attempt)
        self._waiting = iter(range(len(items)))
        self._flying: dict[Any, int] = {}
        """Task -> its item."""
        self._since: dict[int, float] = {}
        """Item -> when it left, of those that are not done."""
        self._twice: set[int] = set()
        self._took: deque[float] = deque(maxlen=1000)
        """Seconds of the latest that are done."""

    def outcomes(self) -> Iterator[Outcome[Any, Any]]:
        """Every item's, as they come."""
        self._fill()
        while self._flying:
            done, _ = self._ray.wait(list(self._flying), num_returns=1, timeout=LOOK)
            landed = [outcome for task in done for outcome in self._landed(task)]
            self._fill()
            yield from landed

    def stop(self) -> None:
        """Give up what is not done."""
        for task in self._flying:
            self._ray.cancel(task, force=True)

    def _fill(self) -> None:
        """Send off as many items as there is room for; once none waits, send slow ones a second time."""
        for item in islice(self._waiting, max(0, self._room() - len(self._flying))):
            self._send(item)
        for item in islice(self._late(), max(0, self._room() - len(self._flying))):
            self._send(item, scheduling_strategy="SPREAD")  # rather on another machine

    def _late(self) -> Iterator[int]:
        """Items that are slow, each once, where there is another machine for them."""
        if self._took and sum(node["Alive"] for node in self._ray.nodes()) > 1:
            start = time.monotonic() - max(LOOK, SLOW * statistics.median(self._took))
            for item in [item for item, since in self._since.items() if since < start and item not in self._twice]:
                self._twice.add(item)
                yield item

    def _room(self) -> int:
        """Tasks at the same time; asked anew, since machines come and go."""
        return self._workers or QUEUED * max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def _send(self, item: int, **options: Any) -> None:
        # Only death is retried by Ray: an exception would be the same again.
        remote = self._remote.options(num_cpus=1, max_retries=RETRIES, name="kinprint", **options)
        self._flying[remote.remote(os.getcwd(), self._function, self._items[item])] = item
        self._since.setdefault(item, time.monotonic())

    def _landed(self, task: Any) -> Iterator[Outcome[Any, Any]]:
        """The outcome of the item whose task has ended; none if another task has brought or may bring it."""
        item = self._flying.pop(task)
        if item not in self._since:
            return
        try:
            result = self._ray.get(task)
            outcome = Outcome(self._items[item], result.result, result.error)
        except self._ray.exceptions.RayTaskError:  # an exception of the function, and an instance of its class
            raise
        except self._ray.exceptions.RayError as error:  # dead workers, dead machines, no memory
            if item in self._flying.values():
                return
            outcome = Outcome(self._items[item], error=lost(self._items[item], str(error).split("\n")[0]))
        self._took.append(time.monotonic() - self._since.pop(item))
        for twin in [twin for twin, same in self._flying.items() if same == item]:
            self._ray.cancel(twin, force=True)
            del self._flying[twin]
        yield outcome


def _attempt(folder: str, function: Callable[[Any], Any], item: Any) -> Outcome[Any, Any]:
    """In a worker: in the folder of the driver, where there is one, so that relative names mean the same."""
    with contextlib.suppress(OSError):
        os.chdir(folder)
    return attempt(function, item)


def _ray() -> Any:
    try:
        import ray
        import ray.exceptions
    except ImportError:
        raise MissingExtraError("--engine ray", "needs Ray", "pip install 'kinprint[cluster]'") from None
    return ray


def _connect(ray: Any, workers: int | None) -> None:
    """Join the cluster of $RAY_ADDRESS, or start one here."""
    # Ray tells of every dead worker on stdout, which belongs to the program, whatever `log_to_driver` says.
    setattr(ray._private.worker, "print_to_stdstream", lambda *_, **__: None)  # noqa: B010
    address = os.environ.get("RAY_ADDRESS", "")
    if not address:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a cluster of ours reports to nobody
        try:
            ray.init("local", num_cpus=workers, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        except Exception as error:  # Ray has no class for it
            why = str(error).split("\n")[0]
            raise EngineError(
                "--engine ray", f"no cluster could be started here ({why})", "--engine processes needs none"
            ) from None
        return
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        why = str(error).split("\n")[0]
        raise EngineError(address, f"no Ray cluster to work on ({why})", "check RAY_ADDRESS and `ray status`") from None
    _require_kinprint(ray)


def _require_kinprint(ray: Any) -> None:
    """Measurements of different versions do not go together."""

    def version() -> str:  # pickled as it is, since it is no function of a module: a worker without kinprint can say so
        from importlib import metadata

        try:
            return metadata.version("kinprint")
        except metadata.PackageNotFoundError:
            return "none"

    theirs, ours = ray.get(ray.remote(version).options(num_cpus=1).remote()), version()
    if theirs != ours:
        raise EngineError(
            "the Ray cluster", f"its workers have kinprint {theirs}, this is {ours}", "install the same on all machines"
        )


ENGINE = Engine("ray", "machines of a Ray cluster: that of $RAY_ADDRESS, or this one alone", run)
