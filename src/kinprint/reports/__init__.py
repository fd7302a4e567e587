"""A comparison or a benchmark, shown: as terminal text, JSON, Markdown, one HTML page, or a document of the supply chain."""

from kinprint.reports.benchmark_html import benchmark_html
from kinprint.reports.benchmark_json import benchmark_json
from kinprint.reports.benchmark_markdown import benchmark_markdown
from kinprint.reports.benchmark_terminal import benchmark_text
from kinprint.reports.black_box_terminal import black_box_text
from kinprint.reports.comparison_html import comparison_html
from kinprint.reports.comparison_terminal import comparison_line, comparison_text, methods_text
from kinprint.reports.inspection_terminal import inspection_text
from kinprint.reports.statement_commitment import hidden_commitment, open_commitment
from kinprint.reports.statement_cyclonedx import cyclonedx_bom, require_cyclonedx
from kinprint.reports.statement_in_toto import in_toto_statement
from kinprint.reports.statement_terminal import audit_check_text, commitment_text, statement_text
from kinprint.reports.tree_svg import tree_svg
from kinprint.reports.tree_terminal import tree_text
from kinprint.reports.verify_terminal import verification_text, verifications_text
from kinprint.reports.writing import write_text

__all__ = [
    "audit_check_text",
    "benchmark_html",
    "benchmark_json",
    "benchmark_markdown",
    "benchmark_text",
    "black_box_text",
    "commitment_text",
    "comparison_html",
    "comparison_line",
    "comparison_text",
    "cyclonedx_bom",
    "hidden_commitment",
    "in_toto_statement",
    "inspection_text",
    "methods_text",
    "open_commitment",
    "require_cyclonedx",
    "statement_text",
    "tree_svg",
    "tree_text",
    "verification_text",
    "verifications_text",
    "write_text",
]
