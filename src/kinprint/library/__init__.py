"""Many fingerprints: stored, searched, joined to trees, taken apart into their parents."""

from kinprint.library.records import StoredModel
from kinprint.library.store import Library

__all__ = ["Library", "StoredModel"]
