"""Small random models of every family, as the real library builds them."""

from __future__ import annotations

from typing import Any

SIZES = {"hidden_size": 48, "intermediate_size": 56, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 72}
GROUPED = {**SIZES, "num_key_value_heads": 2}
EXPERTS = {**GROUPED, "num_experts_per_tok": 3, "norm_topk_prob": True}
TOKENS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
OLD = {"n_embd": 48, "n_layer": 2, "n_head": 4, "vocab_size": 72}

FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {**GROUPED, "attention_bias": True, "mlp_bias": True},
    "mistral": GROUPED,
    "llama-relu": {**GROUPED, "hidden_act": "relu"},
    "arcee": GROUPED,
    "helium": {**GROUPED, "head_dim": 12},
    "qwen2": GROUPED,
    "qwen3": {**GROUPED, "head_dim": 16},
    "granite": GROUPED,
    "gemma": {**GROUPED, "head_dim": 16},
    "gemma2": {**GROUPED, "head_dim": 16},
    "gemma3_text": {**GROUPED, "head_dim": 16},
    "phi3": {**GROUPED, **TOKENS},
    "glm4": {**GROUPED, **TOKENS, "head_dim": 12, "attention_bias": True},
    "olmo2": {**GROUPED, **TOKENS},
    "cohere": {**GROUPED, **TOKENS, "use_qk_norm": True},
    "stablelm": {**GROUPED, "use_qkv_bias": True, "partial_rotary_factor": 0.5},
    "gpt2": {**OLD, "n_positions": 16},
    "gpt_neox": {**SIZES, "rotary_pct": 0.5},
    "gptj": {**OLD, "rotary_dim": 4, "n_positions": 16},
    "opt": {**SIZES, "ffn_dim": 56, "max_position_embeddings": 16, "word_embed_proj_dim": 48},
    "bloom": {"hidden_size": 48, "n_layer": 2, "n_head": 4, "vocab_size": 72},
    "falcon": {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 72, "multi_query": True},
    "falcon-grouped": {
        "hidden_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "vocab_size": 72,
        "new_decoder_architecture": True,
        "num_kv_heads": 2,
    },
    "falcon-interleaved": {
        "hidden_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "vocab_size": 72,
        "multi_query": False,
        "bias": True,
    },
    "mixtral": {**GROUPED, "num_local_experts": 3, "num_experts_per_tok": 3},
    "qwen2_moe": {**EXPERTS, "num_experts": 3, "moe_intermediate_size": 24, "shared_expert_intermediate_size": 40},
    "qwen3_moe": {**EXPERTS, "num_experts": 3, "moe_intermediate_size": 24, "head_dim": 16},
    "olmoe": {**EXPERTS, "num_experts": 3},
    "bert": {**SIZES, "max_position_embeddings": 16},
    "roberta": {**SIZES, "max_position_embeddings": 16},
}

TINY = {
    "hidden_size": 64,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "vocab_size": 96,
    **TOKENS,
}
HEADS = {**TINY, "num_key_value_heads": 2}
LATENTS = {"kv_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 16, "v_head_dim": 12}
MLA = {**TINY, "num_key_value_heads": 4, "q_lora_rank": 24, **LATENTS}
SHARED = {"n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24, "n_shared_experts": 2}
DENSE_FIRST = {**SHARED, "first_k_dense_replace": 1, "n_group": 2, "topk_group": 1}
STATES = {"mamba_n_groups": 1, "mamba_d_state": 16, "mamba_expand": 2, "mamba_chunk_size": 16}
MAMBA = {"mamba_n_heads": 8, "mamba_d_head": 16, **STATES}
LINEAR = {"linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 16, "linear_value_head_dim": 16}
SMALL_EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24}
T5 = {"d_model": 64, "d_kv": 16, "d_ff": 80, "num_layers": 2, "num_heads": 4, "vocab_size": 96}

MIXED: dict[str, dict[str, Any]] = {
    "deepseek_v2": {**MLA, **DENSE_FIRST, "topk_method": "group_limited_greedy"},
    "deepseek_v2-plain_queries": {**MLA, **SHARED, "q_lora_rank": None, "first_k_dense_replace": 1},
    "deepseek_v3": {**MLA, **DENSE_FIRST, "attention_bias": True},
    "minicpm3": MLA,
    "glm4_moe": {**HEADS, **DENSE_FIRST, "head_dim": 16, "use_qk_norm": True, "attention_bias": True},
    "gpt_oss": {**HEADS, "head_dim": 16, "num_local_experts": 4, "num_experts_per_tok": 2},
    "llama4_text": {
        **HEADS,
        "head_dim": 16,
        "intermediate_size_mlp": 96,
        "num_local_experts": 4,
        "interleave_moe_layer_step": 2,
    },
    "qwen3_next": {
        **HEADS,
        **LINEAR,
        **SMALL_EXPERTS,
        "head_dim": 16,
        "layer_types": ["linear_attention", "linear_attention", "full_attention"],
        "shared_expert_intermediate_size": 32,
        "decoder_sparse_step": 1,
    },
    "bamba": {**HEADS, **MAMBA, "attn_layer_indices": [1]},
    "granitemoe": {**HEADS, "num_local_experts": 4, "num_experts_per_tok": 2},
    "granitemoehybrid": {
        **HEADS,
        **MAMBA,
        "layer_types": ["mamba", "attention", "mamba"],
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "shared_intermediate_size": 48,
    },
    "granitemoehybrid-dense": {
        **HEADS,
        **MAMBA,
        "layer_types": ["mamba", "attention", "mamba"],
        "num_local_experts": 0,
        "shared_intermediate_size": 48,
    },
    "nemotron_h": {
        **HEADS,
        "head_dim": 16,
        "num_hidden_layers": 5,
        "hybrid_override_pattern": "M-*-M",
        "mamba_num_heads": 8,
        "mamba_head_dim": 16,
        "n_groups": 1,
        "ssm_state_size": 16,
        "chunk_size": 16,
    },
    "falcon_h1": {**HEADS, **MAMBA, "head_dim": 16, "mamba_d_ssm": 128},
    "jamba": {
        **HEADS,
        "attn_layer_period": 2,
        "attn_layer_offset": 1,
        "expert_layer_period": 2,
        "expert_layer_offset": 1,
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "mamba_d_state": 8,
        "mamba_dt_rank": 4,
        "use_mamba_kernels": False,
    },
    "t5": {**T5, "feed_forward_proj": "gated-gelu", "num_decoder_layers": 3, "tie_word_embeddings": False},
    "t5-ungated": T5,
    "mt5": T5,
    "umt5": T5,
    "modernbert": TINY,
}
"""Families with latents, layers of different kinds, two stacks of layers, or other layouts of experts."""


def random_model(name: str, seed: int = 0) -> Any:
    """A model of FAMILIES or MIXED with noise on every parameter, so that no gain is 1 and no bias 0."""
    import torch
    import transformers

    torch.manual_seed(seed)
    torch.set_num_threads(1)
    config = transformers.AutoConfig.for_model(name.partition("-")[0], **{**FAMILIES, **MIXED}[name])
    config._attn_implementation = "eager"
    kind = transformers.AutoModel if name in ("bert", "roberta") else transformers.AutoModelForCausalLM
    if "t5" in name:
        kind = transformers.AutoModelForSeq2SeqLM
    if name == "modernbert":
        kind = transformers.AutoModelForMaskedLM
    model = kind.from_config(config).eval().float()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model
