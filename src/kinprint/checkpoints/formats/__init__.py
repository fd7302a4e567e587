"""Checkpoint formats: one file each, found here, named nowhere else.

A module of this package, or an object under the entry-point group `kinprint.formats`, declares its `Format`.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable

from kinprint import discovery
from kinprint.checkpoints.checkpoint import Tensor
from kinprint.checkpoints.formats._format import Format, Inside
from kinprint.checkpoints.source import ByteSource
from kinprint.errors import CheckpointError

_LFS_POINTER = b"version https://git-lfs.github.com/spec/"


@functools.cache
def formats() -> tuple[Format, ...]:
    """Every format there is, the preferred first."""
    ours = [m.FORMAT for m in discovery.modules(sys.modules[__name__])]
    return tuple(sorted([*ours, *discovery.installed("formats")], key=lambda f: (f.rank, f.name)))


def format_of(name: str) -> Format | None:
    """The format that the name of a file announces, or None."""
    return next((form for form in formats() if name.lower().endswith(form.suffixes)), None)


def known_suffixes() -> tuple[str, ...]:
    """Ends of the names of weights files, those of the preferred formats first."""
    return tuple(suffix for form in formats() for suffix in form.suffixes)


def open_file(source: ByteSource) -> dict[str, Tensor]:
    """The tensors in one weights file, by name; CheckpointError if it cannot be one."""
    form = format_of(source.name)
    if form is None:
        raise CheckpointError(source, "not a weights file by its name", f"the endings known are {', '.join(known_suffixes())}")
    with source.open() as file:
        if file.read(len(_LFS_POINTER)) == _LFS_POINTER:
            raise CheckpointError(source, "a Git LFS pointer, not the weights", "run `git lfs pull` in its repository")
    return form.open_file(source)


def read_inside(files: Iterable[ByteSource]) -> Inside:
    """What a model's weights files say besides its tensors, if their format holds such things."""
    weights = [(source, form) for source in files if (form := format_of(source.name)) is not None]
    if not weights or weights[0][1].inside is None:
        return Inside()
    return weights[0][1].inside([source for source, _ in weights])
