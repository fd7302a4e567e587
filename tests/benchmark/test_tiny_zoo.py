"""What the benchmark must show, on the zoo that tests can afford."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest

from kinprint import methods
from kinprint.benchmark import BenchmarkResult, Summary, from_zoo, run
from kinprint.comparison import ALPHA

ASSERTED = [method for method in methods.known() if method.kind == "test" or method.name == "norm-gains"]
"""Methods of which the tests below say something."""


DEEP_STRANGERS = 6
"""Of the unrelated pairs, one in so many is compared with both checkpoints too; all are compared by fingerprints."""


@pytest.fixture(scope="module")
def deep(tiny_zoo: Path) -> BenchmarkResult:
    """Every related pair and some unrelated ones; each outcome also says what fingerprints alone gave."""
    zoo = from_zoo(tiny_zoo)
    strangers = [pair for pair in zoo.pairs if pair.truth == "unrelated"]
    chosen = [pair for pair in zoo.pairs if pair.truth != "unrelated"] + strangers[::DEEP_STRANGERS]
    with mock.patch.object(methods, "known", return_value=ASSERTED):
        return run(replace(zoo, pairs=tuple(chosen)), cache=False, deep=True)


@pytest.fixture(scope="module")
def strangers(tiny_zoo: Path) -> BenchmarkResult:
    """All unrelated pairs, from fingerprints alone."""
    zoo = from_zoo(tiny_zoo)
    with mock.patch.object(methods, "known", return_value=ASSERTED):
        return run(replace(zoo, pairs=tuple(pair for pair in zoo.pairs if pair.truth == "unrelated")), cache=False)


def test_every_undisguised_descendant_is_found_from_fingerprints(deep: BenchmarkResult) -> None:
    """Alternative: one model descends from the other, or both from a third. All are called related."""
    assert not deep.unreadable
    related = [outcome for outcome in deep.compared if outcome.pair.truth == "related" and not outcome.pair.disguised]
    assert len(related) > 80
    assert [o.pair for o in related if (o.shallow_log10_p or 0.0) > math.log10(ALPHA) and o.verdict != "identical"] == []


def test_nobody_is_accused(deep: BenchmarkResult, strangers: BenchmarkResult) -> None:
    """Null: independent trainings, those on the same data in the same order and a distilled student among them. Neither
    fingerprints alone nor both checkpoints accuse anybody."""
    assert len(strangers.compared) > 200
    assert sum(outcome.pair.truth == "unrelated" for outcome in deep.compared) > 30
    for result in (strangers, deep):
        assert [(o.pair.reference, o.pair.suspect) for o in Summary(result).accused] == []


def test_quick_fingerprints_give_the_same_verdicts(tiny_zoo: Path) -> None:
    """Of undisguised pairs, those with `llama-base`: every relative is found from 1 % of
    the bytes, and nobody is accused."""
    zoo = from_zoo(tiny_zoo)
    line = [pair for pair in zoo.pairs if not pair.disguised and "llama-base" in (pair.reference, pair.suspect)]
    found = run(replace(zoo, pairs=tuple(line)), quick=True, cache=False)
    assert {pair.truth for pair in line} >= {"related", "unrelated"}
    assert not found.unreadable
    assert [(o.pair.suspect, o.failed) for o in found.outcomes if o.called_related != (o.pair.truth != "unrelated")] == []


def test_no_disguise_survives(deep: BenchmarkResult) -> None:
    """Alternative: every descendant, disguised or not, is found with p <= 1e-12 by the test that takes both checkpoints."""
    related = [outcome for outcome in deep.compared if outcome.pair.truth == "related"]
    assert len(related) > 120
    missed = [o.pair for o in related if (o.readings["matched-neurons"].log10_p or 0.0) > -12 and o.verdict != "identical"]
    assert missed == []


def test_what_the_table_must_admit(deep: BenchmarkResult) -> None:
    """Tests by index miss copies permuted on purpose, and a raw cosine of norm gains accuses everybody."""
    summary = Summary(deep)
    permuted = [outcome for outcome in deep.compared if outcome.pair.kind == "permute"]
    assert permuted
    assert all((outcome.readings["channels"].log10_p or 0.0) > -6 for outcome in permuted)
    gains = next(row for row in summary.standings if row.method == "norm-gains")
    assert gains.accused_at_threshold is not None
    accused, unrelated = gains.accused_at_threshold
    assert accused > 0.9 * unrelated
