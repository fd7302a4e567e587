"""same-endpoint: does an endpoint still serve the model that it says?

Two questions. Do its texts come from the reference's distribution? Two tests, whose null hypothesis is that they do, so that
they can refute and never confirm. And are its log-probabilities of given texts the reference's own, to a precision that another
model does not reach? That can confirm, where a server gives them, and refute where they are further apart than rounding leaves
them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from blake3 import blake3

from kinprint.arrays import Float64s
from kinprint.blackbox.asking import Asker
from kinprint.blackbox.beginnings import beginnings
from kinprint.blackbox.control import REPEATED, faults, with_repeats
from kinprint.blackbox.phylolm import similarity
from kinprint.blackbox.result import BlackBoxResult
from kinprint.blackbox.span import FLOOR
from kinprint.errors import NotApplicable, ObservationError
from kinprint.observation.questions import Answer, Question
from kinprint.statistics.equality import equality_test
from kinprint.statistics.multiplicity import smallest
from kinprint.statistics.small_ball import small_ball_log10_p
from kinprint.statistics.uniform_ranks import rank_among, uniform_test
from kinprint.terms import ALPHA, BlackBoxVerdict

TEST = "same-endpoint"
DISTANT = 0.1
"""Share of the spread by which log-probabilities of one text are apart at no rounding of one model: bfloat16 leaves 0.5 %,
weights of 4 bits 6 % (docs/black-box-heads.md)."""

NULL_TEXTS = (
    "to every prompt both write texts of one distribution, each text drawn independently: which text came from whom is chance, "
    "prompt by prompt."
)
NULL_VALUES = (
    "the suspect is another model: its log-probability of every token of a text has a part of its own, normal with a deviation "
    f"of at least {FLOOR:.0%} of the spread of the reference's, at whatever place."
)
CANNOT_SHOW = (
    "who is to blame for a difference: another model, rounded weights, another temperature or a filter on tokens look alike.",
    "that two deployments are one where nothing refutes it: small changes need more texts to be seen.",
    "what the endpoint serves to others, or will serve later.",
)


@dataclass(frozen=True)
class Plan:
    """What both are asked.

    Attributes:
        writing: of the suspect, and of the reference: for each prompt as many questions as samples, one prompt after another.
        texts: whose log-probabilities are asked of both.
    """

    writing: tuple[list[Question], list[Question]]
    texts: list[Question]
    samples: int

    @property
    def of_suspect(self) -> list[Question]:
        return [*self.writing[0], *with_repeats(self.texts)]


def plan(texts: Sequence[str], *, samples: int = 10, tokens: int = 24, temperature: float = 1.0) -> Plan:
    """Questions about texts: both models go on with the beginning of each, and say how likely the whole is."""
    prompts = beginnings(texts)
    suspect, reference = (
        [
            Question("writing", prompt, tokens, temperature, seed=_seed(side, place, prompt, number))
            for place, prompt in enumerate(prompts)
            for number in range(samples)
        ]
        for side in ("suspect", "reference")
    )
    return Plan((suspect, reference), [Question("likelihood", text) for text in texts], samples)


def _seed(side: str, place: int, prompt: str, number: int) -> int:
    """A seed of 31 bits for one text. Equal seeds would give equal texts, which are no independent draws; seeds that knew
    nothing of the prompts would make all runs one draw."""
    digest = blake3(f"{side} {place} {number} {prompt}".encode("utf-8", "surrogatepass")).digest(length=4)
    return int.from_bytes(digest, "little") >> 1


def same_endpoint(reference: Asker, asking: Asker, asked: Plan, *, alpha: float = ALPHA) -> BlackBoxResult:
    """Test whether a model that only answers is the reference.

    Args:
        reference: the model that the endpoint says it serves, run here or behind a server that is trusted.
        asking: the suspect.
        asked: see `plan`.
        alpha: largest p-value that refutes, or confirms.

    Returns:
        `refuted`, `same-deployment`, `no-evidence`, or `untestable` with the reason.

    Raises:
        ObservationError: a model cannot be reached or run.
    """
    told = with_repeats(asked.texts)
    before, silent = _told(asking, told[:REPEATED])
    theirs, ours = _written(asking, asked.writing[0], asked.samples), _written(reference, asked.writing[1], asked.samples)
    after, _ = ([], silent) if silent else _told(asking, told[REPEATED:])
    if wrong := faults(told[: len(before) + len(after)], [*before, *after]):
        return _result(reference, asking, "untestable", f"{asking.name} is no witness: {'; '.join(wrong)}.", NULL_VALUES)
    prompts = [question.text for question in asked.writing[0][:: asked.samples]]
    whole = [i for i, (one, other) in enumerate(zip(ours, theirs, strict=True)) if len(one) > 1 and len(other) > 1]
    ours, theirs = [ours[i] for i in whole], [theirs[i] for i in whole]
    if not whole:
        return _result(reference, asking, "untestable", f"{asking.name} wrote no texts within the budget.", NULL_TEXTS)
    if _repeats(ours, theirs):
        sentence = f"{asking.name} writes the same text again and again: it answers from a cache or without chance."
        return _result(reference, asking, "untestable", sentence, NULL_TEXTS)
    equal = equality_test(ours, theirs)
    ranks, ranked = _ranks(reference, [prompts[i] for i in whole], ours, theirs)
    log10_p = smallest([equal.log10_p, ranked])
    statistics: dict[str, float | int | str | None] = {
        "prompts": len(whole),
        "texts of each": sum(map(len, theirs)),
        "discrepancy": equal.discrepancy,
        "log10 p of the discrepancy": equal.log10_p,
        "ranks": len(ranks),
        "mean rank": float(ranks.mean()) if len(ranks) else None,
        "log10 p of the ranks": ranked if len(ranks) else None,
        "PhyloLM similarity": similarity(ours, theirs),
    }
    pairs = zip(told, [*before, *after], strict=False)
    answered = [(question, answer) for question, answer in pairs if answer is not None and not question.repeat]
    share, same, notes = _values(reference, answered)
    notes = [f"The suspect {silent}: it can be refuted and not confirmed."] if silent else notes
    statistics |= {} if math.isnan(share) else {"log-probabilities apart": share, "log10 p that another's are as close": same}
    return _verdict(reference, asking, log10_p, share, same, statistics, notes, alpha)


def _verdict(
    reference: Asker,
    asking: Asker,
    log10_p: float,
    share: float,
    same: float,
    statistics: Mapping[str, float | int | str | None],
    notes: Sequence[str],
    alpha: float,
) -> BlackBoxResult:
    name, of = asking.name, reference.name
    close = same <= math.log10(alpha)
    if log10_p <= math.log10(alpha):
        sentence = f"{name} does not write as {of} does: its texts are not drawn from the same distribution."
        if close:
            sentence += (
                f" Its log-probabilities are those of {of} (apart by {share:.2g} of their spread), so the model is the same "
                "and texts are drawn otherwise: another temperature, or a filter on tokens."
            )
        return _result(reference, asking, "refuted", sentence, NULL_TEXTS, log10_p, statistics, notes)
    if close:
        sentence = (
            f"{name} gives the log-probabilities of {of}: no text's are apart by more than {share:.2g} of their spread; "
            f"another model's would be by {FLOOR:.0%} or more of it at every token. Its texts say nothing against it."
        )
        return _result(reference, asking, "same-deployment", sentence, NULL_VALUES, same, statistics, notes)
    if share > DISTANT:
        sentence = (
            f"{name} does not give the log-probabilities of {of}: those of one text are apart by {share:.2g} of their spread, "
            "more than rounding weights to 4 bits leaves."
        )
        return _result(reference, asking, "refuted", sentence, NULL_VALUES, None, statistics, notes)
    sentence = f"Nothing that {name} wrote shows that it is not {of}. That does not show that it is."
    return _result(reference, asking, "no-evidence", sentence, NULL_TEXTS, log10_p, statistics, notes)


def _written(asking: Asker, questions: Sequence[Question], samples: int) -> list[list[str]]:
    """The texts to each prompt."""
    answers = asking.ask(questions)
    return [
        [answer.text for answer in answers[start : start + samples] if answer is not None]
        for start in range(0, len(answers), samples)
    ]


def _repeats(ours: Sequence[list[str]], theirs: Sequence[list[str]]) -> bool:
    """Whether the second writes one text to most prompts to which the first writes several."""
    varied = [other for one, other in zip(ours, theirs, strict=True) if len(set(one)) > 1]
    return bool(varied) and sum(len(set(other)) == 1 for other in varied) > len(varied) / 2


def _ranks(
    reference: Asker, prompts: Sequence[str], ours: Sequence[list[str]], theirs: Sequence[list[str]]
) -> tuple[Float64s, float]:
    """(prompts,) where one text of the suspect stands among those of the reference by the reference's own log-likelihood, and
    the log10 p of their being uniform; none where the reference gives no log-likelihoods."""
    triples = zip(prompts, ours, theirs, strict=True)
    texts = [[prompt + text for text in (other[0], *one)] for prompt, one, other in triples]
    try:
        answers = reference.ask([Question("likelihood", text) for each in texts for text in each])
    except (NotApplicable, ObservationError):
        return np.zeros(0), 0.0
    scores = iter([math.fsum(answer.logprobs) if answer is not None else math.nan for answer in answers])
    rng = np.random.default_rng(len(texts))
    ranks = []
    for each in texts:
        values = np.array([next(scores) for _ in each])
        if np.isfinite(values).all():
            ranks.append(rank_among(float(values[0]), values[1:], rng))
    return np.array(ranks), uniform_test(np.array(ranks))[1]


def _told(asking: Asker, questions: Sequence[Question]) -> tuple[list[Answer | None], str]:
    """Answers about log-probabilities, or why there are none."""
    try:
        return asking.ask(questions), ""
    except NotApplicable as reason:
        return [], str(reason)


def _values(reference: Asker, theirs: Sequence[tuple[Question, Answer]]) -> tuple[float, float, list[str]]:
    """How far apart log-probabilities are at most, as a share of their spread, and log10 p that another model's are as close;
    NaN and 0 where there are none."""
    ours = reference.ask([question for question, _ in theirs])
    pairs = [(one, other) for one, (_, other) in zip(ours, theirs, strict=True) if one is not None]
    if not pairs:
        return math.nan, 0.0, []
    if any(len(one.logprobs) != len(other.logprobs) for one, other in pairs):
        return math.nan, 0.0, ["The suspect reads texts as other tokens than the reference: it is another model or tokenizer."]
    found = [apart(one, other) for one, other in pairs]
    return max(share for share, _ in found), max(p for _, p in found), []


def apart(one: Answer, other: Answer) -> tuple[float, float]:
    """Root mean square difference of two models' log-probabilities of one text, as a share of the spread of the first's, and
    log10 p of the null hypothesis NULL_VALUES."""
    first, second = np.array(one.logprobs), np.array(other.logprobs)
    spread = float(first.std()) if len(first) > 1 else 0.0
    if not spread > 0:
        return math.nan, 0.0
    square = float(((first - second) ** 2).sum()) / spread**2
    return math.sqrt(square / len(first)), small_ball_log10_p(square, len(first), FLOOR)


def _result(
    reference: Asker,
    asking: Asker,
    verdict: BlackBoxVerdict,
    sentence: str,
    null: str,
    log10_p: float | None = None,
    statistics: Mapping[str, float | int | str | None] | None = None,
    notes: Sequence[str] = (),
) -> BlackBoxResult:
    return BlackBoxResult.of(
        asking,
        test=TEST,
        reference=reference.name,
        verdict=verdict,
        sentence=sentence,
        null=null,
        log10_p=log10_p,
        statistics=statistics,
        cannot_show=CANNOT_SHOW,
        notes=notes,
    )
