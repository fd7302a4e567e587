"""Comparing with both checkpoints: the test first, scores only where they are asked for, and how far it is."""

from __future__ import annotations

import json
from pathlib import Path

from command_line import kinprint

from kinprint import compare, fingerprint, methods
from kinprint.architectures import open_model
from kinprint.comparison import examine

DEEP_SCORES = {method.name for method in methods.known() if method.deep and method.kind == "score"}


def test_deep_scores_are_run_where_they_are_asked_for(models: Path) -> None:
    """The verdict and its p-value are the same with and without."""
    without, with_them = (compare(models / "base", models / "finetune", deep=True, scores=asked) for asked in (False, True))
    assert DEEP_SCORES
    assert not DEEP_SCORES & {item.method for item in without.evidence}
    assert {item.method for item in with_them.evidence} >= DEEP_SCORES
    assert (without.verdict, without.log10_p) == (with_them.verdict, with_them.log10_p)
    assert "matched-neurons" in {item.method for item in without.tests}


def test_the_command_line_asks_for_scores(models: Path) -> None:
    for options, expected in (((), set()), (("--scores",), DEEP_SCORES)):
        done = kinprint("compare", models / "base", models / "finetune", "--deep", *options, "--json")
        assert DEEP_SCORES & {item["method"] for item in json.loads(done.stdout)["evidence"]} == expected


def test_the_verdict_is_told_before_the_first_score(models: Path) -> None:
    """Progress names the methods, tests first, layers inside the long ones, and the verdict as soon as tests are done."""
    pair = [models / "base", models / "finetune"]
    prints = [fingerprint(path) for path in pair]
    weights = [open_model(path).weights for path in pair]
    told: list[tuple[str, int, int]] = []
    found = examine((prints[0], prints[1]), (weights[0], weights[1]), scores=True, progress=lambda *said: told.append(said))
    assert {total for *_, total in told} == {len(found.evidence)}
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    steps = [step for step, *_ in told]
    assert f"matched-neurons: {found.reference.layers} of {found.reference.layers} layers read" in steps
    decided = [step.startswith("related; ") for step in steps]
    assert decided == sorted(decided)
    assert {step.removeprefix("related; ").partition(":")[0] for step, late in zip(steps, decided, strict=True) if late} == {
        item.method for item in found.scores
    }
