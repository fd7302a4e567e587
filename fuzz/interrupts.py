"""Stop `kinprint fingerprint` at random moments: no half-written fingerprint is ever under the final name.

    python fuzz/interrupts.py --times 100 [--model examples/models/base] [--seed 0]

Half of the processes are stopped at any moment of their life, half of them while a fingerprint is being written (as soon as
its temporary file is there, in the folder or in the cache); half by Ctrl-C (SIGINT), half by SIGKILL, which no process can
answer. After each the final file must be absent, or the old one, or complete, and a second run must finish.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from functools import partial
from pathlib import Path

from kinprint import Fingerprint, fingerprint

PROGRAM = "from kinprint.cli import main; main()"


class BrokenError(AssertionError):
    """What must not happen has happened."""


def trial(model: Path, folder: Path, expected: Fingerprint, draw: random.Random, life: float) -> str:
    """Stop one process and look at what it left; returns what that was.

    Args:
        folder: of the final file and the cache, as the trials before left it.
        expected: the fingerprint of `model`.
        life: seconds that a process takes, about.

    Raises:
        BrokenError: the final file is neither absent, nor the old one, nor complete.
    """
    target, cache = folder / "it.kinprint", folder / "cache"
    earlier = draw.random() < 0.5
    target.unlink(missing_ok=True)
    if earlier:
        Fingerprint("earlier", {"gains.final": [1.0]}).save(target)
    for file in cache.rglob("*.kinprint"):  # else it would not be measured again
        file.unlink()
    leftovers = set(temporary(folder))
    how = draw.choice([signal.SIGINT, signal.SIGKILL])
    writing, patience = draw.random() < 0.5, draw.uniform(0, 1.2 * life)
    process = start(model, target, cache)
    begin = time.monotonic()
    while process.poll() is None and (time.monotonic() - begin < patience or writing):
        if writing and set(temporary(folder)) - leftovers:
            break
        time.sleep(0.0005)
    process.send_signal(how)
    process.wait()
    found = Fingerprint.load(target) if target.exists() else None  # a half-written one is an error here
    if found is None and earlier:
        raise BrokenError("the earlier file is gone")
    if found is not None and found != expected and found.name != "earlier":
        raise BrokenError("the file is neither the earlier nor the new one")
    left = "temporary file left" if set(temporary(folder)) - leftovers else "nothing left"
    state = "absent" if found is None else "earlier" if found != expected else "complete"
    return f"{how.name}, {left}, final file {state}"


def temporary(folder: Path) -> list[Path]:
    return [*folder.glob(".*.tmp"), *folder.glob("cache/fingerprints/.*.tmp")]


def start(model: Path, target: Path, cache: Path) -> subprocess.Popen[bytes]:
    """A process that minds SIGINT, which those of a shell's background jobs ignore."""
    command = [sys.executable, "-c", PROGRAM, "fingerprint", str(model), "-o", str(target)]
    environment = os.environ | {"KINPRINT_CACHE": str(cache)}
    quiet = subprocess.DEVNULL
    minding = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    return subprocess.Popen(command, env=environment, stdout=quiet, stderr=quiet, preexec_fn=minding)


def trials(model: Path, times: int, seed: int, folder: Path) -> Counter[str]:
    """Stop `times` processes, then let one finish on top of everything they left.

    Returns:
        How often each outcome was seen.

    Raises:
        BrokenError: a fingerprint was damaged, the last run failed, or leftovers an hour old survived it.
    """
    expected, draw = fingerprint(model, cache=False), random.Random(seed)
    begin = time.monotonic()
    start(model, folder / "it.kinprint", folder / "cache").wait()
    life = time.monotonic() - begin
    seen = Counter(trial(model, folder, expected, draw, life) for _ in range(times))
    for file in temporary(folder):
        os.utime(file, (0, 0))
    for file in (folder / "cache").rglob("*.kinprint"):
        file.unlink()
    if start(model, folder / "it.kinprint", folder / "cache").wait():
        raise BrokenError("the run after the interrupts failed")
    if Fingerprint.load(folder / "it.kinprint") != expected:
        raise BrokenError("the run after the interrupts wrote another fingerprint")
    if left := temporary(folder):
        raise BrokenError(f"leftovers of an hour ago were not removed: {left}")
    return seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--model", type=Path, default=Path(__file__).parents[1] / "examples" / "models" / "base")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kinprint-interrupts-") as folder:
        seen = trials(arguments.model, arguments.times, arguments.seed, Path(folder))
    for outcome, count in sorted(seen.items()):
        print(f"{count:5} {outcome}")
    print(f"{sum(seen.values()):5} in all: no half-written file, and the run after them completed")


if __name__ == "__main__":
    main()
