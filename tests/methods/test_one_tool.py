"""Two strangers put through one tool with one seed: what both were given alike is nothing of either, and no test calls it
descent.

A transform that keeps the function may scale, turn or split the same units by the same numbers in both. Tests by label look
only at what such a transform leaves alone.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from kinprint import fingerprint, transforms
from kinprint.comparison import examine
from kinprint.methods import known
from kinprint.zoo import habits
from kinprint.zoo.families import SHAPES

BY_LABEL = [method for method in known() if method.name in ("channels", "heads", "neurons", "experts", "routers")]
DISGUISES = [name for name, transform in transforms.known().items() if transform.kind == "disguise"]
SEEDS = (0, 1, 2)
SHAPE = replace(SHAPES["tiny"], hidden=128)


@pytest.mark.parametrize("name", [*DISGUISES, "upcycle"])
def test_strangers_are_not_accused_for_their_tool(name: str, models: Path, tmp_path: Path) -> None:
    """H0 on the shipped strangers, written in bfloat16: no p-value below 1e-3 of any test that decides, for no seed. (Routers
    that a tool draws are the same random numbers; they are too small a part to decide.)"""
    for seed in SEEDS[: 1 if name == "fold-gains" else None]:
        prints = []
        for model in ("base", "twin"):
            target = tmp_path / f"{model}-{seed}"
            transforms.apply(name, models / model, target, **({} if name == "fold-gains" else {"seed": seed}))
            prints.append(fingerprint(target, cache=False))
        for item in examine((prints[0], prints[1]), methods=BY_LABEL).tests:
            assert not item.decides or item.log10_p is None or item.log10_p > -3, (name, seed, item.method, item.log10_p)


@pytest.mark.parametrize(
    ("name", "family"),
    [
        *itertools.product(("scale", "split", "permute", "rotate", "disguise"), ("qwen2", "gpt_neox", "gpt2", "mixtral")),
        *itertools.product(("flip",), ("qwen2", "mixtral")),  # the neurons of the others have no gate
    ],
)
def test_strangers_of_other_families_are_not_accused(family: str, name: str) -> None:
    """H0 on random models: the same for gated and ungated neurons, LayerNorms and experts."""
    pair = []
    for seed in (1, 2):
        model = habits.stranger(family, seed, SHAPE)
        pair.append(habits.measured(transforms.known()[name](model, seed=0), f"stranger-{seed}"))
    for item in examine((pair[0], pair[1]), methods=BY_LABEL).tests:
        assert item.log10_p is None or item.log10_p > -3, (item.method, item.log10_p)
