"""Which disguise hides what from which test?

    python benchmarks/hiding.py FOLDER [--json FILE]

FOLDER is a zoo (`kinprint zoo build`). Descendants of one step are taken from it, one of each family and kind, and of families
that have none there a copy with noise of a tenth is made. Each is compared with its parent, by every test that takes
fingerprints, as it is, after each disguise, after each two of them and after all of them. Every disguise draws from a seed of
its own. What was measured is kept in FILE (by default in FOLDER) and not measured again: name another file after a change of
the tests.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from rich.console import Console
from rich.progress import track

from kinprint.comparison import examine
from kinprint.errors import ArchitectureError, TransformError
from kinprint.methods import known
from kinprint.transforms import Model, read_model
from kinprint.transforms import known as transforms
from kinprint.transforms.disguise import STEPS
from kinprint.zoo import Lineage, habits

KINDS = ("fine-tune", "lora", "continued", "pruned-depth", "pruned-width", "swapped-vocabulary")
"""How the descendants came from their parents, as a zoo calls it."""

NOISE = 0.1
TESTS = (
    "channels",
    "heads",
    "neurons",
    "experts",
    "matched-invariants",
    "matched-readings",
    "matched-writes",
    "matched-heads",
)
SEEN = -6.0
"""log10 p from which a test has seen a descendant."""

WORSE = 0.5
"""Share of the weaker of two disguises' log10 p that both together must leave, or else they hide more than either."""

Row = dict[str, Any]
Dress = tuple[str, ...]
"""Disguises, in the order in which they are put on."""

SINGLE: tuple[Dress, ...] = ((), *((name,) for name in STEPS), ("disguise",), ("flip", "disguise"))
PAIRS: tuple[Dress, ...] = tuple(itertools.combinations(STEPS, 2))


@dataclass(frozen=True)
class Descendant:
    """A model and the one it was made from."""

    name: str
    parent: str
    noise: bool = False

    def open(self, zoo: Path) -> Model:
        if self.noise:
            return transforms()["noise"](read_model(zoo / self.parent), amount=NOISE, seed=crc32(self.name.encode()))
        return read_model(zoo / self.name)


def descendants(zoo: Path) -> Iterator[Descendant]:
    """One of each family and kind; of other families a noisy copy of the first base."""
    members = Lineage.read(zoo).members
    taken: set[tuple[str, str]] = set()
    for member in members.values():
        parents = [members[name] for name in member.parents]
        if member.kind in KINDS and len(parents) == 1 and not parents[0].parents and (member.family, member.kind) not in taken:
            taken.add((member.family, member.kind))
            yield Descendant(member.name, parents[0].name)
    families = {family for family, _ in taken}
    for member in members.values():
        if not member.parents and member.family not in families:
            families.add(member.family)
            yield Descendant(f"{member.name} with noise", member.name, noise=True)


def dressed(model: Model, dress: Dress, name: str) -> Model:
    """The model in disguise; an error says why its architecture does not allow that."""
    for step in dress:
        options = {} if step == "fold-gains" else {"seed": crc32(f"{name}: {'+'.join(dress)}: {step}".encode())}
        model = transforms()[step](model, **options)
    return model


class Bench:
    """Measures descendants; keeps what it measured in a file."""

    def __init__(self, zoo: Path, path: Path) -> None:
        self.zoo, self.path = zoo, path
        self.rows: dict[str, Row] = json.loads(path.read_text()) if path.exists() else {}
        self.tests = [method for method in known() if method.kind == "test" and not method.deep]
        self.parents: dict[str, Any] = {}

    def row(self, child: Descendant, dress: Dress) -> Row:
        """What the tests say of a descendant in a dress; only the reason where its architecture does not allow it."""
        key = f"{child.name}: {'+'.join(dress)}"
        if key not in self.rows:
            self.rows[key] = {"child": child.name, "dress": list(dress), **self._measured(child, dress)}
            temporary = self.path.with_suffix(".part")
            temporary.write_text(json.dumps(self.rows))
            temporary.replace(self.path)
        return self.rows[key]

    def _measured(self, child: Descendant, dress: Dress) -> Row:
        try:
            model = dressed(child.open(self.zoo), dress, child.name)
        except (TransformError, ArchitectureError) as error:
            return {"without": error.problem}
        if child.parent not in self.parents:
            self.parents[child.parent] = habits.measured(read_model(self.zoo / child.parent), child.parent)
        found = examine((self.parents[child.parent], habits.measured(model, child.name)), methods=self.tests)
        return {
            "related": found.verdict in ("related", "identical"),
            "forgeable": found.forgeable,
            "log10_p": found.log10_p,
            "unforgeable": found.unforgeable,
            "tests": {item.method: item.log10_p if item.decides else 0.0 for item in found.tests if item.applies},
            "set_aside": [item.method for item in found.tests if item.set_aside],
        }


def values(rows: list[Row], test: str) -> list[float]:
    """log10 p of a test where it applies; 0 where it is set aside."""
    return [row["tests"][test] for row in rows if test in row["tests"]]


def counts(rows: list[Row]) -> tuple[str, str]:
    """How many are called related, and of how many no relabelling can make that."""
    return f"{sum(row['related'] for row in rows)} of {len(rows)}", str(sum(row["forgeable"] is False for row in rows))


def rounded(value: float, digits: int = 0) -> str:
    return f"{round(value, digits) + 0.0:.{digits}f}"  # 0 has no sign


def header(first: str) -> Iterator[str]:
    yield f"| {first} | {' | '.join(f'`{name}`' for name in TESTS)} | related | no relabelling can make it |"
    yield "|---" * (len(TESTS) + 3) + "|"


def line(dress: Dress, rows: list[Row], marked: Set[str] = frozenset()) -> str:
    """A row of the table; `marked` are tests in bold."""
    cells = []
    for test in TESTS:
        found = values(rows, test)
        text = rounded(float(np.median(found))) if found else "–"
        cells.append(f"**{text}**" if test in marked else text)
    return f"| {', '.join(f'`{name}`' for name in dress) or 'none'} | {' | '.join(cells)} | {' | '.join(counts(rows))} |"


def hidden(rows: dict[Dress, dict[str, Row]], pair: Dress) -> set[str]:
    """Tests that see less of most descendants after two disguises than after the one of both that hides more."""
    found = set()
    for test in TESTS:
        worse = []
        for child, row in rows[pair].items():
            alone = [rows[step,][child]["tests"].get(test) for step in pair]
            if None not in alone and test in row["tests"] and max(alone) <= SEEN:
                worse.append(row["tests"][test] > WORSE * max(alone))
        if worse and np.median(worse) == 1:
            found.add(test)
    return found


def kept(rows: dict[Dress, dict[str, Row]]) -> Iterator[str]:
    """A line a test: of the descendants that it sees undisguised, how many copies it still sees, and the weakest p-value."""
    groups = {"one": SINGLE[1:-2], "two": PAIRS, "all": SINGLE[-2:]}
    yield f"| test | descendants it sees | {' | '.join(f'seen after {name} | weakest' for name in groups)} |"
    yield "|---" * (2 + 2 * len(groups)) + "|"
    for test in TESTS:
        seen = [child for child, row in rows[()].items() if row["tests"].get(test, 0.0) <= SEEN]
        cells = []
        for dresses in groups.values():
            found = [rows[dress][child]["tests"].get(test, 0.0) for dress in dresses for child in seen if child in rows[dress]]
            cells += [f"{sum(value <= SEEN for value in found)} of {len(found)}", rounded(max(found), 1) if found else "–"]
        yield f"| `{test}` | {len(seen)} of {len(values(list(rows[()].values()), test))} | {' | '.join(cells)} |"


def summary(rows: dict[Dress, dict[str, Row]]) -> Iterator[str]:
    """What pairs of disguises hide: of which descendants, and from which tests more than single ones do."""
    found = {pair: list(rows[pair].values()) for pair in PAIRS}
    every = [row for group in found.values() for row in group]
    yield f"{len(found)} pairs of disguises, {len(every)} copies: {told(every)}."
    for child in rows[()]:
        copies = [row for row in every if row["child"] == child]
        if not all(row["forgeable"] is False for row in copies):
            yield f"Of {child}: {told(copies)}, largest log10 p {rounded(max(row['log10_p'] for row in copies), 1)}."
            for row in copies:
                if not row["related"]:
                    yield f"Not related: {child} after {', '.join(row['dress'])}."
    yield ""
    worse = {pair: marked for pair in PAIRS if (marked := hidden(rows, pair))}
    if not worse:
        yield "No pair hides more from any test than the one of its two that hides more."
        return
    yield from header("pair that hides more")
    yield from (line(pair, found[pair], marked) for pair, marked in worse.items())


def told(rows: list[Row]) -> str:
    related, sure = counts(rows)
    return f"{related} related, of {sure} no relabelling can make it"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a zoo")
    parser.add_argument("--json", type=Path, help="where results are kept, if not in the folder")
    arguments = parser.parse_args()
    bench = Bench(arguments.folder, arguments.json or arguments.folder / "hiding.json")
    children = list(descendants(arguments.folder))
    todo = [(dress, child) for dress in (*SINGLE, *PAIRS) for child in children]
    rows: dict[Dress, dict[str, Row]] = {dress: {} for dress, _ in todo}
    for dress, child in track(todo, description="copies", console=Console(stderr=True)):
        row = bench.row(child, dress)
        if "without" not in row:
            rows[dress][child.name] = row
    print(f"{len(children)} descendants: {', '.join(child.name for child in children)}\n")
    print("\n".join(header("disguise")))
    print("\n".join(line(dress, list(rows[dress].values())) for dress in SINGLE))
    print()
    print("\n".join(kept(rows)))
    print()
    print("\n".join(summary(rows)))
    every = [(dress, row) for dress in rows for row in rows[dress].values()]
    print()
    for test in sorted({name for _, row in every for name in row["set_aside"]}):
        where = [f"{row['child']} after {', '.join(dress) or 'nothing'}" for dress, row in every if test in row["set_aside"]]
        print(f"{test} set aside {len(where)} times: {'; '.join(where[:3])}{' ...' if len(where) > 3 else ''}")


if __name__ == "__main__":
    main()
