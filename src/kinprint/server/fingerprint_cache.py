"""Fingerprints that were uploaded or measured: in memory, found by digest, the least recently used dropped first."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from kinprint.fingerprints import Fingerprint

MOST_BYTES = 512_000_000


class FingerprintCache:
    """Bounded by the bytes of the traits; safe to use from threads."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most, self._bytes = most, 0
        self._held: OrderedDict[str, tuple[Fingerprint, int]] = OrderedDict()
        self._lock = Lock()

    def put(self, fingerprint: Fingerprint) -> str:
        """Hold a fingerprint; its digest."""
        size = sum(array.nbytes for array in fingerprint.traits.values())
        with self._lock:
            self._drop(fingerprint.digest)
            self._held[fingerprint.digest] = fingerprint, size
            self._bytes += size
            while self._bytes > self._most and len(self._held) > 1:
                self._drop(next(iter(self._held)))
        return fingerprint.digest

    def get(self, digest: str) -> Fingerprint | None:
        """What is held under the digest."""
        with self._lock:
            if digest not in self._held:
                return None
            self._held.move_to_end(digest)
            return self._held[digest][0]

    def _drop(self, digest: str) -> None:
        _, size = self._held.pop(digest, (None, 0))
        self._bytes -= size
