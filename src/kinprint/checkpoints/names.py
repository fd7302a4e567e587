"""What wrappers and old versions of libraries have made of tensors' names, undone: one name for one weight.

Compilers, distributed training, adapters and trainers wrap a module in another one and leave a step of their own in every
name. They say nothing about the weights.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TypeVar

T = TypeVar("T")

STEPS = frozenset(
    {
        "_orig_mod",  # torch.compile
        "_fsdp_wrapped_module",
        "_fpw_module",
        "_checkpoint_wrapped_module",
        "_forward_module",  # Lightning's strategies
        "original_module",
        "base_layer",  # peft, around a module that has an adapter
    }
)
"""Steps that wrappers leave anywhere in a name."""

FRONT = ("module", "state_dict", "_forward_module")
"""Steps that stand in front of all names: of data parallel training, and of what trainers save."""

ADAPTED = "base_model.model."
"""What peft puts in front of the names of a model that it has wrapped."""

OLD = (
    (re.compile(r"((?:^|[._])(?:layer_?norm|ln|norm)[^.]*)\.gamma$", re.IGNORECASE), r"\1.weight"),
    (re.compile(r"((?:^|[._])(?:layer_?norm|ln|norm)[^.]*)\.beta$", re.IGNORECASE), r"\1.bias"),
    (re.compile(r"\.weight_g$"), ".parametrizations.weight.original0"),
    (re.compile(r"\.weight_v$"), ".parametrizations.weight.original1"),
)
"""Names of an old time, and those that the same tensors have now."""


def plain(names: Iterable[str]) -> dict[str, str]:
    """Name in the file -> name without what wrappers have added, and as it is spelled now, as far as `apart` allows."""
    stored = list(names)
    front = _common_front(stored)
    return apart({name: _respelled(name[len(front) :]) for name in stored})


def apart(new_names: Mapping[str, str]) -> dict[str, str]:
    """Name -> its new name; the old one where the new one is empty, or is the new or the old name of another tensor.

    So two tensors are never taken for one, whatever they are called.
    """
    count = Counter(new_names.values())
    taken = {new for new in new_names.values() if not new or count[new] > 1 or new in new_names}
    return {name: name if new in taken else new for name, new in new_names.items()}


def renamed(tensors: Mapping[str, T]) -> dict[str, T]:
    """Tensors under their plain names, in the order of these. What messages call them stays the name in the file."""
    names = plain(tensors)
    return {new: tensors[name] for new, name in sorted((new, name) for name, new in names.items())}


def _common_front(names: list[str]) -> str:
    """Steps of `FRONT` and of peft that stand in front of every name."""
    front = ""
    while names:
        step = next((f"{word}." for word in (*FRONT, ADAPTED[:-1]) if all(n.startswith(f"{front}{word}.") for n in names)), "")
        if not step:
            break
        front += step
    return front


def _respelled(name: str) -> str:
    steps = [step for step in name.split(".") if step not in STEPS]
    short = ".".join(steps)
    for pattern, new in OLD:
        short = pattern.sub(new, short)
    return short
