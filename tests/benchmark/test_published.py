"""Published lists: what they hold, and a run against a hub on this machine."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hub_server import HubServer
from typer.testing import CliRunner

from kinprint.benchmark import published
from kinprint.benchmark.published import names
from kinprint.checkpoints.remote.hub import means_repository
from kinprint.cli import app
from kinprint.terms import LISTS

COUNTS = {"awm": (60, 90, 0), "cisco": (52, 56, 3), "independence-tests": (69, 141, 0), "leafbench": (59, 0, 0)}
"""Related, unrelated, shared origin."""


def test_the_command_knows_every_list() -> None:
    assert names() == LISTS


@pytest.mark.parametrize("name", LISTS)
def test_what_a_list_holds(name: str) -> None:
    """Hub ids, a source for every label, and no pair twice."""
    found = published(name)
    truths = [pair.truth for pair in found.pairs.pairs]
    assert tuple(map(truths.count, ("related", "unrelated", "shared-initialisation"))) == COUNTS[name]
    assert all(means_repository(model) for model in found.pairs.models)
    assert {pair.source for pair in found.pairs.pairs} == {found.source}
    assert any(found.source in note for note in found.pairs.notes)


def test_labels_that_were_wrong_are_corrected() -> None:
    """Three of AWM's; its own data, where they are at hand, has them as they were."""
    bases = {pair.suspect: pair.reference for pair in published("awm").pairs.pairs if pair.truth == "related"}
    assert bases["mlabonne/llama-2-7b-guanaco"] == "meta-llama/Llama-2-7b-hf"
    assert bases["meta-llama/Llama-3.2-1B"] == "meta-llama/Llama-3.1-8B"
    assert len(published("awm").corrected) == 3


def test_a_run(hub: Callable[[Mapping[str, Path]], HubServer], models: Path, tmp_path: Path) -> None:
    """Two of its models are there: the bytes are said before, their pair is compared, the others are listed with the reason."""
    pair = next(pair for pair in published("awm").pairs.pairs if pair.truth == "unrelated")
    hub({pair.reference: models / "base", pair.suspect: models / "twin"})
    report = tmp_path / "awm.json"
    done = CliRunner().invoke(app, ["benchmark", "--list", "awm", "--json", str(report)])
    assert done.exit_code == 0, done.output
    assert "2 of 95 models: to read" in done.stderr
    outcomes = json.loads(report.read_text())["outcomes"]
    assert len(outcomes) == 150
    assert [outcome["verdict"] for outcome in outcomes if outcome["failed"] is None] == ["no-evidence"]
    assert "Corrected: " in done.stdout


def test_a_list_that_there_is_not() -> None:
    done = CliRunner().invoke(app, ["benchmark", "--list", "awn"])
    assert done.exit_code == 2
    assert "did you mean 'awm'?" in " ".join(done.stderr.replace("│", " ").split())
