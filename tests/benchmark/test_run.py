"""Runs on models whose truth is known give the figures that are known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest
from benchmark import runs

import kinprint
from kinprint.benchmark import VERDICT, BenchmarkResult, Summary, calibration, run
from kinprint.benchmark.result import Shape
from kinprint.comparison import false_accusations
from kinprint.comparison.false_accusations import _measured, measured, strangers_of
from kinprint.errors import ZooError
from kinprint.methods import known
from kinprint.reports.benchmark_json import benchmark_json


def test_every_pair_and_every_method() -> None:
    result = runs.result()
    assert len(result.outcomes) == 13 * 12 / 2
    assert {column.name for column in result.columns} == {
        method.name for method in known() if not method.deep and not method.observed
    }
    assert all(
        set(outcome.readings) == {method.name for method in known() if not method.deep and not method.observed}
        for outcome in result.compared
    )
    assert not result.unreadable


def test_the_verdict_finds_the_undisguised_and_accuses_nobody() -> None:
    summary = Summary(runs.result())
    verdict = summary.standings[0]
    assert (verdict.method, verdict.kind) == (VERDICT, "verdict")
    assert verdict.found_undisguised == (6, 6)
    assert verdict.found == (6, 8)  # "hidden" descends from base0 and tuned0, and no index test can know
    assert verdict.clean_undisguised == (6, 6)
    assert verdict.accused is not None
    assert verdict.accused[0] == 0
    assert verdict.auc_undisguised == 1
    assert not summary.missed
    assert not summary.accused
    assert {(o.pair.reference, o.pair.suspect) for o in summary.missed_disguised} == {("base0", "hidden"), ("tuned0", "hidden")}


def test_shared_initialisation_is_a_class_of_its_own() -> None:
    """base4, base5 and their fine-tunes: four pairs that the tests find, in no figure but their own row."""
    summary = Summary(runs.result())
    row = next(row for row in summary.kinds if row.truth == "shared-initialisation")
    assert (row.pairs, row.found[VERDICT]) == (4, 4)
    assert summary.standings[0].accused == (0, len(summary.unrelated))
    assert len(summary.related) + len(summary.unrelated) + 4 == len(runs.result().outcomes)


def test_kinds() -> None:
    rows = {(row.truth, row.kind): row for row in Summary(runs.result()).kinds}
    assert rows["related", "fine-tune"].found[VERDICT] == 6
    assert rows["related", "fine-tune + permuted"].disguised
    assert rows["related", "fine-tune + permuted"].found[VERDICT] == 0
    assert rows["related", "fine-tune"].found["std-profile"] is None  # it applied to none of these fingerprints


def test_calibration_uses_founders_for_independence() -> None:
    """Bases only, and of two with one initialisation one: 5 models, 10 pairs."""
    for row in Summary(runs.result()).calibrations:
        assert row.independent == 10
        assert row.pairs == len(Summary(runs.result()).unrelated)
        assert row.uniformity_independent is not None
        assert row.uniformity_independent > 1e-3
        assert list(row.p) == sorted(row.p)


def test_thresholds_of_sources_are_judged() -> None:
    """Gains of strangers reach the cosine that was called derivation."""
    row = next(row for row in Summary(runs.result()).standings if row.method == "norm-gains")
    assert row.threshold == 0.95
    assert row.accused_at_threshold is not None
    unrelated = [o.value("norm-gains") for o in Summary(runs.result()).unrelated]
    assert row.accused_at_threshold == (sum(v is not None and v >= 0.95 for v in unrelated), len(unrelated))
    assert row.found is None


def test_a_method_that_never_applied_has_no_figures() -> None:
    row = next(row for row in Summary(runs.result()).standings if row.method == "std-profile")
    assert row.applied == (0, 78)
    assert (row.auc, row.clean, row.accused_at_threshold) == (None, None, (0, 0))


def test_a_model_that_cannot_be_read_is_counted_and_the_run_goes_on() -> None:
    result = run(runs.pairs(), open_model=runs.broken)
    assert result.unreadable == {"tuned1": "is <damaged>; get it again", "tuned2": "RuntimeError: a bug"}
    failed = Summary(result).failed
    assert len(failed) == 12 + 11
    assert all("tuned1" in (o.failed or "") or "tuned2" in (o.failed or "") for o in failed)
    assert len(result.compared) == 78 - 23


def test_jobs_change_nothing_but_time() -> None:
    some = replace(runs.pairs(), pairs=runs.pairs().pairs[:6])
    one, two = (run(some, jobs=jobs, open_model=runs.fingerprints().__getitem__) for jobs in (1, 2))
    assert [(o.pair, o.verdict, o.log10_p) for o in one.outcomes] == [(o.pair, o.verdict, o.log10_p) for o in two.outcomes]


def test_json_there_and_back() -> None:
    result = runs.result()
    text = json.dumps(benchmark_json(Summary(result)), allow_nan=False)
    again = BenchmarkResult.from_json(json.loads(text))
    assert again == result
    assert benchmark_json(Summary(again)) == json.loads(text)


@pytest.mark.parametrize("data", [{}, [], None, {"format": "kinprint-benchmark/1"}, {"format": "other"}])
def test_json_that_is_no_result(data: object) -> None:
    with pytest.raises(ZooError):
        BenchmarkResult.from_json(data)


def test_one_class_only_is_stated() -> None:
    """No unrelated pair: no AUC, no threshold; nothing raises."""
    result = runs.result()
    related = replace(result, outcomes=tuple(o for o in result.outcomes if o.pair.truth == "related"))
    row = Summary(related).standings[0]
    assert (row.auc, row.clean) == (None, None)
    assert row.found_undisguised == (6, 6)
    with pytest.raises(ZooError, match="unrelated"):
        calibration(related)


def test_calibration_file(tmp_path: object) -> None:
    """What is packaged says how many strangers reach a score; what cannot be read says nothing."""
    data = calibration(runs.result())
    path = tmp_path / "measured.json"  # type: ignore[operator]
    path.write_text(json.dumps(data))
    entry = measured(path)["norm-gains"]
    values = [
        value for o in Summary(runs.result()).unrelated if not o.pair.disguised and (value := o.value("norm-gains")) is not None
    ]
    assert entry.pairs == len(values)
    assert entry.reached(-2.0) == (len(values), len(values))
    assert entry.reached(max(values) + 0.01) == (0, len(values))
    middle = sorted(values)[len(values) // 2] + 1e-5
    assert entry.reached(middle)[0] == pytest.approx(sum(v >= middle for v in values), abs=1)
    for text in ("", "[]", "{}", '{"format": "kinprint-false-accusations/1", "scores": {"a": {}}}'):
        other = tmp_path / f"{len(text)}.json"  # type: ignore[operator]
        other.write_text(text)
        assert measured(other) == {}


def test_scores_of_other_models_are_not_stated(models: Path) -> None:
    """What strangers reach is said of models like those measured: of their families, and of their sizes within a factor."""
    base = kinprint.fingerprint(models / "base")
    of = {"families": ["llama"], "hidden_size": [128, 256], "num_hidden_layers": [4, 8]}
    entry = {"pairs": 2, "statistics": [0.1, 0.2], "models": of}
    for other, stated in (({}, True), ({"families": ["qwen2"]}, False), ({"hidden_size": [300, 400]}, False), (None, False)):
        known = {"s": _measured({**entry, "models": of | other} if other is not None else {"pairs": 2, "statistics": [0.1]})}
        with mock.patch.object(false_accusations, "measured", return_value=known):
            assert (strangers_of("s", (base, base)) is not None) == stated


def test_a_calibration_names_its_models() -> None:
    result = runs.result()
    names = {name for o in result.compared for name in (o.pair.reference, o.pair.suspect)}
    shapes = {name: Shape("llama", 96 + number, 6) for number, name in enumerate(sorted(names))}
    entry = calibration(replace(result, shapes=shapes))["scores"]["norm-gains"]
    assert entry["models"]["families"] == ["llama"]
    assert entry["models"]["num_hidden_layers"] == [6, 6]
    assert "models" not in calibration(result)["scores"]["norm-gains"]
