"""A tiny random model of any text type of the installed transformers, built without a network.

The type's own default configuration is shrunk by rules about the names of its numbers, so that a type that comes with a new
version is built without a line here. What the rules cannot know stands in `OVERRIDES`.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping
from typing import Any

HIDDEN, HEADS, GROUPS, WIDTH, NEURONS, LAYERS, VOCABULARY, POSITIONS = 64, 4, 2, 16, 80, 3, 96, 64

TEXT = ("SEQ_TO_SEQ_CAUSAL_LM", "MASKED_LM", "CAUSAL_LM")
"""transformers' tables of types whose models write or complete text. A type that stands in several is built by the first: many
encoders can be made a decoder too, but hardly anybody's checkpoint is one."""

WRAPPERS = ("IMAGE_TEXT_TO_TEXT", "MULTIMODAL_LM", "SPEECH_SEQ_2_SEQ")
"""And of models that read something else besides."""

LARGEST = 8_000_000
"""Parameters; a model that has more was not shrunk."""

Rule = Callable[[Any], Any]

NUMBERS: tuple[tuple[str, int | Rule], ...] = (
    (r"num_feat_extract_layers|num_\w+prenet_layers|num_\w+postnet_layers", lambda value: value),
    (r"num_kv_shared_layers", 0),
    (r"base_channels", 32),
    (r"num_filters|n_filters", 4),
    (r"(mamba_|ssm_)?(d_state|state_size)|mamba_d_state|ssm_state_size", 8),
    (r"mamba_(n_heads|num_heads)|num_mamba_heads|n_mamba_heads|mamba_n_head", 8),
    (r"mamba_d_head|mamba_head_dim|mamba_headdim", WIDTH),
    (r"mamba_d_ssm", 128),
    (r"mamba_dt_rank|time_step_rank|dt_rank", 4),
    (r"linear_num_key_heads", GROUPS),
    (r"linear_num_value_heads", HEADS),
    (r"linear_(key|value)_head_dim", WIDTH),
    (r"(moe|expert|shared_expert|shared)_(\w+_)?(intermediate|ffn|hidden)(_size|_dim)?|expert_ffn_hidden_size|expert_dim", 32),
    (r"(\w*_)?embedding_(size|dim)|embed_dim_inner|emb_dim_in", HIDDEN),
    (r"(\w*_)?(intermediate_size(_mlp|_mla)?|ffn_dim|d_ff|n_inner|ffn_hidden_size|dim_ff|mlp_dim|feed_forward_size|ffn_size"
     r"|block_ff_dim|intermediate_dim|feedforward_dim)", NEURONS),
    (r"(\w*_)?(num_(hidden_|encoder_|decoder_)?layers|num_layers_per_stack|num_self_attends_per_block|n_layers?|layers"
     r"|encoder_layers|decoder_layers|depth|n_blocks|num_blocks|num_decoder_blocks)", LAYERS),
    (r"(\w*_)?(num_key_value_heads|num_kv_heads|n_kv_heads?|kv_n_heads|num_query_groups|n_head_kv|num_global_key_value_heads)",
     GROUPS),
    (r"(\w*_)?(num_attention_heads|n_heads?|num_heads|attention_heads|num_self_attention_heads|num_cross_attention_heads"
     r"|heads|num_query_heads|encoder_attention_heads|decoder_attention_heads|num_attention_heads_per_layer)", HEADS),
    (r"qk_rope_head_dim|index_rope_head_dim|(\w*_)?rotary_dim|rotary_ndims", 8),
    (r"v_head_dim", 12),
    (r"(\w*_)?(head_dim|head_size|d_kv|d_head|kv_channels|attention_head_size|qk_head_dim|qk_nope_head_dim"
     r"|global_head_dim|attention_key_size|key_length|attention_head_dim|dim_head)", WIDTH),
    (r"(\w*_)?(kv_lora_rank)", 24),
    (r"(\w*_)?(q_lora_rank)", 40),
    (r"(\w*_)?(lora_rank|o_lora_rank|low_rank_dim)", 16),
    (r"(\w*_)?(hidden_size(_global)?|d_model|d_latents|n_embd|model_dim|hidden_dim|emb_dim|embed_dim|embed_size|dim_model"
     r"|projection_dim|out_hidden_size|text_hidden_size|dim|width|attention_hidden_size|word_embed_proj_dim|proj_dim|output_dim|lru_width"
     r"|output_hidden_size|n_embed|hidden_units|text_dim|feature_size)", HIDDEN),
    (r"(num_experts_per_tok(en)?|moe_topk?|moe_top_k|top_k_experts|experts_per_token|num_activated_experts|moe_k|"
     r"num_selected_experts|num_experts_per_token|moe_num_active_experts|moe_router_topk|router_top_k)", 2),
    (r"(\w*_)?(num_experts|num_local_experts|n_routed_experts|num_routed_experts|moe_num_experts|num_sparse_experts|"
     r"n_experts)", 4),
    (r"(\w*_)?(n_shared_experts|num_shared_experts|moe_num_shared_experts)", lambda value: min(value, 1)),
    (r"n_group|topk_group|num_expert_group", 1),
    (r"(\w*_)?vocab_size(_\w+)?|(\w*_)?tokens_num", VOCABULARY),
    (r"(\w*_)?(max_position_embeddings|n_positions|n_ctx|max_seq_len|seq_length|max_sequence_length|max_target_positions"
     r"|max_source_positions|context_length|max_length|position_embedding_size)", POSITIONS),
    (r"(\w*_)?(sliding_window(_size)?|attention_window(_size)?|window_size|local_window|attention_chunk_size|index_topk)", 16),
    (r"(\w*_)?chunk_size", 16),
    (r"image_size|input_size", 28),
    (r"(\w*_)?patch_size", 14),
    (r"num_mel_bins|n_mels|feature_dim", 16),
    (r"num_nextn_predict_layers", 0),
    (r"first_k_dense_replace|num_dense_layers", lambda value: min(value, 1)),
    (r"(\w*_)?num_buckets|relative_attention_num_buckets|max_relative_positions|position_buckets", 8),
)  # fmt: skip
"""What numbers are called, and what they are in a tiny model; the first that fits the whole name."""

_NUMBERS = tuple((re.compile(pattern), value) for pattern, value in NUMBERS)
_TOKEN = re.compile(r"(\w*_)?token_(id|index|ids)(_\w+)?|(\w*_)?(token_id|token_index|tokens_ids)|\w+_id|\w+_index")
_HEADS = re.compile(r"num_attention_heads|n_heads?|num_heads|encoder_attention_heads")
_GROUPS = re.compile(r"num_key_value_heads|num_kv_heads|n_kv_heads?|n_head_kv")
_LAYERS = re.compile(r"(text_|encoder_|decoder_)?(num_hidden_layers|n_layers?|num_layers)")

ROTARY, SHARE = "rope_parameters", "partial_rotary_factor"
"""Where a configuration keeps what turns, and the share of a head that does."""

BY_LAYER = "per_layer_config"
"""What differs in some layers, by their index."""

INDEXER = {
    "indexer_budget": 16, "indexer_compress_ratio": 4,
    "indexer_n_heads": HEADS, "indexer_kv_heads": 1, "indexer_head_dim": WIDTH,
}  # fmt: skip

OVERRIDES: dict[str, dict[str, Any]] = {
    "bamba": {"attn_layer_indices": [1]},
    "blt": {"encoder_hash_byte_group_vocab": 50},
    "chameleon": {"vocabulary_map": {"<image>": 5}},
    "cohere_compass": {"text_config.rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 1e4}}},
    "cohere_compass_text": {"rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 1e4}}},
    "ctrl": {"dff": NEURONS},
    "dbrx": {"attn_config.rope_theta": 1e4, "attn_config.clip_qkv": 8.0},
    "deepseek_v2": {"num_experts_per_tok": 2, "first_k_dense_replace": 1},
    "deepseek_ocr2": {"text_config.mlp_layer_types": ["dense", "sparse", "sparse"]},
    "dots1": {"n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2},
    "diffusion_gemma": {
        "text_config.num_experts": 4,
        "text_config.top_k_experts": 2,
        "text_config.moe_intermediate_size": 32,
    },
    "dots3_note": {"text_config.head_dim": 24, "audio_config.adapter_input_size": HIDDEN},
    "dots3_note_text": {"head_dim": 24},
    "emu3": {"vocabulary_map": {"<image>": 5, "<|extra_200|>": 6}},
    "ernie4_5_vl_moe": {"text_config.moe_intermediate_size": [32, 16], "text_config.rope_parameters.mrope_section": [3, 3, 2]},
    "esm": {"vocab_size": VOCABULARY, "pad_token_id": 1, "mask_token_id": 2},
    "falcon_h1": {"mamba_d_ssm": 64},
    "florence2": {
        "vision_config.embed_dim": [16, 16, 32, 32],
        "vision_config.num_heads": [4] * 4,
        "vision_config.num_groups": [4] * 4,
    },
    "fun_asr_nano": {"adaptor_config.intermediate_size": 16},
    "funnel": {"d_inner": NEURONS, "block_sizes": [2, 2], "block_repeats": [1, 1]},
    "hunyuan_v1_dense": {"head_dim": WIDTH},
    "hunyuan_v1_moe": {"head_dim": WIDTH},
    "hunyuan_vl": {"text_config.head_dim": WIDTH},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1, "expert_layer_period": 2, "expert_layer_offset": 1},
    "kyutai_speech_to_text": {"codec_config.upsample_groups": HIDDEN},
    "led": {"max_encoder_position_embeddings": POSITIONS, "max_decoder_position_embeddings": POSITIONS},
    "lfm2_moe": {"layer_types": ["conv", "full_attention", "conv"]},
    "longcat_flash": {"zero_expert_num": 2},
    "mamba2": {"num_heads": 8, "n_groups": 2},
    "ministral": {"head_dim": WIDTH},
    "molmo2": {"adapter_config.vision_feature_layer": [2, 1]},
    "mobilebert": {"intra_bottleneck_size": 32, "true_hidden_size": 32},
    "mpnet": {"relative_attention_num_buckets": 32},
    "moonshine_streaming": {"num_key_value_heads": HEADS},
    "nemotron": {"num_key_value_heads": GROUPS},
    "granitemoehybrid": {"layer_types": ["mamba", "attention", "mamba"], "num_local_experts": 4},
    "granite4_vision": {"deepstack_layer_map": [[0, 0]], "downsample_rate": "1/2"},
    "qwen4_exp": {f"text_config.{key}": value for key, value in INDEXER.items()},
    "qwen4_exp_text": INDEXER,
    "vibevoice_asr": {"acoustic_tokenizer_chunk_size": 3200},
    "qwen2_5_omni": {"enable_audio_output": False},
    "qwen3_omni_moe": {"talker_config.text_config.shared_expert_intermediate_size": 32, "talker_config.spatial_merge_size": 2},
    "reformer": {
        "attn_layers": ["local", "lsh", "local"],
        "axial_pos_embds_dim": [32, 32],
        "axial_pos_shape": [8, 8],
    },
    "xlstm": {"qk_dim_factor": 0.5, "v_dim_factor": 1.0},
    "xlnet": {"d_inner": NEURONS},
    "zamba": {
        "layers_block_type": ["linear_attention", "hybrid", "linear_attention", "hybrid"],
        "num_hidden_layers": 4,
        "attention_hidden_size": 2 * HIDDEN,
        "attention_head_dim": 2 * WIDTH,
    },
    "zamba2": {"attention_hidden_size": 2 * HIDDEN, "attention_head_dim": 2 * WIDTH},
}
"""type -> what its tiny configuration says otherwise; dots go into inner configurations."""


DEFAULTS: dict[str, dict[str, Any]] = {
    "gemma4_assistant": {
        "text_config": {"model_type": "gemma4_text", "hidden_size_per_layer_input": 0, "vocab_size_per_layer_input": 0}
    }
}
"""type -> what its default configuration has to be told, where there is none without."""


def types(*, wrappers: bool = True) -> list[str]:
    """Every text type that transformers knows: those of text alone, then those that read something else besides."""
    plain = sorted(_classes(TEXT))
    return plain + sorted(_classes(WRAPPERS).keys() - plain) if wrappers else plain


def _classes(mappings: tuple[str, ...]) -> dict[str, str]:
    from transformers.models.auto import modeling_auto

    found: dict[str, str] = {}
    for mapping in mappings:
        for kind, names in getattr(modeling_auto, f"MODEL_FOR_{mapping}_MAPPING_NAMES", {}).items():
            found.setdefault(kind, names if isinstance(names, str) else names[0])
    return found


def small_config(kind: str) -> Any:
    """The configuration of a tiny model of a type.

    Raises:
        Exception: whatever transformers raises where the shrunk numbers do not go together.
    """
    cls = model_class(kind).config_class
    said = copy.deepcopy(cls(**DEFAULTS.get(kind, {})).to_dict())
    small = _shrunk(said)
    for place, value in OVERRIDES.get(kind, {}).items():
        _put(small, place, value)
    for key in ("transformers_version", "_name_or_path", "model_type"):
        small.pop(key, None)
    config = cls(**small)
    for part in (config, *(getattr(config, name, None) for name in getattr(config, "sub_configs", {}))):
        if part is not None:
            part._attn_implementation = "eager"
    return config


def _put(config: dict[str, Any], place: str, value: Any) -> None:
    *steps, last = place.split(".")
    for step in steps:
        config = config[step]
    config[last] = value


def _shrunk(said: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers by the rules, what has an entry for each layer cut to one of each kind, tables inside likewise."""
    depth = next((value for key, value in said.items() if _LAYERS.fullmatch(key) and isinstance(value, int)), 0)
    listed = [value for value in said.values() if isinstance(value, list) and len(value) == depth > LAYERS]
    listed += [[value.get(str(i), value.get(i)) for i in range(depth)] for key, value in said.items()
               if key == BY_LAYER and isinstance(value, Mapping)]  # fmt: skip
    kept = _representatives(listed, depth) if listed else None
    heads = {value for key, value in said.items() if _HEADS.fullmatch(key) and isinstance(value, int)}
    small: dict[str, Any] = {}
    for key, value in said.items():
        if key in ("id2label", "label2id"):
            continue
        if key == BY_LAYER and isinstance(value, Mapping) and kept is not None:
            said_of = {int(index): _shrunk(each) for index, each in value.items()}
            small[key] = {str(new): said_of[old] for new, old in enumerate(kept) if old in said_of}
        elif isinstance(value, Mapping):
            plain = all(isinstance(each, str) for each in value)
            small[key] = value if not plain else _shrunk(value) if key != ROTARY else _rotary(value)
        elif isinstance(value, list) and kept is not None and len(value) == depth:
            small[key] = [_number(key, one) if type(one := value[index]) is int else one for index in kept]
        elif isinstance(value, bool) or value is None or isinstance(value, (str, float)):
            small[key] = value
        elif isinstance(value, int) and kept is not None and _LAYERS.fullmatch(key) and value == depth:
            small[key] = len(kept)
        elif isinstance(value, int):
            small[key] = HEADS if _GROUPS.fullmatch(key) and value in heads else _number(key, value)
        elif key == "depths" and isinstance(value, list):
            small[key] = [1] * len(value)
        elif isinstance(value, list):
            small[key] = [_token(each) for each in value] if _TOKEN.fullmatch(key) else value
        else:
            small[key] = value
    return small | _coupled(said, small)


def _coupled(said: Mapping[str, Any], small: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers of MLA that follow from others: of a head, what rotates and what does not."""
    turned, still = "qk_rope_head_dim", "qk_nope_head_dim"
    if not all(isinstance(said.get(key), int) for key in (turned, still)):
        return {}
    whole, made = said[turned] + said[still], small[turned] + small[still]
    of = {said[turned]: small[turned], whole: made}
    coupled = {key: of[said[key]] for key in ("head_dim", "qk_head_dim") if said.get(key) in of}
    parameters = small.get(ROTARY)
    if isinstance(parameters, Mapping) and parameters.get(SHARE) == said[turned] / whole:
        coupled[ROTARY] = {**parameters, SHARE: small[turned] / made}
    return coupled


def _representatives(listed: list[list[Any]], depth: int) -> list[int]:
    """Layers of which every kind is among them, at least `LAYERS`."""
    kinds: dict[str, int] = {}
    for index in range(depth):
        kinds.setdefault(str([values[index] for values in listed]), index)
    chosen = set(list(kinds.values())[:6])
    for index in range(depth):
        if len(chosen) >= LAYERS:
            break
        chosen.add(index)
    return sorted(chosen)


def _number(key: str, value: int) -> int:
    if _TOKEN.fullmatch(key):
        return int(_token(value))
    for pattern, small in _NUMBERS:
        if pattern.fullmatch(key):
            made = small(value) if callable(small) else small
            return min(made, value) if value > 0 else value
    return value


def _token(value: Any) -> Any:
    return value % (VOCABULARY - 8) if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else value


def _rotary(said: Mapping[str, Any]) -> dict[str, Any]:
    """Rotary positions: sections that share a head out add up to half of it."""
    small = {key: _rotary(value) if isinstance(value, Mapping) else value for key, value in said.items()}
    if isinstance(sections := small.get("mrope_section"), list):
        small["mrope_section"] = (
            [WIDTH // 2 - 2 * (WIDTH // 2 // len(sections))] * (len(sections) - 2) + [WIDTH // 2 // len(sections)] * 2
            if len(sections) == 3
            else sections
        )
    if "original_max_position_embeddings" in small:
        small["original_max_position_embeddings"] = POSITIONS // 2
    return small


def model_class(kind: str) -> Any:
    """The class of its models, the whole one where several read its configuration."""
    import transformers

    return getattr(transformers, _classes((TEXT[0], *WRAPPERS, *TEXT[1:]))[kind])


def build(kind: str, seed: int) -> Any:
    """A model of a type, every parameter with noise on it, so that no gain is 1 and no bias 0.

    Raises:
        Exception: whatever transformers raises; ValueError if it was not shrunk.
    """
    import torch

    config = small_config(kind)
    cls = model_class(kind)
    with torch.device("meta"):
        size = sum(parameter.numel() for parameter in cls(copy.deepcopy(config)).parameters())
    if size > LARGEST:
        raise ValueError(f"its numbers were not shrunk: {size:,} parameters")
    torch.manual_seed(seed)
    model = cls(config).eval().float()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model
