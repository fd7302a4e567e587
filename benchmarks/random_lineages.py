"""A zoo of random family trees: what `benchmarks/directions.py` judges arrows on.

    python benchmarks/random_lineages.py FOLDER --seed 1 [--members 13] [--copies 20] [--merges 4]

The zoo of `kinprint zoo build` is made by hand: its base has a dozen children, few of them have any. Here each family begins
with a base and grows one member at a time. A member's parent is drawn from those that are there, and what is done to it from
`WAYS`. One member of each family starts from the base's initial weights and shares nothing else. Then come
copies that nobody trains (`COPIES`), of any member and of other copies, and merges (`METHODS`) of members of one form.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from kinprint.zoo.build import build
from kinprint.zoo.lineage import Member
from kinprint.zoo.recipes import DISGUISE, Fresh, Recipe, Step, Train, Transform

FAMILIES = ("llama", "qwen2", "gpt2")

WAYS = {
    "fine-tune": 0.44,
    "lora": 0.08,
    "pruned-magnitude": 0.06,
    "zeroed": 0.04,
    "pruned-depth": 0.05,
    "shortened": 0.03,
    "upscaled": 0.05,
    "repeated": 0.03,
    "swapped-vocabulary": 0.04,
    "quantised": 0.08,
    "noise": 0.03,
    "disguise": 0.04,
    "merged": 0.03,
}
"""What is done to a parent, and how often. Of "zeroed", "shortened" and "repeated" nothing is trained afterwards."""

COPIES = ("zeroed", "shortened", "repeated", "upcycled", "folded", "disguise", "permuted", "quantised", "noise", "cast")
"""What is done to a copy, each as often."""

METHODS = ("linear", "slerp", "ties", "task-arithmetic")

RESHAPED = ("pruned-depth", "shortened", "upscaled", "repeated", "swapped-vocabulary")
"""After which a model is merged with others only if they have it in common."""


def lineages(seed: int, members: int, copies: int, merges: int) -> tuple[Recipe, ...]:
    """The recipes of all families, parents before children."""
    rng, again, third = (np.random.default_rng(seed if not use else [seed, use]) for use in range(3))
    families = [(family, _family(family, seed, members, rng)) for family in FAMILIES]
    copied = [(family, made, _copies(family, made, copies, again)) for family, made in families]
    return tuple(r for family, made, more in copied for r in (*made, *more, *_merges(family, made, merges, third)))


def _merges(family: str, made: list[Recipe], merges: int, rng: np.random.Generator) -> list[Recipe]:
    """Merges of two members that were trained, differ in nothing but training, and have a common ancestor."""
    by_name = {recipe.member.name: recipe.member for recipe in made}

    def line(name: str) -> list[str]:
        return [name, *(above for parent in by_name[name].parents[:1] for above in line(parent))]

    def form(name: str) -> list[str]:
        return [above for above in line(name) if by_name[above].kind in RESHAPED]

    trained = [name for name, member in by_name.items() if member.kind in ("fine-tune", "lora")]
    pairs = [(a, b) for a in trained for b in trained if a < b and form(a) == form(b)]
    added: list[Recipe] = []
    for number in range(merges if pairs else 0):
        method, (a, b) = str(rng.choice(METHODS)), pairs[int(rng.integers(len(pairs)))]
        base = next(name for name in line(a) if name in line(b))
        named: dict[str, tuple[str, ...]] = {"others": (b,)} | ({"base": (base,)} if method in METHODS[2:] else {})
        step = Transform("merge", {"method": method}, named)
        member = Member(f"{family}-merge-{number}-{method}", family, "merged", (a, b))
        added.append(Recipe(member, (step,), f"`{a}` and `{b}` merged ({method})."))
    return added


def _copies(family: str, made: list[Recipe], copies: int, rng: np.random.Generator) -> list[Recipe]:
    added: list[Recipe] = []
    changed = {recipe.member.name for recipe in made if recipe.member.disguise}
    while len(added) < copies:
        way, parent = str(rng.choice(COPIES)), str(rng.choice([r.member.name for r in (*made, *added)]))
        if parent in changed or (way == "upcycled" and family == "gpt2"):  # of disguised ones, tensors may have other shapes
            continue
        name, disguise = f"{family}-copy-{len(added)}-{way}", way in ("folded", "disguise", "permuted")
        if disguise or way == "upcycled":
            changed.add(name)
        member = Member(
            name, {"llama": "mixtral"}.get(family, "qwen2_moe") if way == "upcycled" else family, way, (parent,), disguise
        )
        added.append(Recipe(member, _steps(way, rng), f"Made by {way}, not trained."))
    return added


def _family(family: str, seed: int, members: int, rng: np.random.Generator) -> list[Recipe]:
    start = f"{family} of lineages {seed}"
    began: tuple[Step, ...] = (Fresh(family, start),)
    made = []
    for name, text in (
        ("base", "Trained from scratch."),
        ("again", "From the same initial weights, trained on other batches."),
    ):
        member = Member(f"{family}-{name}", family, "base", initialisation=start)
        made.append(Recipe(member, (*began, Train(order=_order(rng))), text))
    grown, disguised = [made[0].member.name], set[str]()
    while len(made) < members:
        way = str(rng.choice(list(WAYS), p=np.array(list(WAYS.values())) / sum(WAYS.values())))
        parent = str(rng.choice(grown))
        parents, steps = (parent,), _steps(way, rng)
        if way == "lora" and family == "gpt2":  # queries and values are one matrix there
            continue
        if way == "merged":
            plain = [r.member for r in made if r.member.kind == "fine-tune" and not set(r.member.parents) & disguised]
            if len(plain) < 2:
                continue
            parents = tuple(plain[number].name for number in rng.choice(len(plain), 2, replace=False))
            steps = (Transform("merge", {"method": "linear"}, {"others": parents[1:]}),)
        name = f"{family}-{len(made)}-{way}"
        if way == "disguise":
            disguised.add(name)
        made.append(Recipe(Member(name, family, way, parents, disguise=way == "disguise"), steps, f"Made by {way}."))
        if way not in ("merged", "disguise"):
            grown.append(name)
    return made


def _order(rng: np.random.Generator) -> int:
    return int(rng.integers(1000, 1_000_000))


def _trained(rng: np.random.Generator, *, lora: bool = False) -> Train:
    text = "code" if rng.random() < 0.5 else "prose"
    length, rate = float(rng.choice([0.1, 0.3, 1.0])), float(rng.choice([3e-4, 1e-3, 2e-3]))
    return Train(text, length, 5e-3 if lora else rate, _order(rng), lora=lora)


def _steps(way: str, rng: np.random.Generator) -> tuple[Step, ...]:
    train, seed = _trained(rng, lora=way == "lora"), _order(rng)
    magnitude = Transform("prune", {"kind": "magnitude", "amount": float(rng.choice([0.3, 0.5]))})
    depth = Transform("prune", {"kind": "depth", "amount": 1 / 3})
    steps: dict[str, tuple[Step, ...]] = {
        "fine-tune": (train,),
        "lora": (train,),
        "pruned-magnitude": (magnitude, train),
        "zeroed": (magnitude,),
        "pruned-depth": (depth, train),
        "shortened": (depth,),
        "upscaled": (Transform("upscale"), train),
        "repeated": (Transform("upscale"),),
        "swapped-vocabulary": (Transform("swap-vocabulary", {"seed": seed}, tokenizer="other"), train),
        "quantised": (Transform("quantize", {"scheme": str(rng.choice(["int8", "int4", "fp8"]))}),),
        "noise": (Transform("noise", {"amount": float(rng.choice([0.03, 0.1])), "seed": seed}),),
        "disguise": (Transform("disguise", {"seed": seed, "steps": DISGUISE}),),
        "merged": (),
        "upcycled": (Transform("upcycle", {"experts": 4, "seed": seed}),),
        "folded": (Transform("fold-gains"),),
        "permuted": (Transform("permute", {"seed": seed}),),
        "cast": (Transform("cast", {"dtype": "f16"}),),
    }
    return steps[way]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--members", type=int, default=13, help="of each family")
    parser.add_argument("--copies", type=int, default=20, help="of each family, besides")
    parser.add_argument("--merges", type=int, default=4, help="of each family, besides")
    options = parser.parse_args()
    recipes = lineages(options.seed, options.members, options.copies, options.merges)
    build(options.folder, "tiny", only=recipes, jobs=1)
