"""What several benchmarks write alike: p-values, and figures between the marks of a page."""

from __future__ import annotations

from pathlib import Path

END = "<!-- end -->"


def p(log10_p: float | None) -> str:
    """A p-value from its log10, as it stands in tables; a dash for none."""
    return "–" if log10_p is None else "1" if log10_p > -1e-9 else f"1e{log10_p:.0f}" if log10_p < -3 else f"{10**log10_p:.2g}"


def marked(page: Path, mark: str, text: str) -> None:
    """Write figures into a page, behind a mark and before the end of it."""
    before, _, rest = page.read_text(encoding="utf-8").partition(mark)
    page.write_text(f"{before}{mark}{text}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
