"""Reports: complete, escaped, self-contained."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest
from benchmark import runs
from browser import browser
from rich.console import Console

from kinprint import reports
from kinprint.benchmark import BenchmarkResult, Summary
from kinprint.errors import ReportError
from kinprint.reports import benchmark_plots as plots
from kinprint.reports import benchmark_words as words
from kinprint.reports.benchmark_html import benchmark_html
from kinprint.reports.benchmark_markdown import benchmark_markdown

EVIL = "<script>alert(1)</script>|[x](y)`"


def evil() -> BenchmarkResult:
    """A run in which a stranger chose names, kinds and reasons."""
    result = runs.result()
    first, second, *others = result.outcomes
    outcomes = (
        replace(first, failed=f"{EVIL}\n{EVIL}"),
        replace(
            second, verdict="related", pair=replace(second.pair, reference=EVIL, kind=EVIL, truth="unrelated", source=EVIL)
        ),
        *others,
    )
    return replace(result, outcomes=outcomes, unreadable={EVIL: EVIL}, name=EVIL, command=f"kinprint benchmark {EVIL}")


def nothing() -> BenchmarkResult:
    """A run in which no model could be read."""
    result = runs.result()
    outcomes = tuple(replace(o, failed="gone", verdict=None, log10_p=None, readings={}) for o in result.outcomes)
    return replace(result, outcomes=outcomes)


def terminal(result: BenchmarkResult) -> str:
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115 - recorded, not written
    console.print(reports.benchmark_text(Summary(result)))
    return console.export_text()


@pytest.mark.parametrize("result", [runs.result, evil, nothing])
def test_pictures_are_svg_without_links_or_scripts(result: object) -> None:
    summary = Summary(result())  # type: ignore[operator]
    for draw in (plots.roc_svg, plots.calibration_svg, plots.kinds_svg, plots.values_svg):
        text = draw(summary)
        tags = {element.tag.split("}")[1] for element in ET.fromstring(text).iter()}
        assert tags <= {"svg", "title", "style", "rect", "text", "polyline"}
        assert "nan" not in re.sub(r"<text.*?</text>", "", text)


@pytest.mark.parametrize("result", [runs.result, evil, nothing])
def test_html_is_self_contained_and_escaped(result: object) -> None:
    page = benchmark_html(Summary(result()))  # type: ignore[operator]
    assert "<script" not in page
    assert not re.search(r"(src|href)=|url\(|@import", page)
    assert page.count("<svg") == 4
    assert "prefers-color-scheme:dark" in page
    assert 'name="viewport"' in page


def test_markdown_names_every_failure_and_its_pictures() -> None:
    pages = benchmark_markdown(Summary(runs.result()), "benchmark")
    page = pages["benchmark"]
    assert "kinprint benchmark --zoo here" in page
    assert "base0 → hidden" in page
    assert "tuned0 → hidden" in page
    for name in set(pages) - {"benchmark"}:
        assert f"]({name})" in page
    assert "### Unrelated pairs called related: 0\n\nNone." in page


def test_markdown_of_strangers() -> None:
    page = benchmark_markdown(Summary(evil()), "benchmark")["benchmark"]
    outside = re.sub(r"```.*?```", "", page, flags=re.DOTALL)
    assert "<script" not in outside.replace("\\<script", "")
    assert len({line.replace("\\|", "").count("|") for line in outside.splitlines() if line.startswith("| method")}) == 1


def test_names_cannot_turn_the_text_around() -> None:
    """Marks of direction, escapes and halves of characters of models that could not be read are spelled out on every page."""
    name = "\u202eevil\x1b[31m\ud800" + "A" * 5000
    summary = Summary(replace(runs.result(), unreadable={name: name}))
    pages = (benchmark_html(summary), *benchmark_markdown(summary, "benchmark").values())
    for page in pages:
        assert not {"\u202e", "\x1b", "\ud800"} & set(page)
        assert "A" * 1000 not in page
    assert "u202eevil" in pages[0]


def test_terminal_says_what_failed() -> None:
    assert "base0 → hidden" in terminal(runs.result())
    assert "Methods, on undisguised pairs" in terminal(runs.result())
    assert "No related pair was compared" in terminal(nothing())
    assert EVIL in terminal(evil())


def test_a_report_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    reports.write_text(target, "old")
    with pytest.raises(ReportError, match="cannot be written"):
        reports.write_text(tmp_path / "none" / "report.html", "new")
    with pytest.raises(UnicodeEncodeError):
        reports.write_text(target, "\ud800")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("value", "shown"), [((0, 900), "0 %"), ((1, 900), "1 %"), ((899, 900), "99 %"), ((900, 900), "100 %")]
)
def test_only_all_is_all_and_only_none_is_none(value: tuple[int, int], shown: str) -> None:
    assert words.percent(value) == shown
    assert words.area(0.99999) == "0.999"
    assert words.area(1.0) == "1.000"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_in_a_browser(scheme: str, tmp_path: Path) -> None:
    """No error, no serious finding of axe-core, no network."""
    file = tmp_path / "benchmark.html"
    file.write_text(benchmark_html(Summary(runs.result())), encoding="utf-8")
    with browser(offline=True, color_scheme=scheme) as watched:
        watched.page.goto(file.as_uri())
        assert watched.violations() == []
        assert watched.complaints == []
