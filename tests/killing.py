"""Killing processes that read a model, at random moments, and finishing what they began.

As a script: python tests/killing.py MODEL CACHE MOMENTS prints how many were killed and the digest at the end.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from waiting import PATIENCE, until


def kill_and_finish(model: str, cache: Path, moments: int) -> tuple[int, str]:
    """Begin to fingerprint `model` with the cache folder `cache` and kill it (SIGKILL), `moments` times, then let it finish.

    Each goes on where the one before was killed; after one that was not, the cache is emptied.

    Returns:
        how many processes were killed before they were done, and the digest at the end.
    """
    command = [sys.executable, __file__, model, str(cache), str(moments)]  # a process without threads, which can fork
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    killed, digest = done.stdout.split()
    return int(killed), digest


def _main(model: str, cache: str, moments: int) -> None:
    from huggingface_hub import HfApi, get_session, hf_hub_url  # noqa: F401 - once, not in every child

    from kinprint import fingerprint
    from kinprint.checkpoints.remote import pieces

    os.environ["KINPRINT_CACHE"] = cache
    pieces.PIECE = 1 << 16
    chance, killed = random.Random(0), 0
    for _ in range(moments):
        before = _written(Path(cache))
        child = os.fork()
        if child == 0:
            fingerprint(model, cache=False, threads=2)
            os._exit(0)
        until(partial(_moved, Path(cache), before, child), every=0.002)
        time.sleep(chance.uniform(0, 0.15))
        os.kill(child, signal.SIGKILL)
        if os.WIFSIGNALED(os.waitpid(child, 0)[1]):
            killed += 1
        else:  # everything was there: begin anew
            shutil.rmtree(cache)
    print(killed, fingerprint(model, cache=False).digest)


def _written(cache: Path) -> int:
    return sum(path.stat().st_size for path in cache.glob("remote/*/ranges/*") if path.exists())


def _moved(cache: Path, before: int, child: int) -> bool:
    """Whether the child has written something, or has ended."""
    return _written(cache) != before or _ended(child)


def _ended(child: int) -> bool:
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
