"""Arrows: from the oldest known ancestor, and only by rules whose arrows were true often enough."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kinprint.fingerprints import Fingerprint
from kinprint.library.descent import arrows as module
from kinprint.library.descent.arrows import LOWEST, MERGED, arrows, claims, measured
from kinprint.library.descent.copies import RULES
from kinprint.statistics import wilson

ENTRIES = np.random.default_rng(1).standard_normal((2, 256)).astype(np.float32)
SHAPES = {"q": [[1, 16, 16]] * 2}


def model(name: str, entries: np.ndarray) -> Fingerprint:
    return Fingerprint(name, {"sample.q": entries.astype(np.float32)}, {"shapes": SHAPES})


def zeroed(smallest: float) -> np.ndarray:
    return np.where(np.abs(ENTRIES) < smallest, 0, ENTRIES)


BASE, LESS, MORE = model("base", ENTRIES), model("less", zeroed(0.3)), model("more", zeroed(0.6))
SISTER = model("sister", ENTRIES + 0.1 * np.random.default_rng(2).standard_normal(ENTRIES.shape))


def ways(*models: Fingerprint) -> set[tuple[str, str]]:
    return {(models[a].name, models[b].name) for a, b, _ in claims(models, range(len(models)))}


def test_the_oldest_known_ancestor_is_taken() -> None:
    """What lost more may be made from what lost less, or from the first: only the arrow from the first is sure."""
    assert ways(MORE, SISTER, BASE, LESS) == {("base", "less"), ("base", "more")}
    assert ways(MORE, LESS, SISTER) == {("less", "more")}
    assert ways(BASE, SISTER) == set()


def test_of_two_that_may_both_be_it_neither_is_taken() -> None:
    """Two that agree in all but what the copy has lost: one of them is no ancestor, so there is no arrow."""
    other = model("other", np.where(ENTRIES < 0, ENTRIES, np.where(np.abs(ENTRIES) < 0.3, ENTRIES + 1e-3, ENTRIES)))
    assert ways(BASE, LESS) == {("base", "less")}
    assert ways(BASE, other, LESS) == set()


def test_a_merge_has_arrows_from_its_parents_alone() -> None:
    models = [BASE, SISTER, LESS]
    found = claims(models, range(3), [(2, (0, 1))])
    assert found == [(0, 2, MERGED), (1, 2, MERGED)]


def test_rules_that_were_not_measured_draw_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither does one whose interval begins too low; with the measurement comes how often its arrows were true."""
    for counts, drawn in (({}, 0), ({"entries set to zero": (3, 3)}, 0), ({"entries set to zero": (40, 41)}, 1)):
        monkeypatch.setattr(module, "measured", lambda counts=counts: counts)
        assert len(arrows([BASE, LESS], range(2))) == drawn
    (arrow,) = arrows([BASE, LESS], range(2))
    assert arrow.words() == "entries set to zero: true in 40 of 41 arrows, 87% to 100%"
    assert arrow.to_json()["interval"][0] >= LOWEST


def test_what_is_measured_reaches_far_enough() -> None:
    """Every rule that the measurement names is one there is, and some draw arrows."""
    assert set(measured()) <= {*RULES, MERGED}
    assert any(wilson(*counts)[0] >= LOWEST for counts in measured().values())


@pytest.mark.parametrize(
    "text", ["", "[]", '{"format": "other"}', '{"format": "kinprint-descent/1", "rules": {"x": {"true": 3, "drawn": 2}}}']
)
def test_a_damaged_measurement_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "measured.json"
    path.write_text(text)
    assert measured(path) == {}
    assert measured(tmp_path / "absent.json") == {}
