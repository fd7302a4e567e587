"""Stop `kinprint library add` at random moments: what a library holds is whole and there once, and the rerun completes.

    python fuzz/library_interrupts.py --times 100 [--models 24] [--seed 0]

Each time fingerprints and a checkpoint are added to a library, which is a fresh one every other time and else the one that the
interrupt before left. The process is stopped at any moment of its life, by Ctrl-C (SIGINT) or by SIGKILL. Then the library must
open, if there is one, every model in it must be there once and be read back as it was, and the same command must add the rest.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from interrupts import BrokenError

from kinprint import Fingerprint, Library, fingerprint

PROGRAM = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from kinprint.cli import main; main()"
"""Minds SIGINT, which processes of a shell's background jobs ignore."""

MODEL = Path(__file__).parents[1] / "examples" / "models" / "base"


def start(sources: list[Path], library: Path) -> subprocess.Popen[bytes]:
    """A process with a cache of its own beside the library, so that the checkpoint is measured."""
    command = [sys.executable, "-c", PROGRAM, "library", "add", *map(str, sources), "--library", str(library)]
    environment = os.environ | {"KINPRINT_CACHE": str(library.with_name("cache"))}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def held(library: Path, expected: dict[str, Fingerprint]) -> int:
    """How many models a library holds.

    Raises:
        BrokenError: one of them is there twice, is none of those that were added, or is not what was added.
    """
    if not library.exists():
        return 0
    opened = Library.open(library, create=True)
    digests = [model.digest for model in opened.models()]
    if len(set(digests)) < len(digests):
        raise BrokenError("a model is there twice")
    if any(digest not in expected or opened.get(digest) != expected[digest] for digest in digests):
        raise BrokenError("a model is not what was added")
    return len(digests)


def trials(times: int, models: int, seed: int, folder: Path) -> Counter[str]:
    """Stop `times` processes; each is followed by one that finishes what it began.

    Returns:
        How often each outcome was seen.

    Raises:
        BrokenError: a library is damaged, or a rerun failed or left something out.
    """
    rng, draw, library = np.random.default_rng(seed), random.Random(seed), folder / "library"
    whole = fingerprint(MODEL, cache=False)
    found = [Fingerprint(f"m{i}", {"channels.q": rng.uniform(0.5, 2, (2, 64)).astype(np.float32)}) for i in range(models)]
    sources = [*(folder / f"{each.name}.kinprint" for each in found), MODEL]
    for each, file in zip(found, sources, strict=False):
        each.save(file)
    expected = {each.digest: each for each in (*found, whole)}
    begin = time.monotonic()
    start(sources, library).wait()
    life = time.monotonic() - begin
    seen: Counter[str] = Counter()
    for number in range(times):
        if number % 2 == 0:
            shutil.rmtree(library, ignore_errors=True)
        shutil.rmtree(folder / "cache", ignore_errors=True)
        process = start(sources, library)
        time.sleep(draw.uniform(0, life))
        how = draw.choice([signal.SIGINT, signal.SIGKILL])
        process.send_signal(how)
        process.wait()
        count = held(library, expected)
        seen[f"{how.name}, {'nothing' if not count else 'all' if count == len(expected) else 'some'} of the models held"] += 1
        if number % 2 and (start(sources, library).wait() or held(library, expected) != len(expected)):
            raise BrokenError("the run after the interrupts did not complete")
    return seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--models", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kinprint-interrupts-") as folder:
        seen = trials(arguments.times, arguments.models, arguments.seed, Path(folder))
    for outcome, count in sorted(seen.items()):
        print(f"{count:5} {outcome}")
    print(f"{sum(seen.values()):5} in all: nothing damaged, nothing twice, and every rerun completed")


if __name__ == "__main__":
    main()
