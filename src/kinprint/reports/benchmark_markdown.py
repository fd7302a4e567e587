"""A benchmark as Markdown with pictures beside it: the page that is published."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from kinprint.benchmark import Summary
from kinprint.reports import benchmark_plots as plots
from kinprint.reports import benchmark_words as words


def benchmark_markdown(summary: Summary, stem: str) -> dict[str, str]:
    """The page and its pictures.

    Args:
        summary: of the run.
        stem: name of the page without its suffix; names the pictures.

    Returns:
        name -> text: the page under `stem`, the pictures under `STEM-roc.svg`, `STEM-values.svg`,
        `STEM-kinds.svg`, `STEM-calibration.svg`.
    """
    pictures = {
        f"{stem}-roc.svg": plots.roc_svg(summary),
        f"{stem}-calibration.svg": plots.calibration_svg(summary),
        f"{stem}-kinds.svg": plots.kinds_svg(summary),
        f"{stem}-values.svg": plots.values_svg(summary),
    }
    return {stem: _page(summary, stem), **pictures}


def _page(summary: Summary, stem: str) -> str:
    result = summary.result
    names = [column.name for column in summary.columns]
    blocks = [
        "# Benchmark",
        f"{_escape(words.about(result))} {_escape(words.cost(result))}",
        f"<!-- not run: minutes -->\n```sh\n{result.command.replace('```', '')}\n```",
        *(f"**{_escape(line)}**" for line in words.warnings(summary)),
        f"![Found against accused]({_address(stem)}-roc.svg)",
        f"![What the methods say about related and unrelated pairs]({_address(stem)}-values.svg)",
        f"![Pairs called related, by kind]({_address(stem)}-kinds.svg)",
        "## Methods",
        "`kinprint` is the combined verdict; `fingerprints alone`, where deep methods were run too, what it would have been "
        "without them. Tests decide, scores describe.",
        _table(words.STANDINGS, words.standing_rows(summary)),
        _bullets([*words.CAVEATS, *words.threshold_notes(summary)]),
        "## By kind",
    ]
    for truth, title in {
        "related": "Related pairs found (tests and verdict at p ≤ 1e-6, scores with nobody accused).",
        "shared-initialisation": "Shared initialisation: called related. Neither descends from the other.",
        "unrelated": "Unrelated pairs called related.",
    }.items():
        rows = words.kind_rows(summary, truth)
        blocks += [title, _table(("kind", "pairs", *names), rows)] if rows else []
    blocks += [
        "## Do the p-values hold?",
        f"![p-values of unrelated pairs]({_address(stem)}-calibration.svg)",
        _table(words.CALIBRATION, words.calibration_rows(summary)) if summary.calibrations else "No test applied.",
        words.DEPENDENCE,
        "## Every failure, by name",
    ]
    for title, empty, lines in words.failure_lists(summary):
        blocks += [f"### {title}: {len(lines)}", _bullets(lines) if lines else empty]
    if result.unreadable:
        lines = words.unreadable(result)
        blocks += [f"### Models that could not be read: {len(lines)}", _bullets(lines)]
    return "\n\n".join(blocks) + "\n"


def _table(columns: Sequence[str], rows: words.Rows) -> str:
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *rows]
    cells = (" | ".join(_escape(cell) if row is not lines[1] else cell for cell in row) for row in lines)
    return "\n".join(f"| {line} |" for line in cells)


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {_escape(line)}" for line in lines)


def _escape(text: str) -> str:
    """Text as Markdown shows it, whatever a stranger named a model."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", text.replace("\n", " "))


def _address(stem: str) -> str:
    return re.sub(r"[^\w.-]", lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode()), stem)
