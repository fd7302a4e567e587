"""A language model beside a vision tower, each drawn from a seed: files of known truth about what is shared."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file


def layers(
    rng: np.random.Generator, count: int, width: int, neurons: int, heads: str, names: Mapping[str, str]
) -> dict[str, np.ndarray]:
    """Weights of a stack of layers, under the names of its family."""
    sizes = {"q": (width, width), "k": (width, width), "v": (width, width), "o": (width, width), "up": (neurons, width),
             "down": (width, neurons), "gate": (neurons, width)}  # fmt: skip
    found = {}
    for layer in range(count):
        for role, name in names.items():
            shape = sizes.get(role, (width,))
            scale = np.exp(0.4 * rng.standard_t(4, shape[0]).clip(-4, 4))
            values = rng.standard_normal(shape) * (scale[:, None] if len(shape) == 2 else 1) * 0.05
            found[f"{heads}.{layer}.{name}"] = (values if len(shape) == 2 else 1 + values).astype(np.float32)
    return found


LLAMA = {
    "norm": "input_layernorm.weight", "norm2": "post_attention_layernorm.weight", "q": "self_attn.q_proj.weight",
    "k": "self_attn.k_proj.weight", "v": "self_attn.v_proj.weight", "o": "self_attn.o_proj.weight",
    "gate": "mlp.gate_proj.weight", "up": "mlp.up_proj.weight", "down": "mlp.down_proj.weight",
}  # fmt: skip
CLIP = {
    "norm": "layer_norm1.weight", "norm2": "layer_norm2.weight", "q": "self_attn.q_proj.weight", "k": "self_attn.k_proj.weight",
    "v": "self_attn.v_proj.weight", "o": "self_attn.out_proj.weight", "up": "mlp.fc1.weight", "down": "mlp.fc2.weight",
}  # fmt: skip
SEEN = {"hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": 3, "num_attention_heads": 8}
READ = {"hidden_size": 72, "intermediate_size": 144, "num_hidden_layers": 3, "num_attention_heads": 8, "vocab_size": 80}


def written(folder: Path, text: int | None, tower: int, noise: int = 0) -> Path:
    """A language model and a tower, each drawn from its seed, or the tower alone; `noise` moves every weight a little."""
    folder.mkdir()
    seen = layers(np.random.default_rng(tower), 3, 64, 160, "vision_model.encoder.layers", CLIP)
    seen["vision_model.embeddings.patch_embedding.weight"] = np.ones((64, 3, 4, 4), np.float32)
    tensors, config = seen, {"model_type": "siglip_vision_model", **SEEN}
    if text is not None:
        rng = np.random.default_rng(1000 + text)
        tensors = {f"model.vision_tower.{name}": array for name, array in seen.items()}
        tensors |= layers(rng, 3, 72, 144, "model.language_model.layers", LLAMA)
        for name in ("model.language_model.embed_tokens.weight", "lm_head.weight"):
            tensors[name] = (rng.standard_normal((80, 72)) * np.exp(0.4 * rng.standard_normal(72))).astype(np.float32)
        tensors["model.language_model.norm.weight"] = np.ones(72, np.float32)
        config = {"model_type": "llava", "text_config": {"model_type": "llama", **READ}, "vision_config": config}
    moved = np.random.default_rng(noise)
    if noise:
        tensors = {k: (v + 0.1 * v.std() * moved.standard_normal(v.shape)).astype(np.float32) for k, v in tensors.items()}
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    return folder
