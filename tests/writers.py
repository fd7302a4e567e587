"""Processes that write into one library at the same time, some of them killed, while others read.

As a script: python tests/writers.py LIBRARY SCRATCH ROUNDS VICTIMS prints what `write_together` returns, as JSON. Each writer
adds, in every round, models of its own and models that all add, and notes in a file what is in once `add` has returned.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from waiting import PATIENCE

from kinprint import Fingerprint

WRITERS, EACH = 8, 3
"""Writers, and the models of its own, and of all, that a writer adds in one round."""


def write_together(library: Path, scratch: Path, rounds: int, victims: int) -> dict[str, Any]:
    """Let eight processes add to `library`; kill one at a random moment, `victims` times, and let another begin anew for it.

    Returns:
        acknowledged: digests whose `add` returned, in any process, the killed ones included.
        expected: number of models there have to be in the end.
        reads: how often the library was read meanwhile.
        wrong: what any of those reads saw that should not be: errors, a digest twice, an acknowledged digest missing.
        killed: processes that were killed before they were done.
    """
    command = [sys.executable, __file__, str(library), str(scratch), str(rounds), str(victims)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        told, _ = process.communicate(timeout=PATIENCE)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # all of them
    assert process.returncode == 0
    return dict(json.loads(told))


def model(writer: int, number: int) -> Fingerprint:
    """A small fingerprint of its own for each pair of numbers."""
    norms = np.random.default_rng((writer, number)).uniform(0.5, 2, (2, 64)).astype(np.float32)
    return Fingerprint(f"{writer}-{number}", {"channels.q": norms})


def _write(library: str, scratch: Path, writer: int, rounds: int) -> None:
    """What a writer does: rounds of adding; every fourth tidies up too."""
    from kinprint import Library

    opened = Library.open(library)
    (scratch / f"ready-{os.getpid()}").touch()
    while not (scratch / "go").exists():
        time.sleep(0.001)
    chance = random.Random(writer)
    for number in range(rounds):
        own = [model(writer, EACH * number + i) for i in range(EACH)]
        shared = [model(WRITERS, EACH * number + i) for i in range(EACH)]
        chance.shuffle(shared)
        opened.add([*own, *shared])
        with open(scratch / f"acknowledged-{os.getpid()}", "a") as file:
            file.write("".join(f"{each.digest}\n" for each in (*own, *shared)))
        if number % 4 == writer % 4:
            opened.optimize()


def _acknowledged(scratch: Path) -> set[str]:
    """Whole lines alone: who was killed may have left a part of one."""
    texts = (file.read_text() for file in scratch.glob("acknowledged-*"))
    return {line.strip() for text in texts for line in text.splitlines(keepends=True) if line.endswith("\n")}


def _main(library: str, scratch: Path, rounds: int, victims: int) -> None:
    import lance_namespace  # noqa: F401 - most of the time that importing Lance takes, once and not in every child

    children: dict[int, int] = {}

    def start(writer: int) -> None:
        child = os.fork()  # before this process loads Lance, which does not survive forking
        if child == 0:
            _write(library, scratch, writer, rounds)
            os._exit(0)
        children[child] = writer

    watcher = os.fork()
    if watcher == 0:
        (scratch / "seen").write_text(json.dumps(_watch(library, scratch)))
        os._exit(0)
    for writer in range(WRITERS):
        start(writer)
    while len(list(scratch.glob("ready-*"))) < WRITERS + 1:
        time.sleep(0.01)
    (scratch / "go").touch()
    chance, killed = random.Random(rounds), 0
    for _ in range(victims):
        victim = chance.choice(list(children))
        while not (scratch / f"acknowledged-{victim}").exists() and not _ended(victim):
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.2))
        os.kill(victim, signal.SIGKILL)
        killed += os.WIFSIGNALED(os.waitpid(victim, 0)[1])
        start(children.pop(victim))
    for child in children:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    (scratch / "done").touch()
    os.waitpid(watcher, 0)
    seen = json.loads((scratch / "seen").read_text())
    expected = (WRITERS + 1) * EACH * rounds
    print(json.dumps({"acknowledged": sorted(_acknowledged(scratch)), "expected": expected, "killed": killed, **seen}))


def _watch(library: str, scratch: Path) -> dict[str, Any]:
    """Read over and over until everyone is done."""
    from kinprint import Library

    opened, wrong, reads = Library.open(library), list[str](), 0
    (scratch / "ready-watcher").touch()
    while not (scratch / "done").exists():
        must = _acknowledged(scratch)
        try:
            found = Counter(each.digest for each in opened.models())
            stored = opened._table("models").count_rows()
            if must:
                opened.get(random.choice(sorted(must)))
        except Exception as error:
            wrong.append(repr(error))
            continue
        reads += 1
        if stored > len(opened):
            wrong.append(f"{stored - len(opened)} rows doubled")
        if missing := must - set(found):
            wrong.append(f"{len(missing)} acknowledged models are missing")
    return {"reads": reads, "wrong": wrong}


def _ended(child: int) -> bool:
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


if __name__ == "__main__":
    _main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
