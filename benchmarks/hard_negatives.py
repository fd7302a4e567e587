"""Do models that share only a habit of labels look related? Makes many of each habit, compares all pairs, none of them related.

    python benchmarks/hard_negatives.py FOLDER [--models 25] [--only HABIT ...] [--bases random trained] [--json FILE]

A habit is a way of labelling units that strangers may share: neurons in order of importance, zero units, layers stored twice
(`kinprint.zoo.habits`; `habit_training.py` has those that training gives). Each is given to models that are independent of
each other: random ones, or ones that the zoo's recipe trained, each from a seed of its own. Within a habit and a family all
pairs are unrelated, so p-values should be uniform and nobody accused. Beside them stand related pairs, each such model with a
copy that noise changed by a tenth, and the same for the models without the habit: what forgiving habits costs.

What was measured is kept in FILE (by default in FOLDER) and not measured again: name another file after a change of the tests.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import habit_training
import numpy as np
from calibration import founders
from scipy.stats import kstest

from kinprint import Fingerprint, Method
from kinprint.comparison import examine
from kinprint.errors import KinprintError
from kinprint.methods import known
from kinprint.transforms import Model, read_model
from kinprint.transforms import known as transforms
from kinprint.zoo import habits
from kinprint.zoo.build import build
from kinprint.zoo.families import Shape

NOISE = 0.1
FOUND = -6.0
"""log10 p at which a related pair counts as found."""

LEVEL = 0.03
NONE = habits.LabelHabit("none", "no habit", (), lambda model, _: model, families=habits.FAMILIES)

Row = dict[str, Any]
Bases = Callable[[int], Model]
"""Number of a model -> the model without a habit."""


@dataclass(frozen=True)
class Case:
    """One habit given to models of one family.

    Attributes:
        base: whether the models are "random" or "trained".
        bases: the models before they have the habit.
        habit: gives it; nothing where training has given it.
        control: names the bases, so that they are measured once for all habits.
    """

    name: str
    family: str
    base: str
    bases: Bases
    habit: Callable[[Model, int], Model]
    control: str

    def key(self, models: int, children: int) -> str:
        return f"{self.name} / {self.family} / {self.base} / {models} / {children}"


def random_bases(family: str, shape: Shape) -> Bases:
    return lambda number: habits.stranger(family, number, shape)


def trained_bases(family: str, folder: Path, models: int) -> Bases:
    """Models that the zoo's recipe trains when the first of them is asked for."""

    @cache
    def built() -> list[str]:
        return list(build(folder, "tiny", only=founders(family, models), jobs=1).members)

    return lambda number: read_model(folder / built()[number])


def cases(folder: Path, arguments: argparse.Namespace) -> Iterator[Case]:
    """Every habit that was asked for."""
    for base in arguments.bases:
        for habit in (NONE, *habits.known().values()):
            for family in (family for family in arguments.families if family in habit.families):
                if base == "random":
                    bases, control = random_bases(family, habit.shape), f"{family} / {habit.shape}"
                else:
                    bases, control = (
                        trained_bases(family, folder / "founders", arguments.models),
                        f"{family} / trained",
                    )
                yield Case(habit.name, family, base, bases, habit, control)
    for trained in habit_training.HABITS if "trained" in arguments.bases else ():
        made = partial(habit_training.make, trained, folder=folder / "habits")
        bases = lambda number, made=made: read_model(made(number))  # noqa: E731
        yield Case(trained.name, trained.family, "trained", bases, NONE, trained.name)


def reading(one: Fingerprint, other: Fingerprint, tests: list[Method]) -> Row:
    """What a comparison says: its verdict, log10 p, and that of each test that applies."""
    comparison = examine((one, other), methods=tests)
    found = {item.method: item.log10_p for item in comparison.evidence if item.log10_p is not None}
    return {"verdict": comparison.verdict, "log10_p": comparison.log10_p, "tests": found}


def child(model: Model, number: int) -> Fingerprint:
    """A noisy copy, with noise of its own."""
    return habits.measured(transforms()["noise"](model, amount=NOISE, seed=1000 + number), f"child-{number}")


class Bench:
    """Measures cases; keeps what it measured in a file."""

    def __init__(self, path: Path, models: int, children: int, names: list[str] | None) -> None:
        self.path, self.models, self.children = path, models, min(children, models)
        self.tests = [m for m in known() if m.kind == "test" and not m.deep and (names is None or m.name in names)]
        self.rows: dict[str, Row] = json.loads(path.read_text()) if path.exists() else {}
        self.without: dict[str, list[Row]] = {}

    def row(self, case: Case) -> Row:
        """The row of a case, measured unless it is kept."""
        key = case.key(self.models, self.children)
        if key not in self.rows:
            self.rows[key] = self._measured(case)
            temporary = self.path.with_suffix(".part")
            temporary.write_text(json.dumps(self.rows))
            temporary.replace(self.path)
        return self.rows[key]

    def _measured(self, case: Case) -> Row:
        begun = time.perf_counter()
        prints, related = [], []
        for number in range(self.models):
            model = case.habit(case.bases(number), number)
            prints.append(habits.measured(model, f"{case.name}-{number}"))
            if number < self.children:
                related.append(reading(prints[number], child(model, number), self.tests))
            tell(f"{case.name}, {case.family}, {case.base}: model {number + 1} of {self.models}")
        pairs = list(itertools.combinations(range(self.models), 2))
        strangers = []
        for done, (i, j) in enumerate(pairs, 1):
            strangers.append(reading(prints[i], prints[j], self.tests))
            if done % 10 == 0 or done == len(pairs):
                tell(f"{case.name}, {case.family}, {case.base}: pair {done} of {len(pairs)}")
        seconds = round(time.perf_counter() - begun, 1)
        about = {"habit": case.name, "family": case.family, "base": case.base, "seconds": seconds}
        return {**about, "strangers": strangers, "children": related, "children_without": self._without(case)}

    def _without(self, case: Case) -> list[Row]:
        """The related pairs of the same bases, which have no habit."""
        if case.control not in self.without:
            models = [(number, case.bases(number)) for number in range(self.children)]
            self.without[case.control] = [
                reading(habits.measured(model, f"base-{number}"), child(model, number), self.tests) for number, model in models
            ]
        return self.without[case.control]


def tell(text: str) -> None:
    print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def accused(rows: list[Row]) -> int:
    return sum(row["verdict"] in ("related", "identical") for row in rows)


def found(rows: list[Row]) -> str:
    """How many related pairs are found, and their median log10 p."""
    values = [row["log10_p"] for row in rows]
    return f"{sum(value <= FOUND for value in values)} of {len(values)} | {np.median(values):.1f}" if values else "| "


def header(*columns: str) -> str:
    return f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}"


def verdicts(rows: list[Row]) -> Iterator[str]:
    """A line a habit: who is accused, and what of the related is found."""
    yield header(
        "habit",
        "family",
        "bases",
        "pairs",
        "accused",
        "smallest log10 p",
        "children found",
        "median log10 p",
        "found without the habit",
        "median log10 p",
    )
    for row in rows:
        strangers = row["strangers"]
        least = min((pair["log10_p"] for pair in strangers), default=0.0)
        about = f"{row['habit']} | {row['family']} | {row['base']} | {len(strangers)} | {accused(strangers)} | {least:.1f}"
        yield f"| {about} | {found(row['children'])} | {found(row['children_without'])} |"


def by_test(rows: list[Row]) -> Iterator[str]:
    """A line a habit and test: whether its p-values are uniform on strangers, and small on children."""
    yield header(
        "habit",
        "family",
        "bases",
        "test",
        "pairs",
        "smallest log10 p",
        f"p <= {LEVEL}",
        "KS p",
        "children, median log10 p",
        "without the habit",
    )
    for row in rows:
        for test in sorted({name for pair in row["strangers"] for name in pair["tests"]}):
            values, *children = (
                np.array([pair["tests"][test] for pair in row[side] if test in pair["tests"]])
                for side in ("strangers", "children", "children_without")
            )
            p = np.minimum(10.0**values, 1.0)
            share, uniform = (values <= math.log10(LEVEL)).mean(), kstest(p, "uniform").pvalue
            medians = " | ".join(f"{np.median(side):.1f}" if len(side) else "" for side in children)
            about = f"{row['habit']} | {row['family']} | {row['base']} | {test}"
            yield f"| {about} | {len(p)} | {values.min():.1f} | {share:.1%} | {uniform:.2g} | {medians} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where trained models and results are kept")
    parser.add_argument("--models", type=int, default=25, help="of each habit and family")
    parser.add_argument("--children", type=int, default=8, help="models of each habit that get a noisy copy")
    parser.add_argument("--only", nargs="+", metavar="HABIT", help="some habits")
    parser.add_argument("--families", nargs="+", default=["llama", "gpt2", "mixtral"], choices=habits.FAMILIES)
    parser.add_argument("--bases", nargs="+", default=["random"], choices=["random", "trained"])
    parser.add_argument("--tests", nargs="+", metavar="TEST", help="some tests; by default all that compare fingerprints")
    parser.add_argument("--json", type=Path, help="where the results are kept, if not in the folder")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    kept = arguments.json or arguments.folder / "hard-negatives.json"
    bench = Bench(kept, arguments.models, arguments.children, arguments.tests)
    rows, refused = [], []
    for case in cases(arguments.folder, arguments):
        if arguments.only and case.name not in arguments.only:
            continue
        try:
            rows.append(bench.row(case))
        except KinprintError as error:
            refused.append(f"{case.name}, {case.family}, {case.base}: {error}")
    tell("")
    print("\n".join([*verdicts(rows), "", *by_test(rows)]))
    print("\n".join(refused), file=sys.stderr)


if __name__ == "__main__":
    main()
