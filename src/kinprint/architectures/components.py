"""What stands beside a language model and is a model itself: the checkpoint of a vision tower or an audio encoder.

It has layers, widths and units of its own, so all that is measured and tested of a model can be measured and tested of it, and
it may come from elsewhere than the language model does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kinprint.architectures.anatomy import Anatomy
from kinprint.architectures.companions import NUMBER, in_a_layer
from kinprint.checkpoints import Checkpoint

KINDS: Mapping[str, tuple[str, ...]] = {
    "vision tower": ("vision_config", "visual", "vision_tower_config", "vit_config"),
    "audio encoder": ("audio_config", "audio_encoder_config", "speech_config", "encoder_config"),
}
"""What may be a component, as `companions` call it, and where a configuration says its numbers."""

DEEPEST = 3


def components(checkpoint: Checkpoint, anatomy: Anatomy) -> dict[str, Checkpoint]:
    """The components of a checkpoint by what they are; of several stacks of layers the one with most tensors."""
    found = {}
    for what, keys in KINDS.items():
        names = [name for name, belongs in anatomy.others.items() if belongs == what and name in checkpoint.tensors]
        root = _root(names)
        if root is None:
            continue
        own = {name.removeprefix(root): checkpoint.tensors[name] for name in sorted(names) if name.startswith(root)}
        found[what] = Checkpoint(
            name=f"{checkpoint.name}, {what}",
            source=checkpoint.source,
            tensors=own,
            config=_inside(checkpoint.config, keys),
            files=checkpoint.files,
            quantization=checkpoint.quantization,
        )
    return found


def _root(names: Iterable[str]) -> str | None:
    """What stands in front of all names of a component; None of what has no layers."""
    stacks: dict[str, list[str]] = {}
    for name in filter(in_a_layer, names):
        stacks.setdefault(NUMBER.split(name, maxsplit=1)[0], []).append(name)
    if not stacks:
        return None
    largest = max(stacks, key=lambda front: len(stacks[front]))
    steps = largest.rstrip(".").split(".")
    alike = [name for name in names if name.startswith(steps[0] + ".")]
    shared = [steps[0]]
    for column in zip(*(name.split(".")[1:] for name in alike), strict=False):
        if len(set(column)) > 1:
            break
        shared.append(column[0])
    return ".".join(shared) + "."


def _inside(config: Mapping[str, Any], keys: tuple[str, ...], depth: int = 0) -> Mapping[str, Any]:
    """The configuration of a component, wherever it stands inside that of the whole; empty where it is not there."""
    for key in keys:
        if isinstance(inner := config.get(key), Mapping):
            return inner
    inner_tables = (value for value in config.values() if isinstance(value, Mapping)) if depth < DEEPEST else ()
    return next((found for table in inner_tables if (found := _inside(table, keys, depth + 1))), {})
