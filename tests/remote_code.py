"""Small models of families whose code lies beside their weights: tensors of the names and shapes that this code makes.

What is expected of a tensor is written as the code takes it apart, by reshaping, not by rows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

Array = np.ndarray[Any, Any]
Taken = tuple[str, Callable[[Array], Array]]
"""A tensor, and what is taken out of it."""

HIDDEN, HEADS, GROUPS, WIDTH, NEURONS, TOKENS, LAYERS = 48, 4, 2, 12, 56, 72, 2


@dataclass(frozen=True)
class Remote:
    """A family.

    Attributes:
        config: its config.json.
        layers: what stands in front of the number of a layer.
        layer: tensors of a layer, without their front, -> shape.
        outside: the other tensors -> shape.
        parts: role -> of a layer's tensor, without its front, what the model multiplies by as (output, input).
        positions: of the model.
        unlike: tensors that some layers have in the place of others: layer -> name -> shape (None: absent).
    """

    config: Mapping[str, Any]
    layers: str
    layer: Mapping[str, tuple[int, ...]]
    outside: Mapping[str, tuple[int, ...]]
    parts: Mapping[str, Taken]
    positions: str = "rope"
    unlike: Mapping[int, Mapping[str, tuple[int, ...] | None]] = field(default_factory=dict)

    def tensors(self, seed: int = 0) -> dict[str, Array]:
        """Random float32 arrays, gains around 1."""
        rng = np.random.default_rng(seed)
        shapes = dict(self.outside)
        for layer in range(LAYERS + bool(self.unlike)):
            own = {**self.layer, **self.unlike.get(layer, {})}
            shapes |= {f"{self.layers}{layer}.{name}": shape for name, shape in own.items() if shape is not None}
        return {
            name: (rng.normal(size=shape) * 0.2 + ("norm" in name or "ln_" in name)).astype(np.float32)
            for name, shape in shapes.items()
        }

    def save(self, folder: Path, seed: int = 0) -> Path:
        """A folder with a model of it."""
        folder.mkdir(parents=True, exist_ok=True)
        folder.joinpath("config.json").write_text(json.dumps(self.config))
        save_file(self.tensors(seed), folder / "model.safetensors")
        return folder


def whole(array: Array) -> Array:
    return array


def turned(array: Array) -> Array:
    return array.T


def third(which: int) -> Callable[[Array], Array]:
    """Of three equal parts, one after the other."""
    return lambda array: np.split(array, 3)[which]


def turned_third(which: int) -> Callable[[Array], Array]:
    return lambda array: np.split(array.T, 3)[which]


def half(which: int) -> Callable[[Array], Array]:
    return lambda array: np.split(array, 2)[which]


def of_group(which: str) -> Callable[[Array], Array]:
    """InternLM2: `rearrange(qkv, "q (h gs d) -> q h gs d", gs=2 + groups)`, queries `[..., :-2, :]`, key -2, value -1."""

    def take(array: Array) -> Array:
        grid = array.reshape(GROUPS, HEADS // GROUPS + 2, WIDTH, *array.shape[1:])
        chosen = {"q": grid[:, :-2], "k": grid[:, -2], "v": grid[:, -1]}[which]
        return chosen.reshape(-1, *array.shape[1:])

    return take


def of_head(which: int) -> Callable[[Array], Array]:
    """ChatGLM: `view(heads, 3 * width)`, of each head a query, a key and a value."""
    return lambda array: array.reshape(HEADS, 3, WIDTH, *array.shape[1:])[:, which].reshape(HIDDEN, *array.shape[1:])


def rows(start: int, stop: int) -> Callable[[Array], Array]:
    return lambda array: array[start:stop]


def in_turn(array: Array) -> Array:
    """PLaMo: keys are repeated one after the other, so that query head i reads key i modulo their number."""
    heads = array.reshape(HEADS, WIDTH, -1)
    return np.concatenate([heads[group::GROUPS] for group in range(GROUPS)]).reshape(array.shape)


def columns_in_turn(array: Array) -> Array:
    return in_turn(array.T).T


LLAMA = {
    "input_layernorm.weight": (HIDDEN,),
    "post_attention_layernorm.weight": (HIDDEN,),
    "self_attn.q_proj.weight": (HIDDEN, HIDDEN),
    "self_attn.k_proj.weight": (GROUPS * WIDTH, HIDDEN),
    "self_attn.v_proj.weight": (GROUPS * WIDTH, HIDDEN),
    "self_attn.o_proj.weight": (HIDDEN, HIDDEN),
    "mlp.gate_proj.weight": (NEURONS, HIDDEN),
    "mlp.up_proj.weight": (NEURONS, HIDDEN),
    "mlp.down_proj.weight": (HIDDEN, NEURONS),
}
LLAMA_PARTS: dict[str, Taken] = {
    "gains.input": ("input_layernorm.weight", whole),
    "gains.post_attention": ("post_attention_layernorm.weight", whole),
    **{role: (f"self_attn.{role}_proj.weight", whole) for role in "qkvo"},
    **{role: (f"mlp.{role}_proj.weight", whole) for role in ("gate", "up", "down")},
}
LLAMA_OUTSIDE = {
    "model.embed_tokens.weight": (TOKENS, HIDDEN),
    "model.norm.weight": (HIDDEN,),
    "lm_head.weight": (TOKENS, HIDDEN),
}
LLAMA_CONFIG = {
    "hidden_size": HIDDEN,
    "intermediate_size": NEURONS,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "vocab_size": TOKENS,
    "hidden_act": "silu",
}


def llama(model_type: str, **more: Any) -> Remote:
    """Llama's names under another type."""
    config = {**LLAMA_CONFIG, "model_type": model_type, "num_key_value_heads": GROUPS, **more}
    return Remote(config, "model.layers.", LLAMA, LLAMA_OUTSIDE, LLAMA_PARTS)


def without(shapes: Mapping[str, Any], *ends: str) -> dict[str, Any]:
    return {name: shape for name, shape in shapes.items() if not any(end in name for end in ends)}


_FUSED = without(LLAMA, "q_proj", "k_proj", "v_proj") | {"self_attn.W_pack.weight": (3 * HIDDEN, HIDDEN)}
_FUSED_PARTS = LLAMA_PARTS | {role: ("self_attn.W_pack.weight", third(n)) for n, role in enumerate("qkv")}


def baichuan(positions: str, **more: Any) -> Remote:
    config = {**LLAMA_CONFIG, "model_type": "baichuan", "model_max_length": 64, **more}
    return Remote(config, "model.layers.", _FUSED, LLAMA_OUTSIDE, _FUSED_PARTS, positions)


GPT2 = {
    **{f"ln_{n}.{kind}": (HIDDEN,) for n in (1, 2) for kind in ("weight", "bias")},
    "attn.c_attn.weight": (HIDDEN, 3 * HIDDEN),
    "attn.c_attn.bias": (3 * HIDDEN,),
    "attn.c_proj.weight": (HIDDEN, HIDDEN),
    "attn.c_proj.bias": (HIDDEN,),
    "mlp.c_fc.weight": (HIDDEN, NEURONS),
    "mlp.c_fc.bias": (NEURONS,),
    "mlp.c_fc2.weight": (HIDDEN, NEURONS),
    "mlp.c_fc2.bias": (NEURONS,),
    "mlp.c_proj.weight": (NEURONS, HIDDEN),
    "mlp.c_proj.bias": (HIDDEN,),
}

REMOTE: dict[str, Remote] = {
    "internlm": llama("internlm", bias=True),
    "minicpm": llama("minicpm", scale_emb=12, scale_depth=1.4, dim_model_base=256),
    "baichuan-7B": baichuan("rope", max_position_embeddings=64),
    "baichuan-13B": baichuan("alibi"),
    "internlm2": Remote(
        {**LLAMA_CONFIG, "model_type": "internlm2", "num_key_value_heads": GROUPS},
        "model.layers.",
        {
            "attention_norm.weight": (HIDDEN,),
            "ffn_norm.weight": (HIDDEN,),
            "attention.wqkv.weight": ((HEADS + 2 * GROUPS) * WIDTH, HIDDEN),
            "attention.wo.weight": (HIDDEN, HIDDEN),
            "feed_forward.w1.weight": (NEURONS, HIDDEN),
            "feed_forward.w2.weight": (HIDDEN, NEURONS),
            "feed_forward.w3.weight": (NEURONS, HIDDEN),
        },
        {"model.tok_embeddings.weight": (TOKENS, HIDDEN), "model.norm.weight": (HIDDEN,), "output.weight": (TOKENS, HIDDEN)},
        {
            **{role: ("attention.wqkv.weight", of_group(role)) for role in "qkv"},
            "o": ("attention.wo.weight", whole),
            "gate": ("feed_forward.w1.weight", whole),
            "up": ("feed_forward.w3.weight", whole),
            "down": ("feed_forward.w2.weight", whole),
            "gains.input": ("attention_norm.weight", whole),
            "gains.post_attention": ("ffn_norm.weight", whole),
        },
    ),
    "qwen": Remote(
        {
            "model_type": "qwen",
            "hidden_size": HIDDEN,
            "intermediate_size": 2 * NEURONS,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "kv_channels": WIDTH,
            "rotary_pct": 1.0,
            "vocab_size": TOKENS,
        },
        "transformer.h.",
        {
            "ln_1.weight": (HIDDEN,),
            "ln_2.weight": (HIDDEN,),
            "attn.c_attn.weight": (3 * HIDDEN, HIDDEN),
            "attn.c_attn.bias": (3 * HIDDEN,),
            "attn.c_proj.weight": (HIDDEN, HIDDEN),
            "mlp.w1.weight": (NEURONS, HIDDEN),
            "mlp.w2.weight": (NEURONS, HIDDEN),
            "mlp.c_proj.weight": (HIDDEN, NEURONS),
        },
        {"transformer.wte.weight": (TOKENS, HIDDEN), "transformer.ln_f.weight": (HIDDEN,), "lm_head.weight": (TOKENS, HIDDEN)},
        {  # a1 = w1(x), a2 = w2(x), c_proj(a1 * silu(a2))
            **{role: ("attn.c_attn.weight", third(n)) for n, role in enumerate("qkv")},
            **{f"biases.{role}": ("attn.c_attn.bias", third(n)) for n, role in enumerate("qkv")},
            "o": ("attn.c_proj.weight", whole),
            "gate": ("mlp.w2.weight", whole),
            "up": ("mlp.w1.weight", whole),
            "down": ("mlp.c_proj.weight", whole),
            "gains.input": ("ln_1.weight", whole),
            "gains.post_attention": ("ln_2.weight", whole),
        },
    ),
    "chatglm": Remote(
        {
            "model_type": "chatglm",
            "hidden_size": HIDDEN,
            "ffn_hidden_size": NEURONS,
            "num_layers": LAYERS,
            "num_attention_heads": HEADS,
            "kv_channels": WIDTH,
            "padded_vocab_size": TOKENS,
            "rmsnorm": True,
            "multi_query_attention": True,
            "multi_query_group_num": GROUPS,
            "add_qkv_bias": True,
        },
        "transformer.encoder.layers.",
        {
            "input_layernorm.weight": (HIDDEN,),
            "post_attention_layernorm.weight": (HIDDEN,),
            "self_attention.query_key_value.weight": ((HEADS + 2 * GROUPS) * WIDTH, HIDDEN),
            "self_attention.query_key_value.bias": ((HEADS + 2 * GROUPS) * WIDTH,),
            "self_attention.dense.weight": (HIDDEN, HIDDEN),
            "mlp.dense_h_to_4h.weight": (2 * NEURONS, HIDDEN),
            "mlp.dense_4h_to_h.weight": (HIDDEN, NEURONS),
        },
        {
            "transformer.embedding.word_embeddings.weight": (TOKENS, HIDDEN),
            "transformer.encoder.final_layernorm.weight": (HIDDEN,),
            "transformer.output_layer.weight": (TOKENS, HIDDEN),
            "transformer.rotary_pos_emb.inv_freq": (3,),
        },
        {  # silu(x[0]) * x[1]
            "q": ("self_attention.query_key_value.weight", rows(0, 48)),
            "k": ("self_attention.query_key_value.weight", rows(48, 72)),
            "v": ("self_attention.query_key_value.weight", rows(72, 96)),
            "biases.v": ("self_attention.query_key_value.bias", rows(72, 96)),
            "o": ("self_attention.dense.weight", whole),
            "gate": ("mlp.dense_h_to_4h.weight", half(0)),
            "up": ("mlp.dense_h_to_4h.weight", half(1)),
            "down": ("mlp.dense_4h_to_h.weight", whole),
        },
    ),
    "chatglm-1": Remote(
        {
            "model_type": "chatglm",
            "hidden_size": HIDDEN,
            "inner_hidden_size": NEURONS,
            "num_layers": LAYERS,
            "num_attention_heads": HEADS,
            "vocab_size": TOKENS,
            "position_encoding_2d": True,
        },
        "transformer.layers.",
        {
            **{f"{norm}_layernorm.{kind}": (HIDDEN,) for norm in ("input", "post_attention") for kind in ("weight", "bias")},
            "attention.query_key_value.weight": (3 * HIDDEN, HIDDEN),
            "attention.query_key_value.bias": (3 * HIDDEN,),
            "attention.dense.weight": (HIDDEN, HIDDEN),
            "attention.dense.bias": (HIDDEN,),
            "attention.rotary_emb.inv_freq": (3,),
            "mlp.dense_h_to_4h.weight": (NEURONS, HIDDEN),
            "mlp.dense_h_to_4h.bias": (NEURONS,),
            "mlp.dense_4h_to_h.weight": (HIDDEN, NEURONS),
            "mlp.dense_4h_to_h.bias": (HIDDEN,),
        },
        {
            "transformer.word_embeddings.weight": (TOKENS, HIDDEN),
            "transformer.final_layernorm.weight": (HIDDEN,),
            "transformer.final_layernorm.bias": (HIDDEN,),
            "lm_head.weight": (TOKENS, HIDDEN),
        },
        {
            **{role: ("attention.query_key_value.weight", of_head(n)) for n, role in enumerate("qkv")},
            "biases.k": ("attention.query_key_value.bias", of_head(1)),
            "o": ("attention.dense.weight", whole),
            "up": ("mlp.dense_h_to_4h.weight", whole),
            "down": ("mlp.dense_4h_to_h.weight", whole),
            "gains.input": ("input_layernorm.weight", whole),
        },
    ),
    "plamo": Remote(
        {**LLAMA_CONFIG, "model_type": "plamo", "num_key_value_heads": HEADS, "n_shared_head": HEADS // GROUPS},
        "model.layers.layers.",
        without(LLAMA, "layernorm") | {"norm.weight": (HIDDEN,)},
        LLAMA_OUTSIDE,
        without(LLAMA_PARTS, "gains")
        | {"q": ("self_attn.q_proj.weight", in_turn), "o": ("self_attn.o_proj.weight", columns_in_turn)}
        | {"gains.input": ("norm.weight", whole)},
    ),
    "jais": Remote(
        {
            "model_type": "jais",
            "n_embd": HIDDEN,
            "n_layer": LAYERS,
            "n_head": HEADS,
            "n_inner": NEURONS,
            "vocab_size": TOKENS,
            "activation_function": "swiglu",
            "position_embedding_type": "alibi",
        },
        "transformer.h.",
        GPT2,
        {
            "transformer.wte.weight": (TOKENS, HIDDEN),
            "transformer.ln_f.weight": (HIDDEN,),
            "transformer.ln_f.bias": (HIDDEN,),
            "transformer.relative_pe.slopes": (HEADS, 1),
        },
        {  # c_proj(c_fc(x) * silu(c_fc2(x)))
            **{role: ("attn.c_attn.weight", turned_third(n)) for n, role in enumerate("qkv")},
            "o": ("attn.c_proj.weight", turned),
            "up": ("mlp.c_fc.weight", turned),
            "gate": ("mlp.c_fc2.weight", turned),
            "biases.gate": ("mlp.c_fc2.bias", whole),
            "down": ("mlp.c_proj.weight", turned),
        },
        "alibi",
    ),
    "exaone": Remote(
        {
            "model_type": "exaone",
            "hidden_size": HIDDEN,
            "num_layers": LAYERS,
            "num_attention_heads": HEADS,
            "num_key_value_heads": GROUPS,
            "intermediate_size": NEURONS,
            "activation_function": "silu",
        },
        "transformer.h.",
        {
            "ln_1.weight": (HIDDEN,),
            "ln_2.weight": (HIDDEN,),
            "attn.attention.q_proj.weight": (HIDDEN, HIDDEN),
            "attn.attention.k_proj.weight": (GROUPS * WIDTH, HIDDEN),
            "attn.attention.v_proj.weight": (GROUPS * WIDTH, HIDDEN),
            "attn.attention.out_proj.weight": (HIDDEN, HIDDEN),
            "mlp.c_fc_0.weight": (NEURONS, HIDDEN),
            "mlp.c_fc_1.weight": (NEURONS, HIDDEN),
            "mlp.c_proj.weight": (HIDDEN, NEURONS),
        },
        {"transformer.wte.weight": (TOKENS, HIDDEN), "transformer.ln_f.weight": (HIDDEN,), "lm_head.weight": (TOKENS, HIDDEN)},
        {  # c_proj(act(c_fc_0(x)) * c_fc_1(x))
            **{role: (f"attn.attention.{role}_proj.weight", whole) for role in "qkv"},
            "o": ("attn.attention.out_proj.weight", whole),
            "gate": ("mlp.c_fc_0.weight", whole),
            "up": ("mlp.c_fc_1.weight", whole),
            "down": ("mlp.c_proj.weight", whole),
        },
    ),
    "arctic": Remote(
        {
            **LLAMA_CONFIG,
            "model_type": "arctic",
            "num_key_value_heads": GROUPS,
            "num_local_experts": 3,
            "num_experts_per_tok": 2,
        },
        "model.layers.",
        without(LLAMA, "mlp")
        | {
            "residual_layernorm.weight": (HIDDEN,),
            **{f"residual_mlp.{name}.weight": (HIDDEN, HIDDEN) for name in ("w1", "w2", "w3")},
            "block_sparse_moe.gate.weight": (3, HIDDEN),
            **{f"block_sparse_moe.experts.{n}.{name}.weight": (NEURONS, HIDDEN) for n in range(3) for name in ("w1", "w3")},
            **{f"block_sparse_moe.experts.{n}.w2.weight": (HIDDEN, NEURONS) for n in range(3)},
        },
        LLAMA_OUTSIDE,
        without(LLAMA_PARTS, "gate", "up", "down") | {"router": ("block_sparse_moe.gate.weight", whole)},
    ),
    "deepseek": Remote(
        {
            **LLAMA_CONFIG,
            "model_type": "deepseek",
            "num_key_value_heads": GROUPS,
            "moe_intermediate_size": 24,
            "n_shared_experts": 2,
            "n_routed_experts": 3,
            "num_experts_per_tok": 2,
            "first_k_dense_replace": 1,
            "num_hidden_layers": LAYERS + 1,
        },
        "model.layers.",
        without(LLAMA, "mlp")
        | {
            "mlp.gate.weight": (3, HIDDEN),
            **{f"mlp.experts.{n}.{name}_proj.weight": (24, HIDDEN) for n in range(3) for name in ("gate", "up")},
            **{f"mlp.experts.{n}.down_proj.weight": (HIDDEN, 24) for n in range(3)},
            "mlp.shared_experts.gate_proj.weight": (NEURONS, HIDDEN),
            "mlp.shared_experts.up_proj.weight": (NEURONS, HIDDEN),
            "mlp.shared_experts.down_proj.weight": (HIDDEN, NEURONS),
        },
        LLAMA_OUTSIDE,
        without(LLAMA_PARTS, "gate", "up", "down")
        | {"router": ("mlp.gate.weight", whole), "shared_gate": ("mlp.shared_experts.gate_proj.weight", whole)},
        unlike={
            0: {
                **{name: shape for name, shape in LLAMA.items() if "mlp" in name},
                **dict.fromkeys(f"mlp.experts.{n}.{name}_proj.weight" for n in range(3) for name in ("gate", "up", "down")),
                **dict.fromkeys(f"mlp.shared_experts.{name}_proj.weight" for name in ("gate", "up", "down")),
                "mlp.gate.weight": None,
            }
        },
    ),
    "openelm": Remote(
        {
            "model_type": "openelm",
            "model_dim": HIDDEN,
            "head_dim": WIDTH,
            "num_transformer_layers": LAYERS + 1,
            "num_query_heads": [4, 4, 8],
            "num_kv_heads": [2, 2, 4],
            "ffn_multipliers": [0.5, 1.0, 1.5],
            "vocab_size": TOKENS,
        },
        "transformer.layers.",
        {
            "attn_norm.weight": (HIDDEN,),
            "ffn_norm.weight": (HIDDEN,),
            "attn.qkv_proj.weight": (8 * WIDTH, HIDDEN),
            "attn.q_norm.weight": (WIDTH,),
            "attn.k_norm.weight": (WIDTH,),
            "attn.out_proj.weight": (HIDDEN, 4 * WIDTH),
            "ffn.proj_1.weight": (2 * NEURONS, HIDDEN),
            "ffn.proj_2.weight": (HIDDEN, NEURONS),
        },
        {"transformer.token_embeddings.weight": (TOKENS, HIDDEN), "transformer.norm.weight": (HIDDEN,)},
        {  # act(y_1) * y_2
            "q": ("attn.qkv_proj.weight", lambda array: array[: len(array) // 2]),
            "k": ("attn.qkv_proj.weight", lambda array: np.split(array, 4)[2]),
            "v": ("attn.qkv_proj.weight", lambda array: np.split(array, 4)[3]),
            "o": ("attn.out_proj.weight", whole),
            "gate": ("ffn.proj_1.weight", half(0)),
            "up": ("ffn.proj_1.weight", half(1)),
            "down": ("ffn.proj_2.weight", whole),
            "gains.q": ("attn.q_norm.weight", whole),
        },
        unlike={
            2: {"attn.qkv_proj.weight": (16 * WIDTH, HIDDEN), "attn.out_proj.weight": (HIDDEN, 8 * WIDTH)}
            | {"ffn.proj_1.weight": (2 * 72, HIDDEN), "ffn.proj_2.weight": (HIDDEN, 72)}
        },
    ),
    "nemotron-nas": Remote(
        {
            **LLAMA_CONFIG,
            "model_type": "nemotron-nas",
            "num_hidden_layers": 5,
            "num_key_value_heads": None,
            "intermediate_size": None,
            "block_configs": [
                {"attention": {"n_heads_in_group": 2}, "ffn": {"ffn_mult": 1.3}},
                {"attention": {"n_heads_in_group": 2}, "ffn": {"ffn_mult": 1.3}},
                {"attention": {"n_heads_in_group": 4}, "ffn": {"ffn_mult": 0.5}},
                {"attention": {"no_op": True}, "ffn": {"no_op": True}},
                {"attention": {"replace_with_linear": True}, "ffn": {"ffn_mult": 1.3}},
            ],
        },
        "model.layers.",
        LLAMA,
        {
            **LLAMA_OUTSIDE,
            "model.layers.4.input_layernorm.weight": (HIDDEN,),
            "model.layers.4.self_attn.linear_attn.weight": (HIDDEN, HIDDEN),
            **{f"model.layers.4.{name}": shape for name, shape in LLAMA.items() if "mlp" in name or "post_att" in name},
        },
        LLAMA_PARTS,
        unlike={
            2: {"self_attn.k_proj.weight": (WIDTH, HIDDEN), "self_attn.v_proj.weight": (WIDTH, HIDDEN)}
            | {"mlp.gate_proj.weight": (24, HIDDEN), "mlp.up_proj.weight": (24, HIDDEN), "mlp.down_proj.weight": (HIDDEN, 24)}
        },
    ),
    "deci": replace(
        llama("deci", num_hidden_layers=LAYERS + 1, num_key_value_heads_per_layer=[2, 1, 2]),
        unlike={1: {"self_attn.k_proj.weight": (WIDTH, HIDDEN), "self_attn.v_proj.weight": (WIDTH, HIDDEN)}},
    ),
    "phi-msft": Remote(
        {
            "model_type": "phi-msft",
            "n_embd": HIDDEN,
            "n_layer": LAYERS,
            "n_head": HEADS,
            "n_inner": None,
            "rotary_dim": 4,
            "vocab_size": TOKENS,
            "activation_function": "gelu_new",
        },
        "transformer.h.",
        {
            "ln.weight": (HIDDEN,),
            "ln.bias": (HIDDEN,),
            "mixer.Wqkv.weight": (3 * HIDDEN, HIDDEN),
            "mixer.Wqkv.bias": (3 * HIDDEN,),
            "mixer.out_proj.weight": (HIDDEN, HIDDEN),
            "mixer.out_proj.bias": (HIDDEN,),
            "mixer.rotary_emb.inv_freq": (2,),
            "mlp.fc1.weight": (NEURONS, HIDDEN),
            "mlp.fc1.bias": (NEURONS,),
            "mlp.fc2.weight": (HIDDEN, NEURONS),
            "mlp.fc2.bias": (HIDDEN,),
        },
        {
            "transformer.embd.wte.weight": (TOKENS, HIDDEN),
            "lm_head.ln.weight": (HIDDEN,),
            "lm_head.ln.bias": (HIDDEN,),
            "lm_head.linear.weight": (TOKENS, HIDDEN),
            "lm_head.linear.bias": (TOKENS,),
        },
        {
            **{role: ("mixer.Wqkv.weight", third(n)) for n, role in enumerate("qkv")},
            "biases.k": ("mixer.Wqkv.bias", third(1)),
            "o": ("mixer.out_proj.weight", whole),
            "up": ("mlp.fc1.weight", whole),
            "down": ("mlp.fc2.weight", whole),
            "gains.input": ("ln.weight", whole),
        },
    ),
    "llada": Remote(
        {
            "model_type": "llada",
            "d_model": HIDDEN,
            "n_heads": HEADS,
            "n_kv_heads": GROUPS,
            "n_layers": LAYERS,
            "mlp_hidden_size": NEURONS,
            "vocab_size": TOKENS,
            "embedding_size": TOKENS,
            "activation_type": "silu",
        },
        "model.transformer.blocks.",
        {
            "attn_norm.weight": (HIDDEN,),
            "ff_norm.weight": (HIDDEN,),
            "q_proj.weight": (HIDDEN, HIDDEN),
            "k_proj.weight": (GROUPS * WIDTH, HIDDEN),
            "v_proj.weight": (GROUPS * WIDTH, HIDDEN),
            "attn_out.weight": (HIDDEN, HIDDEN),
            "ff_proj.weight": (NEURONS, HIDDEN),
            "up_proj.weight": (NEURONS, HIDDEN),
            "ff_out.weight": (HIDDEN, NEURONS),
        },
        {
            "model.transformer.wte.weight": (TOKENS, HIDDEN),
            "model.transformer.ln_f.weight": (HIDDEN,),
            "model.transformer.ff_out.weight": (TOKENS, HIDDEN),
        },
        {  # ff_out(act(ff_proj(x)) * up_proj(x))
            **{role: (f"{role}_proj.weight", whole) for role in "qkv"},
            "o": ("attn_out.weight", whole),
            "gate": ("ff_proj.weight", whole),
            "up": ("up_proj.weight", whole),
            "down": ("ff_out.weight", whole),
        },
    ),
    "orion": Remote(
        {**LLAMA_CONFIG, "model_type": "orion", "num_key_value_heads": GROUPS},
        "model.layers.",
        LLAMA | {"input_layernorm.bias": (HIDDEN,), "post_attention_layernorm.bias": (HIDDEN,)},
        LLAMA_OUTSIDE | {"model.norm.bias": (HIDDEN,)},
        LLAMA_PARTS | {"norm_biases.input": ("input_layernorm.bias", whole)},
    ),
}
