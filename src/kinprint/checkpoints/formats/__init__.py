"""Checkpoint formats: one file each, found here, named nowhere else.

A module of this package, or an object under the entry-point group `kinprint.formats`, declares its `Format`.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable

from kinprint import discovery
from kinprint.checkpoints.checkpoint import Tensor
from kinprint.checkpoints.formats._format import Format, Inside
from kinprint.checkpoints.other_forms import START, refuse_in_place, refuse_other
from kinprint.checkpoints.source import ByteSource
from kinprint.errors import CheckpointError


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


def form_of(source: ByteSource) -> Format:
    """The format of a file: what its first bytes say, else its name.

    Raises:
        CheckpointError: it is none, something else, or cannot be read. The message says which.
    """
    with source.open() as file:
        start = file.read(START)
    refuse_in_place(source, start)
    by_name = format_of(source.name)
    for form in ([by_name] if by_name else []) + list(formats()):
        if form.begins is not None and form.begins(start):
            return form
    if by_name is not None and by_name.begins is None:
        return by_name
    refuse_other(source, start)
    if by_name is None:
        raise CheckpointError(source, "not a weights file by its name", f"the endings known are {', '.join(known_suffixes())}")
    return by_name


def open_file(source: ByteSource, beside: Callable[[str], ByteSource] | None = None) -> dict[str, Tensor]:
    """The tensors in one weights file, by name; CheckpointError if it cannot be one.

    Args:
        beside: opens other files of its folder.
    """
    form = form_of(source)
    return form.open_file(source) if beside is None or form.open_beside is None else form.open_beside(source, beside)


def read_inside(files: Iterable[ByteSource]) -> Inside:
    """What a model's weights files say besides its tensors, if their format holds such things."""
    weights = [source for source in files if not source.name.endswith(".json")]
    form = form_of(weights[0]) if weights else None
    return form.inside(weights) if form is not None and form.inside is not None else Inside()
