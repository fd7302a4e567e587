"""How often the p-values of MDIR, which take the outer map for a Haar-random one, are small: of strangers and of relatives.

    python benchmarks/haar.py --zoo ZOO [--json FILE]      # every pair of a zoo
    python benchmarks/haar.py --models A B [--copies]      # every pair of some models; --copies: copies of each beside it

By truth, and whether there is a disguise between them: pairs, those that `mdir` applies to, how many reach p <= 0.05 and
p <= 1e-6 by the trace as it is and after channels were assigned, and the range of the statistic and of the trace; then how many
related pairs lie above every unrelated one, and the traces of unrelated pairs of a zoo beside those of Haar-random matrices of
their sizes, once more with channels sorted by the embedding's mean. Copies have noise of a tenth, permuted units, a rotation,
or every disguise.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.stats import ortho_group

from kinprint import transforms
from kinprint.architectures import Part, open_model
from kinprint.architectures.weights import Weights
from kinprint.benchmark import Pair, from_zoo
from kinprint.errors import TransformError
from kinprint.methods import known
from kinprint.zoo import Lineage

MDIR = next(method for method in known() if method.name == "mdir")
LEVELS = (0.05, 1e-6)
TRACE = "trace, channels assigned"
SORTED = "sorted strangers, both from scratch"
P = {"as it is": "log10 p under Haar", "channels assigned": "log10 p under Haar, channels assigned"}
"""Part of the finding that has each p-value."""
COPIES = {"noise": {"amount": 0.1, "seed": 0}, "permute": {"seed": 0}, "rotate": {"seed": 0}, "disguise": {"seed": 0}}

Row = dict[str, Any]


def row(group: str, reference: Weights, suspect: Weights) -> Row:
    found = MDIR(reference, suspect)
    names = {"group": group, "reference": reference.name, "suspect": suspect.name, "widths": [reference.hidden, suspect.hidden]}
    return names | {"statistic": found.statistic, "parts": dict(found.parts), "note": found.note}


def of_zoo(folder: Path) -> Iterator[Row]:
    pairs = from_zoo(folder)
    members = Lineage.read(folder).members
    opened = {name: open_model(place).weights for name, place in pairs.models.items()}
    for number, pair in enumerate(pairs.pairs):
        first = not members[pair.reference].parents and not members[pair.suspect].parents
        found = row(group_of(pair), opened[pair.reference], opened[pair.suspect])
        yield found | {"from scratch": first}
        if first and pair.truth == "unrelated":
            yield row(SORTED, *(sorted_channels(opened[name]) for name in (pair.reference, pair.suspect)))
        if number % 100 == 99:
            print(f"{number + 1} of {len(pairs.pairs)} pairs", flush=True)


def sorted_channels(model: Weights) -> Weights:
    """The model with its channels in the order of the embedding's mean over the tokens: a label that means something."""
    order = np.argsort(model.parts[None, "embedding", None].read().astype(np.float32).mean(axis=0))

    def taken(part: Part) -> Part:
        axis = part.axes.index("residual")
        return replace(part, read=lambda: np.take(part.read(), order, axis))

    return replace(
        model, parts={place: taken(part) if "residual" in part.axes else part for place, part in model.parts.items()}
    )


def group_of(pair: Pair) -> str:
    return f"{pair.truth}{', disguised' if pair.disguised else ''}"


def of_models(places: list[str], scratch: Path, *, copies: bool) -> Iterator[Row]:
    opened = {place: open_model(place).weights for place in places}
    for one, other in itertools.combinations(opened.values(), 2):
        yield row(f"{one.name}, {other.name}", one, other)
    for place, name in itertools.product(places if copies else [], COPIES):
        copy = scratch / f"{Path(place).name}-{name}"
        try:
            transforms.apply(name, place, copy, check=False, **COPIES[name])
        except TransformError as refused:
            print(f"no copy: {refused}", flush=True)
            continue
        weights = replace(open_model(copy).weights, tokens=opened[place].tokens)  # a GGUF file's tokenizer is not written again
        yield row(f"{opened[place].name}, copy: {name}", opened[place], weights)


def table(rows: list[Row]) -> Iterator[str]:
    """A line a group."""
    levels = [f"p <= {level:g}, {how}" for how in P for level in LEVELS]
    columns = ("pairs", "number", "applies to", *levels, "statistic", TRACE)
    yield f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}"
    groups: dict[str, list[Row]] = {}
    for each in rows:
        for group in (each["group"], *(["unrelated, both from scratch"] if alone(each) else [])):
            groups.setdefault(group, []).append(each)
    for group, members in sorted(groups.items()):
        applies = [each for each in members if each["statistic"] is not None]
        if not applies:
            yield f"| {group} | {len(members)} | 0 |{' |' * (len(columns) - 3)}"
            continue
        logs = {how: np.array([each["parts"][part] for each in applies]) for how, part in P.items()}
        reached = [int((logs[how] <= np.log10(level)).sum()) for how in P for level in LEVELS]
        ranges = [spread([each["statistic"] for each in applies])]
        ranges += [spread([each["parts"][TRACE] for each in applies])]
        yield f"| {group} | {len(members)} | {len(applies)} | {' | '.join(map(str, (*reached, *ranges)))} |"


def alone(each: Row) -> bool:
    """Whether no two of such pairs of a zoo repeat each other's draw but by sharing a model."""
    return each.get("from scratch", False) and each["group"] == "unrelated"


def spread(values: list[float]) -> str:
    low, middle, high = np.quantile(values, (0, 0.5, 1))
    return f"{low:.3f}" if len(values) == 1 else f"{low:.3f} to {high:.3f}, median {middle:.3f}"


def above(rows: list[Row]) -> Iterator[str]:
    """How many related pairs have more than any unrelated pair."""
    values = {"statistic": lambda each: each["statistic"], TRACE: lambda each: each["parts"][TRACE]}
    applies = [each for each in rows if each["statistic"] is not None]
    strangers = [each for each in applies if each["group"].startswith("unrelated")]
    for name, value in values.items():
        for group in ("related", "related, disguised"):
            found = [value(each) for each in applies if each["group"] == group]
            if strangers and found:
                largest = max(map(value, strangers))
                yield f"{name}: {sum(each > largest for each in found)} of {len(found)} {group} above every unrelated pair"


def beside_haar(rows: list[Row]) -> Iterator[str]:
    """Traces of unrelated pairs of one width, and of as many Haar-random matrices of their widths."""
    rng = np.random.default_rng(0)
    equal = [each for each in rows if each["statistic"] is not None and len(set(each["widths"])) == 1]
    strangers = [each for each in equal if each["group"].startswith("unrelated")]
    if not strangers:
        return
    groups = {"unrelated": strangers, "unrelated, both from scratch": list(filter(alone, strangers))}
    groups[SORTED] = [each for each in equal if each["group"] == SORTED]
    found = {
        name: [(each["parts"]["trace"] * each["widths"][0], each["parts"][TRACE]) for each in group]
        for name, group in groups.items()
    }
    found["Haar"] = [traces(ortho_group.rvs(each["widths"][0], random_state=rng)) for each in strangers]
    for name, values in found.items():
        trace, assigned = np.transpose(values)
        yield (
            f"{name}, {len(values)} of one width: trace {trace.mean():.2f}, standard deviation {trace.std():.2f}; "
            f"divided by the width after assignment {assigned.mean():.4f}, standard deviation {assigned.std():.4f}"
        )


def traces(map_: np.ndarray) -> tuple[float, float]:
    """The trace, and the largest sum of magnitudes of one entry a row and column divided by the width."""
    magnitudes = np.abs(map_)
    return float(np.trace(map_)), float(magnitudes[linear_sum_assignment(magnitudes, maximize=True)].mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zoo", type=Path)
    parser.add_argument("--models", nargs="+", default=[])
    parser.add_argument("--copies", action="store_true", help="compare each of the models with copies of it")
    parser.add_argument("--json", type=Path, help="where every pair is written")
    arguments = parser.parse_args()
    rows = list(of_zoo(arguments.zoo)) if arguments.zoo else []
    with tempfile.TemporaryDirectory(prefix="kinprint-haar-") as scratch:
        rows += of_models(arguments.models, Path(scratch), copies=arguments.copies)
    print("\n".join([*table(rows), *above(rows), *beside_haar(rows)]))
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
