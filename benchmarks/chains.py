"""Chains of checkpoints of small runs, from the random start to the end: made for `benchmarks/audits.py`."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kinprint.checkpoints.files import replacing_folder
from kinprint.zoo.families import Shape, configuration
from kinprint.zoo.recipes import Train
from kinprint.zoo.text import make_tokenizer, tokens

SHAPE = Shape(hidden=64, layers=4, heads=4, groups=2, neurons=128, vocabulary=384, steps=100, batch=4, length=48)
STEPS = (0, 20, 40, 60, 80, 100)
FAMILIES = ("llama", "gpt2", "qwen3", "gpt_neox", "qwen2")
RATES = (5e-4, 1e-3, 2e-3)


@dataclass(frozen=True)
class Run:
    """One training run.

    Attributes:
        family: of the model.
        seed: of its random start.
        training: number of the training from that start: each reads its text in an order of its own.
    """

    family: str
    seed: int
    training: int = 0

    @property
    def name(self) -> str:
        return f"{self.family}-{self.seed}" + (f"-{self.training}" if self.training else "")

    @property
    def rate(self) -> float:
        return RATES[self.seed % len(RATES)]


def runs(seeds: range) -> list[Run]:
    """A run a seed, families in turn."""
    return [Run(FAMILIES[seed % len(FAMILIES)], seed) for seed in seeds]


def made(run: Run, folder: Path) -> list[Path]:
    """The checkpoints of a run, trained unless they are there already."""
    places = [folder / run.name / f"step{step}" for step in STEPS]
    if not (folder / run.name).exists():
        with replacing_folder(folder / run.name) as target:
            _train(run, folder, target)
    return places


def _train(run: Run, folder: Path, target: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from kinprint.zoo.training import train

    torch.set_num_threads(1)
    torch.manual_seed(run.seed)
    causal: Any = AutoModelForCausalLM
    model = causal.from_config(configuration(run.family, SHAPE)).float()

    def save(done: int, total: int = 0, loss: float = 0.0) -> None:
        if done in STEPS:
            copy.deepcopy(model).to(torch.bfloat16).save_pretrained(target / f"step{done}")

    save(0)
    ids = tokens("code", "tiny", _tokenizer(folder), folder / "tokens")
    train(model, ids, Train(rate=run.rate, order=run.seed + 10_000 * run.training), SHAPE, tell=save)


def _tokenizer(folder: Path) -> Path:
    place = folder / "tokenizer"
    if not place.exists():
        with replacing_folder(place) as target:
            make_tokenizer("code", "tiny", SHAPE.vocabulary, target)
    return place / "tokenizer.json"
