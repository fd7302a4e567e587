"""Shared training, or a shared random start alone: the answer, and where it is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import kinprint

from kinprint import compare
from kinprint.architectures import open_model
from kinprint.comparison.origin import ANSWERS, APART, DIRECTIONS, TRAINED, Origin, judged, origin
from kinprint.statistics.spikes import Kept


def test_a_fine_tune_shares_training_and_the_sentence_says_so(models: Path) -> None:
    done = kinprint("compare", models / "base", models / "finetune", "--deep", "--json")
    said = json.loads(done.stdout)
    assert said["start"]["answer"] == "shared training"
    assert said["start"]["training_kept"]["reference_in_suspect"] > 0.9
    assert said["start"]["measured"]["of"] > 0
    assert "They share training, not only a random start" in said["sentence"]


def test_nothing_is_said_without_both_checkpoints_nor_of_strangers(models: Path) -> None:
    assert compare(models / "base", models / "finetune").start is None
    assert origin(*(open_model(models / name).weights for name in ("base", "twin"))) is None


def answer(there: float, back: float, *, counts: tuple[int, int] = (DIRECTIONS, DIRECTIONS), bulk: float = 0.9) -> Origin:
    """Of models whose directions are all kept alike."""
    return judged(*(Kept(bulk, np.full(count, value)) for count, value in zip(counts, (there, back), strict=True)))


@pytest.mark.parametrize(
    ("there", "back", "expected"),
    [
        (1.0, TRAINED, ANSWERS[0]),
        (1.0, TRAINED - 0.01, ANSWERS[2]),
        (APART + 0.01, 0.0, ANSWERS[2]),
        (0.0, APART, ANSWERS[1]),
    ],
)
def test_both_models_decide(there: float, back: float, expected: str) -> None:
    """Shared training has to be seen in both, and its absence too."""
    assert answer(there, back).answer == expected
    assert bool(answer(there, back).sentence()) == (expected != "cannot tell")


def test_a_start_itself_shows_no_training_and_one_that_is_lost_says_nothing() -> None:
    assert answer(0.0, 0.1, counts=(3, 50)).answer == ANSWERS[1]
    assert np.isnan(answer(1.0, 0.1, counts=(3, 50)).kept[0])
    assert answer(0.0, 0.0, counts=(3, 3)).answer == "cannot tell"
    assert answer(1.0, 1.0, bulk=0.1).answer == "cannot tell"
