"""Is a public start recognised after training? nanoGPT's start from its own seed, trained, and from other seeds.

    python benchmarks/public_starts.py FOLDER

Trains a small GPT in nanoGPT's layout from its seed and writes it as nanoGPT does (`.pt`). Prints what is left of the start and
the p-value, after each length of training; and whether p-values of 400 other starts are uniform, which H0 says.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import kstest
from transformers import AutoConfig, AutoModelForCausalLM

from kinprint.architectures import open_model
from kinprint.comparison import public_start as public
from kinprint.comparison.public_start import SIZE, Shape, public_start
from kinprint.zoo.families import SHAPES, settings
from kinprint.zoo.members import prepare
from kinprint.zoo.recipes import Train
from kinprint.zoo.text import tokens
from kinprint.zoo.training import train

LENGTHS = (1.0, 3.0, 6.0)
NAMES = {"o": "attn.c_proj", "up": "mlp.c_fc", "down": "mlp.c_proj"}
OTHERS = 400


def started(shape: Shape, seed: int) -> dict[str, Any]:
    """The start under nanoGPT's names."""
    found: dict[str, Any] = {}
    for layer, role, values in shape.drawn(seed):
        size = SIZE / (2 * shape.layers) ** 0.5 if role in ("o", "down") else SIZE
        matrix = torch.from_numpy(values * np.float32(size))
        if layer is None:
            found[{"embedding": "transformer.wte.weight", "position": "transformer.wpe.weight"}[role]] = matrix
        elif role in "qkv":
            found.setdefault(f"transformer.h.{layer}.attn.c_attn.weight", []).append(matrix)
        else:
            found[f"transformer.h.{layer}.{NAMES[role]}.weight"] = matrix
    return {name: torch.cat(value) if isinstance(value, list) else value for name, value in found.items()}


def turned(weights: dict[str, Any]) -> dict[str, Any]:
    """Between nanoGPT's Linear and the Conv1D of transformers: matrices of layers transposed."""
    return {name: value.T.contiguous() if ".h." in name and value.ndim == 2 else value for name, value in weights.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    prepare(folder, "tiny")
    size = SHAPES["tiny"]
    config = AutoConfig.for_model("gpt2", **(settings("gpt2", size) | {"n_inner": 4 * size.hidden}))
    shape = Shape(size.layers, size.hidden, size.vocabulary, 2 * size.length)
    ids = tokens("code", "tiny", folder / "tokenizers" / "main" / "tokenizer.json", folder / "tokens")
    described = {"n_layer": size.layers, "n_head": size.heads, "n_embd": size.hidden, "block_size": 2 * size.length}
    described |= {"vocab_size": size.vocabulary, "bias": True}
    columns = (
        "trained, in bases of the zoo",
        "slope of the weights on the start",
        "log10 p, nanoGPT's seed",
        "log10 p, seed 1",
    )
    print(f"| {' | '.join(columns)} |\n|---|---|---|---|")
    causal: Any = AutoModelForCausalLM
    for number, length in enumerate((0.0, *LENGTHS)):
        path = folder / f"nanogpt-{length:g}.pt"
        if not path.exists():
            torch.set_num_threads(1)
            model = causal.from_config(config).float()
            model.load_state_dict(turned(started(shape, public.SEEDS[0])), strict=False)
            if length:
                model = train(model, ids, Train(length=length, order=number), size)
            torch.save({"model": turned(model.state_dict()), "model_args": described}, path)
        weights = open_model(path).weights
        found = public_start(weights)
        other = public.compared(weights, shape, 1)
        assert found is not None
        print(f"| {length:g} | {found.left:.2f} | {found.log10_p:.0f} | {other.log10_p:.1f} |", flush=True)
    p_values = [10 ** public.compared(weights, shape, seed).log10_p for seed in range(10_000, 10_000 + OTHERS)]
    low, fit = np.mean(np.asarray(p_values) <= 0.05), kstest(p_values, "uniform").pvalue
    print(f"\n{OTHERS} other seeds: KS p {fit:.2f}, {low:.1%} at most 0.05, smallest {min(p_values):.4f}")


if __name__ == "__main__":
    main()
