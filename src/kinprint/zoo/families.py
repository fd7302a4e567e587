"""The families of a zoo at every size, as configurations of `transformers`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Shape:
    """What a size means.

    Attributes:
        hidden, layers, heads, groups, neurons, vocabulary: of a dense model.
        steps: optimiser steps of a base.
        batch, length: windows a step, tokens a window.
    """

    hidden: int
    layers: int
    heads: int
    groups: int
    neurons: int
    vocabulary: int
    steps: int
    batch: int
    length: int


SHAPES = {
    "tiny": Shape(96, 6, 8, 4, 192, 384, 120, 8, 64),
    "small": Shape(192, 6, 8, 4, 512, 1024, 400, 8, 96),
    "medium": Shape(1024, 12, 16, 8, 2816, 8192, 3000, 32, 512),
}
EXPERTS, CHOSEN = 8, 2


def configuration(family: str, shape: Shape) -> Any:
    """The configuration of a family at a size: embeddings tied where the family can, experts together as large as an FFN.

    No dropout: two trainings whose masks come from one seed would share noise channel by channel.
    """
    from transformers import AutoConfig

    return AutoConfig.for_model(family, **settings(family, shape))


def settings(family: str, shape: Shape) -> dict[str, Any]:
    """What the configuration says, as its constructor wants it."""
    ids = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
    if family == "gpt2":
        names = {"n_embd": shape.hidden, "n_layer": shape.layers, "n_head": shape.heads, "n_positions": 2 * shape.length}
        dropout = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)
        return {**names, **dropout, "n_inner": shape.neurons * 3 // 2, "vocab_size": shape.vocabulary, **ids}
    if family == "opt":
        names = {"hidden_size": shape.hidden, "num_hidden_layers": shape.layers, "num_attention_heads": shape.heads}
        names |= {"word_embed_proj_dim": shape.hidden, "ffn_dim": shape.neurons * 3 // 2, "vocab_size": shape.vocabulary}
        return {**names, "max_position_embeddings": 2 * shape.length, "dropout": 0.0, **ids}
    common = {
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "vocab_size": shape.vocabulary,
        "max_position_embeddings": 2 * shape.length,
        **ids,
    }
    if family == "gpt_neox":
        return {**common, "intermediate_size": shape.neurons * 3 // 2}
    common |= {"num_key_value_heads": shape.groups, "tie_word_embeddings": True}
    if family == "mixtral":
        size = max(shape.neurons // EXPERTS, 16)
        return {**common, "intermediate_size": size, "num_local_experts": EXPERTS, "num_experts_per_tok": CHOSEN}
    if family == "qwen3":
        common["head_dim"] = shape.hidden // shape.heads
    return {**common, "intermediate_size": shape.neurons}
