"""A comparison, shown: as terminal text."""

from kinprint.reports.terminal import comparison_text, methods_text

__all__ = ["comparison_text", "methods_text"]
