"""Checkpoint in, checkpoint out, one file a transform.

A new file that defines TRANSFORM is found, listed, given a command and tested; nothing else names it. A transform is a
function from a `Model` to a `Model`: it says how every weight is computed from others and computes none, so transforms
compose, and `write` streams the result tensor by tensor.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from kinprint import discovery
from kinprint.architectures import Table
from kinprint.errors import ArchitectureError, TransformError
from kinprint.transforms._check import Check
from kinprint.transforms._check import check as run_both
from kinprint.transforms._model import Model, model_of, read_model
from kinprint.transforms._transform import Transform
from kinprint.transforms._writing import Progress, in_memory, write


@cache
def known() -> dict[str, Transform]:
    """Every transform by name: ours and those of installed packages (entry points `kinprint.transforms`), disguises first."""
    ours = [module.TRANSFORM for module in discovery.modules(sys.modules[__name__])]
    transforms = sorted([*ours, *discovery.installed("transforms")], key=lambda t: (t.kind != "disguise", t.name))
    return {transform.name: transform for transform in transforms}


def apply(
    name: str,
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    given: Sequence[Table] = (),
    check: bool = True,
    progress: Progress | None = None,
    **options: Any,
) -> Model:
    """Write a transformed copy of a model as a folder that `transformers` loads.

    Args:
        name: of the transform, as `kinprint transform` lists them.
        source: a folder with a configuration.
        target: the folder to make; nothing but an empty folder may be there. It appears complete or not at all.
        given: the tables that the source may be read by; all known ones by default.
        check: after a disguise, run the source and the copy over a few tokens, where transformers is installed: what does not
            compute the same is not written.
        progress: called with bytes written and bytes in all.
        options: of the transform. Without `seed` one is drawn.

    Returns:
        the model that was written: its notes say what was left out and why, its seed what repeats it.

    Raises:
        TransformError: no such transform, it does not apply to this model, the target exists, or the copy does not compute
            the same.
        CheckpointError, ArchitectureError: the source cannot be read.

    Example:
        >>> import kinprint
        >>> made = kinprint.transform("permute", "examples/models/base", "disguised", seed=7)
        >>> made.layers, kinprint.compare("examples/models/base", "disguised").verdict
        (4, 'related')
    """
    if name not in known():
        raise TransformError(name, "no such transform", f"known: {', '.join(known())}")
    transform = known()[name]
    model = transform(read_model(source, given), **options)
    found: list[Check] = []

    def checked(folder: Path) -> None:
        found.append(run_both(Path(source), folder, next(iter(model.parts.values())).dtype.name))

    write(model, Path(target), progress=progress, checked=checked if check and transform.kind == "disguise" else None)
    return dataclasses.replace(model, check=found[0].words() if found else "")


def free_changes(model: Model) -> dict[str, str | None]:
    """Every disguise by name -> None if the architecture of a model allows it, else the reason why it does not.

    No weight is read.
    """
    reasons: dict[str, str | None] = {}
    for name, transform in known().items():
        if transform.kind == "disguise":
            try:
                transform(model)
                reasons[name] = None
            except (TransformError, ArchitectureError) as error:
                reasons[name] = error.problem
    return reasons


__all__ = ["Model", "Transform", "apply", "free_changes", "in_memory", "known", "model_of", "read_model", "write"]
