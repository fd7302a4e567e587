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


def random_model(name: str) -> Any:
    """A model of FAMILIES[name] with noise on every parameter, so that no gain is 1 and no bias 0."""
    import torch
    import transformers

    torch.manual_seed(0)
    torch.set_num_threads(1)
    config = transformers.AutoConfig.for_model(name.partition("-")[0], **FAMILIES[name])
    config._attn_implementation = "eager"
    kind = transformers.AutoModel if name in ("bert", "roberta") else transformers.AutoModelForCausalLM
    model = kind.from_config(config).eval().float()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model
