"""Llama checkpoints of random weights in bfloat16, written without torch: for benchmarks that need files, not models."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import ml_dtypes
import numpy as np


@dataclass(frozen=True)
class Shape:
    """Sizes of a Llama-like model, as configurations name them."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    neurons: int
    vocabulary: int
    tied: bool = False

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes, in the order they are stored."""
        queries, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (self.vocabulary, self.hidden)}
        for layer in range(self.layers):
            block = f"model.layers.{layer}"
            for name, rows, columns in (
                ("self_attn.q_proj", queries, self.hidden),
                ("self_attn.k_proj", keys, self.hidden),
                ("self_attn.v_proj", keys, self.hidden),
                ("self_attn.o_proj", self.hidden, queries),
                ("mlp.gate_proj", self.neurons, self.hidden),
                ("mlp.up_proj", self.neurons, self.hidden),
                ("mlp.down_proj", self.hidden, self.neurons),
            ):
                shapes[f"{block}.{name}.weight"] = (rows, columns)
            shapes |= {f"{block}.{norm}_layernorm.weight": (self.hidden,) for norm in ("input", "post_attention")}
        shapes["model.norm.weight"] = (self.hidden,)
        return shapes if self.tied else shapes | {"lm_head.weight": (self.vocabulary, self.hidden)}

    @property
    def nbytes(self) -> int:
        """Of the weights, in bfloat16."""
        return 2 * sum(map(math.prod, self.tensors().values()))


def write(folder: Path, shape: Shape, seed: int = 0) -> None:
    """Write a checkpoint whose tensors start at different places of one pool of normal numbers; the folder appears complete."""
    temporary = folder.with_name(f".{folder.name}.part")
    temporary.mkdir(parents=True, exist_ok=True)
    pool = np.random.default_rng(seed).standard_normal(1 << 22 if shape.nbytes > 1 << 26 else 1 << 18, dtype=np.float32)
    pool = (0.02 * pool).astype(ml_dtypes.bfloat16).view(np.uint16)
    header, end = {}, 0
    for name, size in shape.tensors().items():
        begin, end = end, end + 2 * math.prod(size)
        header[name] = {"dtype": "BF16", "shape": size, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(temporary / "model.safetensors", "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for number, size in enumerate(shape.tensors().values()):
            start, left = number * 99_991 % len(pool), math.prod(size)
            while left:
                piece = pool[start : start + left]
                file.write(piece.data)
                start, left = 0, left - len(piece)
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": shape.hidden, "head_dim": shape.head_dim,
        "vocab_size": shape.vocabulary, "num_hidden_layers": shape.layers, "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads, "intermediate_size": shape.neurons, "rms_norm_eps": 1e-5,
        "tie_word_embeddings": shape.tied, "torch_dtype": "bfloat16",
    }  # fmt: skip
    (temporary / "config.json").write_text(json.dumps(config))
    temporary.rename(folder)
