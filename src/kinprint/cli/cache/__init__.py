"""kinprint cache list | clear: one file a command, each found by its name."""

from __future__ import annotations

from kinprint.cli._groups import files, group

app = group(files(__name__), "cache", "What kinprint keeps on this disk, so that nothing is measured or fetched twice.")
