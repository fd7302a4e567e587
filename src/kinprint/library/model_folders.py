"""Which files and folders are models, and what lies below a folder: one answer, from names, whatever the formats are.

A folder is one model if weights lie in it beside a configuration, under the names that they have by custom, or as the only set
that can be meant, with no other models below it. Other weights files, and `.kinprint` files, are models by themselves.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from kinprint.checkpoints.files import clear_errors
from kinprint.checkpoints.folders import CONFIG
from kinprint.checkpoints.formats import format_of
from kinprint.checkpoints.weight_choice import ADAPTER_CONFIG, choose_weights, is_standard
from kinprint.errors import CheckpointError
from kinprint.fingerprints.from_model import SUFFIX

Kind = Literal["model", "perhaps", "files", "nothing"]
"""The folder is one model; or is one unless other models lie below it; or each of its files is a model; or it is no model."""


def is_model_file(name: str) -> bool:
    """Whether a file of this name is a model by itself: weights of any format, or a fingerprint."""
    return format_of(name) is not None or name.endswith(SUFFIX)


def kind_of(names: AbstractSet[str], *, announced: bool = False) -> Kind:
    """What a folder with files of these names is.

    Args:
        announced: count a configuration without weights as a model that is not complete.
    """
    configured = bool({CONFIG, ADAPTER_CONFIG} & names)
    if not any(format_of(name) for name in names):
        return "model" if configured and announced else "nothing"
    if configured or any(map(is_standard, names)):
        return "model"
    try:
        choose_weights(names, "")
    except CheckpointError:
        return "files"
    return "perhaps"


def models_below(
    folder: Path,
    *,
    itself: bool = True,
    deepest: int | None = None,
    follow: bool = True,
    announced: bool = False,
    patient: bool = False,
) -> Iterator[Path]:
    """The models in a folder, in the order of names, folder by folder. Hidden files and folders are skipped.

    Args:
        itself: the folder may be a model itself; otherwise it is taken for a folder of models.
        deepest: how many levels of folders are searched; all by default.
        follow: follow links; each folder is visited once.
        announced: as `kind_of`.
        patient: skip subfolders that cannot be listed.

    Raises:
        CheckpointError: the folder cannot be listed, or without `patient` one below it.
    """
    yield from _Search(follow, announced, patient).models(folder, deepest, itself)


@dataclass
class _Search:
    follow: bool
    announced: bool
    patient: bool
    visited: set[tuple[int, int]] = field(default_factory=set)

    def models(self, folder: Path, deepest: int | None, itself: bool = True) -> Iterator[Path]:
        """The models in a folder; none if it was visited already."""
        files, folders = self._listed(folder)
        kind = kind_of(files, announced=self.announced)
        below = (model for name in sorted(folders) for model in self._below(folder / name, deepest))
        first = None
        if itself and kind == "perhaps" and (first := next(below, None)) is None:
            kind = "model"
        if kind == "model":
            files = {name for name in files if name.endswith(SUFFIX)}
        if kind == "model" and itself:
            yield folder
        yield from (folder / name for name in sorted(files) if is_model_file(name))
        if kind != "model" or not itself:
            yield from ([] if first is None else [first])
            yield from below

    def _below(self, folder: Path, deepest: int | None) -> Iterator[Path]:
        if deepest == 0:
            return
        try:
            yield from self.models(folder, None if deepest is None else deepest - 1)
        except CheckpointError:
            if not self.patient:
                raise

    def _listed(self, folder: Path) -> tuple[set[str], list[str]]:
        """Names of the files and of the folders in a folder."""
        with clear_errors(folder):
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in self.visited:
                return set(), []
            entries = [entry for entry in os.scandir(folder) if not entry.name.startswith(".")]
        self.visited.add((status.st_dev, status.st_ino))
        folders = [entry.name for entry in entries if entry.is_dir(follow_symlinks=self.follow)]
        # a link to nothing is a file too: whoever opens it says what is wrong
        files = {entry.name for entry in entries if self.follow or entry.is_file(follow_symlinks=False)}.difference(folders)
        return files, folders
