"""Configurations that are no `config.json`: of Meta's and Mistral's own files, of litgpt, and what training scripts save.

Each is told by its keys and said again in the words of transformers. What has no counterpart there is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from kinprint.checkpoints.card import parse_yaml
from kinprint.checkpoints.folders import ModelFolder
from kinprint.checkpoints.json_text import parse_object
from kinprint.checkpoints.source import ByteSource
from kinprint.errors import CheckpointError

PARAMS, LITGPT = "params.json", "model_config.yaml"
FILES = (PARAMS, LITGPT)
"""Names of such files beside weights."""

MAX_BYTES = 1_000_000

_META = {
    "dim": "hidden_size",
    "n_layers": "num_hidden_layers",
    "n_heads": "num_attention_heads",
    "n_kv_heads": "num_key_value_heads",
    "head_dim": "head_dim",
    "hidden_dim": "intermediate_size",
    "vocab_size": "vocab_size",
    "rope_theta": "rope_theta",
    "max_seq_len": "max_position_embeddings",
}
_LITGPT = {
    "n_embd": "hidden_size",
    "n_layer": "num_hidden_layers",
    "n_head": "num_attention_heads",
    "n_query_groups": "num_key_value_heads",
    "head_size": "head_dim",
    "intermediate_size": "intermediate_size",
    "padded_vocab_size": "vocab_size",
    "rotary_percentage": "partial_rotary_factor",
    "rope_base": "rope_theta",
    "block_size": "max_position_embeddings",
}
_NANOGPT = {
    "n_embd": "n_embd",
    "n_layer": "n_layer",
    "n_head": "n_head",
    "vocab_size": "vocab_size",
    "block_size": "n_positions",
}


def foreign_files(folder: ModelFolder) -> tuple[ByteSource, ...]:
    """Those of `FILES` that are there."""
    return folder.sources(sorted(folder.there(FILES)))


def read_foreign(sources: tuple[ByteSource, ...]) -> dict[str, Any]:
    """What the first of such files says that is understood, in the words of transformers; empty if none is.

    Raises:
        CheckpointError: one is damaged.
    """
    for source in sources:
        data = source.read(MAX_BYTES)
        said = parse_object(data, source) if source.name == PARAMS else _yaml(data, source)
        if found := translated(said):
            return found
    return {}


def translated(said: Mapping[Any, Any]) -> dict[str, Any]:
    """The numbers of a model in the words of transformers; empty where the keys are none that are known."""
    if _whole(said, "dim", "n_layers", "n_heads"):
        return {"model_type": _type_of_meta(said)} | _renamed(said, _META) | _experts(said)
    if not _whole(said, "n_embd", "n_layer", "n_head"):
        return {}
    if "norm_class_name" in said or "mlp_class_name" in said or "n_query_groups" in said:
        return {"model_type": _type_of_litgpt(said)} | _renamed(said, _LITGPT)
    return {"model_type": "gpt2"} | _renamed(said, _NANOGPT)


def _whole(said: Mapping[Any, Any], *keys: str) -> bool:
    return all(type(said.get(key)) is int for key in keys)


def _renamed(said: Mapping[Any, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Positive numbers under other names; what says "not known" by a negative one is left out."""
    numbers = {new: said.get(old) for old, new in names.items()}
    return {
        name: value for name, value in numbers.items() if isinstance(value, (int, float)) and value is not True and value > 0
    }


def _type_of_meta(said: Mapping[Any, Any]) -> str:
    if isinstance(said.get("moe"), Mapping):
        return "mixtral"
    return "mistral" if "hidden_dim" in said else "llama"


def _experts(said: Mapping[Any, Any]) -> dict[str, Any]:
    experts = said.get("moe")
    names = {"num_experts": "num_local_experts", "num_experts_per_tok": "num_experts_per_tok"}
    return _renamed(experts, names) if isinstance(experts, Mapping) else {}


def _type_of_litgpt(said: Mapping[Any, Any]) -> str:
    """Which of the tables `litgpt*.toml` has such a model: Gemma's gains are stored less one."""
    if said.get("norm_class_name") != "RMSNorm":
        return "litgpt_layer"
    return "litgpt_gemma" if str(said.get("name")).lower().startswith(("gemma", "codegemma")) else "litgpt"


def _yaml(data: bytes, source: ByteSource) -> dict[Any, Any]:
    """A table of plain values; texts of digits are numbers."""
    try:
        content = parse_yaml(data.decode("utf-8-sig"))
    except (yaml.YAMLError, RecursionError, ValueError, TypeError) as error:
        raise CheckpointError(source, f"not valid YAML ({error})", "write the file again") from error
    if not isinstance(content, dict):
        raise CheckpointError(source, "not a table", "write the file again")
    return {key: _number(value) for key, value in content.items()}


def _number(value: Any) -> Any:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,15}", value):
        return int(value)
    return float(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,15}\.[0-9]{0,15}", value) else value
