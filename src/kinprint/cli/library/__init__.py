"""kinprint library add | list | remove | merge | export ...: one file a command, each found by its name."""

from __future__ import annotations

from kinprint.cli._groups import files, group

app = group(files(__name__), "library", "Many fingerprints, in a folder or in object storage, to search and to share.")
