"""Can evidence be made? Strangers put through one tool with one seed, and strangers one of whom was fitted to the other.

    python benchmarks/forgeries.py FOLDER [--pairs 25] [--json FILE]

A network computes the same when its units stand in another order, gated neurons are turned or scaled, heads mixed, and so on.
So one tool with one seed sets all of this alike in two models that have nothing in common, and an accuser may fit his own model
to the one he accuses: give its neurons, heads and channels the order, the scales and the signs that agree best, by assignment
on what he cannot change. Strangers are those of `long_strangers.py`. No claim that was fitted may be believed, unless the
report says that it rests on labels and signs alone. Weights that are moved halfway are no relabelling, but half a copy.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from long_strangers import MODELS, build
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from scipy.optimize import linear_sum_assignment
from unforgeable import reading

from kinprint.architectures import Place
from kinprint.errors import KinprintError
from kinprint.fingerprints.form_columns import EVEN, ODD
from kinprint.matching.forms import described_by, signs_of
from kinprint.matching.invariants import invariants
from kinprint.methods._heads import Side, structure
from kinprint.methods.channels import LAYERED
from kinprint.statistics import normal_scores
from kinprint.transforms import Model, read_model
from kinprint.transforms import known as transforms
from kinprint.transforms._model import head_rows, scaled, taken, widened
from kinprint.zoo import habits

Array = NDArray[np.float64]
Row = dict[str, Any]
Fit = Callable[[Model, Model], Model]
"""(the accuser's model, the accused one) -> the accuser's model, fitted."""

TOOLS = [*(name for name, transform in transforms().items() if transform.kind == "disguise"), "noise", "upcycle", "quantize"]
AMOUNT = 0.5
"""Standard deviations of noise, the same numbers in both models."""


def assigned(mine: Array, theirs: Array) -> NDArray[np.int64]:
    """Which of my units (units, features) to put in the place of each of theirs."""
    distances = ((np.nan_to_num(theirs)[:, None] - np.nan_to_num(mine)[None]) ** 2).sum(-1)
    return np.asarray(linear_sum_assignment(distances)[1])


def ordered(model: Model, orders: Sequence[NDArray[np.int64]]) -> Model:
    """The model with the neurons of every layer in another order."""
    found = dict(model.parts)
    for (layer, role, expert), part in model.parts.items():
        if layer is not None and role in ("gate", "up", "down"):
            found[layer, role, expert] = taken(part, 1 if role == "down" else 0, orders[layer])
    return model.updated(found)


def by_what_labels_show(mine: Model, theirs: Model) -> Model:
    """Neurons in the order that agrees best in what the test by label reads."""
    x, y = (normal_scores(invariants(habits.measured(model, "fitted"))) for model in (mine, theirs))
    return ordered(mine, [assigned(a, b) for a, b in zip(x, y, strict=True)])


def places(model: Model, layer: int) -> NDArray[np.int64]:
    """Neurons of a layer in the order of the trait `neurons.forms`: the heaviest first."""
    gate, up, down = (widened(model.parts[layer, role, None].read()).astype(float) for role in ("gate", "up", "down"))
    return np.argsort(-(gate**2).sum(1) * (up**2).sum(1) * (down**2).sum(0), kind="stable")


def forms(model: Model) -> Array:
    """(layers, neurons, 30) `neurons.forms` in the order of the neurons."""
    found = np.array(habits.measured(model, "fitted").traits["neurons.forms"], dtype=np.float64)
    for layer, rows in enumerate(found):
        rows[places(model, layer)] = rows.copy()
    return found


def by_our_own_code(mine: Model, theirs: Model) -> Model:
    """The order that agrees best in everything by which `matched-invariants` matches neurons."""
    x, y = (described_by(forms(model), list(EVEN), list(ODD)) for model in (mine, theirs))
    return ordered(mine, [assigned(a, b) for a, b in zip(x, y, strict=True)])


def with_scales(mine: Model, theirs: Model) -> Model:
    """Every up row as long as theirs, every down column changed to make up for it."""
    found: dict[Place, Any] = {}
    for layer in range(mine.layers):
        sizes = [np.linalg.norm(widened(m.parts[layer, "up", None].read()).astype(float), axis=1) for m in (mine, theirs)]
        factors = sizes[1] / sizes[0]
        found[layer, "up", None] = scaled(mine.parts[layer, "up", None], 0, factors)
        found[layer, "down", None] = scaled(mine.parts[layer, "down", None], 1, 1 / factors)
    return mine.updated(found)


def with_signs(mine: Model, theirs: Model) -> Model:
    """Every neuron turned so that it agrees with theirs in what its sign changes."""
    x, y = (signs_of(forms(model), list(ODD)) for model in (mine, theirs))
    found: dict[Place, Any] = {}
    for layer in range(mine.layers):
        turn = np.where(np.einsum("nf,nf->n", x[layer], y[layer]) < 0, -1.0, 1.0)
        found[layer, "up", None] = scaled(mine.parts[layer, "up", None], 0, turn)
        found[layer, "down", None] = scaled(mine.parts[layer, "down", None], 1, turn)
    return mine.updated(found)


def with_heads(mine: Model, theirs: Model) -> Model:
    """Key-value groups in the order that agrees best in both spectra."""
    sides = []
    for model in (mine, theirs):
        found = habits.measured(model, "fitted")
        side = Side.of(found, structure(found).members)
        sides.append(np.concatenate([side.match, side.rest], axis=-1).mean(axis=2))
    parts = dict(mine.parts)
    for layer in range(mine.layers):
        groups = assigned(sides[0][layer], sides[1][layer])
        heads = np.concatenate([g * mine.heads_per_group + np.arange(mine.heads_per_group) for g in groups])
        for role, axis, order in (("q", 0, heads), ("k", 0, groups), ("v", 0, groups), ("o", 1, heads)):
            parts[layer, role, None] = taken(parts[layer, role, None], axis, head_rows(order, mine.head_dim))
    return mine.updated(parts)


def with_channels(mine: Model, theirs: Model) -> Model:
    """Channels in the order that agrees best in the sizes that the test by label reads."""
    features = []
    for model in (mine, theirs):
        traits = habits.measured(model, "fitted").traits
        rows = [np.atleast_2d(traits[name]) for name in LAYERED if name in traits]
        features.append(normal_scores(np.concatenate(rows).T[None])[0])
    order = assigned(*features)

    def moved(part: Any) -> Any:
        for axis, space in enumerate(part.axes):
            part = taken(part, axis, order) if space == "residual" else part
        return part

    return mine.each(lambda place, part: moved(part))


def halfway(mine: Model, theirs: Model) -> Model:
    """The mean of the two models' FFNs: no relabelling, half of the weights are taken."""
    found: dict[Place, Any] = {}
    for (layer, role, expert), part in mine.parts.items():
        if layer is not None and role in ("gate", "up", "down"):
            other = theirs.parts[layer, role, expert]
            mean = (widened(part.read()) + widened(other.read())) / 2
            found[layer, role, expert] = replace(part, read=lambda mean=mean: mean)
    return mine.updated(found)


def chained(*fits: Fit) -> Fit:
    def fitted(mine: Model, theirs: Model) -> Model:
        for fit in fits:
            mine = fit(mine, theirs)
        return mine

    return fitted


CLAIMS: dict[str, Fit] = {
    "order of neurons": by_what_labels_show,
    "order and scales": chained(by_what_labels_show, with_scales),
    "order, scales, signs": chained(by_what_labels_show, with_scales, with_signs),
    "this repository's own matching, signs": chained(by_our_own_code, with_signs),
    "the same, heads too": chained(by_our_own_code, with_signs, with_heads),
    "the same, heads and channels too": chained(by_our_own_code, with_signs, with_heads, with_channels),
    "the same, neurons halfway": chained(by_our_own_code, with_signs, halfway),
}


def same_tool(name: str, seed: int, pair: tuple[Model, Model]) -> Row:
    """Both models through one transform with one seed."""
    options: dict[str, Any] = {} if name in ("fold-gains", "quantize") else {"seed": seed}
    options |= {"amount": AMOUNT} if name == "noise" else {"scheme": "int4"} if name == "quantize" else {}
    one, other = (habits.measured(transforms()[name](model, **options), side) for model, side in zip(pair, "ab", strict=True))
    return reading(one, other)


def table(rows: list[Row]) -> Iterator[str]:
    yield "| made | pairs | related | of these without the words | smallest log10 p | by unforgeable tests | set aside |"
    yield "|---|---|---|---|---|---|---|"
    for what, group in itertools.groupby(rows, key=lambda row: row["what"]):
        found = list(group)
        related = [row for row in found if row["verdict"] in ("related", "identical")]
        silent = sum("rests on labels and signs alone" not in row["sentence"] for row in related)
        least = min(row["log10_p"] for row in found)
        unforgeable = min(row["unforgeable"] for row in found if row["unforgeable"] is not None)
        aside = sum(bool(set(row["set_aside"]) - {"routers"}) for row in found)
        yield f"| {what} | {len(found)} | {len(related)} | {silent} | {least:.1f} | {unforgeable:.1f} | {aside} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the strangers are kept")
    parser.add_argument("--models", type=int, default=MODELS, help="strangers that are trained")
    parser.add_argument("--pairs", type=int, default=25, help="of strangers, for every tool and claim")
    parser.add_argument("--json", type=Path, help="where every pair is written")
    arguments = parser.parse_args()
    folders = [folder for folder in build(arguments.folder, arguments.models) if folder.name.startswith("long-96-")]
    alike = [pair for pair in itertools.combinations(folders, 2) if len({p.name.rpartition("-")[0] for p in pair}) == 1]
    pairs = alike[:: max(len(alike) // arguments.pairs, 1)][: arguments.pairs]
    cases: list[tuple[str, Callable[[int, tuple[Model, Model]], Row]]] = [
        (f"`{name}`, one seed", lambda number, pair, name=name: same_tool(name, number, pair)) for name in TOOLS
    ]
    cases += [
        (
            f"fitted: {name}",
            lambda _, pair, fit=fit: reading(habits.measured(fit(*pair), "accuser"), habits.measured(pair[1], "accused")),
        )
        for name, fit in CLAIMS.items()
    ]
    rows: list[Row] = []
    for what, made in cases:
        for number, pair in enumerate(track(pairs, description=what, console=Console(stderr=True))):
            try:
                row = made(number, (read_model(pair[0]), read_model(pair[1])))
            except KinprintError as error:
                print(f"{what}: {error}")
                break
            rows.append({"what": what, "pair": [folder.name for folder in pair], **row})
    print("\n".join(table(rows)))
    if arguments.json:
        arguments.json.write_text(json.dumps(rows))


if __name__ == "__main__":
    main()
