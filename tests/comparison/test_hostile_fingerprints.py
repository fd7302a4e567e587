"""Facts of a stranger's fingerprint may be anything that JSON can say: a comparison still ends, and never in `identical`."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
from methods import simulated
from rich.console import Console

from kinprint import Fingerprint
from kinprint.comparison import examine
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
