"""The recipe by which mergekit would make what `gather` found. Format: mergekit's configuration files (arXiv 2403.13257)."""

from __future__ import annotations

from typing import Any

import yaml

from kinprint.errors import ReportError
from kinprint.library.merges.gather_result import Gathering

METHODS = {
    "linear": "linear",
    "varying": "linear",
    "slerp": "slerp",
    "task-arithmetic": "task_arithmetic",
    "sparse": "task_arithmetic",
    "ties": "ties",
    "dare": "dare_linear",
    "breadcrumbs": "breadcrumbs",
}
"""Kind of a merge -> what mergekit calls it. Layers put together are `passthrough`, in another form."""


def mergekit_recipe(gathering: Gathering) -> str:
    """YAML for `mergekit-yaml`.

    Coefficients are as they were estimated, with comments on what is known and not known of them. Models are named as their
    fingerprints are.

    Raises:
        ReportError: nothing was found that is a merge.
    """
    if gathering.kind == "passthrough":
        recipe = {"merge_method": "passthrough", "slices": _slices(gathering)}
    elif gathering.kind in METHODS:
        recipe = _sum(gathering)
    else:
        problem = f"no merge was found ({gathering.kind}), so there is no recipe"
        raise ReportError(gathering.suspect.name, problem, "give more candidates, or a library that holds its parts")
    comments = [f"What kinprint gather found of {gathering.suspect.name}. {gathering.sentence()}", *gathering.notes]
    head = "".join(f"# {' '.join(line.split())}\n" for line in comments)
    return head + yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True)


def _sum(gathering: Gathering) -> dict[str, Any]:
    """A recipe of models with weights."""
    recipe: dict[str, Any] = {"merge_method": METHODS[gathering.kind]}
    if gathering.kind == "slerp":
        first, second = _slerp_ends(gathering)
        models = [{"model": name} for name in (first, second)]
        return recipe | {"base_model": first, "models": models, "parameters": {"t": round(gathering.details["t"], 4)}}
    base = gathering.base
    if base is not None:
        recipe["base_model"] = base.name
    recipe["models"] = [
        {"model": parent.model.name, "parameters": _parameters(gathering, number)}
        for number, parent in enumerate(gathering.parents)
        if parent.model is not base
    ]
    return recipe | ({"parameters": {"normalize": False}} if gathering.kind in ("linear", "varying", "ties") else {})


def _parameters(gathering: Gathering, number: int) -> dict[str, Any]:
    """Weight of a model: one, or one a layer where they vary; and how many differences are kept."""
    weight: Any = round(gathering.parents[number].coefficient, 4)
    if gathering.kind == "varying" and gathering.layers and all(layer.coefficients for layer in gathering.layers):
        weight = [round(layer.coefficients[number], 4) for layer in gathering.layers]
    density = gathering.details.get("density")
    return {"weight": weight} | ({} if density is None else {"density": round(density, 4)})


def _slerp_ends(gathering: Gathering) -> tuple[str, str]:
    """The two models, that from which t counts first: its coefficient is about 1 - t."""
    one, two = gathering.parents[:2]
    near = abs(one.coefficient - (1 - gathering.details["t"])) <= abs(two.coefficient - (1 - gathering.details["t"]))
    return (one.model.name, two.model.name) if near else (two.model.name, one.model.name)


def _slices(gathering: Gathering) -> list[dict[str, Any]]:
    """Runs of neighbouring layers of one model, in the order of the suspect's layers."""
    runs: list[tuple[str, int, int]] = []
    for layer in gathering.layers:
        if layer.source is None:
            continue
        name, number, _ = layer.source
        if runs and runs[-1][0] == name and runs[-1][2] == number:
            runs[-1] = (name, runs[-1][1], number + 1)
        else:
            runs.append((name, number, number + 1))
    return [{"sources": [{"model": name, "layer_range": [start, stop]}]} for name, start, stop in runs]
