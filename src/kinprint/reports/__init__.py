"""A comparison or a benchmark, shown: as terminal text, JSON, Markdown or one HTML page."""

from kinprint.reports.benchmark_html import benchmark_html
from kinprint.reports.benchmark_json import benchmark_json
from kinprint.reports.benchmark_markdown import benchmark_markdown
from kinprint.reports.benchmark_terminal import benchmark_text
from kinprint.reports.comparison_html import comparison_html
from kinprint.reports.terminal import comparison_text, methods_text
from kinprint.reports.verify_terminal import verification_text, verifications_text
from kinprint.reports.writing import ReportError, write_text

__all__ = [
    "ReportError",
    "benchmark_html",
    "benchmark_json",
    "benchmark_markdown",
    "benchmark_text",
    "comparison_html",
    "comparison_text",
    "methods_text",
    "verification_text",
    "verifications_text",
    "write_text",
]
