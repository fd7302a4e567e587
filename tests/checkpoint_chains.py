"""Chains of checkpoints without any training: a random start, and steps that add what training adds (directions and noise)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

Tensors = dict[str, NDArray[np.float32]]

HIDDEN, NEURONS, LAYERS, VOCABULARY = 64, 128, 3, 96
LLAMA = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": HIDDEN,
    "intermediate_size": NEURONS,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "vocab_size": VOCABULARY,
    "hidden_act": "silu",
    "tie_word_embeddings": True,
}
GPT2 = {
    "model_type": "gpt2",
    "architectures": ["GPT2LMHeadModel"],
    "n_embd": HIDDEN,
    "n_layer": LAYERS,
    "n_head": 4,
    "n_inner": NEURONS,
    "n_positions": 32,
    "vocab_size": VOCABULARY,
    "activation_function": "gelu_new",
}


def llama(seed: int) -> Tensors:
    """The random start of a small Llama."""
    rng = np.random.default_rng(seed)
    square, wide = (HIDDEN, HIDDEN), (NEURONS, HIDDEN)
    tensors = {"model.embed_tokens.weight": (VOCABULARY, HIDDEN)}
    for layer in range(LAYERS):
        at = f"model.layers.{layer}."
        tensors |= {f"{at}self_attn.{each}_proj.weight": square for each in "qkvo"}
        tensors |= {f"{at}mlp.{each}_proj.weight": wide for each in ("gate", "up")}
        tensors |= {f"{at}mlp.down_proj.weight": wide[::-1]}
    norms = [f"model.layers.{i}.{norm}_layernorm.weight" for i in range(LAYERS) for norm in ("input", "post_attention")]
    drawn = {name: rng.normal(0, 0.02, shape).astype(np.float32) for name, shape in tensors.items()}
    return drawn | {name: np.ones(HIDDEN, np.float32) for name in (*norms, "model.norm.weight")}


def gpt2(seed: int) -> Tensors:
    """The random start of a small GPT-2."""
    rng = np.random.default_rng(seed)
    shapes = {"wte.weight": (VOCABULARY, HIDDEN), "wpe.weight": (32, HIDDEN)}
    for layer in range(LAYERS):
        at = f"h.{layer}."
        shapes |= {f"{at}attn.c_attn.weight": (HIDDEN, 3 * HIDDEN), f"{at}attn.c_proj.weight": (HIDDEN, HIDDEN)}
        shapes |= {f"{at}mlp.c_fc.weight": (HIDDEN, NEURONS), f"{at}mlp.c_proj.weight": (NEURONS, HIDDEN)}
    drawn = {name: rng.normal(0, 0.02, shape).astype(np.float32) for name, shape in shapes.items()}
    for name, shape in shapes.items():
        if name.startswith("h."):
            drawn[name.replace("weight", "bias")] = np.zeros(shape[1], np.float32)
    for norm in ("ln_f", *(f"h.{i}.ln_{n}" for i in range(LAYERS) for n in (1, 2))):
        drawn |= {f"{norm}.weight": np.ones(HIDDEN, np.float32), f"{norm}.bias": np.zeros(HIDDEN, np.float32)}
    return drawn


def trained(start: Tensors, seed: int, stages: int) -> Iterator[Tensors]:
    """The start, and what becomes of it: each stage adds some directions and some noise, to gains noise."""
    rng, now = np.random.default_rng(seed), start
    for _ in range(stages):
        yield now
        now = {name: (each + _added(each, rng)).astype(np.float32) for name, each in now.items()}


def _added(tensor: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float64]:
    if tensor.ndim == 1:
        return rng.normal(0, 0.02, tensor.shape)
    rows, columns = tensor.shape
    low_rank = rng.normal(size=(rows, 4)) @ rng.normal(size=(4, columns)) / 2
    return 0.02 * (0.05 * rng.normal(size=tensor.shape) + 0.1 * low_rank)


def write(tensors: Tensors, folder: Path, config: dict[str, object]) -> Path:
    """A checkpoint."""
    folder.mkdir(parents=True)
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    return folder
