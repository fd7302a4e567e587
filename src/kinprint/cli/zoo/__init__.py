"""kinprint zoo build | list: one file a command, each found by its name."""

from __future__ import annotations

from kinprint.cli._groups import files, group

app = group(files(__name__), "zoo", "Small models trained with known lineage: the ground truth that methods are measured on.")
