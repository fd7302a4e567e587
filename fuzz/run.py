"""Throw damaged files at every parser: `python fuzz/run.py [INPUTS] [SEED] [--target NAME]`.

Seeds lie in `fuzz/corpus`. Every input must give a result or one KinprintError whose message is a printable line, within two
seconds of processor time and with less than 1 GiB of memory for the whole process. One that breaks the rule is written to the
folder `findings`: fix the parser, then keep the input in the corpus. The tests do a little of this on every run.
"""

from __future__ import annotations

import argparse
import collections
import random
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

from mutate import mutate
from targets import TARGETS, Target

from kinprint.errors import KinprintError

SLOW = 2.0
"""Seconds of processor time: what else the machine does must not look like a finding."""

MEMORY = 2**30
"""Bytes, of the whole process."""


def examine(target: Target, folder: Path, content: bytes, seed: str) -> bool:
    """Whether the content was accepted.

    Raises:
        Exception: whatever is not a KinprintError with a printable line: a finding.
    """
    target.write(folder, content, seed)
    try:
        target.read(folder)
    except KinprintError as error:
        if not str(error).isprintable():
            raise ValueError("the message is not printable") from error
        return False
    return True


def trials(inputs: int, seed: int, targets: tuple[Target, ...], findings: Path) -> tuple[int, collections.Counter[str], float]:
    """How many inputs broke a rule, how many of each target were accepted, and the longest time."""
    rng = random.Random(seed)
    found, opened, slowest = 0, collections.Counter[str](), 0.0
    seeds = {target.name: target.seeds() for target in targets}
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(inputs):
            target = targets[number % len(targets)]
            name = rng.choice(list(seeds[target.name]))
            valid = seeds[target.name][name]
            content = rng.randbytes(rng.randrange(200)) if number // len(targets) % 50 == 49 else mutate(valid, rng)
            folder = Path(scratch) / f"{target.name}-{name}"
            folder.mkdir(exist_ok=True)
            before = {path.name for path in Path(scratch).iterdir()}
            start = time.process_time()
            try:
                opened[target.name] += examine(target, folder, content, name)
                took = time.process_time() - start
                slowest = max(slowest, took)
                assert took < SLOW, f"took {took:.1f} s"
                assert {path.name for path in Path(scratch).iterdir()} == before, "wrote outside its folder"
            except Exception as error:
                found += 1
                findings.mkdir(exist_ok=True)
                (findings / f"{target.name}-{name}-{seed}-{number}").write_bytes(content)
                print(f"{target.name}, input {number}: {type(error).__name__}: {error}", flush=True)
                shutil.rmtree(folder)
    return found, opened, slowest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", type=int, nargs="?", default=20_000)
    parser.add_argument("seed", type=int, nargs="?", default=0)
    parser.add_argument("--target", choices=[target.name for target in TARGETS])
    options = parser.parse_args()
    targets = tuple(target for target in TARGETS if options.target in (None, target.name))
    found, opened, slowest = trials(options.inputs, options.seed, targets, Path("findings"))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(f"{options.inputs:,} inputs, {found} findings, slowest {slowest:.2f} s, memory {memory / 2**20:.0f} MiB")
    print("accepted:", dict(opened))
    raise SystemExit(found > 0 or memory > MEMORY)


if __name__ == "__main__":
    main()
