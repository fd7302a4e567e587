"""The listing of a large library, kept in the user's cache folder from one start of a server to the next.

A small library has a listing of its own (`kinprint.library.listing`). A larger one has none, since each commit would write it
anew, and to read its names takes LanceDB, which takes seconds to load.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from blake3 import blake3

from kinprint.checkpoints.files import cache_folder
from kinprint.library import listing
from kinprint.library.records import ListedModel

MOST = 30_000
"""Models up to which that is quicker; it has a third of a kilobyte for each."""


class Names:
    """The listing of one library; in object storage there is none."""

    def __init__(self, where: str) -> None:
        self._folder = None if "://" in where else Path(where).resolve()

    def read(self) -> listing.Listing | None:
        """The current listing, the library's own or ours; None if there is none."""
        if self._folder is None:
            return None
        return listing.read(self._folder) or listing.read(self._folder, self._file(self._folder))

    def keep(self, models_now: Callable[[], list[ListedModel]]) -> list[ListedModel]:
        """What the tables say now; kept of a library without a listing of its own."""
        found: list[ListedModel] = []

        def read() -> list[ListedModel] | None:
            found[:] = models_now()
            return found if listing.MOST < len(found) <= MOST else None

        if self._folder is not None:
            file = self._file(self._folder)
            with contextlib.suppress(OSError):
                file.parent.mkdir(parents=True, exist_ok=True)
                listing.write(self._folder, read, file=file)
        return found or models_now()

    def _file(self, folder: Path) -> Path:
        return cache_folder() / "listings" / f"{blake3(os.fsencode(folder)).hexdigest()[:32]}.json"
