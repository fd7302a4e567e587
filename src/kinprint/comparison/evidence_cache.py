"""What methods said about pairs of fingerprints earlier, kept in the user's cache folder.

An entry is found by all that evidence depends on: both fingerprints (digest and name, which notes repeat) in their order, every
file of kinprint that a method can import, and the versions of what computes. A change of the code is another key, so nothing
stale can be found, whoever forgot what; a process whose files have changed since it loaded them finds and keeps nothing. Deep
methods, and those of other packages, whose code is not known, are not kept.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterable
from functools import cache
from importlib import metadata
from itertools import count
from pathlib import Path

from blake3 import blake3

from kinprint import methods as registry
from kinprint.checkpoints.files import cache_folder, read_bounded, replacing
from kinprint.comparison import evidence_text
from kinprint.errors import CheckpointError
from kinprint.fingerprints import Fingerprint
from kinprint.methods import Evidence, Method

FORMAT = "kinprint-evidence/1"

ABOVE = ("benchmark", "cli", "library", "reports", "server", "zoo")
"""Packages that no method imports: imports point down the layers (pyproject.toml)."""

COMPUTING = ("numba", "numpy", "scipy")
"""Packages whose versions may change a last bit, or random numbers."""

MOST_BYTES = 256 << 20
"""Of all entries; an entry has a few thousand."""

LEFT = MOST_BYTES // 2
"""What is left once there are more: those used last."""

LOOK_EVERY = 256
"""Entries that a process writes between two looks at how much there is; it looks at its first too."""

MOST_ENTRY = 16 << 20

_LOADED = time.time()
_written = count()


def folder() -> Path:
    return cache_folder() / "evidence"


def find(reference: Fingerprint, suspect: Fingerprint) -> dict[str, Evidence]:
    """Method -> what it said about this pair; empty where nothing is kept, or what is kept is damaged or foreign."""
    key = _key(reference, suspect)
    if key is None:
        return {}
    path = _path(key)
    try:
        head, _, body = read_bounded(path, MOST_ENTRY).partition(b"\n")
        if head != _head(key, body):
            return {}
        found = {item.method: item for item in evidence_text.read(body.decode())}
    except (CheckpointError, ValueError):
        return {}
    with contextlib.suppress(OSError):
        os.utime(path)  # used now: entries go in the order of their last use
    return found


def keep(reference: Fingerprint, suspect: Fingerprint, evidence: Iterable[Evidence]) -> None:
    """Store what methods said about a pair, instead of what was stored; a cache that cannot be written is no error."""
    key = _key(reference, suspect)
    if key is None:
        return
    with contextlib.suppress(OSError):
        path, body = _path(key), evidence_text.write(evidence).encode()
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(_head(key, body) + b"\n" + body)
        if next(_written) % LOOK_EVERY == 0:
            _bound(folder(), MOST_BYTES, LEFT)


def keepable(method: Method) -> bool:
    """Whether all that a method computes is code of ours, and of two fingerprints."""
    return not method.deep and method in registry.known() and _module(method.run).startswith(f"{registry.__name__}.")


def _module(function: Callable[..., object]) -> str:
    return getattr(function, "__module__", None) or ""


def _key(reference: Fingerprint, suspect: Fingerprint) -> str | None:
    """None where the code has no files to know it by."""
    code = code_digest()
    if code is None:
        return None
    models = [part for model in (reference, suspect) for part in (model.digest, model.name)]
    return blake3("\0".join([FORMAT, code, *models]).encode("utf-8", "surrogatepass")).hexdigest()


@cache
def code_digest(root: Path = Path(__file__).parents[1], loaded: float = _LOADED) -> str | None:
    """Of all files of the package that what a method says can depend on, and of the versions of what computes.

    Args:
        root: the package.
        loaded: when this process loaded it.

    Returns:
        None if there are no files, or one has changed since: what runs is not what they say.
    """
    files = [path for path in sorted(root.rglob("*")) if _counts(path.relative_to(root)) and path.is_file()]
    if not any(path.suffix == ".py" for path in files):
        return None
    try:
        digest = blake3(f"{sys.version_info[:2]} {[metadata.version(name) for name in COMPUTING]}\n".encode())
        for path in files:
            if max(path.stat().st_mtime, path.stat().st_ctime) > loaded:
                return None
            content = path.read_bytes()
            digest.update(f"{path.relative_to(root).as_posix()} {len(content)}\n".encode() + content)
    except (OSError, metadata.PackageNotFoundError):
        return None
    return digest.hexdigest()


def _counts(path: Path) -> bool:
    return path.parts[0] not in ABOVE and "__pycache__" not in path.parts


def _path(key: str) -> Path:
    """A folder for every first two digits: none becomes so large that looking at it takes long."""
    return folder() / key[:2] / key


def _head(key: str, body: bytes) -> bytes:
    """The line in front of an entry: what it is, whose, and that it is whole."""
    return f"{FORMAT} {key} {blake3(body).hexdigest()}".encode()


def _bound(place: Path, most: int, left: int) -> None:
    """If entries have more than `most` bytes, remove those not used for the longest time, until they have `left`."""
    entries = []
    for path in place.glob("??/*"):
        with contextlib.suppress(OSError):
            state = path.stat()
            entries.append((state.st_mtime_ns, state.st_size, path))
    size = sum(each for _, each, _ in entries)
    if size <= most:
        return
    for _, each, path in sorted(entries):
        if size <= left:
            return
        with contextlib.suppress(OSError):
            path.unlink()
        size -= each
