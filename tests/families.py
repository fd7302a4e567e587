"""Small random models of every family, as the real library builds them."""

from __future__ import annotations

from typing import Any

SIZES = {"hidden_size": 48, "intermediate_size": 56, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 72}
GROUPED = {**SIZES, "num_key_value_heads": 2}
EXPERTS = {**GROUPED, "num_experts_per_tok": 3, "norm_topk_prob": True}
TOKENS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
OLD = {"n_embd": 48, "n_layer": 2, "n_head": 4, "vocab_size": 72}
ROPE_BY_KIND = {"full_attention": {"rope_type": "default", "rope_theta": 1e4}}
SHORT = {"d_model": 48, "num_layers": 2, "attention_heads": 4, "ffn_dim": 56, "vocab_size": 72, "max_position_embeddings": 16}

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
    "cohere_compass_text": {**GROUPED, **TOKENS, "layer_types": ["full_attention"] * 2, "rope_parameters": ROPE_BY_KIND},
    "stablelm": {**GROUPED, "use_qkv_bias": True, "partial_rotary_factor": 0.5},
    "gpt2": {**OLD, "n_positions": 16},
    "gpt_neox": {**SIZES, "rotary_pct": 0.5},
    "gptj": {**OLD, "rotary_dim": 4, "n_positions": 16},
    "opt": {**SIZES, "ffn_dim": 56, "max_position_embeddings": 16, "word_embed_proj_dim": 48},
    "phi": {**GROUPED, "qk_layernorm": True},
    "starcoder2": GROUPED,
    "nemotron": {**GROUPED, "head_dim": 16},
    "jais2": {**GROUPED, **TOKENS, "head_dim": 12},
    "olmo": {**GROUPED, **TOKENS},
    "ernie4_5": {**GROUPED, "head_dim": 12, "use_bias": True},
    "hyperclovax": {**GROUPED, "head_dim": 12, "use_post_norm": True, "residual_multiplier": 0.5},
    "vaultgemma": {**GROUPED, "head_dim": 16},
    "hunyuan_v1_dense": {**GROUPED, **TOKENS, "head_dim": 16},
    "bitnet": GROUPED,
    "nanochat": GROUPED,
    "apertus": {**GROUPED, **TOKENS, "head_dim": 12, "hidden_act": "relu2"},
    "glm": {**GROUPED, **TOKENS, "head_dim": 12, "attention_bias": True},
    "persimmon": SIZES,
    "gpt_neox_japanese": {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 72},
    "gpt_neo": {
        "hidden_size": 48,
        "num_layers": 2,
        "num_heads": 4,
        "vocab_size": 72,
        "attention_types": [[["global", "local"], 1]],
        "window_size": 2,
        "max_position_embeddings": 16,
    },
    "gpt_bigcode": {**OLD, "n_positions": 16, "multi_query": True},
    "gpt_bigcode-interleaved": {**OLD, "n_positions": 16, "multi_query": False},
    "codegen": {**OLD, "n_head": 8, "rotary_dim": 4, "n_positions": 16},
    "mpt": {"d_model": 48, "n_layers": 2, "n_heads": 4, "vocab_size": 72, "max_seq_len": 16},
    "xglm": SHORT,
    "biogpt": {**SIZES, "max_position_embeddings": 16},
    "ctrl": {**OLD, "dff": 56, "n_positions": 16},
    "openai-gpt": {**OLD, "n_positions": 16},
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
ENCODER = {**SIZES, "max_position_embeddings": 16}
LETTERS = {"hidden_size": 48, "vocab_size": 72, "max_position_embeddings": 16}
XLM = {"emb_dim": 48, "n_layers": 2, "n_heads": 4, "n_words": 72, "vocab_size": 72, "max_position_embeddings": 16}
BART = {
    "d_model": 64,
    "encoder_layers": 2,
    "decoder_layers": 3,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 80,
    "decoder_ffn_dim": 96,
    "vocab_size": 96,
    "max_position_embeddings": 32,
    **TOKENS,
    "decoder_start_token_id": 2,
}
SOUND = {**BART, "max_source_positions": 16, "max_target_positions": 16}
STACK = {**HEADS, "num_hidden_layers": 2, "head_dim": 16}
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
    "modernbert-decoder": {**TINY, "global_attn_every_n_layers": 2},
    "albert": {**ENCODER, "embedding_size": 16, "num_hidden_groups": 2},
    "distilbert": {**LETTERS, "dim": 48, "hidden_dim": 56, "n_layers": 2, "n_heads": 4},
    "electra": {**ENCODER, "embedding_size": 16},
    "rembert": {**ENCODER, "input_embedding_size": 16, "output_embedding_size": 24},
    "deberta": {**ENCODER, "pos_att_type": ["c2p", "p2c"], "relative_attention": True},
    "deberta-v2": {
        **ENCODER,
        "pos_att_type": ["c2p", "p2c"],
        "relative_attention": True,
        "share_att_key": True,
        "position_buckets": 8,
        "norm_rel_ebd": "layer_norm",
        "conv_kernel_size": 3,
    },
    "mpnet": ENCODER,
    "ibert": ENCODER,
    "longformer": {**ENCODER, "attention_window": 4, "max_position_embeddings": 32},
    "roformer": {**ENCODER, "embedding_size": 48},
    "roberta-prelayernorm": ENCODER,
    "ernie": {**ENCODER, "use_task_id": True},
    "esm": {**ENCODER, "position_embedding_type": "rotary", "mask_token_id": 3, "pad_token_id": 0},
    "megatron-bert": ENCODER,
    "xlm-roberta-xl": ENCODER,
    "nomic_bert": ENCODER,
    "gte": ENCODER,
    "jina_embeddings_v3": ENCODER,
    "xlm": XLM,
    "xlnet": {"d_model": 48, "n_layer": 2, "n_head": 4, "d_inner": 56, "vocab_size": 72},
    "bart": BART,
    "mbart": BART,
    "marian": BART,
    "pegasus": BART,
    "pegasus_x": {**BART, "block_size": 8, "num_global_tokens": 4},
    "m2m_100": BART,
    "nllb-moe": {**BART, "num_experts": 4, "encoder_sparse_step": 2, "decoder_sparse_step": 2},
    "bigbird_pegasus": {**BART, "attention_type": "original_full"},
    "led": {**BART, "max_encoder_position_embeddings": 32, "max_decoder_position_embeddings": 32, "attention_window": 4},
    "fsmt": {**BART, "src_vocab_size": 96, "tgt_vocab_size": 80, "langs": ["en", "de"]},
    "prophetnet": {
        "hidden_size": 64,
        "encoder_ffn_dim": 80,
        "decoder_ffn_dim": 96,
        "num_encoder_layers": 2,
        "num_decoder_layers": 3,
        "num_encoder_attention_heads": 4,
        "num_decoder_attention_heads": 4,
        "vocab_size": 96,
        "max_position_embeddings": 32,
        **TOKENS,
    },
    "whisper": {**SOUND, "num_mel_bins": 8},
    "speech_to_text": {**SOUND, "input_feat_per_channel": 8, "conv_channels": 16},
    "longt5": {**T5, "local_radius": 4, "global_block_size": 2, "encoder_attention_type": "transient-global"},
    "switch_transformers": {
        **T5,
        "num_sparse_encoder_layers": 1,
        "num_sparse_decoder_layers": 1,
        "num_experts": 4,
        "num_decoder_layers": 2,
    },
    "t5gemma": {"encoder": STACK, "decoder": {**STACK, "num_hidden_layers": 3}, "vocab_size": 96},
    "granite_swa": {**HEADS, "layer_types": ["full_attention", "sliding_attention", "full_attention"], "sliding_window": 2},
    "diffllama": HEADS,
    "doge": HEADS,
    "cpmant": {**TINY, "dim_head": 16, "dim_ff": 80, "prompt_length": 2, "prompt_types": 4},
}
"""Families with latents, layers of different kinds, two stacks of layers, or other layouts of experts."""


NAMED_WITH_A_HYPHEN = {
    "modernbert-decoder",
    "deberta-v2",
    "roberta-prelayernorm",
    "megatron-bert",
    "xlm-roberta-xl",
    "nllb-moe",
    "openai-gpt",
}
ENCODERS = {
    *("bert", "roberta", "modernbert", "albert", "distilbert", "electra", "rembert", "deberta", "deberta-v2", "mpnet", "ibert"),
    *("longformer", "roformer", "roberta-prelayernorm", "ernie", "esm", "megatron-bert", "xlm-roberta-xl", "nomic_bert", "gte"),
    *("jina_embeddings_v3", "xlm", "xlnet"),
}
"""Families whose tokens attend to all tokens."""

HEARING = {"whisper", "speech_to_text"}
SEQ2SEQ = {
    *("t5", "t5-ungated", "mt5", "umt5", "longt5", "switch_transformers", "t5gemma", "bart", "mbart", "marian", "pegasus"),
    *("pegasus_x", "m2m_100", "nllb-moe", "bigbird_pegasus", "led", "fsmt", "prophetnet", *HEARING),
}
"""Families of two stacks of layers, an encoder's and a decoder's."""


def model_type(name: str) -> str:
    """The `model_type` of a family; what stands behind a hyphen tells two of one type apart."""
    return name if name in NAMED_WITH_A_HYPHEN else name.partition("-")[0]


def model_class(name: str) -> Any:
    """The library's class that makes models of a family."""
    import transformers

    if name in HEARING:
        return transformers.AutoModelForSpeechSeq2Seq
    if name in SEQ2SEQ:
        return transformers.AutoModelForSeq2SeqLM
    if name in ("bert", "roberta"):
        return transformers.AutoModel
    return transformers.AutoModelForMaskedLM if name in ENCODERS - {"xlnet"} else transformers.AutoModelForCausalLM


def random_model(name: str, seed: int = 0) -> Any:
    """A model of FAMILIES or MIXED with noise on every parameter, so that no gain is 1 and no bias 0."""
    import torch
    import transformers

    torch.manual_seed(seed)
    torch.set_num_threads(1)
    config = transformers.AutoConfig.for_model(model_type(name), **{**FAMILIES, **MIXED}[name])
    config._attn_implementation = "eager"
    model = model_class(name).from_config(config).eval().float()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model
