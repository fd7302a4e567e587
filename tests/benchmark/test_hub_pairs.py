"""Lists of hub pairs, against a hub on this machine."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from hub_server import HubServer
from typer.testing import CliRunner

from kinprint.benchmark import from_list
from kinprint.cli import app

Hub = Callable[[Mapping[str, Path]], HubServer]


def test_a_list_of_hub_pairs(hub: Hub, models: Path, tmp_path: Path) -> None:
    """Models come from the hub; one that is not there is listed with the reason, and the run goes on."""
    hub({f"org/{name}": models / name for name in ("base", "finetune", "twin")})
    rows = [
        {"a": "org/base", "b": "org/finetune", "related": True, "relation": "fine-tuning", "source": "its card"},
        {"a": "org/base", "b": "org/twin", "related": False, "relation": "none", "source": "its recipe"},
        {"a": "org/base", "b": "org/gone", "related": True, "relation": "fine-tuning", "source": "its card"},
    ]
    (tmp_path / "pairs.json").write_text(json.dumps(rows))
    done = CliRunner().invoke(app, ["benchmark", str(tmp_path / "pairs.json"), "--json", "-"])
    assert done.exit_code == 0, done.output
    outcomes = {outcome["pair"]["suspect"]: outcome for outcome in json.loads(done.stdout)["outcomes"]}
    assert outcomes["org/finetune"]["verdict"] == "related"
    assert outcomes["org/twin"]["verdict"] == "no-evidence"
    assert "org/gone" in outcomes["org/gone"]["failed"]


def test_the_published_list_runs(hub: Hub, models: Path, data: Path) -> None:
    """Every pair of the 230 is reported: compared where the hub has both models, else with the reason."""
    published = data / "labelled_hub_pairs.json"
    pairs = from_list(str(published)).pairs
    chosen = [pair for pair in pairs if pair.truth != "shared-initialisation" and pair.reference.count("/") == 1][:2]
    served = {pair.reference: models / "base" for pair in chosen} | {pair.suspect: models / "finetune" for pair in chosen}
    hub(served)
    done = CliRunner().invoke(app, ["benchmark", str(published), "--json", "-"])
    assert done.exit_code == 0, done.output
    outcomes = json.loads(done.stdout)["outcomes"]
    assert len(outcomes) == len(pairs)
    compared = [outcome for outcome in outcomes if outcome["failed"] is None]
    assert len(compared) >= len(chosen)
    assert all(outcome["failed"] or outcome["verdict"] for outcome in outcomes)


def test_three_published_pairs_are_a_class_of_their_own(data: Path) -> None:
    """Labelled related with relation none: siblings or one random seed."""
    pairs = from_list(str(data / "labelled_hub_pairs.json")).pairs
    assert sum(pair.truth == "shared-initialisation" for pair in pairs) == 3
