"""SHA-256 of a checkpoint's files: what hubs publish, signatures cover and `sha256sum` prints."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kinprint.checkpoints.checkpoint import Checkpoint
from kinprint.checkpoints.source import ByteSource

PIECE = 1 << 22


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
    sizes = {source: source.size for source in checkpoint.files}
    total, done = sum(sizes.values()), 0

    def tell(count: int) -> None:
        nonlocal done
        done += count
        progress(done, total)

    return tuple(_hash(source, sizes[source], tell) for source in checkpoint.files)


def _hash(source: ByteSource, size: int, tell: Callable[[int], None]) -> FileHash:
    if source.partial:  # reading it would fetch all of it
        tell(size)
        if source.sha256:
            return FileHash(source.name, size, source.sha256, "as its hub states it; only a part was fetched")
        return FileHash(source.name, size, "", f"version {source.version}; only a part was fetched")
    digest = hashlib.sha256()
    for piece in _pieces(source):
        digest.update(piece)
        tell(len(piece))
    return FileHash(source.name, size, digest.hexdigest())


def _pieces(source: ByteSource) -> Iterator[bytes]:
    with source.open() as file:
        while piece := file.read(PIECE):
            yield piece
