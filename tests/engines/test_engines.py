"""Every engine does every item once and reports errors as outcomes."""

from __future__ import annotations

import pytest

from kinprint import engines
from kinprint.errors import EngineError, ZooError


def square(number: int) -> int:
    if number == 3:
        raise ZooError(number, "is three")
    return number**2


@pytest.mark.parametrize("engine", sorted(engines.known()))
def test_every_item_once(engine: str, request: pytest.FixtureRequest) -> None:
    """Each item has one outcome: its result, or the error that a person can act on."""
    if engine == "ray":
        request.getfixturevalue("cluster")
    found = list(engines.named(engine).run(square, range(8), 2))
    assert sorted(outcome.item for outcome in found) == list(range(8))
    assert {outcome.item: outcome.result for outcome in found} == {n: None if n == 3 else n**2 for n in range(8)}
    assert [str(outcome.error) for outcome in found if outcome.error] == ["3: is three"]


def test_an_unknown_engine_is_named() -> None:
    with pytest.raises(EngineError, match="no engine of this name; choose one of"):
        engines.named("steam")
