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
    "funnel": {
        "d_model": 48,
        "block_sizes": [2, 1],
        "block_repeats": [1, 1],
        "num_decoder_layers": 2,
        "n_head": 4,
        "d_head": 12,
        "d_inner": 56,
        "vocab_size": 72,
    },
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


UNEVEN = {"linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 16, "linear_value_head_dim": 24}
LAST_FULL = {"layer_types": ["linear_attention", "linear_attention", "full_attention"]}
DELTA = {"linear_head_dim": 16, "linear_num_heads": 4, **LAST_FULL}
SPARSE = {"mlp_layer_types": ["dense", "sparse", "sparse"]}
INDEXED = {"index_topk": 2, "index_head_dim": 16, "index_n_heads": 2, "layer_types": ["indexed_attention"] * 3}
WINDOWED = {"layer_types": ["sliding_attention", "sliding_attention", "full_attention"]}

INKLING = {
    **HEADS,
    "head_dim": 16,
    "swa_num_attention_heads": 4,
    "swa_num_key_value_heads": 4,
    "swa_head_dim": 16,
    "d_rel": 4,
    "rel_extent": 16,
    "layer_types": ["hybrid_sliding", "hybrid_sliding", "hybrid"],
    "moe_intermediate_size": 24,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
}

MIXERS: dict[str, dict[str, Any]] = {
    "qwen3_5_text": {**HEADS, **UNEVEN, **LAST_FULL, "head_dim": 16},
    "qwen3_5_moe_text": {
        **HEADS,
        **UNEVEN,
        **LAST_FULL,
        "head_dim": 16,
        **SMALL_EXPERTS,
        "shared_expert_intermediate_size": 32,
    },
    "qwen4_exp_text": {
        **HEADS,
        **UNEVEN,
        **LAST_FULL,
        "head_dim": 16,
        **SMALL_EXPERTS,
        "shared_expert_intermediate_size": 32,
        "hc_count": 2,
        "hc_lowrank": 8,
        "ple_embed_dim": 64,
        "ngram_vocab_size_base": 128,
        "pad_token_id": 0,
        "num_hidden_layers": 3,
        "split_ngram_parts": 2,
        "indexer_n_heads": 2,
        "indexer_kv_heads": 1,
        "indexer_head_dim": 16,
        "indexer_budget": 8,
        "indexer_compress_ratio": 4,
        "ple_layer_ids": [1],
        "output_gate_type": "sigmoid",
    },
    "kimi_linear": {
        **HEADS,
        **LATENTS,
        **DELTA,
        **SMALL_EXPERTS,
        "num_key_value_heads": 4,
        "num_experts_per_token": 2,
        **LAST_FULL,
        **SPARSE,
        "num_expert_group": 2,
    },
    "bailing_hybrid": {
        **HEADS,
        **LATENTS,
        **DELTA,
        **SMALL_EXPERTS,
        "num_key_value_heads": 4,
        "num_experts_per_token": 2,
        **LAST_FULL,
        **SPARSE,
        "num_expert_group": 2,
        "topk_group": 1,
    },
    "lfm2": {**HEADS, "layer_types": ["conv", "full_attention", "conv"], "block_auto_adjust_ff_dim": False},
    "lfm2_moe": {**HEADS, **SMALL_EXPERTS, "layer_types": ["conv", "full_attention", "conv"], "num_dense_layers": 1},
    "lfm3": {**HEADS, "head_dim": 16, "layer_types": ["conv", "full_attention", "sliding_attention"]},
    "mamba": {
        "vocab_size": 96,
        "hidden_size": 64,
        "state_size": 8,
        "num_hidden_layers": 3,
        "time_step_rank": 4,
        "intermediate_size": 128,
    },
    "falcon_mamba": {
        "vocab_size": 96,
        "hidden_size": 64,
        "state_size": 8,
        "num_hidden_layers": 3,
        "time_step_rank": 4,
        "intermediate_size": 128,
    },
    "mamba2": {
        "vocab_size": 96,
        "hidden_size": 64,
        "state_size": 8,
        "num_hidden_layers": 3,
        "num_heads": 8,
        "head_dim": 16,
        "n_groups": 2,
        "chunk_size": 16,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    },
    "zamba": {
        **TINY,
        "num_hidden_layers": 5,
        "num_key_value_heads": 4,
        "attention_hidden_size": 128,
        "attention_head_dim": 32,
        "mamba_d_state": 8,
        "mamba_dt_rank": 4,
        "use_mamba_kernels": False,
        "attn_layer_period": 2,
        "attn_layer_offset": 2,
        "layers_block_type": ["linear_attention", "linear_attention", "hybrid", "linear_attention", "hybrid"],
    },
    "zamba2": {
        **TINY,
        "num_hidden_layers": 5,
        "num_key_value_heads": 4,
        "attention_head_dim": 32,
        "mamba_d_state": 8,
        "n_mamba_heads": 8,
        "mamba_headdim": 16,
        "use_mamba_kernels": False,
        "layers_block_type": ["linear_attention", "linear_attention", "hybrid", "linear_attention", "hybrid"],
        "hybrid_layer_ids": [2, 4],
        "num_mem_blocks": 1,
        "adapter_rank": 8,
    },
    "recurrent_gemma": {
        **HEADS,
        "num_key_value_heads": 1,
        "intermediate_size": 160,
        "lru_width": 64,
        "block_types": ["recurrent", "recurrent", "attention"],
    },
    "rwkv": {
        "vocab_size": 96,
        "hidden_size": 64,
        "attention_hidden_size": 64,
        "intermediate_size": 80,
        "num_hidden_layers": 3,
        "context_length": 32,
    },
    "xlstm": {
        "vocab_size": 96,
        "hidden_size": 64,
        "embedding_dim": 64,
        "num_hidden_layers": 3,
        "num_blocks": 3,
        "num_heads": 4,
        "qk_dim_factor": 1.0,
        "chunk_size": 16,
        **TOKENS,
    },
    "hrm_text": {**TINY, "head_dim": 16, "num_hidden_layers": 12, "num_layers_per_stack": 2, "H_cycles": 2, "L_cycles": 2},
    "minimax": {
        **HEADS,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "layer_types": ["full_attention", "linear_attention", "full_attention"],
        "block_size": 16,
        "head_dim": 16,
    },
    "olmo_hybrid": {**HEADS, **UNEVEN, **LAST_FULL, "linear_num_key_heads": 4},
}
"""Families with something else in the place of attention, in all layers or in some."""

MIXTURES: dict[str, dict[str, Any]] = {
    "granitemoe_swa": {
        **HEADS,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "shared_intermediate_size": 40,
        "layer_types": ["full_attention", "sliding_attention", "sliding_attention"],
        "layer_rope_theta": [10000.0] * 3,
    },
    "zaya": {
        **HEADS,
        "head_dim": 16,
        **SMALL_EXPERTS,
        "num_experts_per_tok": 1,
        "router_hidden_size": 16,
        "layer_types": ["hybrid", "hybrid", "hybrid"],
    },
    "inkling_text": {**INKLING, **SPARSE},
    "inkling2_text": {**INKLING, "n_layers_per_attn_res_block": 1},
    "afmoe": {
        **HEADS,
        "head_dim": 16,
        **SMALL_EXPERTS,
        **WINDOWED,
    },
    "axk1": {**MLA, **SHARED, "n_group": 2, "topk_group": 1, **SPARSE},
    "axk2": {
        **MLA,
        **SHARED,
        **SPARSE,
        **INDEXED,
        "gated_norm_rank": 4,
    },
    "aria_text": {**HEADS, "head_dim": 16, "moe_num_experts": 4},
    "cohere2_moe": {
        **HEADS,
        "head_dim": 16,
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "num_shared_experts": 1,
        **WINDOWED,
        **SPARSE,
    },
    "dbrx": {
        "d_model": 64,
        "n_heads": 4,
        "n_layers": 3,
        "vocab_size": 96,
        "max_seq_len": 64,
        "attn_config": {"kv_n_heads": 2, "clip_qkv": 8.0, "rope_theta": 10000.0},
        "ffn_config": {"ffn_hidden_size": 80, "moe_num_experts": 4, "moe_top_k": 2, "hidden_size": 64},
    },
    "deepseek_v32": {
        **MLA,
        **SHARED,
        **SPARSE,
        "n_group": 2,
        "topk_group": 1,
        **INDEXED,
    },
    "deepseek_v4": {
        **TINY,
        "head_dim": 16,
        "num_key_value_heads": 1,
        "q_lora_rank": 24,
        "o_groups": 2,
        "o_lora_rank": 16,
        "moe_intermediate_size": 24,
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "n_shared_experts": 1,
        "layer_types": ["sliding_attention", "compressed_sparse_attention", "heavily_compressed_attention"],
        "mlp_layer_types": ["hash_moe", "moe", "moe"],
        "hc_mult": 2,
        "index_n_heads": 2,
        "index_head_dim": 16,
        "index_topk": 2,
        "qk_rope_head_dim": 8,
    },
    "doge-moe": {**HEADS, "is_moe": True, "num_experts": 16, "num_experts_per_tok": 2},
    "dots1": {**HEADS, "head_dim": 16, **DENSE_FIRST, "layer_types": ["full_attention"] * 3},
    "dots3_note_text": {
        **MLA,
        **SHARED,
        **SPARSE,
        "n_group": 1,
        "topk_group": 1,
        "index_topk": 2,
        "index_head_dim": 16,
        "index_n_heads": 2,
        "layer_types": ["indexed_attention", "sliding_attention", "sliding_attention"],
        "per_layer_config": {
            "01": {"num_attention_heads": 2, "num_key_value_heads": 2, "kv_lora_rank": 24, "qk_nope_head_dim": 24},
            "02": {"num_attention_heads": 2, "num_key_value_heads": 2, "kv_lora_rank": 24, "qk_nope_head_dim": 24},
        },
        "shared_experts_intermediate_size": 24,
        "head_dim": 32,
    },
    "ernie4_5_moe": {
        **HEADS,
        "moe_intermediate_size": 24,
        "moe_k": 2,
        "moe_num_experts": 4,
        "moe_num_shared_experts": 2,
        "moe_layer_end_index": 2,
    },
    "exaone_moe": {
        **HEADS,
        "head_dim": 16,
        **SMALL_EXPERTS,
        **WINDOWED,
        **SPARSE,
        "n_group": 2,
        "topk_group": 1,
    },
    "flex_olmo": {**HEADS, "num_experts": 4, "num_experts_per_tok": 2},
    "flint": {
        **HEADS,
        "head_dim": 16,
        **SMALL_EXPERTS,
        "shared_expert_intermediate_size": 32,
        "mlp_only_layers": [0],
        "layer_types": ["full_attention", "full_attention", "sliding_attention"],
    },
    "gemma3n_text": {
        **HEADS,
        "head_dim": 16,
        "num_hidden_layers": 4,
        "intermediate_size": [80] * 4,
        "hidden_size_per_layer_input": 8,
        "vocab_size_per_layer_input": 96,
        "altup_num_inputs": 2,
        "laurel_rank": 8,
        "num_kv_shared_layers": 2,
        "layer_types": ["sliding_attention", "full_attention"] * 2,
        "activation_sparsity_pattern": [0.0] * 4,
    },
    "gemma4_text": {
        **HEADS,
        "head_dim": 16,
        "num_hidden_layers": 4,
        "hidden_size_per_layer_input": 8,
        "vocab_size_per_layer_input": 96,
        "num_kv_shared_layers": 2,
        "layer_types": ["sliding_attention", "full_attention"] * 2,
        "global_head_dim": 32,
    },
    "glm_moe_dsa": {
        **MLA,
        **SHARED,
        **SPARSE,
        "n_group": 2,
        "topk_group": 1,
        **INDEXED,
        "indexer_types": ["full"] * 3,
    },
    "glm4_moe_lite": {**MLA, **SHARED, **SPARSE, "n_group": 2, "topk_group": 1},
    "hunyuan_v1_moe": {**HEADS, "head_dim": 16, "num_experts": 4, "moe_topk": 2},
    "hy_v3": {**HEADS, "head_dim": 16, **SMALL_EXPERTS, **SPARSE},
    "hy_v4": {
        **MLA,
        **SHARED,
        "head_dim": 8,
        **SPARSE,
        "n_group": 2,
        "topk_group": 1,
        **INDEXED,
        "indexer_types": ["full", "full", "shared"],
        "hc_mult": 2,
    },
    "jetmoe": {
        "hidden_size": 64,
        "intermediate_size": 80,
        "num_hidden_layers": 3,
        "vocab_size": 96,
        "num_key_value_heads": 4,
        "kv_channels": 16,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
    },
    "kolibri1": {
        **HEADS,
        "head_dim": 16,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 24,
        "shared_expert_intermediate_size": 32,
        **WINDOWED,
    },
    "laguna": {
        **HEADS,
        "head_dim": 16,
        **SMALL_EXPERTS,
        "shared_expert_intermediate_size": 32,
        "layer_types": ["full_attention", "sliding_attention", "sliding_attention"],
        "num_attention_heads_per_layer": [4, 4, 8],
        **SPARSE,
    },
    "longcat_flash": {
        **TINY,
        "num_key_value_heads": 4,
        "q_lora_rank": 24,
        **LATENTS,
        "num_layers": 2,
        "num_hidden_layers": 4,
        "ffn_hidden_size": 80,
        "expert_ffn_hidden_size": 24,
        "moe_topk": 2,
        "n_routed_experts": 4,
        "zero_expert_num": 2,
        "head_dim": 8,
    },
    "mellum": {
        **HEADS,
        "head_dim": 16,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 24,
        "layer_types": ["full_attention", "sliding_attention", "sliding_attention"],
        **SPARSE,
    },
    "mimo_v2_flash": {
        **HEADS,
        "head_dim": 24,
        "v_head_dim": 16,
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 24,
        "n_group": 2,
        "topk_group": 1,
        "layer_types": ["full_attention", "sliding_attention", "sliding_attention"],
        **SPARSE,
    },
    "minimax_m2": {**HEADS, "head_dim": 16, "num_local_experts": 4, "num_experts_per_tok": 2, "intermediate_size": 24},
    "minimax_m3_vl_text": {
        **HEADS,
        "head_dim": 16,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "intermediate_size": 24,
        "dense_intermediate_size": 80,
        "shared_intermediate_size": 32,
        **SPARSE,
        "index_n_heads": 2,
        "index_head_dim": 16,
        "index_block_size": 4,
        "index_topk_blocks": 2,
        "layer_types": ["full_attention", "full_attention", "indexed_attention"],
        "rotary_dim": 8,
    },
    "phimoe": {**HEADS, "num_local_experts": 4, "num_experts_per_tok": 2, "attention_bias": True, "lm_head_bias": True},
    "solar_open": {**HEADS, "head_dim": 16, **SHARED, "n_group": 2, "topk_group": 1},
    "youtu": {**MLA, "pad_token_id": None},
    "gemma4_text-moe": {
        **HEADS,
        "head_dim": 16,
        "num_hidden_layers": 4,
        "hidden_size_per_layer_input": 0,
        "enable_moe_block": True,
        "num_experts": 4,
        "top_k_experts": 2,
        "moe_intermediate_size": 24,
        "attention_k_eq_v": True,
        "layer_types": ["sliding_attention", "full_attention"] * 2,
    },
    "gemma4_unified_text": {
        **HEADS,
        "head_dim": 16,
        "num_hidden_layers": 4,
        "layer_types": ["sliding_attention", "full_attention"] * 2,
    },
}
"""Mixtures of experts whose layers or tensors differ from those above."""


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
    *("jina_embeddings_v3", "xlm", "xlnet", "funnel"),
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
    """A model of one of these families with noise on every parameter, so that no gain is 1 and no bias 0."""
    import torch
    import transformers

    torch.manual_seed(seed)
    torch.set_num_threads(1)
    config = transformers.AutoConfig.for_model(model_type(name), **{**FAMILIES, **MIXED, **MIXERS, **MIXTURES}[name])
    config._attn_implementation = "eager"
    model = model_class(name).from_config(config).eval().float()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model
