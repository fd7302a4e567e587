"""Checkpoint formats: one file each, found here, named nowhere else.

A module of this package, or an object under the entry-point group `kinprint.formats`, declares its `Format`.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable
from pathlib import Path

from kinprint import discovery
from kinprint.checkpoints.checkpoint import Tensor
from kinprint.checkpoints.files import open_regular
from kinprint.checkpoints.formats._format import Format, Inside
from kinprint.errors import CheckpointError

_LFS_POINTER = b"version https://git-lfs.github.com/spec/"


@functools.cache
def formats() -> tuple[Format, ...]:
    """Every format there is, the preferred first."""
    ours = [m.FORMAT for m in discovery.modules(sys.modules[__name__])]
    return tuple(sorted([*ours, *discovery.installed("formats")], key=lambda f: (f.rank, f.name)))


def format_of(path: Path) -> Format | None:
    """The format that the file name of `path` announces, or None."""
    return next((f for f in formats() if path.name.lower().endswith(f.suffixes)), None)


def open_file(path: Path) -> dict[str, Tensor]:
    """The tensors in one weights file, by name; CheckpointError if it cannot be one."""
    found = format_of(path)
    if found is None:
        known = ", ".join(suffix for f in formats() for suffix in f.suffixes)
        raise CheckpointError(path, "not a weights file by its name", f"the endings known are {known}")
    with open_regular(path) as file:
        if file.read(len(_LFS_POINTER)) == _LFS_POINTER:
            raise CheckpointError(path, "a Git LFS pointer, not the weights", "run `git lfs pull` in its repository")
    return found.open_file(path)


def read_inside(files: Iterable[Path]) -> Inside:
    """What a model's weights files say besides its tensors, if their format holds such things."""
    weights = [(path, found) for path in files if (found := format_of(path)) is not None]
    if not weights or weights[0][1].inside is None:
        return Inside()
    return weights[0][1].inside([path for path, _ in weights])
