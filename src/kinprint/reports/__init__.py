"""A comparison or a benchmark, shown: as terminal text, JSON, Markdown, one HTML page, or a document of the supply chain.

Each report is imported when it is first used: the pages of a server need none of what compares. A report that is called like
its module is imported from there.
"""

from typing import TYPE_CHECKING

from kinprint.exports import lazily

if TYPE_CHECKING:
    from kinprint.reports.benchmark_terminal import benchmark_text
    from kinprint.reports.black_box_terminal import black_box_text
    from kinprint.reports.comparison_terminal import comparison_line, comparison_text, methods_text
    from kinprint.reports.cyclonedx_parts import require_cyclonedx
    from kinprint.reports.inspection_terminal import inspection_text
    from kinprint.reports.statement_commitment import hidden_commitment, open_commitment
    from kinprint.reports.statement_cyclonedx import cyclonedx_bom
    from kinprint.reports.statement_in_toto import in_toto_statement
    from kinprint.reports.statement_terminal import audit_check_text, commitment_text, statement_text
    from kinprint.reports.tree_terminal import tree_text
    from kinprint.reports.verify_terminal import verification_text, verifications_text
    from kinprint.reports.writing import write_text
else:
    _HOMES = {
        "benchmark_terminal": ("benchmark_text",),
        "black_box_terminal": ("black_box_text",),
        "comparison_terminal": ("comparison_line", "comparison_text", "methods_text"),
        "inspection_terminal": ("inspection_text",),
        "statement_commitment": ("hidden_commitment", "open_commitment"),
        "cyclonedx_parts": ("require_cyclonedx",),
        "statement_cyclonedx": ("cyclonedx_bom",),
        "statement_in_toto": ("in_toto_statement",),
        "statement_terminal": ("audit_check_text", "commitment_text", "statement_text"),
        "tree_terminal": ("tree_text",),
        "verify_terminal": ("verification_text", "verifications_text"),
        "writing": ("write_text",),
    }
    __getattr__ = lazily(__name__, {name: home for home, names in _HOMES.items() for name in names})

__all__ = [
    "audit_check_text",
    "benchmark_text",
    "black_box_text",
    "commitment_text",
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
    "tree_text",
    "verification_text",
    "verifications_text",
    "write_text",
]
