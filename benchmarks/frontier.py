"""How much must a model change before descent is no longer seen? Trains ever farther descendants of a base, and disguises them.

    python benchmarks/frontier.py --folder frontier --json frontier.json

Descendants: trained on 1, 3, 10 and 30 times as long as the base was, at its peak learning rate and at two and a half times
that; half of the neurons replaced and trained on; merged with a stranger, 50:50, as it is and trained on. Each is compared
with the base as it is and in disguise (folded, rotated, scaled, mixed, split, permuted), from fingerprints and by --deep.
"""

from __future__ import annotations

import argparse
import json
import zlib
from pathlib import Path

from rich.progress import track

from kinprint import compare, open_checkpoint
from kinprint.architectures import recognise
from kinprint.zoo import Member
from kinprint.zoo.build import build
from kinprint.zoo.recipes import DISGUISE, RETRAINED, Recipe, Train, Transform, recipes

BASE, STRANGER = "llama-base", "llama-seed1"
TRAININGS = "1@0.002,3@0.002,10@0.002,30@0.002,1@0.005,3@0.005,10@0.005,30@0.005"
"""How many times as long as the base, at which peak learning rate; the base's is 0.002."""


def wanted(trainings: str) -> tuple[Recipe, ...]:
    """The base, the stranger, the descendants and their disguises."""
    bases = tuple(recipe for recipe in recipes("small") if recipe.member.name in (BASE, STRANGER))
    again = Train(length=RETRAINED, rate=1e-3, order=5)
    half = Transform("replace", {"amount": 0.5})
    joined = Transform("merge", {"method": "linear"}, {"others": (STRANGER,)})
    pairs = [[float(number) for number in training.split("@")] for training in trainings.split(",")]
    steps: dict[str, tuple[Train | Transform, ...]] = {
        f"trained {length:g}x at {rate:g}": (Train("prose", length, rate, 4),) for length, rate in pairs
    }
    steps |= {"half replaced": (half,), "half replaced, trained on": (half, again)}
    steps |= {"merged with a stranger": (joined,), "merged with a stranger, trained on": (joined, again)}
    found = list(bases)
    for kind, how in steps.items():
        name = kind.replace(",", "").replace(" ", "-")
        found.append(Recipe(Member(name, "llama", kind, (BASE,)), how, f"From `{BASE}`: {kind}."))
        seed = zlib.crc32(name.encode())
        member = Member(f"{name}-disguise", "llama", "disguise", (name,), disguise=True, seed=seed)
        found.append(Recipe(member, (Transform("disguise", {"seed": seed, "steps": DISGUISE}),), f"`{name}` in another form."))
    return tuple(found)


def cosine(one: Path, other: Path) -> float:
    """Cosine of all matrices of two models of one shape, taken as one vector."""
    parts = [
        {(p.layer, p.role): p for p in recognise(open_checkpoint(path)).parts if len(p.shape) == 2} for path in (one, other)
    ]
    sums = [0.0, 0.0, 0.0]
    for place, part in parts[0].items():
        x, y = (p.read().astype("float64").ravel() for p in (part, parts[1][place]))
        sums = [sums[0] + x @ y, sums[1] + x @ x, sums[2] + y @ y]
    return float(sums[0] / (sums[1] * sums[2]) ** 0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("frontier"), help="where the models are kept")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--jobs", type=int, help="models made at once")
    parser.add_argument("--trainings", default=TRAININGS, help="times as long @ peak rate, separated by commas")
    parser.add_argument("--json", type=Path, help="write the figures too")
    arguments = parser.parse_args()
    chosen = wanted(arguments.trainings)
    lineage = build(arguments.folder, "small", only=chosen, device=arguments.device, jobs=arguments.jobs)
    rows = []
    for member in track([m for m in lineage.members.values() if m.parents == (BASE,)], description="pairs"):
        row: dict[str, float | str | None] = {
            "kind": member.kind,
            "cosine": cosine(*(arguments.folder / n for n in (BASE, member.name))),
        }
        for form in ("", "-disguise"):
            for deep in (False, True):
                found = compare(arguments.folder / BASE, arguments.folder / (member.name + form), deep=deep)
                row[f"{'deep' if deep else 'fingerprint'}{form}"] = found.log10_p
        rows.append(row)
    columns = ("cosine", "fingerprint", "deep", "fingerprint-disguise", "deep-disguise")
    print(f"| descendant | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 1)}")
    for row in rows:
        cells = (f"{value:.2f}" if isinstance(value := row[c], float) and c == "cosine" else f"{value:.1f}" for c in columns)
        print(f"| {row['kind']} | {' | '.join(cells)} |")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
