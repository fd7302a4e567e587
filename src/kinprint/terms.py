"""Words and defaults that the command line shares with the functions that it calls; importing them imports nothing else."""

from __future__ import annotations

from typing import Literal

Verdict = Literal["identical", "related", "no-evidence", "untestable"]
"""What a comparison may come to."""

BlackBoxVerdict = Literal[
    "descends", "same-head", "same-deployment", "closer-than-controls", "no-evidence", "refuted", "untestable"
]
"""What a test of a model that only answers may come to: words of its own, since it looks at no weights."""

ALPHA = 1e-6
"""Largest combined p-value that is called related."""

CANDIDATES = 20
"""How many of a library's models are tested, the nearest by index vectors."""

SETTLED = 5.0
"""A model that arrives in a folder counts as complete when it has not changed for so many seconds."""

PARTS = ("input embedding", "attention", "FFN", "experts", "routers", "output head")
"""The parts of a language model that tests can tell apart, from its input to its output."""

COMPONENTS = ("vision tower", "audio encoder")
"""What may stand beside a language model and be compared as a model."""

LISTS = ("awm", "cisco", "independence-tests", "leafbench")
"""Published lists of labelled pairs of hub models (`kinprint.benchmark.published`)."""

FORMATS = ("table", "json", "csv", "cyclonedx", "in-toto", "markdown", "sarif")
"""In which findings are printed: for people, the command's own object, then one module each (`kinprint.reports.findings`)."""
BASES = ("first", "references")
"""Shipped lists of base models (`kinprint.library.references`)."""
