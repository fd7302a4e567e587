"""Numbers from a configuration, which comes from strangers: found under the family's names, checked, never trusted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from kinprint.architectures.table import Table
from kinprint.checkpoints.nested_config import within
from kinprint.errors import ArchitectureError

LARGEST = 1 << 31

DEFAULTS: Mapping[str, Any] = {
    "hidden_size": "hidden_size",
    "num_hidden_layers": "num_hidden_layers",
    "num_attention_heads": "num_attention_heads",
    "num_key_value_heads": ["num_key_value_heads", "num_attention_heads"],
    "head_dim": "head_dim",
    "intermediate_size": "intermediate_size",
    "vocab_size": "vocab_size",
}
"""Where most families keep each number; a table's [config] says where it differs."""


def text_part(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The configuration of the language model inside a multimodal one, or the configuration itself."""
    return within(config)[-1]


BY_LAYER = "by_layer"
"""The fact that holds numbers that differ among layers: name of a fact -> its value in every layer, 0 where it has none."""


def declared(table: Table, config: Mapping[str, Any], source: object) -> dict[str, Any]:
    """Every number the configuration gives, under the name that kinprint has for it. Of a list, a number for each layer, the
    most common one; the list itself stands under `BY_LAYER`.

    Raises:
        ArchitectureError: a value that is no positive whole number of sensible size.
    """
    numbers: dict[str, Any] = {}
    lists: dict[str, list[int]] = {}
    for fact, names in {**DEFAULTS, **table.config}.items():
        value = lookup(names, config)
        if value is None or value == []:
            continue
        values = value if isinstance(value, list) else [value]
        wrong = [each for each in values if type(each) is not int or not 0 <= each < LARGEST] or ([] if any(values) else [0])
        if wrong:
            raise ArchitectureError(
                source, f"the configuration gives {fact} as {wrong[0]!r}", "it must be a positive whole number"
            )
        numbers[fact] = most_common(values)
        if isinstance(value, list):
            lists[fact] = value
    if "head_dim" not in numbers and {"hidden_size", "num_attention_heads"} <= numbers.keys():
        numbers["head_dim"] = max(numbers["hidden_size"] // numbers["num_attention_heads"], 1)
    return numbers | ({BY_LAYER: lists} if lists else {})


def of_layer(numbers: Mapping[str, Any], layer: int | None) -> Mapping[str, Any]:
    """Facts as they are in one layer."""
    lists = numbers.get(BY_LAYER)
    if layer is None or not lists:
        return numbers
    return {**numbers, **{fact: values[layer] for fact, values in lists.items() if layer < len(values) and values[layer]}}


def most_common(values: Iterable[int]) -> int:
    """The value that most layers have, the first of several; those without one (0) do not count."""
    return Counter(value for value in values if value).most_common(1)[0][0]


def states(table: Table, config: Mapping[str, Any], fact: str) -> bool:
    """Whether the configuration gives a number under a key of its own, or the family has one for it; not if it follows from
    another number by default."""
    return fact in table.config or fact in config


def lookup(names: Any, config: Mapping[str, Any]) -> Any:
    """The first alternative that the configuration has.

    An alternative is a key (dots go into tables), or a table with `key` or `value` that may hold only `when` another key (with
    dots too) is set to something true, or to what `is` says.
    """
    for alternative in [names] if isinstance(names, (str, Mapping)) else names:
        rule = {"key": alternative} if isinstance(alternative, str) else alternative
        if "when" in rule and not _holds(rule, config):
            continue
        value = rule["value"] if "value" in rule else _at(rule["key"], config)
        if value is not None:
            return value
    return None


def _holds(rule: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    found = _at(rule["when"], config)
    return bool(found == rule["is"] if "is" in rule else found)


def _at(key: str, config: Mapping[str, Any]) -> Any:
    value: Any = config
    for step in key.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def rewritten(table: Table, config: Mapping[str, Any], changes: Mapping[str, Any], source: object) -> dict[str, Any]:
    """A configuration with other numbers, each under the key that this configuration keeps it under.

    Args:
        changes: fact -> new value.

    Raises:
        ArchitectureError: the family's configurations cannot say such a number (it follows from others).
    """
    changed = dict(config)
    for fact, value in changes.items():
        names = {**DEFAULTS, **table.config}[fact]
        keys = [rule if isinstance(rule, str) else rule.get("key") for rule in ([names] if isinstance(names, str) else names)]
        keys = [key for key in keys if key is not None]
        if not keys:
            raise ArchitectureError(source, f"configurations of {table.title} cannot say another {fact}")
        changed[next((key for key in keys if key in config), keys[0])] = value
    return changed


def can_say(table: Table, fact: str) -> bool:
    """Whether the family's configurations hold that number, rather than derive it from others."""
    return bool({**DEFAULTS, **table.config}[fact])
