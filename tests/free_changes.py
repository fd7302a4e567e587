"""Which free change each family allows: what the tests of transforms expect, and the table of docs/transforms.md."""

from __future__ import annotations

from families import FAMILIES

from kinprint.transforms import known

DISGUISES = [name for name, transform in known().items() if transform.kind == "disguise"]
UNGATED = {
    *("arcee", "bloom", "falcon", "falcon-grouped", "falcon-interleaved", "gpt2", "gpt_neox", "gptj", "opt"),
    *("phi", "starcoder2", "nemotron", "jais2", "nanochat", "apertus", "persimmon", "gpt_neox_japanese", "gpt_neo"),
    *("gpt_bigcode", "gpt_bigcode-interleaved", "codegen", "mpt", "xglm", "biogpt", "ctrl", "openai-gpt"),
}
ENCODERS = {"bert", "roberta"}
LATENT = {"deepseek_v2", "deepseek_v2-plain_queries", "deepseek_v3", "minicpm3", "axk1", "glm4_moe_lite", "youtu"}
WHOLE = {
    *(*LATENT, "glm4_moe", "gpt_oss", "llama4_text", "granitemoe", "granite_swa", "granitemoe_swa", "afmoe", "aria_text"),
    *("cohere2_moe", "dots1", "ernie4_5_moe", "exaone_moe", "flex_olmo", "flint", "hunyuan_v1_moe", "hy_v3", "kolibri1"),
    *("mellum", "mimo_v2_flash", "minimax_m2", "minimax_m3_vl_text", "phimoe", "solar_open"),
}
"""Families of `families.MIXED` and `families.MIXTURES` of which every tensor has a role; the others refuse most disguises."""

DERIVED = {
    *("helium", "stablelm", "gpt2", "gpt_neox", "gptj", "opt", "olmoe", "falcon", "falcon-grouped", "falcon-interleaved"),
    *("phi", "starcoder2", "persimmon", "gpt_neox_japanese", "gpt_neo", "gpt_bigcode", "gpt_bigcode-interleaved", "codegen"),
    *("mpt", "xglm", "biogpt", "ctrl", "openai-gpt"),
}
"""Configurations derive the size of a head from the number of heads."""

SEVERAL_WIDTHS = {
    *("deepseek_v2", "deepseek_v2-plain_queries", "deepseek_v3", "glm4_moe", "llama4_text", "afmoe", "axk1"),
    *("cohere2_moe", "dots1", "ernie4_5_moe", "exaone_moe", "flint", "glm4_moe_lite", "hunyuan_v1_moe", "hy_v3", "mellum"),
    *("mimo_v2_flash", "solar_open"),
}
"""Layers, or experts and what is shared beside them, have different numbers of neurons."""

SEVERAL_HEADS = {"mimo_v2_flash"}
"""Layers have different numbers of heads."""

OUTPUT_NORMS = {"gemma2", "gemma3_text", "glm4", "olmo2", "hyperclovax", "afmoe", "axk1", "flex_olmo", "kolibri1"}
"""Gains behind the blocks act on single channels."""

SINES = {"xglm", "ctrl"}
"""Channels have names, and no file holds the positions that name them."""

REFUSED: dict[str, set[str]] = {
    "fold-gains": {*ENCODERS, "openai-gpt"},
    "rotate": {*ENCODERS, "openai-gpt", *OUTPUT_NORMS, "bloom", *SINES},
    "mix": {*ENCODERS, "bitnet", "afmoe", *SEVERAL_HEADS},
    "permute": {*ENCODERS, *SEVERAL_HEADS},
    "scale": {"bitnet", *SEVERAL_HEADS},
    "split": {
        *("bloom", "gpt_oss", "minimax_m3_vl_text", "bitnet", "gpt_neox_japanese", "mpt", "openai-gpt", "aria_text"),
        *SEVERAL_WIDTHS,
    },
    "split-heads": {*ENCODERS, *DERIVED, *LATENT, *SEVERAL_HEADS, "olmo2", "bloom", "bitnet", "flex_olmo", "minimax_m2"},
    "shift": {"gemma2", "vaultgemma", "nanochat"},
    "scale-stream": {*ENCODERS, "opt", "llama4_text", "olmo", "nanochat", "openai-gpt", *SINES},
    "flip": {*ENCODERS, *UNGATED, "gpt_oss", "minimax_m3_vl_text"},
}
"""Disguise -> families that it refuses. docs/transforms.md says why."""


def markdown_table() -> str:
    """The disguises that families allow, families that allow the same ones in one row."""
    columns = [name for name in DISGUISES if name != "disguise"]
    rows: dict[tuple[bool, ...], list[str]] = {}
    for family in (*FAMILIES, *sorted(WHOLE)):
        rows.setdefault(tuple(family not in REFUSED.get(name, ()) for name in columns), []).append(f"`{family}`")
    head = ["| family | " + " | ".join(f"`{name}`" for name in columns) + " |", "|---|" + "---|" * len(columns)]
    cells = (f"| {', '.join(names)} | {' | '.join('yes' if free else '–' for free in row)} |" for row, names in rows.items())
    return "\n".join([*head, *cells])
