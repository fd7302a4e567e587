"""Habits of labels that come from training: nested widths, positions with frequencies, slopes by head. For `hard_negatives.py`.

Each model starts from random weights of its own; data and recipe are those of the zoo.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kinprint.zoo.families import SHAPES, configuration
from kinprint.zoo.members import prepare
from kinprint.zoo.recipes import Train
from kinprint.zoo.text import tokens

SHARES = (0.125, 0.25, 0.5, 1.0)
"""Of the units in front that a step of training with nested widths uses."""


@contextmanager
def nested(model: Any, modules: list[Any], *, inputs: bool, seed: int) -> Iterator[None]:
    """While this lasts, each pass uses a random share of the units in front.

    Args:
        modules: whose inputs (or outputs) are these units; the rest of them is set to zero.
    """
    import torch

    rng, share = np.random.default_rng(seed), [1.0]

    def cut(values: Any) -> Any:
        kept = torch.arange(values.shape[-1], device=values.device) < round(values.shape[-1] * share[0])
        return values * kept

    def draw(*_: Any) -> None:
        share[0] = float(rng.choice(SHARES))

    hooks = [model.register_forward_pre_hook(draw)]
    for module in modules:
        if inputs:
            hooks.append(module.register_forward_pre_hook(lambda _, values: (cut(values[0]),)))
        else:
            hooks.append(module.register_forward_hook(lambda _, __, output: cut(output)))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def nested_neurons(model: Any, seed: int) -> Iterator[None]:
    """MatFormer (arXiv 2310.07707): every FFN is trained at several widths, the narrow ones inside the wide ones."""
    downs = [module for name, module in model.named_modules() if name.endswith(("mlp.down_proj", "mlp.c_proj"))]
    with nested(model, downs, inputs=True, seed=seed):
        yield


@contextmanager
def nested_channels(model: Any, seed: int) -> Iterator[None]:
    """Matryoshka representations (arXiv 2205.13147) of the residual stream: only channels in front are written."""
    ends = ("embed_tokens", "o_proj", "down_proj")
    with nested(model, [m for name, m in model.named_modules() if name.endswith(ends)], inputs=False, seed=seed):
        yield


@contextmanager
def sines(model: Any, _: int) -> Iterator[None]:
    """Positions as sines and cosines, which give every channel a frequency (arXiv 1706.03762, section 3.5); never trained."""
    import torch

    table = model.transformer.wpe.weight
    count, width = table.shape
    angles = np.arange(count)[:, None] / 10_000 ** (2 * np.arange(width // 2) / width)
    waves = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
    with torch.no_grad():
        table.copy_(torch.from_numpy(waves * 0.5**0.5 * 0.2))
    table.requires_grad_(False)
    yield


@contextmanager
def slopes(model: Any, _: int) -> Iterator[None]:
    """ALiBi (arXiv 2108.12409) instead of learned positions: every head has a slope that its index gives."""
    import torch

    heads = model.config.n_head
    each = 2.0 ** (-8 * torch.arange(1, heads + 1) / heads)

    def biased(_: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        rows, length = options["input_ids"].shape
        distance = torch.arange(length)[:, None] - torch.arange(length)
        bias = (-each[:, None, None] * distance).masked_fill(distance < 0, torch.finfo(torch.float32).min)
        return arguments, {**options, "attention_mask": bias.expand(rows, heads, length, length)}

    with torch.no_grad():
        model.transformer.wpe.weight.zero_()
    model.transformer.wpe.weight.requires_grad_(False)
    hook = model.register_forward_pre_hook(biased, with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()


@dataclass(frozen=True)
class TrainedHabit:
    """A habit that training gives.

    Attributes:
        name, summary: of the habit.
        family: of the models.
        during: what surrounds their training.
        unknown: whether the files name no known architecture and hold no positions, so that they are read by what fits.
    """

    name: str
    summary: str
    family: str
    during: Callable[[Any, int], Any]
    unknown: bool = False


HABITS = (
    TrainedHabit("trained-nested-neurons", "FFNs trained at nested widths", "llama", nested_neurons),
    TrainedHabit("trained-nested-channels", "the residual stream trained at nested widths", "llama", nested_channels),
    TrainedHabit("trained-sines", "channels with the frequencies of fixed positions", "gpt2", sines),
    TrainedHabit("trained-slopes", "heads with slopes (ALiBi) under an unknown name", "gpt2", slopes, unknown=True),
)


def make(habit: TrainedHabit, seed: int, folder: Path) -> Path:
    """The folder of a model with a habit, trained unless it is there already."""
    import torch
    from transformers import AutoModelForCausalLM

    from kinprint.zoo.training import train

    target = folder / f"{habit.name}-{seed}"
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    prepare(folder, "tiny")
    shape = SHAPES["tiny"]
    ids = tokens("code", "tiny", folder / "tokenizers" / "main" / "tokenizer.json", folder / "tokens")
    torch.set_num_threads(1)
    torch.manual_seed(zlib.crc32(target.name.encode()))
    causal: Any = AutoModelForCausalLM
    model = causal.from_config(configuration(habit.family, shape)).float()
    with habit.during(model, seed):
        train(model, ids, Train(), shape)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=folder))
    try:
        model.to(torch.bfloat16).save_pretrained(temporary)
        if habit.unknown:
            _unnamed(temporary)
        temporary.chmod(0o755)
        temporary.replace(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def _unnamed(folder: Path) -> None:
    """Take the name of the architecture and the learned positions out of a folder."""
    from safetensors.torch import load_file, save_file

    path = folder / "config.json"
    config = {key: value for key, value in json.loads(path.read_text()).items() if key != "architectures"}
    path.write_text(json.dumps({**config, "model_type": "unheard-of"}))
    weights = load_file(folder / "model.safetensors")
    save_file({k: v for k, v in weights.items() if not k.endswith("wpe.weight")}, folder / "model.safetensors")
