"""Facts of a stranger's fingerprint may be anything that JSON can say: a comparison still ends, and never in `identical`."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from methods import simulated
from rich.console import Console

from kinprint import Fingerprint, fingerprint
from kinprint.comparison import examine
from kinprint.comparison.experts import expert_origins
from kinprint.comparison.layers import layer_origins
from kinprint.methods import known
from kinprint.reports import comparison_text

ANYTHING = [None, True, -1, 10**30, 1e308, "x", ["a"], [[1]], {"a": 1}, {"q": "nonsense"}, {"q": {"x": 1}}, {"q": [2**70]}]
METHODS = [method for method in known() if method.name in ("pcs", "std-profile", "norm-gains")]


def shown(a: Fingerprint, b: Fingerprint) -> str:
    """The verdict, after every report was made."""
    found = examine((a, b), methods=METHODS)
    json.dumps(found.to_json(), allow_nan=False)
    Console(file=io.StringIO()).print(comparison_text(found))
    return found.verdict


@pytest.mark.parametrize("value", ANYTHING, ids=str)
def test_facts_of_any_kind(value: Any) -> None:
    rng = np.random.default_rng(0)
    honest, other = simulated.model(rng, name="a"), simulated.model(rng, name="b")
    digests = np.zeros((1, 32), np.uint8)
    for fact in ("dtypes", "shapes", "digest_parts", "non_finite", "quick", "quantization", "num_experts", "hidden_size"):
        told = {**other.facts, "digest_parts": ["q"], fact: value}
        hostile = Fingerprint("h", {**other.traits, "digests": digests}, told, {"base_model": value, "source": value})
        facts = {**honest.facts, "digest_parts": ["q"], "dtypes": {"q": "float16"}}
        plain = Fingerprint("a", {**honest.traits, "digests": digests + 1}, facts)
        assert "identical" not in (shown(hostile, plain), shown(plain, hostile))


def test_layers_and_experts_of_any_kind(models: Path) -> None:
    """Facts and values of a model that is related: what is said of its layers still ends."""
    rng = np.random.default_rng(0)
    honest = fingerprint(models / "base")
    names = ["0.q", "x", "9" * 5000 + ".q", "-1.q", ".", "\u0663.q"]
    traits = {**honest.traits, "digests": np.zeros((len(names), 32), np.uint8)}
    evidence = examine((honest, honest)).evidence
    assert any(item.decides for item in evidence)
    wild = {name: np.full(honest.traits[name].shape, value) for name, value in (("moments.o", np.nan), ("sample.q", 1e38))}
    forms = honest.traits["neurons.forms"].copy()
    forms[..., 0] = rng.choice([np.nan, -3e38, 3e38, 0.5, 1e6], forms.shape[:2])
    for fact in ("shapes", "digest_parts", "num_key_value_heads"):
        for number, value in enumerate(ANYTHING):
            told = {**honest.facts, "digest_parts": names, fact: value}
            values = {**wild, "neurons.forms": forms} if number % 2 else {}
            pair = honest, Fingerprint("h", {**traits, **values}, told)
            layers = layer_origins(pair, (known(), evidence), 1e-6)
            experts = expert_origins(pair, (known(), evidence), layers, (0,) * (honest.layers or 0), 1e-6)
            json.dumps([item.to_json() for item in (*layers, *experts)], allow_nan=False)
