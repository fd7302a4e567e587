"""Workers die, hang on, are interrupted: every item has its outcome once, and no process is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from waiting import PATIENCE, until

from kinprint.engines import named
from kinprint.engines._engine import RETRIES
from kinprint.errors import EngineError

RUN = named("processes").run


def dies_first(folder: Path, item: int) -> int:
    """Every third item kills the worker that is first to try it."""
    mark = folder / str(item)
    if item % 3 == 0 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return item**2


def dies_of(poison: int, item: int) -> int:
    if item == poison:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def threads(_: int) -> str:
    return os.environ["OMP_NUM_THREADS"]


def fails(item: int) -> int:
    raise ValueError(f"not {item}")


def cannot_be_sent(item: int) -> object:
    return lambda: item


def slow_first(folder: Path, item: int) -> int:
    """The first item waits until all others are done."""
    if item == 0:
        until(lambda: len(list(folder.iterdir())) == 5)
    (folder / str(item)).touch()
    return item


def test_a_killed_worker_loses_nothing(tmp_path: Path) -> None:
    """Items whose worker is killed once are done by another; each has one outcome."""
    found = list(RUN(partial(dies_first, tmp_path), range(7), 2))
    assert sorted((outcome.item, outcome.result) for outcome in found) == [(n, n**2) for n in range(7)]


def test_an_item_that_kills_every_worker_is_named() -> None:
    """It is given up after a few, and the others are done."""
    found = {outcome.item: outcome for outcome in RUN(partial(dies_of, 1), range(3), 1)}
    assert {found[0].result, found[2].result} == {0, 2}
    assert isinstance(found[1].error, EngineError)
    assert str(found[1].error).startswith(f"1: {RETRIES + 1} workers died while they worked on it (SIGKILL)")


def test_a_slow_item_holds_up_no_other(tmp_path: Path) -> None:
    """It is done last: all others were done by the other worker meanwhile."""
    found = [outcome.item for outcome in RUN(partial(slow_first, tmp_path), range(6), 2)]
    assert sorted(found) == list(range(6))
    assert found[-1] == 0


def test_processors_are_shared() -> None:
    """Two workers compute on half of the processors each."""
    (found,) = {outcome.result for outcome in RUN(threads, range(2), 2)}
    assert int(found) == max(1, (os.cpu_count() or 1) // 2)


@pytest.mark.parametrize(("function", "told"), [(fails, "not 0"), (cannot_be_sent, "pickle")])
def test_an_unexpected_exception_ends_the_run(function: object, told: str) -> None:
    """It is raised here, with where it was raised there; a result that cannot be sent is one."""
    with pytest.raises(Exception, match=told) as caught:
        list(RUN(function, [0], 1))
    assert "Traceback" in "".join(caught.value.__notes__)


SCRIPT = """
import os, signal, time
from kinprint.engines import named

def work(item):
    os.write(1, b"working\\n")  # in one piece: two workers write at once
    time.sleep(3600)

GUARD
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where these tests run in the background
    list(named("processes").run(work, range(2), 2))
"""


def test_a_script_without_a_guard_is_told(tmp_path: Path) -> None:
    """Workers that cannot start end the run at once, instead of being started for every item anew."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.replace("GUARD", "if True:"))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=PATIENCE, env=_environment())
    assert "EngineError: processes: a worker could not be started" in done.stderr


def test_no_worker_outlives_the_run(tmp_path: Path) -> None:
    """Ctrl-C, which a terminal sends to every process of a group, ends all and shows one traceback, not one a worker."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.replace("GUARD", "if __name__ == '__main__':"))
    process = subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=_environment(),
    )
    assert process.stdout is not None
    assert [process.stdout.readline()[:7] for _ in range(2)] == ["working"] * 2
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE)
    assert said.count("Traceback") == 1
    until(lambda: not _is_there(process.pid))  # Python's own tracker of resources takes a moment


def _is_there(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
