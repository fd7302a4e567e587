"""Building a zoo: every member as soon as its parents are there, several at once, from wherever an earlier build stopped."""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import queue
import shutil
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kinprint.errors import MissingExtraError, ZooError
from kinprint.zoo.lineage import Lineage
from kinprint.zoo.members import digests, finished, make, prepare
from kinprint.zoo.recipes import SIZES, Recipe, recipes

DEVICES = ("cpu", "cuda")
REST = 0.2
"""Seconds between two looks at the workers."""


@dataclass
class State:
    """Where a build stands, for whoever shows it.

    Attributes:
        total: members of the zoo.
        done: members that are there.
        running: member -> (steps done, steps in all, loss) of what is being trained.
        failed: member -> why it is not there.
    """

    total: int
    done: int = 0
    running: dict[str, tuple[int, int, float]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


Watch = Callable[[State], None]

_messages: Any = None


def build(
    folder: str | os.PathLike[str],
    size: str = "tiny",
    *,
    device: str = "cpu",
    jobs: int | None = None,
    watch: Watch | None = None,
    only: tuple[Recipe, ...] | None = None,
) -> Lineage:
    """Build a zoo, or complete it: members that an earlier build finished are kept.

    Args:
        folder: of the zoo.
        size: "tiny", "small" or "medium".
        device: "cpu" or "cuda".
        jobs: members made at once, each on one thread; by default one a processor, and one on a GPU.
        watch: called a few times a second with the state of the build.
        only: recipes other than those of the size.

    Returns:
        the lineage of the members, which lies in the folder as well.

    Raises:
        MissingExtraError: torch or transformers is not installed.
        ZooError: no such size or device, or members that could not be made; the others are there.
    """
    if size not in SIZES:
        raise ZooError(size, "no size of a zoo", f"choose from {', '.join(SIZES)}")
    if not all(importlib.util.find_spec(name) for name in ("torch", "transformers")):
        raise MissingExtraError("zoo build", "trains models with torch", "pip install 'kinprint[behaviour]'")
    _check(device)
    zoo = Path(folder)
    wanted = recipes(size) if only is None else only
    marks = digests(wanted, size)
    try:
        zoo.mkdir(parents=True, exist_ok=True)
        prepare(zoo, size)
    except OSError as error:
        raise ZooError(zoo, f"cannot be written ({error.strerror or error})", "check the folder and the space") from None
    todo = _unfinished(zoo, wanted, marks)
    state = State(total=len(wanted), done=len(wanted) - len(todo))
    try:
        _run(todo, zoo, size, device, jobs or (1 if device != "cpu" else os.cpu_count() or 1), marks, state, watch)
    finally:
        built = {r.member.name: r.member for r in wanted if finished(zoo / r.member.name, marks[r.member.name])}
        lineage = Lineage(size, {n: m for n, m in built.items() if all(p in built for p in m.parents)})
        lineage.write(zoo)
    if state.failed:
        name, reason = next(iter(state.failed.items()))
        raise ZooError(zoo / name, f"could not be made ({reason}); {len(state.failed)} such members", "the others are there")
    return lineage


def _check(device: str) -> None:
    """Refuse a device before anything is made, rather than once for every member."""
    if device not in DEVICES:
        raise ZooError(device, "no device to train on", f"choose from {', '.join(DEVICES)}")
    if device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise ZooError(device, "torch finds no GPU here", "use --device cpu, or a torch that was built for the GPU")


def _unfinished(zoo: Path, wanted: tuple[Recipe, ...], marks: dict[str, str]) -> list[Recipe]:
    """What is to be made; remains of an interrupted build go."""
    for left in zoo.glob(".*.*"):
        if left.is_dir() and any(left.name.startswith(f".{recipe.member.name}.") for recipe in wanted):
            shutil.rmtree(left, ignore_errors=True)
    return [recipe for recipe in wanted if not finished(zoo / recipe.member.name, marks[recipe.member.name])]


def _run(
    todo: list[Recipe],
    zoo: Path,
    size: str,
    device: str,
    jobs: int,
    marks: dict[str, str],
    state: State,
    watch: Watch | None,
) -> None:
    """Make members in worker processes, parents before children; whoever descends from a failure fails with it."""
    context = multiprocessing.get_context("spawn")
    messages = context.Queue()
    waiting = {recipe.member.name: recipe for recipe in todo}
    running: dict[Future[str], str] = {}
    pool = ProcessPoolExecutor(min(jobs, max(len(todo), 1)), mp_context=context, initializer=_begin, initargs=(messages,))
    try:
        while waiting or running:
            open_names = {*waiting, *running.values()}
            for name in [n for n, r in waiting.items() if not open_names & set(r.needs)]:
                recipe = waiting.pop(name)
                broken = next((need for need in recipe.needs if need in state.failed), None)
                if broken is not None:
                    state.failed[name] = f"{broken} is missing"
                else:
                    running[pool.submit(_work, recipe, zoo, size, device, marks[name])] = name
            for future in wait(running, timeout=REST, return_when=FIRST_COMPLETED).done:
                name = running.pop(future)
                state.running.pop(name, None)
                reason = _outcome(future)
                if reason:
                    state.failed[name] = reason
                else:
                    state.done += 1
            _listen(messages, state, set(running.values()))
            if watch is not None:
                watch(state)
    finally:
        _stop(pool)


def _outcome(future: Future[str]) -> str:
    """Why a member is not there, or nothing."""
    try:
        return future.result()
    except Exception as error:  # the worker is gone
        return str(error) or type(error).__name__


def _stop(pool: ProcessPoolExecutor) -> None:
    """End the workers, whatever they are doing."""
    workers = list((pool._processes or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for worker in workers:
        worker.terminate()


def _listen(messages: Any, state: State, running: set[str]) -> None:
    while True:
        try:
            name, *progress = messages.get_nowait()
        except queue.Empty:
            return
        if name in running:
            state.running[name] = (progress[0], progress[1], progress[2])


def _begin(messages: Any) -> None:
    """In a worker: quiet libraries, and where to report to."""
    global _messages
    _messages = messages
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the builder ends its workers itself
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it matrix products on a GPU need not repeat
    from transformers import logging

    quiet: Any = logging
    quiet.set_verbosity_error()
    quiet.disable_progress_bar()


def _work(recipe: Recipe, zoo: Path, size: str, device: str, digest: str) -> str:
    """Make a member; returns why it could not be made, since not every library's errors survive the way back."""
    parent = os.getppid()

    def tell(done: int, total: int, loss: float) -> None:
        if os.getppid() != parent:  # the build was killed, and nobody waits for this
            os._exit(1)
        _messages.put((recipe.member.name, done, total, loss))

    try:
        make(recipe, zoo, size, device, digest, tell)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""
