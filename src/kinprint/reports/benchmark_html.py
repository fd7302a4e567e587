"""A benchmark as one HTML page that needs no network, for light and dark screens of any width."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from kinprint.benchmark import Summary
from kinprint.reports import benchmark_plots as plots
from kinprint.reports import benchmark_words as words

STYLE = """
:root{color-scheme:light dark;--line:#8884;--dim:#667;--mark:#2274a5}
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;padding:1rem;max-width:76rem;background:#fff;color:#222}
h1{font-size:1.6rem} h2{font-size:1.2rem;margin-top:2.2rem;border-bottom:1px solid var(--line)} h3{font-size:1rem}
.wide{overflow-x:auto} svg{max-width:100%;height:auto;min-width:34rem;border:1px solid var(--line);border-radius:6px}
table{border-collapse:collapse;font-size:.86rem} th,td{padding:.3rem .6rem;border-bottom:1px solid var(--line);text-align:right}
th{vertical-align:bottom} th:first-child,td:first-child{text-align:left;white-space:nowrap} tr:first-child td{font-weight:600}
.dim,li{color:var(--dim);font-size:.9rem} code{overflow-wrap:anywhere} .warning{color:#b3541e}
.pictures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(34rem,100%),1fr));gap:1rem}
@media (prefers-color-scheme:dark){:root{--dim:#a5a9b3}body{background:#16181c;color:#e4e4e4}}
"""


def benchmark_html(summary: Summary) -> str:
    """The page. Every text of the run is escaped; nothing is loaded and no script runs."""
    result = summary.result
    names = [column.name for column in summary.columns]
    body = [
        "<h1>kinprint benchmark</h1>",
        f"<p>{escape(words.about(result))} {escape(words.cost(result))}</p><p><code>{escape(result.command)}</code></p>",
        *(f'<p class="warning">{escape(line)}</p>' for line in words.warnings(summary)),
        f'<div class="pictures">{_wide("found against accused", plots.roc_svg(summary))}',
        f"{_wide('values', plots.values_svg(summary))}</div>",
        f"<h2>By kind</h2>{_wide('by kind', plots.kinds_svg(summary))}",
        "<h2>Methods</h2><p>kinprint is the combined verdict; fingerprints alone, where deep methods were run too, what it "
        "would have been without them. Tests decide, scores describe.</p>",
        _table(words.STANDINGS, words.standing_rows(summary)),
        _list([*words.CAVEATS, *words.threshold_notes(summary)]),
        f"<h2>Do the p-values hold?</h2>{_wide('calibration', plots.calibration_svg(summary))}",
        _table(words.CALIBRATION, words.calibration_rows(summary)),
        f'<p class="dim">{escape(words.DEPENDENCE)}</p>',
        "<h2>Found and accused, by kind, in numbers</h2>",
    ]
    for truth, title in words.TRUTHS.items():
        rows = words.kind_rows(summary, truth)
        body += [f"<h3>{escape(title)}</h3>", _table(("kind", "pairs", *names), rows)] if rows else []
    body.append("<h2>Every failure, by name</h2>")
    for title, empty, lines in words.failure_lists(summary):
        body.append(f"<h3>{escape(title)}: {len(lines)}</h3>" + (_list(lines) if lines else f"<p>{escape(empty)}</p>"))
    if result.unreadable:
        body.append("<h3>Models that could not be read</h3>" + _list(words.unreadable(result)))
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
        "<title>kinprint benchmark</title>"
    )
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}<style>{STYLE}</style></head><body>\n'
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def _table(columns: Sequence[str], rows: words.Rows) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    lines = ("".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return _wide("table", f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")


def _wide(label: str, content: str) -> str:
    """What scrolls sideways where the screen is narrow, by keyboard too."""
    return f'<div class="wide" tabindex="0" role="region" aria-label="{escape(label)}">{content}</div>'


def _list(lines: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"
