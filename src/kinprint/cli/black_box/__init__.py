"""kinprint black-box palimpsest ...: one file a test, each found by its name."""

from __future__ import annotations

from kinprint.cli._groups import files, group

app = group(files(__name__), "black-box", "Tests of a model that only answers: behind an API, or run here.")
