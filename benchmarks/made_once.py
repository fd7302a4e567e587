"""Models that a benchmark makes once, each from a seed that its name gives; a second run takes those that are there."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any


def seed_of(name: str) -> int:
    return zlib.crc32(name.encode())


def once(place: Path, make: Callable[[], Any]) -> None:
    """Make a model where it is not there; its folder appears when it is whole."""
    if place.exists():
        return
    import torch

    torch.set_num_threads(1)
    print(place.name, file=sys.stderr, flush=True)
    partial = place.with_name(place.name + ".part")
    make().to(torch.bfloat16).save_pretrained(partial)
    partial.rename(place)
