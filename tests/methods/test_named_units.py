"""Units that an architecture names are not tested by index, and the evidence says why."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from methods import simulated

from kinprint import Fingerprint
from kinprint.architectures.named import POSITIONS, SPACES
from kinprint.comparison import examine
from kinprint.methods import Evidence, known

TESTS = {method.name: method for method in known() if method.name in SPACES}


def evidence(space: str, facts: dict[str, Any], *, reference: bool = False) -> Evidence:
    """Of the test of a space on two unrelated models, one of which has these facts too."""
    rng = np.random.default_rng(0)
    plain, other = simulated.model(rng), simulated.model(rng)
    odd = Fingerprint("odd", other.traits, {**other.facts, **facts})
    return TESTS[space](odd, plain) if reference else TESTS[space](plain, odd)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("reference", [False, True])
def test_named_units_are_not_tested(space: str, reference: bool) -> None:
    """Whichever of the two models names them: the test of that space is silent with the reason, the others decide."""
    facts = {"named_spaces": {space: "sorts them by index"}}
    found = {each: evidence(each, facts, reference=reference) for each in SPACES}
    assert [each for each in SPACES if not found[each].applies] == [space]
    assert found[space].note == "Does not apply: odd sorts them by index."


@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("space", SPACES)
def test_older_fingerprints_say_positions(positions: str, space: str) -> None:
    """Without `named_spaces` the fact `positions` counts."""
    found, why = evidence(space, {"positions": positions}), POSITIONS[positions].get(space)
    assert found.applies == (why is None)
    assert why is None or why in found.note


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("facts", [{}, {"positions": None}, {"positions": "nonsense"}, {"positions": ["alibi"]}])
def test_nothing_said_names_nothing(space: str, facts: dict[str, Any]) -> None:
    assert evidence(space, facts).applies


@pytest.mark.parametrize("space", SPACES)
def test_what_is_said_of_names_counts_before_positions(space: str) -> None:
    """An empty `named_spaces` says that nothing has a name."""
    assert evidence(space, {"named_spaces": {}, "positions": "unknown"}).applies


ANYTHING = [None, True, -1, 10**30, "alibi", ["heads"], [["heads", "x"]], {"heads": None}, {"heads": {"a": 1}}, {"heads": ""}]
LONG = {"heads": "\x1b[31m" + "x" * 10_000, "channels": ["x"], "neurons": 1, "experts": "\u202e", "tails": "x"}


@pytest.mark.parametrize("value", [*ANYTHING, LONG], ids=lambda value: str(value)[:20])
def test_facts_of_strangers(value: Any) -> None:
    """Whatever is said: a comparison ends, its notes are short and printable, and a space that is named is not tested."""
    rng = np.random.default_rng(0)
    plain, other = simulated.model(rng), simulated.model(rng)
    found = examine((plain, Fingerprint("odd", other.traits, {**other.facts, "named_spaces": value})))
    json.dumps(found.to_json(), allow_nan=False)
    for test in found.tests:
        if test.method in SPACES:
            assert test.applies != (isinstance(value, dict) and test.method in value)
            assert test.note.isprintable()
            assert len(test.note) < 400
