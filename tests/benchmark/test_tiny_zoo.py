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


DEEP = 12
"""Of the pairs that no disguise hides, related or not, one in so many is compared with both checkpoints too, and every second
of those that one hides; all are compared by fingerprints."""


@pytest.fixture(scope="module")
def shallow(tiny_zoo: Path) -> BenchmarkResult:
    """All pairs, from fingerprints alone."""
    with mock.patch.object(methods, "known", return_value=ASSERTED):
        return run(from_zoo(tiny_zoo), cache=False)


@pytest.fixture(scope="module")
def deep(tiny_zoo: Path) -> BenchmarkResult:
    """Half of the disguised relatives, and some of the other pairs."""
    zoo = from_zoo(tiny_zoo)
    plain = [pair for pair in zoo.pairs if pair.truth == "unrelated" or not pair.disguised]
    chosen = [pair for pair in zoo.pairs if pair not in plain][::2] + plain[::DEEP]
    with mock.patch.object(methods, "known", return_value=ASSERTED):
        return run(replace(zoo, pairs=tuple(chosen)), cache=False, deep=True)


def test_every_undisguised_descendant_is_found_from_fingerprints(shallow: BenchmarkResult) -> None:
    """Alternative: one model descends from the other, or both from a third. All are called related."""
    assert not shallow.unreadable
    related = [outcome for outcome in shallow.compared if outcome.pair.truth == "related" and not outcome.pair.disguised]
    assert len(related) > 80
    assert [o.pair for o in related if (o.log10_p or 0.0) > math.log10(ALPHA) and o.verdict != "identical"] == []


def test_nobody_is_accused(deep: BenchmarkResult, shallow: BenchmarkResult) -> None:
    """Null: independent trainings, those on the same data in the same order and a distilled student among them. Neither
    fingerprints alone nor both checkpoints accuse anybody."""
    assert sum(outcome.pair.truth == "unrelated" for outcome in shallow.compared) > 200
    assert sum(outcome.pair.truth == "unrelated" for outcome in deep.compared) > 15
    for result in (shallow, deep):
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
    """Alternative: every descendant that is asked, in disguise or not, is found with p <= 1e-12 by the test that
    takes both checkpoints."""
    related = [outcome for outcome in deep.compared if outcome.pair.truth == "related"]
    assert len(related) > 25
    missed = [o.pair for o in related if (o.readings["matched-neurons"].log10_p or 0.0) > -12 and o.verdict != "identical"]
    assert missed == []


def test_what_the_table_must_admit(shallow: BenchmarkResult) -> None:
    """Tests by index miss copies permuted on purpose, and a raw cosine of norm gains accuses everybody."""
    summary = Summary(shallow)
    permuted = [outcome for outcome in shallow.compared if outcome.pair.kind == "permute"]
    assert permuted
    assert all((outcome.readings["channels"].log10_p or 0.0) > -6 for outcome in permuted)
    gains = next(row for row in summary.standings if row.method == "norm-gains")
    assert gains.accused_at_threshold is not None
    accused, unrelated = gains.accused_at_threshold
    assert accused > 0.9 * unrelated
