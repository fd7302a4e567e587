"""Loops that are divided among processors give what one processor gives, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from kinprint.statistics import divided, permanents, relabelling

RANDOM = np.random.default_rng(11)
LAYERS, REFERENCES = 5, 4
PAIRS = np.array([(reference, suspect) for reference in range(REFERENCES) for suspect in range(LAYERS)])
SUSPECTS = np.ascontiguousarray(PAIRS[:, 1])
SCORES = RANDOM.normal(size=(len(PAIRS), 3, 4, 4, 2, 3, 3))
COUNTS = RANDOM.integers(0, 5, size=(LAYERS, 3)), np.array([3, 2])


@pytest.fixture(params=[1, 2, 3, 8])
def _processors(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("kinprint.compiled", "kinprint.statistics.divided"):
        monkeypatch.setattr(f"{module}.processors", lambda: request.param)


@pytest.mark.usefixtures("_processors")
def test_relabelled() -> None:
    streams = np.array([0, 1, 2, 1, 4])
    whole = relabelling.relabelled(SCORES, SUSPECTS, streams, *COUNTS, 50, 7)
    assert np.array_equal(divided.relabelled(SCORES, PAIRS[:, 1], streams, *COUNTS, 50, 7), whole)
    assert whole.any()


@pytest.mark.usefixtures("_processors")
def test_tilted() -> None:
    number = np.arange(len(PAIRS)).reshape(REFERENCES, LAYERS)
    chosen = np.stack([number[RANDOM.integers(0, REFERENCES, 20), layer] for layer in range(LAYERS)])
    whole = relabelling.tilted(SCORES, 0.3, SUSPECTS, chosen, *COUNTS, 9)
    assert np.array_equal(divided.tilted(SCORES, 0.3, PAIRS[:, 1], chosen, *COUNTS, 9), whole)
    assert whole.any()


@pytest.mark.usefixtures("_processors")
@pytest.mark.parametrize("count", [0, 5, 2 * divided.FEW - 1, 5 * divided.FEW + 3])
def test_log_permanents(count: int) -> None:
    logs = RANDOM.normal(size=(count, 4, 4))
    assert np.array_equal(divided.log_permanents(logs), permanents.log_permanents(logs))
