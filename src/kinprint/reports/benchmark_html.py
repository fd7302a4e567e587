"""A benchmark as one HTML page that needs no network, for light and dark screens of any width."""

from __future__ import annotations

from markupsafe import Markup

from kinprint.benchmark import Summary
from kinprint.reports import benchmark_plots as plots
from kinprint.reports import benchmark_words as words
from kinprint.reports.pages import page


def benchmark_html(summary: Summary) -> str:
    """The page. Every text of the run is escaped; nothing is loaded and no script runs."""
    result = summary.result
    return page(
        "benchmark.html",
        about=words.about(result),
        cost=words.cost(result),
        command=result.command,
        warnings=words.warnings(summary),
        roc_picture=Markup(plots.roc_svg(summary)),
        values_picture=Markup(plots.values_svg(summary)),
        kinds_picture=Markup(plots.kinds_svg(summary)),
        calibration_picture=Markup(plots.calibration_svg(summary)),
        methods=[column.name for column in summary.columns],
        standings={"columns": words.STANDINGS, "rows": words.standing_rows(summary)},
        notes=[*words.CAVEATS, *words.threshold_notes(summary)],
        calibrations={"columns": words.CALIBRATION, "rows": words.calibration_rows(summary)},
        dependence=words.DEPENDENCE,
        kinds=[(title, words.kind_rows(summary, truth)) for truth, title in words.TRUTHS.items()],
        failures=words.failure_lists(summary),
        unreadable=words.unreadable(result),
    )
