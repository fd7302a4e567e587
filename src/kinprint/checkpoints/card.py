"""The front matter of a model card (README.md): YAML between two lines of three dashes."""

from __future__ import annotations

import re
from typing import Any

import yaml

from kinprint.checkpoints.source import ByteSource
from kinprint.errors import CheckpointError

MAX_BYTES = 4_000_000  # of the card
MAX_FRONT_MATTER = 256_000  # of its front matter: YAML is slow to parse
_FRONT_MATTER = re.compile(r"---[ \t]*\n(?P<matter>.*?)\n---[ \t]*(?:\n|\Z)", re.DOTALL)


class _Loader(yaml.SafeLoader):
    """YAML to strings, booleans, nulls, lists and tables: no dates, and no aliases, which can multiply a document."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.YAMLError("aliases are not read")
        return super().compose_node(parent, index)


_PLAIN = ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:null")
_Loader.yaml_implicit_resolvers = {
    first: kept
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    if (kept := [(tag, pattern) for tag, pattern in resolvers if tag in _PLAIN])
}
_Loader.yaml_constructors = {
    tag: constructor
    for tag, constructor in yaml.SafeLoader.yaml_constructors.items()
    if tag is None or tag.rpartition(":")[2] in ("bool", "null", "str", "seq", "map")
}


def parse_yaml(text: str) -> Any:
    """A document from a stranger: strings, booleans, nulls, lists and tables. Raises what PyYAML raises."""
    return yaml.load(text, _Loader)


def read_card(source: ByteSource) -> dict[str, Any]:
    """The front matter of a card, empty if it has none; CheckpointError if it is damaged."""
    text = read_text(source)
    found = _FRONT_MATTER.match(text)
    if found is None:
        return {}
    matter = found["matter"]
    if len(matter) > MAX_FRONT_MATTER:
        raise CheckpointError(source, f"a front matter of {len(matter):,} characters, at most {MAX_FRONT_MATTER:,} read")
    try:
        content = parse_yaml(matter)
    except (yaml.YAMLError, RecursionError, ValueError, TypeError) as error:
        raise CheckpointError(source, f"its front matter is not valid YAML ({error})") from error
    if not isinstance(content, dict):
        raise CheckpointError(source, "its front matter is not a table")
    return {str(key): value for key, value in content.items()}


def read_text(source: ByteSource) -> str:
    """A whole card, with its front matter; CheckpointError if it is too large."""
    return source.read(MAX_BYTES).decode("utf-8-sig", errors="replace").replace("\r\n", "\n")
