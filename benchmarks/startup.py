"""How long the command line takes to begin: beside `import numpy`, in one run, in processor time.

    python benchmarks/startup.py
    python benchmarks/startup.py --before ../older/src --json startup.json

Every command runs in a process of its own, on one processor, from a copy of the package whose bytecode is kept, as an
installation keeps it. The first comparison finds no machine code and no fingerprints, the second finds both. With `--before`
the same is asked of another state of the code, in turns.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
MODELS = ROOT / "examples" / "models"
PAIR = (str(MODELS / "base"), str(MODELS / "finetune"))
MEASURED = 10
"""Models in the library that is listed."""

COMMAND = "import sys; sys.argv[0] = 'kinprint'; from kinprint.cli import main; main()"

FILL = """
import sys, kinprint
found = kinprint.fingerprint(sys.argv[2])
library = kinprint.Library.open(sys.argv[1], create=True)
facts = ({**found.facts, "number": i} for i in range(COUNT))
library.add(kinprint.Fingerprint(f"model-{each['number']}", found.traits, each, found.provenance) for each in facts)
"""


class Took(NamedTuple):
    """Seconds."""

    processor: float
    wall: float


class Installed:
    """A copy of a package, with caches of its own."""

    def __init__(self, source: Path, folder: Path) -> None:
        self.source, self.cache = folder / "src", folder / "cache"
        shutil.copytree(source / "kinprint", self.source / "kinprint", ignore=shutil.ignore_patterns("__pycache__"))
        self.environment = {
            **{name: value for name, value in os.environ.items() if name not in ("PYTHONDONTWRITEBYTECODE", "NUMBA_CACHE_DIR")},
            "PYTHONPATH": str(self.source),
            "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
            "KINPRINT_CACHE": str(self.cache),
            "OMP_NUM_THREADS": "1",
            "NUMBA_NUM_THREADS": "1",
        }

    def run(self, code: str, *arguments: str) -> Took:
        """Python code in a process of its own; how it ends is its own concern."""
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([sys.executable, "-c", code, *arguments], env=self.environment, capture_output=True, check=False)
        wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        return Took(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall)

    def forget(self) -> None:
        """Remove machine code and fingerprints, as on the day of the installation."""
        shutil.rmtree(self.cache, ignore_errors=True)
        for file in (*self.source.rglob("*.nbi"), *self.source.rglob("*.nbc")):
            file.unlink()


def cases(library: str | None) -> dict[str, Callable[[Installed], Took]]:
    """What is measured, by name."""
    commands = {
        "--help": ("--help",),
        "--version": ("--version",),
        "compare --help": ("compare", "--help"),
        "a mistyped path": ("compare", "nosuch", "other"),
        **({} if library is None else {f"library list of {MEASURED}": ("library", "list", "--library", library)}),
    }
    found: dict[str, Callable[[Installed], Took]] = {"import numpy": lambda installed: installed.run("import numpy")}
    if library is not None:
        found["import lancedb"] = lambda installed: installed.run("import lancedb")
    for name, arguments in commands.items():
        found[name] = lambda installed, arguments=arguments: installed.run(COMMAND, *arguments)  # type: ignore[misc]
    return found


def first_compare(installed: Installed) -> Took:
    installed.forget()
    return installed.run(COMMAND, "compare", *PAIR)


def second_compare(installed: Installed) -> Took:
    return installed.run(COMMAND, "compare", *PAIR)


def best(times: list[Took]) -> Took:
    """What other work on the machine disturbed least."""
    return Took(min(each.processor for each in times), min(each.wall for each in times))


def measure(states: dict[str, Installed], library: str | None, repeats: int, firsts: int) -> dict[str, dict[str, Took]]:
    """Case -> state of the code -> time; states take turns."""
    plan = [
        *((name, case, repeats) for name, case in cases(library).items()),
        ("first compare", first_compare, firsts),
        ("second compare", second_compare, repeats),
    ]
    for installed in states.values():  # bytecode is written once
        for _, case, _ in plan:
            case(installed)
    table = {}
    for name, case, times in plan:
        taken: dict[str, list[Took]] = {state: [] for state in states}
        for _ in range(times):
            for state, installed in states.items():
                taken[state].append(case(installed))
        table[name] = {state: best(each) for state, each in taken.items()}
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, help="the src folder of another state of the code")
    parser.add_argument("--repeats", type=int, default=5, help="the best of so many")
    parser.add_argument("--firsts", type=int, default=1, help="of the first comparison")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        states = {"now": Installed(ROOT / "src", Path(folder, "now"))}
        if options.before is not None:
            states = {"before": Installed(options.before, Path(folder, "before")), **states}
        library = str(Path(folder, "library")) if importlib.util.find_spec("lancedb") else None
        if library is not None:
            states["now"].run(FILL.replace("COUNT", str(MEASURED)), library, PAIR[0])
        table = measure(states, library, options.repeats, options.firsts)
    print("| " + " | ".join(["", *(f"{state}: processor, s | times import numpy | wall, s" for state in states)]) + " |")
    print("|---|" + "---|---|---|" * len(states))
    for name, taken in table.items():
        cells = [
            f"{took.processor:.2f} | {took.processor / table['import numpy'][state].processor:.1f} | {took.wall:.2f}"
            for state, took in taken.items()
        ]
        print("| " + " | ".join([name, *cells]) + " |")
    if options.json is not None:
        figures = {name: {state: took._asdict() for state, took in taken.items()} for name, taken in table.items()}
        options.json.write_text(json.dumps({"format": "kinprint-startup/1", "seconds": figures}, indent=1) + "\n")


if __name__ == "__main__":
    main()
