"""Recipes for mergekit: what they say of each kind of merge, and that `verify` reads the same models back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import kinprint as command

import kinprint
from kinprint import Fingerprint
from kinprint.errors import ReportError
from kinprint.library.merges.gather_result import Gathering, LayerOrigin, Parent
from kinprint.reports.mergekit_recipe import mergekit_recipe


def gathering(kind: str, *coefficients: float, base: int | None = None, **more: Any) -> Gathering:
    models = [Fingerprint(f"org/m{number}", {}, {}) for number in range(len(coefficients))]
    parents = tuple(Parent(model, value, 0.01, -9.0) for model, value in zip(models, coefficients, strict=True))
    return Gathering(Fingerprint("s", {}, {}), kind, parents, None if base is None else models[base], **more)


@pytest.mark.parametrize(
    ("found", "method", "said"),
    [
        (gathering("linear", 0.7, 0.3), "linear", [0.7, 0.3]),
        (gathering("task-arithmetic", 1.2, -0.5, 0.3, base=1), "task_arithmetic", [1.2, 0.3]),
        (gathering("ties", 0.8, 0.2, base=1, details={"density": 0.4}), "ties", [0.8]),
        (gathering("dare", 0.8, 0.2, base=1, details={"density": 0.5}), "dare_linear", [0.8]),
    ],
)
def test_sums(found: Gathering, method: str, said: list[float]) -> None:
    """The base is named apart and has no weight; densities stand with the models."""
    recipe = yaml.safe_load(mergekit_recipe(found))
    assert recipe["merge_method"] == method
    assert [model["parameters"]["weight"] for model in recipe["models"]] == said
    assert recipe.get("base_model") == ("org/m1" if found.base else None)
    assert all(("density" in model["parameters"]) == ("density" in found.details) for model in recipe["models"])


def test_weights_of_every_layer() -> None:
    layers = tuple(LayerOrigin((value, 1 - value), (0.01, 0.01)) for value in (0.1, 0.9))
    recipe = yaml.safe_load(mergekit_recipe(gathering("varying", 0.5, 0.5, layers=layers)))
    assert [model["parameters"]["weight"] for model in recipe["models"]] == [[0.1, 0.9], [0.9, 0.1]]


def test_an_arc_begins_at_the_model_that_t_counts_from() -> None:
    recipe = yaml.safe_load(mergekit_recipe(gathering("slerp", 0.72, 0.29, details={"t": 0.3, "arc": 1.0})))
    assert (recipe["base_model"], recipe["parameters"]) == ("org/m0", {"t": 0.3})


def test_runs_of_layers() -> None:
    """Neighbouring layers of one model are one slice."""
    sources = [("a", 0), ("a", 1), ("b", 1), ("b", 2), ("a", 2)]
    layers = tuple(LayerOrigin(source=(name, number, -9.0)) for name, number in sources)
    recipe = yaml.safe_load(mergekit_recipe(gathering("passthrough", 0.6, 0.4, layers=layers)))
    slices = [(each["sources"][0]["model"], each["sources"][0]["layer_range"]) for each in recipe["slices"]]
    assert slices == [("a", [0, 2]), ("b", [1, 3]), ("a", [2, 3])]


@pytest.mark.parametrize("kind", ["none", "single", "untestable"])
def test_what_is_no_merge_has_no_recipe(kind: str) -> None:
    with pytest.raises(ReportError, match="no merge was found"):
        mergekit_recipe(gathering(kind, 1.0))


def test_hostile_names_stay_names() -> None:
    evil = Fingerprint("x: [1]# {a", {}, {})
    found = Gathering(evil, "linear", (Parent(evil, 0.5, 0.1, -9.0), Parent(Fingerprint("b", {}, {}), 0.5, 0.1, -9.0)))
    recipe = yaml.safe_load(mergekit_recipe(found))
    assert [model["model"] for model in recipe["models"]] == [evil.name, "b"]


def test_the_command_and_back(models: Path, tmp_path: Path) -> None:
    """A recipe beside the merged model is what `verify` holds it to."""
    merged = tmp_path / "merged"
    kinprint.transform("merge", models / "base", merged, others=[models / "finetune"], weights=[0.3, 0.7])
    among = [word for name in ("base", "finetune") for word in ("--among", models / name)]
    done = command("gather", merged, *among, "--mergekit", merged / "mergekit_config.yml")
    assert done.returncode == 0
    assert "mergekit_config.yml" in done.stderr
    found = kinprint.verify(merged, models=models, offline=True)
    said = {finding.declaration.name: finding.status for finding in found.findings}
    assert said == {"base": "confirmed", "finetune": "confirmed"}
