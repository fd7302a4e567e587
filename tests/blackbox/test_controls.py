"""controls on suspects that say what a table says."""

from __future__ import annotations

import numpy as np
from numpy_suspects import Suspect

from kinprint.blackbox import Asker
from kinprint.blackbox.controls import controls
from kinprint.observation.questions import Answer, Question

PROMPTS = [f"prompt {number}" for number in range(120)]


def _model(name: str, agrees: float, seed: int) -> Asker:
    """A model that says "yes" to a share of prompts, else a word of its own."""

    def answer(question: Question) -> Answer:
        number = int(question.text.split()[1])
        return Answer(text=f"yes {number % 3}" if np.random.default_rng([seed, number]).random() < agrees else name)

    model = Suspect(writing=answer)
    model.name = name
    return Asker(model)


def test_a_reference_that_is_closer_than_all_controls() -> None:
    others = [_model("b", 0.5, 1), _model("c", 0.4, 2)]
    found = controls(_model("a", 0.9, 3), _model("suspect", 1.0, 4), others, PROMPTS)
    assert found.verdict == "closer-than-controls"
    assert "these controls" in found.sentence
    assert "b, c" in found.sentence
    assert [row["control"] for row in found.evidence["controls"]] == ["b", "c"]
    assert found.statistics["rank p"] == 1 / 3


def test_the_closest_control_decides() -> None:
    """H0 true: one control agrees as often as the reference, the other hardly ever. 40 references, none called closer."""
    p = []
    for seed in range(40):
        others = [_model("b", 0.8, 1000 + seed), _model("c", 0.1, 2000 + seed)]
        found = controls(_model("a", 0.8, 3000 + seed), _model("suspect", 1.0, 4), others, PROMPTS)
        assert found.verdict == "no-evidence"
        p.append(10 ** (found.log10_p or 0))
    assert np.mean(np.array(p) <= 0.1) <= 0.2


def test_phylolm_is_shown_beside() -> None:
    found = controls(_model("a", 0.9, 3), _model("suspect", 1.0, 4), [_model("b", 0.1, 1)], PROMPTS, samples=3)
    assert float(found.statistics["PhyloLM similarity"] or 0) > 0.9
    assert float(found.statistics["largest PhyloLM similarity of a control"] or 1) < 0.3


def test_nothing_to_compare() -> None:
    suspect, reference = _model("suspect", 1.0, 1), _model("a", 0.9, 2)
    assert controls(reference, suspect, [], PROMPTS).verdict == "untestable"
    mute = Suspect(writing=lambda question: Answer(text=""))
    assert controls(reference, Asker(mute), [reference], PROMPTS).verdict == "untestable"
    assert controls(reference, Asker(Suspect()), [reference], PROMPTS).verdict == "untestable"
