"""What a zoo holds: every member with its lineage and the steps that make it. Data, and nothing else."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from kinprint.zoo.lineage import Member

SIZES = ("tiny", "small", "medium")


@dataclass(frozen=True)
class Fresh:
    """Random weights of a family, drawn from a seed that `start` names.

    Families of one shape draw in one order: from one seed they would start from the same weights.
    """

    family: str
    start: str


@dataclass(frozen=True)
class Train:
    """Train whatever the steps before gave.

    Attributes:
        text: "code" (source of Python's library) or "prose" (its documentation topics).
        length: steps, as a share of those of a base.
        rate: peak learning rate.
        order: seed of the data; equal orders are equal batches in equal order.
        teacher: learn this member's logits rather than the text.
        lora: train low-rank additions to queries and values, and merge them.
    """

    text: Literal["code", "prose"] = "code"
    length: float = 1.0
    rate: float = 2e-3
    order: int = 0
    teacher: str | None = None
    lora: bool = False


@dataclass(frozen=True)
class Transform:
    """A transform of `kinprint.transforms`; `members` are options that name members, `tokenizer` one of the zoo's."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    members: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tokenizer: str | None = None


@dataclass(frozen=True)
class Habit:
    """Label the units of whatever the steps before gave by a habit of `kinprint.zoo.habits`."""

    name: str
    seed: int = 0


Step = Fresh | Train | Transform | Habit


@dataclass(frozen=True)
class Recipe:
    """A member and the steps that make it, from its first parent's weights or from nothing.

    Attributes:
        text: for the model card: how it was made.
        tiny: whether the smallest zoo has it too.
    """

    member: Member
    steps: tuple[Step, ...]
    text: str
    tiny: bool = False

    @property
    def needs(self) -> tuple[str, ...]:
        """Members that must be there before."""
        teachers = tuple(step.teacher for step in self.steps if isinstance(step, Train) and step.teacher)
        return (*self.member.parents, *teachers)


RETRAINED = 0.3
"""Steps of training after surgery, as a share of those of a base."""


def recipes(size: str) -> tuple[Recipe, ...]:
    """The members of a zoo, parents before children."""
    everything = (*_bases(), *_llama_line(), *_other_lines(), *_disguised())
    return tuple(recipe for recipe in everything if recipe.tiny or size != "tiny")


def habitual(size: str) -> tuple[Recipe, ...]:
    """The members of a zoo and, behind them, models that were trained independently and share a habit of labels."""
    by_name = {recipe.member.name: recipe for recipe in recipes(size)}
    for recipe in _with_habits():
        if set(recipe.needs) <= set(by_name):
            by_name[recipe.member.name] = recipe
    return tuple(by_name.values())


def _base(name: str, family: str, seed: int, text: str, *, order: int = 0, tiny: bool = False) -> Recipe:
    initialisation = f"{family}-{seed}"
    member = Member(name, family, "base", initialisation=initialisation, seed=seed)
    return Recipe(member, (Fresh(family, initialisation), Train(order=order)), text, tiny)


def _bases() -> Iterator[Recipe]:
    """Trained from scratch, all on the same data in the same order unless they say otherwise."""
    alone = "Trained from scratch from seed {}."
    for family in ("llama", "qwen2", "qwen3", "gpt_neox", "gpt2", "mixtral"):
        yield _base(f"{family}-base", family, 0, alone.format(0), tiny=True)
        for seed in (1, 2, 3) if family == "llama" else (1,):
            text = f"As `{family}-base` in architecture, tokenizer, data and data order, from seed {seed}: no common weights."
            yield _base(f"{family}-seed{seed}", family, seed, text, tiny=family in ("llama", "gpt2") and seed == 1)
    text = "From the initial weights of `llama-base`, on the same data in another order: no trained weights in common."
    yield _base("llama-same-start", "llama", 0, text, order=1, tiny=True)
    student = Member("llama-student", "llama", "distilled", initialisation="llama-9", teacher="llama-base", seed=9)
    text = "Fresh weights, trained on the outputs of `llama-base`: its behaviour, none of its weights."
    yield Recipe(student, (Fresh("llama", "llama-9"), Train(teacher="llama-base")), text, tiny=True)


def _child(
    name: str, family: str, kind: str, parents: str | tuple[str, ...], steps: tuple[Step, ...], text: str, *, tiny: bool = False
) -> Recipe:
    parents = (parents,) if isinstance(parents, str) else parents
    return Recipe(Member(name, family, kind, parents), steps, text, tiny)


def _llama_line() -> Iterator[Recipe]:
    """The descendants of llama-base."""
    base, tuned = "llama-base", "llama-finetune"
    again = Train(length=RETRAINED, rate=1e-3, order=5)
    prose = Train("prose", RETRAINED, 5e-4, 2)

    def child(
        name: str, kind: str, steps: tuple[Step, ...], text: str, parents: str | tuple[str, ...] = base, tiny: bool = True
    ) -> Recipe:
        family = "mixtral" if kind == "upcycled" else "llama"
        return _child(f"llama-{name}", family, kind, parents, steps, text, tiny=tiny)

    yield child("finetune", "fine-tune", (prose,), "Trained on with documentation.")
    yield child("sibling", "fine-tune", (Train("code", RETRAINED, 5e-4, 3),), "Trained on with other code.")
    yield child("long", "continued", (Train("prose", 1.0, 2e-3, 4),), "Trained on as long as its base was trained.")
    yield child("lora", "lora", (Train("prose", RETRAINED, 5e-3, 6, lora=True),), "Low-rank additions trained and merged.")
    for kind, amount in (("magnitude", 0.5), ("depth", 1 / 3), ("width", 0.25)):
        steps = (Transform("prune", {"kind": kind, "amount": amount}), again)
        yield child(f"pruned-{kind}", f"pruned-{kind}", steps, f"Pruned ({kind}, {amount:.0%}) and trained on.")
    yield child("upscaled", "upscaled", (Transform("upscale"), again), "Layers duplicated, trained on.")
    yield child(
        "upcycled",
        "upcycled",
        (Transform("upcycle", {"experts": 4, "seed": 0}), again),
        "FFNs copied into experts, trained on.",
    )
    swapped = (Transform("swap-vocabulary", {"seed": 0}, tokenizer="other"), Train("prose", RETRAINED, 1e-3, 7))
    yield child("swapped", "swapped-vocabulary", swapped, "Another tokenizer, trained on.")
    for method in ("linear", "slerp", "ties", "task-arithmetic"):
        members: dict[str, tuple[str, ...]] = {"others": ("llama-sibling",)}
        if method in ("ties", "task-arithmetic"):
            members["base"] = (base,)
        step = Transform("merge", {"method": method}, members)
        text = f"`llama-finetune` and `llama-sibling` merged ({method})."
        parents = (tuned, "llama-sibling")
        yield child(f"merged-{method}", "merged", (step,), text, parents, tiny=method == "ties")
    for scheme in ("int8", "int4", "fp8"):
        step = Transform("quantize", {"scheme": scheme})
        yield child(scheme, "quantised", (step,), f"Weights rounded ({scheme}).", tiny=scheme == "int4")
    yield child(
        "noisy", "noise", (Transform("noise", {"amount": 0.1, "seed": 0}),), "Noise of a tenth of each deviation.", tiny=False
    )
    yield child("grandchild", "fine-tune", (Train("code", RETRAINED, 1e-3, 8),), "Trained on again with code.", tuned)
    yield child("pruned-depth-finetune", "fine-tune", (prose,), "Trained on.", "llama-pruned-depth", tiny=False)


def _other_lines() -> Iterator[Recipe]:
    """Descendants of the other families."""
    prose = Train("prose", RETRAINED, 5e-4, 2)
    again = Train(length=RETRAINED, rate=1e-3, order=5)
    for family in ("qwen2", "qwen3", "gpt_neox", "gpt2", "mixtral"):
        text = "Trained on with documentation."
        yield _child(f"{family}-finetune", family, "fine-tune", f"{family}-base", (prose,), text, tiny=family == "gpt2")
    for family, kind, amount in (("qwen2", "depth", 1 / 3), ("gpt2", "width", 0.25), ("qwen3", "magnitude", 0.5)):
        steps = (Transform("prune", {"kind": kind, "amount": amount}), again)
        text = f"Pruned ({kind}, {amount:.0%}) and trained on."
        yield _child(f"{family}-pruned-{kind}", family, f"pruned-{kind}", f"{family}-base", steps, text)
    steps = (Transform("upcycle", {"experts": 4, "seed": 0}), again)
    yield _child("qwen3-upcycled", "qwen3_moe", "upcycled", "qwen3-base", steps, "FFNs copied into experts, trained on.")


def _disguised() -> Iterator[Recipe]:
    """Copies that compute the same and look different."""
    whole = ("llama-finetune", "llama-sibling", "llama-long", "llama-pruned-depth", "llama-pruned-width", "llama-upcycled")
    others = ("llama-swapped", "qwen2-finetune", "gpt2-finetune", "gpt_neox-finetune", "mixtral-finetune")
    families = {"llama-upcycled": "mixtral"}
    for name in (*whole, *others):
        family = families.get(name, name.partition("-")[0])
        yield _copy(name, family, "disguise", tiny=name in ("llama-finetune", "llama-long", "gpt2-finetune"))
    for single in ("permute", "rotate", "scale", "mix", "split"):
        yield _copy("llama-finetune", "llama", single, tiny=single == "permute")
    yield _copy("llama-long-disguise", "llama", "flip", tiny=False)


DISGUISE = "fold-gains,rotate,scale,mix,split,permute"
"""What is done to a member that is called a disguise: results of a zoo stay comparable when `disguise` learns more."""


def _copy(name: str, family: str, transform: str, *, tiny: bool) -> Recipe:
    """A copy from a seed of its own: two copies relabelled alike would be compared as if neither were."""
    seed = zlib.crc32(f"{name}-{transform}".encode())
    member = Member(f"{name}-{transform}", family, transform, (name,), disguise=True, seed=seed)
    text = f"`{name}` in another form ({transform}), same function."
    options = {"seed": seed, "steps": DISGUISE} if transform == "disguise" else {"seed": seed}
    return Recipe(member, (Transform(transform, options),), text, tiny)


HABITUAL = {
    "sorted": ("neurons-sorted", True),
    "padded": ("neurons-padded-37", True),
    "halves": ("neurons-halves", True),
    "repeated": ("layers-twice", False),
}
"""How members are called -> the habit they are given, and whether it leaves the function as it is."""


def _with_habits() -> Iterator[Recipe]:
    """Each habit for two members of each family, which have nothing else in common, and a noisy copy of the first."""
    for family in ("llama", "gpt2", "qwen2"):
        for short, (habit, keeps) in HABITUAL.items():
            for base in (f"{family}-base", f"{family}-seed1"):
                name, seed = f"{base}-{short}", zlib.crc32(f"{base}-{habit}".encode())
                member = Member(name, family, habit, (base,), disguise=keeps, seed=seed, habit=habit)
                yield Recipe(member, (Habit(habit, seed),), f"`{base}` with a habit of labels: {habit}.")
            parent = f"{family}-base-{short}"
            noise = Transform("noise", {"amount": 0.1, "seed": zlib.crc32(parent.encode())})
            yield _child(f"{parent}-noisy", family, "noise", parent, (noise,), "Noise of a tenth of each deviation.")
