"""controls: does the suspect say what the reference says more often than what any of some control models says?

Valid relative to the controls, and to prompts like those asked: what is refuted is that the reference is no closer to the
suspect than the closest control. A reference that is closer for another reason than descent (it is better than all controls,
or learnt from the same texts) is found closer too.

Source: Nikolic, Baluta, Saxena, Model Provenance Testing for Large Language Models, NeurIPS 2025 (arXiv 2502.00706). They
compare shares of equal next tokens by z-tests with Holm's correction; here prompts are paired, which makes the test exact.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kinprint.blackbox.asking import Asker
from kinprint.blackbox.phylolm import CHARACTERS, similarity
from kinprint.blackbox.result import BlackBoxResult
from kinprint.errors import NotApplicable
from kinprint.observation.questions import Answer, Question
from kinprint.statistics.paired_agreement import holm, more_often
from kinprint.terms import ALPHA, BlackBoxVerdict

TEST = "controls"
GENES = 128
SEEDS = 1 << 24
"""Between the seeds of two models: equal seeds make texts alike."""

NULL = (
    "on prompts drawn as these were, at least one of the controls says what the suspect says as often as the reference does. "
    "The reference beats a control by exact sign tests on the prompts where only one of the two agrees with the suspect; the "
    "largest p-value over the controls counts."
)

CANNOT_SHOW = (
    "descent: some model is always the closest. Of unrelated pairs of small models 6 % were found closer than all controls "
    "(docs/black-box-heads.md): a reference trained on the same texts, the only good model among them, the suspect's teacher. "
    "`rank p` allows for that: if the reference were one more control, it would be first so often.",
    "anything about models that are no controls: other controls may give another verdict.",
    "that a suspect whose reference is not closer does not descend from it.",
)


def questions(prompts: Sequence[str]) -> list[Question]:
    """The likeliest token behind each prompt."""
    return [Question("writing", prompt, 1, temperature=0) for prompt in prompts]


def genes(prompts: Sequence[str], samples: int) -> list[Question]:
    """What PhyloLM's score is made of: some texts to each of at most GENES prompts, one prompt after another."""
    return [
        Question("writing", prompt, CHARACTERS, seed=1 + place * samples + number)
        for place, prompt in enumerate(prompts[:GENES])
        for number in range(samples)
    ]


def controls(
    reference: Asker,
    asking: Asker,
    others: Sequence[Asker],
    prompts: Sequence[str],
    *,
    samples: int = 0,
    alpha: float = ALPHA,
) -> BlackBoxResult:
    """Test whether the suspect agrees with the reference more often than with every control.

    Args:
        reference: the model that may be the ancestor.
        asking: the suspect.
        others: control models: of the suspect's size and kind, with its tokenizer, and unrelated to it.
        prompts: drawn independently.
        samples: texts to each prompt for PhyloLM's similarity, which is shown beside the verdict; 0 for none.
        alpha: largest p-value that is called closer.

    Returns:
        `closer-than-controls`, `no-evidence`, or `untestable` with the reason.

    Raises:
        ObservationError: a model cannot be reached or run.
    """
    asked = questions(prompts)
    try:
        answers = asking.ask(asked)
    except NotApplicable as reason:
        return _result(reference, asking, others, "untestable", f"{asking.name} {reason}.")
    said = [answer.text for answer in answers if answer is not None]
    if not others or not said or len(set(said)) == 1:
        why = "no control is given" if not others else f"{asking.name} gave no two different answers"
        return _result(reference, asking, others, "untestable", f"Nothing can be compared: {why}.")
    ours, *theirs = (agreement(answers, model.ask(asked)) for model in (reference, *others))
    each = [more_often(ours, one) for one in theirs]
    log10_p, shares = max(each), [float(one.mean()) for one in theirs]
    statistics: dict[str, float | int | str | None] = {
        "prompts": len(ours),
        "agreement with the reference": float(ours.mean()),
        "largest agreement with a control": max(shares),
        "rank p": (1 + sum(share >= float(ours.mean()) for share in shares)) / (1 + len(shares)),
    }
    rows = [
        {"control": other.name, "agreement": share, "log10_p": p, "log10_p_holm": corrected}
        for other, share, p, corrected in zip(others, shares, each, holm(each), strict=True)
    ]
    if samples:
        alike = _similarities(asking, (reference, *others), genes(prompts, samples), samples)
        statistics |= {"PhyloLM similarity": alike[0], "largest PhyloLM similarity of a control": max(alike[1:])}
    name, of = asking.name, reference.name
    listed = ", ".join(other.name for other in others)
    if log10_p <= math.log10(alpha):
        sentence = (
            f"{name} says what {of} says ({ours.mean():.1%} of prompts) more often than what any of these controls says "
            f"({max(shares):.1%} at most): {listed}. That is relative to them: it shows descent only if nothing else makes "
            f"{of} closer to {name} than they are."
        )
        return _result(reference, asking, others, "closer-than-controls", sentence, log10_p, statistics, rows)
    sentence = (
        f"{name} does not say what {of} says ({ours.mean():.1%} of prompts) more often than what the closest of these controls "
        f"says ({max(shares):.1%}): {listed}."
    )
    return _result(reference, asking, others, "no-evidence", sentence, log10_p, statistics, rows)


def _similarities(asking: Asker, others: Sequence[Asker], asked: Sequence[Question], samples: int) -> list[float]:
    """PhyloLM's similarity of the suspect to each of others; every model draws from seeds of its own."""

    def texts(model: Asker, number: int) -> list[list[str]]:
        answers = model.ask([replace(question, seed=(question.seed or 0) + SEEDS * number) for question in asked])
        rows = [answers[start : start + samples] for start in range(0, len(answers), samples)]
        return [[answer.text for answer in row if answer is not None] for row in rows]

    ours = texts(asking, 0)
    return [similarity(ours, texts(other, number)) for number, other in enumerate(others, 1)]


def agreement(answers: Sequence[Answer | None], others: Sequence[Answer | None]) -> NDArray[np.bool_]:
    """(prompts,) whether two models say the same, over the prompts that the first answered."""
    pairs = zip(answers, others, strict=True)
    return np.array([other is not None and other.text == answer.text for answer, other in pairs if answer is not None])


def _result(
    reference: Asker,
    asking: Asker,
    others: Sequence[Asker],
    verdict: BlackBoxVerdict,
    sentence: str,
    log10_p: float | None = None,
    statistics: dict[str, float | int | str | None] | None = None,
    rows: Sequence[dict[str, object]] = (),
) -> BlackBoxResult:
    return BlackBoxResult.of(
        asking,
        test=TEST,
        reference=reference.name,
        verdict=verdict,
        sentence=sentence,
        null=NULL,
        log10_p=log10_p,
        statistics=statistics,
        cannot_show=CANNOT_SHOW,
        evidence={"controls": list(rows) or [other.name for other in others]},
    )
