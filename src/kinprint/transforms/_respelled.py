"""A model whose file is not one of transformers (a GGUF, nanoGPT's), in names and a configuration that transformers opens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kinprint.architectures import Part, Place, Table, known
from kinprint.architectures import facts as configuration
from kinprint.architectures.anatomy import Name
from kinprint.errors import TransformError

REBUILT = (
    "its configuration was rebuilt from what the file says; what it does not say has the defaults of transformers, and the "
    "tokenizer was not converted"
)

KEPT = ("rope_theta", "max_position_embeddings", "num_experts_per_tok", "rms_norm_eps", "layer_norm_eps", "tie_word_embeddings")
"""Keys of the configuration that a GGUF gives, which mean the same in transformers."""

SCALED = ("rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight")
"""Tensors of a GGUF whose positions are scaled, which its configuration here does not say."""


def target_of(table: Table, config: Mapping[str, Any], facts: Mapping[str, Any], stored: set[str], source: str) -> Table:
    """The table of the names of transformers for a model read by a table of another library's names.

    Raises:
        TransformError: none is known, or its configuration cannot be rebuilt.
    """
    model_type = str(config.get("model_type"))
    key = f"{model_type} experts" if facts.get("num_experts") and f"{model_type} experts" in table.written_as else model_type
    wanted = table.written_as.get(key)
    found = next((other for other in known() if wanted in other.model_types and not other.written_as), None)
    if found is None:
        raise TransformError(
            source, f"a file of a {model_type} in these names does not say all that transformers must know of it",
            "transform the folder that it was made from",
        )  # fmt: skip
    if scaled := next((name for name in SCALED if name in stored), None):
        raise TransformError(
            source, f"its positions are scaled ({scaled}) in a way that its metadata does not say",
            "transform the folder that it was made from",
        )  # fmt: skip
    return found


def config_of(table: Table, target: Table, config: Mapping[str, Any], facts: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The configuration of transformers, each number under the key that the family has for it."""
    model_type = next(name for name in table.written_as.values() if name in target.model_types)
    numbers = {
        fact: facts[fact]
        for fact in configuration.DEFAULTS
        if isinstance(facts.get(fact), int) and configuration.can_say(target, fact)
    }
    said = {key: config[key] for key in KEPT if key in config}
    biased = {"attention_bias": "biases.q", "mlp_bias": "biases.up"}
    rebuilt = {"model_type": model_type, **said, "tie_word_embeddings": facts["tie_word_embeddings"], "pad_token_id": None}
    if facts.get("num_experts"):
        rebuilt |= {"num_local_experts": facts["num_experts"], "num_experts": facts["num_experts"]}
    if share := _rotary_share(facts):
        rebuilt |= {"partial_rotary_factor": share, "rotary_pct": share}
    if (positions := facts.get("position_rows")) is not None:
        rebuilt |= {"n_positions": positions, "max_position_embeddings": positions}
    rebuilt |= {key: True for key, role in biased.items() if role in facts.get("roles", ())}
    return configuration.rewritten(target, rebuilt, numbers, source)


def _rotary_share(facts: Mapping[str, Any]) -> float | None:
    rotary, width = facts.get("rotary_dim"), facts.get("head_dim")
    return rotary / width if isinstance(rotary, int) and isinstance(width, int) and rotary != width else None


def names_of(target: Table, parts: Mapping[Place, Part], source: str) -> tuple[Name, ...]:
    """A name for every part.

    Raises:
        TransformError: the family of transformers has no place for one.
    """
    present = {(place[0] is not None, place[1], place[2] is not None) for place in parts}
    front = target.prefixes[0]
    names: list[Name] = []
    left = {role for _, role, _ in present}
    for key, entry in sorted(target.tensors.items(), key=lambda item: -len(item[1].roles)):
        of_experts = entry.stacked_experts or "{expert}" in key
        places = {("{layer}" in key, role, of_experts) for role in entry.roles}
        if places <= present and set(entry.roles) <= left:
            pattern = key if entry.roles == ("head",) else front + key
            names.append(Name(pattern, entry, ()))
            left -= set(entry.roles)
    if left:
        raise TransformError(
            source, f"transformers' {target.family} has no place for its {min(left)}",
            "transform the folder that it was made from",
        )  # fmt: skip
    return tuple(names)
