"""SHA-256 of a checkpoint's files: what hubs publish, signatures cover and `sha256sum` prints."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kinprint.checkpoints.checkpoint import Checkpoint
from kinprint.checkpoints.files import open_regular, partial_of

PIECE = 1 << 22

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class FileHash:
    """One file of a checkpoint.

    Attributes:
        name: without its folder.
        size: bytes.
        sha256: hex digits; "" where not all of the file is here and its place does not tell the digest.
        note: why there is no digest, or where it comes from.
    """

    name: str
    size: int
    sha256: str
    note: str = ""


def hashes(checkpoint: Checkpoint, progress: Callable[[int, int], None] = lambda done, total: None) -> tuple[FileHash, ...]:
    """Every file that takes part, hashed now; of files that are not all here, what their hub says of them.

    Args:
        progress: called with bytes done and bytes in all.

    Raises:
        CheckpointError: a file cannot be read.
    """
    sizes = {path: _size(path) for path in checkpoint.files}
    total, done = sum(sizes.values()), 0

    def tell(count: int) -> None:
        nonlocal done
        done += count
        progress(done, total)

    return tuple(_hash(path, sizes[path], tell) for path in checkpoint.files)


def _size(path: Path) -> int:
    return path.stat().st_size


def _hash(path: Path, size: int, tell: Callable[[int], None]) -> FileHash:
    partial = partial_of(path)
    if partial is not None:  # reading it would fetch all of it
        tell(size)
        if _SHA256.fullmatch(partial.version):
            return FileHash(path.name, size, partial.version, "as its hub states it; only a part was fetched")
        return FileHash(path.name, size, "", f"version {partial.version}; only a part was fetched")
    digest = hashlib.sha256()
    for piece in _pieces(path):
        digest.update(piece)
        tell(len(piece))
    return FileHash(path.name, size, digest.hexdigest())


def _pieces(path: Path) -> Iterator[bytes]:
    with open_regular(path) as file:
        while piece := file.read(PIECE):
            yield piece
