"""Configurations of models inside larger models: which table inside the table speaks of the language model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

INNER = (
    "text_config",
    "llm_config",  # InternVL, Ovis
    "language_config",  # DeepSeek-VL
    "thinker_config",  # Qwen-Omni, around a text_config of its own
    "language_model_config",
    "llm_cfg",
    "lm_config",
)
"""Keys of the configuration of a language model inside a larger one, the usual first."""

DEEPEST = 4


def path_within(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The keys that lead from a configuration to that of the language model in it; none where it is one itself."""
    path: list[str] = []
    while len(path) < DEEPEST and (key := _inner(config)):
        path.append(key)
        config = config[key]
    return tuple(path)


def within(config: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """A configuration and those inside it on the way to the language model's, which is the last."""
    found = [config]
    for key in path_within(config):
        found.append(found[-1][key])
    return tuple(found)


def replaced(config: Mapping[str, Any], inner: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with another one in the place of the language model's, which is inside it."""
    *outer, _ = within(config)
    found = dict(inner)
    for table, key in zip(reversed(outer), reversed(path_within(config)), strict=True):
        found = {**table, key: found}
    return found


def _inner(config: Mapping[str, Any]) -> str:
    return next((key for key in INNER if isinstance(config.get(key), Mapping) and config[key]), "")
