"""What a command found, in one shape for all commands: for tables, pipelines and other programs (docs/pipelines.md)."""

from kinprint.reports.findings.accepted import Acceptance, mark, read_accepted
from kinprint.reports.findings.finding import Finding, Findings, Model, Outcome
from kinprint.reports.findings.formats import names, rendered
from kinprint.reports.findings.from_results import (
    of_audit,
    of_black_box,
    of_changes,
    of_comparison,
    of_gathering,
    of_identification,
    of_matrix,
    of_tree,
    of_verifications,
)

__all__ = [
    "Acceptance",
    "Finding",
    "Findings",
    "Model",
    "Outcome",
    "mark",
    "names",
    "of_audit",
    "of_black_box",
    "of_changes",
    "of_comparison",
    "of_gathering",
    "of_identification",
    "of_matrix",
    "of_tree",
    "of_verifications",
    "read_accepted",
    "rendered",
]
