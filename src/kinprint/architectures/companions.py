"""What stands in a file beside a language model: told by the names of the tensors, in words for people."""

from __future__ import annotations

import re

NUMBER = re.compile(r"(?<![^.])\d+(?![^.])", re.ASCII)
"""A number in a name: digits between dots, or at an end."""


def _alternatives(steps: str) -> list[str]:
    """The alternatives of an expression, those in brackets kept together."""
    return re.findall(r"(?:\([^)]*\)|[^|(])+", steps)


ANYWHERE = re.compile(r"(?:^|\.)(lora_\w+|ia3_l|trainable_tokens_\w+)(?=\.|$)", re.ASCII)
"""Steps of what an adapter has left beside the weights that it changes."""

WORDS: tuple[tuple[str, str], ...] = (
    (
        "projector",
        r"(multi_?modal|mm|vision|visual|audio|image|modality|speech)_?(projector|projection|adapter|aligner|resampler|connector)"
        r"|mm|connector|resampler\w*|perceiver|qformer|merger\w*|deepstack_merger\w*|embed_vision|embed_audio|vision_proj"
        r"|aligner|projector|\w+_projectors|language_projection|text_projection|query_tokens|mlp1",
    ),
    ("image decoder", r"vqmodel|vq_?vae|gen_\w+|generation_(head|embeddings|aligner)"),
    (
        "vision tower",
        r"vision_?\w*|visual\w*|vit|vit_\w+|image_\w*|img_\w*|video_\w*|clip|siglip\w*|dino\w*|vpm|high_res_vision\w*"
        r"|sam_model|qwen2_model|v",
    ),
    (
        "audio encoder",
        r"audio_?\w*|speech(?!t5)_?\w*|whisper|conformer|apm|wav2vec2\w*|hubert|wavlm|encodec|codec_model"
        r"|(acoustic|semantic)_tokenizer\w*|a",
    ),
    ("speech decoder", r"talker|token2wav|code2wav|tts|vocoder|depth_decoder|t2u_model"),
    ("multi-token prediction", r"mtp\w*|nextn\w*|medusa_head|eagle\w*"),
    (
        "head for scores",
        r"score|classifier|classification_head|v_head|value_head|reward_head|qa_outputs|rm_head|summary|logits_proj"
        r"|pre_classifier|regression_head",
    ),
    ("pooler", r"pooler|sequence_summary"),
    ("head for masked words", r"cls|lm_transform|vocab_\w+|generator_\w+|predictions|\w+_predictions|sop_classifier"),
    ("output head", r"lm_head|lm_loss|pred_layer|proj_out"),
    ("embedding of token types", r"token_type_embeddings"),
)
"""What it is, and the steps in front of the first number that say so; the first that fits. One letter: the first step only."""

_PATTERNS = tuple(
    (
        what,
        re.compile(
            "|".join(rf"^(?:{w})(?=\.|$)" if len(w) == 1 else rf"(?:^|\.)(?:{w})(?=\.|$)" for w in _alternatives(steps))
        ),
    )
    for what, steps in WORDS
)

BUFFERS = re.compile(
    r"(?:^|\.)(inv_freq|original_inv_freq|position_ids|masked_bias|num_batches_tracked|freqs_cis|cos_cached|sin_cached|"
    r"rope_freqs|rope_factors_\w+|attn_rot_embd|attention\.bias|attn\.bias|attn\.attention\.bias|causal_mask|attn_mask|"
    r"embed_positions\._float_tensor|embed_positions\.weights|pos_encoding|logn_tensor|token_type_ids|mask)(\.|$)|"
    r"rotary_emb\.",
    re.ASCII,
)
"""Names of what a model computes itself, and some files hold all the same."""


def companion(name: str) -> str:
    """What a tensor without a role belongs to; "" where the name does not say."""
    if ANYWHERE.search(name):
        return "adapter"
    front = NUMBER.split(name, maxsplit=1)[0]
    return next((what for what, pattern in _PATTERNS if pattern.search(front)), "")


def is_buffer(name: str) -> bool:
    """Whether the model computes this itself, so that its absence from a file says nothing."""
    return BUFFERS.search(name) is not None


def belongs_to(name: str) -> str:
    """As `companion`; where the name says nothing known, its first steps."""
    return companion(name) or f"the tensors of {'.'.join(step for step in name.split('.')[:2])}"


def in_a_layer(name: str) -> bool:
    """Whether a number stands in the name: it is one of many alike."""
    return NUMBER.search(name) is not None
