"""Models that Ollama keeps on this disk: `ollama:NAME[:TAG]`.

Ollama stores files under their digests; a manifest of each model says which file is what
(`manifests/<registry>/<owner>/<name>/<tag>`, layers by media type). Nothing is asked of Ollama itself.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from kinprint.checkpoints.folders import Location, ModelFolder
from kinprint.checkpoints.json_text import parse_object
from kinprint.checkpoints.places import OLLAMA
from kinprint.checkpoints.source import ByteSource, LocalFile
from kinprint.errors import CheckpointError

WEIGHTS, LICENCE = "model.gguf", "LICENSE"
"""Names of what a manifest names by digest alone."""

REGISTRY, OWNER, TAG = "registry.ollama.ai", "library", "latest"
"""What a name leaves out."""

MAX_MANIFEST = 1 << 20

_MEDIA = "application/vnd.ollama.image."
_NAME = re.compile(
    r"(?:(?:(?P<registry>[\w.-]+\.[\w-]+)/)?(?P<owner>[\w.-]+)/)?(?P<name>[\w.-]+)(?::(?P<tag>[\w.-]+))?", re.ASCII
)
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")


class Stored(NamedTuple):
    """A model that Ollama keeps: what to type, and bytes of its weights where the manifest says them."""

    name: str
    nbytes: int


@dataclass(frozen=True)
class _Blob(LocalFile):
    """A file under its digest, by the name that it would have in a folder."""

    called: str
    digest: str

    @property
    def name(self) -> str:
        return self.called

    @property
    def sha256(self) -> str:
        return self.digest


@dataclass(frozen=True)
class _Blobs(ModelFolder):
    """The files of one manifest."""

    model: str
    files: Mapping[str, _Blob]

    def __str__(self) -> str:
        return self.model

    def names(self) -> AbstractSet[str]:
        return self.files.keys()

    def there(self, names: Iterable[str]) -> set[str]:
        return set(names) & self.files.keys()

    def sources(self, names: Iterable[str]) -> tuple[ByteSource, ...]:
        return tuple(self.files[name] for name in names)


def store() -> Path:
    """$OLLAMA_MODELS, or where Ollama keeps models by default."""
    if named := os.environ.get("OLLAMA_MODELS"):
        return Path(named)
    own, system = Path.home() / ".ollama" / "models", Path("/usr/share/ollama/.ollama/models")
    return system if system.is_dir() and not own.is_dir() else own


def locate(model: str) -> Location:
    """The model of `ollama:NAME[:TAG]`.

    Raises:
        CheckpointError: malformed, not there, damaged, or with a part that cannot be read.
    """
    named = _NAME.fullmatch(model.removeprefix(OLLAMA))
    if named is None or ".." in model:
        raise CheckpointError(
            model, "not a name of Ollama's", "write ollama:NAME or ollama:NAME:TAG, as `ollama list` shows it"
        )
    where = (named["registry"] or REGISTRY, named["owner"] or OWNER, named["name"], named["tag"] or TAG)
    manifest = store().joinpath("manifests", *where)
    if not manifest.is_file():
        raise CheckpointError(
            model, f"not among Ollama's models in {store()}", "see `kinprint models`; OLLAMA_MODELS names another folder"
        )
    files = _files(LocalFile(manifest), model)
    if WEIGHTS not in files:
        raise CheckpointError(model, "its manifest names no weights", "pull it again with Ollama")
    return Location(model.removeprefix(OLLAMA), model, _Blobs(model, files), WEIGHTS)


def stored() -> Iterator[Stored]:
    """Every model that Ollama keeps, in the order of names; manifests that cannot be read are passed over."""
    above = store() / "manifests"
    for path in sorted(above.glob("*/*/*/*")):
        registry, owner, name, tag = path.relative_to(above).parts
        prefix = f"{registry}/{owner}/" if registry != REGISTRY else f"{owner}/" if owner != OWNER else ""
        try:
            files = _files(LocalFile(path), str(path))
            yield Stored(f"{OLLAMA}{prefix}{name}:{tag}", files[WEIGHTS].size)
        except (CheckpointError, KeyError):
            continue


def _files(manifest: LocalFile, model: str) -> dict[str, _Blob]:
    """Name -> file, of the layers that are read.

    Raises:
        CheckpointError: it is damaged, or the model has an adapter of Ollama's, which changes its weights.
    """
    layers = parse_object(manifest.read(MAX_MANIFEST), manifest).get("layers")
    if not isinstance(layers, list):
        raise CheckpointError(manifest, "no manifest of Ollama's", "pull the model again with Ollama")
    files: dict[str, _Blob] = {}
    for layer in layers:
        kind = layer.get("mediaType") if isinstance(layer, dict) else None
        digest = _DIGEST.fullmatch(str(layer.get("digest"))) if isinstance(layer, dict) else None
        if kind == f"{_MEDIA}adapter":
            raise CheckpointError(
                model, "has an adapter of Ollama's beside its weights", "give the base and the adapter's files"
            )
        called = {f"{_MEDIA}model": WEIGHTS, f"{_MEDIA}license": LICENCE}.get(str(kind))
        if called is not None and digest is not None:
            files.setdefault(called, _Blob(store() / "blobs" / f"sha256-{digest[1]}", called, digest[1]))
    return files
