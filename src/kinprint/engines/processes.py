"""Processes of this machine: a worker that is killed, for want of memory say, costs one try at one item.

Why not a pool of a library: `concurrent.futures` and loky give up every item that is waiting when one worker is killed, and
pebble's workers share one pipe and its locks, so that one that is killed while it sends breaks them for all. Here each worker
has a pipe of its own, and what it was doing when the pipe broke is known.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

from kinprint.engines._engine import RETRIES, Engine, Outcome, attempt, lost
from kinprint.errors import EngineError


class Task(NamedTuple):
    """An item, and how many workers have died of it."""

    item: Any
    deaths: int = 0


class Worker:
    """A process that works on one task at a time."""

    def __init__(self, function: Callable[[Any], Any], threads: int, task: Task) -> None:
        context = multiprocessing.get_context("spawn")  # a fork of a process whose libraries run threads may hang
        self.connection, far_end = context.Pipe()
        self.process = context.Process(target=_work, args=(far_end, function, threads), daemon=True)
        with _interrupts_held():
            self.process.start()
        far_end.close()  # so that the pipe breaks with the process
        self.heard = False
        self.give(task)

    def give(self, task: Task) -> None:
        """Hand over the next task; a worker that is dead by now is found dead when it is listened to."""
        self.task = task
        with contextlib.suppress(OSError):
            self.connection.send(task.item)

    def listen(self) -> Outcome[Any, Any] | None:
        """What came of the task; None if the process has died of it. Raises what the function raised."""
        try:
            answer, raised = pickle.loads(self.connection.recv_bytes())
        except (EOFError, OSError):
            self.process.join()
            self._require_start()
            return None
        self.heard = True
        if raised is not None:
            raise raised
        return Outcome(self.task.item, answer.result, answer.error)

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        self.process.kill()
        self.process.join()
        self.connection.close()

    @property
    def end(self) -> str:
        """How the process ended."""
        code = self.process.exitcode or 0
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"

    def _require_start(self) -> None:
        if not self.heard and (self.process.exitcode or 0) > 0:  # it was not killed: it could not begin, nor could the next
            remedy = "in a script, call it under `if __name__ == '__main__':`; what the process said stands above"
            raise EngineError("processes", "a worker could not be started", remedy)


def run(function: Callable[[Any], Any], items: Sequence[Any], workers: int | None) -> Iterator[Outcome[Any, Any]]:
    """As `Engine.run`; by default one worker a processor, each computing on its share of the processors.

    Every worker holds one item at a time, so that a slow one delays no other.
    """
    processors = os.cpu_count() or 1
    count = min(workers or processors, len(items))
    waiting = deque(map(Task, items))
    crew: dict[Any, Worker] = {}

    def hire() -> None:
        worker = Worker(function, max(1, processors // count), waiting.popleft())
        crew[worker.connection] = worker

    def again(task: Task, why: str) -> Iterator[Outcome[Any, Any]]:
        """After a death: last in the queue, when fewer others need memory, unless it has been the death of too many."""
        if task.deaths < RETRIES:
            waiting.append(Task(task.item, task.deaths + 1))
        else:
            yield Outcome(task.item, error=lost(task.item, why))

    try:
        for _ in range(count):
            hire()
        while crew:
            for connection in wait(list(crew)):
                worker = crew[connection]
                task, outcome = worker.task, worker.listen()
                if outcome is None:
                    crew.pop(connection).stop()
                    yield from again(task, worker.end)
                    if waiting:
                        hire()
                    continue
                if waiting:  # before the outcome is looked at, which may take its time
                    worker.give(waiting.popleft())
                else:
                    crew.pop(connection).stop()
                yield outcome
    finally:
        for worker in crew.values():
            worker.stop()


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Ctrl-C is for whoever started the workers, and ends them: they inherit that it is blocked, even while they start."""
    if sys.platform == "win32":
        yield
        return
    resource_tracker.ensure_running()  # not later, since it ends with interrupts let through
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(connection: Connection, function: Callable[[Any], Any], threads: int) -> None:
    """A worker's life: an item in, what came of it out, until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _use_threads(threads)
    while True:
        try:
            item = connection.recv()
        except EOFError:
            return
        answer = _answer(function, item)
        try:
            connection.send_bytes(answer)
        except OSError:  # nobody waits for it any more
            return


def _answer(function: Callable[[Any], Any], item: Any) -> bytes:
    """An outcome or an exception, pickled: a result that cannot be pickled is an exception too."""
    try:
        return pickle.dumps((attempt(function, item), None))
    except BaseException as error:
        error.add_note("".join(traceback.format_exception(error)))  # where in the worker it was raised
        try:
            pickle.loads(answer := pickle.dumps((None, error)))
        except Exception:
            return pickle.dumps((None, RuntimeError("".join(traceback.format_exception(error)))))
        return answer


def _use_threads(count: int) -> None:
    """Every worker computes on its share of the processors, or all would fight for them."""
    import numba
    from threadpoolctl import threadpool_limits

    os.environ["OMP_NUM_THREADS"] = str(count)
    numba.set_num_threads(min(count, numba.get_num_threads()))
    threadpool_limits(count)


ENGINE = Engine("processes", "processes of this machine, each on its share of the processors", run)
