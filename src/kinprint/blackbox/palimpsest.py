"""palimpsest: does a model find texts the more likely the later a training run read them?

An owner who shuffled the training data holds its order. A model that was not made by this run, nor trained in the same order,
knows nothing of the order, whatever else it knows of the texts: given the texts, its log-likelihoods have nothing to do with
their positions, and all orders are equally likely. A model that was made by the run remembers best what it read last.

Source: Kuditipudi et al., Blackbox Model Provenance via Palimpsestic Membership Inference, NeurIPS 2025 (arXiv 2510.19796),
sections 2 and 3.1: "query setting". They use Spearman's correlation and the t distribution; here it is Kendall's, whose null
distribution is exact at any size (`kinprint.statistics.concordance`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kinprint.arrays import Float64s
from kinprint.blackbox.asking import Asker
from kinprint.blackbox.control import faults, with_repeats
from kinprint.blackbox.result import BlackBoxResult
from kinprint.blackbox.shuffling import Check, checks, failed, text_features
from kinprint.blackbox.transcripts import FEWEST, Transcript
from kinprint.blackbox.writing import likelihoods, samples, writing_faults
from kinprint.errors import NotApplicable, ObservationError
from kinprint.library.declarations.time_stamps import Stamp
from kinprint.observation.questions import Answer, Question
from kinprint.statistics.concordance import average_ranks, rising, strict_ranks
from kinprint.terms import ALPHA, BlackBoxVerdict
from kinprint.words import p_value

NULL = (
    "given the texts, the suspect's log-likelihoods have nothing to do with the order in which the run read them: all orders "
    "are equally likely."
)

CANNOT_SHOW = (
    "whether the order was fixed before the suspect could be asked: whoever chooses the order afterwards can sort the texts by "
    "the suspect's own answers. Only a time stamp of the transcript that is older than the suspect shows it.",
    "whether the suspect was made from the run's model or trained anew on the same texts in the same order.",
    "how much of the run is left in the suspect, or what was done to it since.",
    "that a suspect was not made from the run: later training, few texts or a small model hide the order.",
)


SHRINKAGE = 5.0
"""Occurrences of a pair of tokens."""


def questions(transcript: Transcript, *, repeats: bool) -> list[Question]:
    """What a suspect is asked: every text, and some of them again where a server answers."""
    asked = [Question("likelihood", text) for text in transcript.texts]
    return with_repeats(asked) if repeats else asked


def palimpsest(
    transcript: Transcript, asking: Asker, controls: Sequence[Asker] = (), *, stamp: Stamp | None = None, alpha: float = ALPHA
) -> BlackBoxResult:
    """Test whether a suspect's log-likelihoods follow the order of a transcript.

    Args:
        transcript: texts and positions.
        asking: the suspect. If its budget ends, the texts that it answered are tested: they come first in an order that has
            nothing to do with positions.
        controls: models that did not come from the run; what they find likely is taken out of what the suspect finds likely.
        stamp: a time stamp of the transcript's file.
        alpha: largest p-value that is called descent.

    Returns:
        `descends`, `no-evidence`, or `untestable` with the reason.

    Raises:
        ObservationError: a model cannot be reached or run.
    """
    size = _bytes(transcript.texts)
    about = _About(transcript, asking, stamp)
    baseline = [(control.name, beyond_pairs(_asked(control, transcript)) / size) for control in controls]
    if ordered := failed(checks(transcript, baseline)):
        return about.not_shuffled(ordered)
    plan = questions(transcript, repeats=bool(asking.suspect.where))
    try:
        answers = asking.ask(plan)
    except NotApplicable as reason:
        return about.result("untestable", f"{asking.name} {reason}.")
    if wrong := faults(plan, answers):
        return about.result("untestable", f"{asking.name} is no witness: {'; '.join(wrong)}.")
    once = [answer for question, answer in zip(plan, answers, strict=True) if not question.repeat]
    places = np.array([i for i, answer in enumerate(once) if answer is not None and answer.logprobs], dtype=np.int64)
    if len(places) < FEWEST:
        return about.result("untestable", f"{len(places)} texts were answered, and {FEWEST} are needed.")
    remaining = [values[places] for _, values in baseline]
    return _tested(about, transcript.chosen(places), [once[i] for i in places], remaining, alpha)


def palimpsest_of_writing(
    transcript: Transcript,
    asking: Asker,
    count: int,
    *,
    temperature: float = 1.0,
    stamp: Stamp | None = None,
    alpha: float = ALPHA,
) -> BlackBoxResult:
    """The same for a suspect that gives text alone: what it writes takes the place of its log-likelihoods.

    Args:
        transcript, asking, stamp, alpha: as of `palimpsest`.
        count: samples that are asked for.
        temperature: at which they are asked for.
    """
    about = _About(transcript, asking, stamp)
    if ordered := failed(checks(transcript)):
        return about.not_shuffled(ordered)
    written = [answer for answer in asking.ask(samples(count, temperature)) if answer is not None and answer.text.strip()]
    if len(written) < 2:
        return about.result("untestable", f"{asking.name} wrote {len(written)} texts.")
    if wrong := writing_faults(written):
        return about.result("untestable", f"{asking.name} is no witness: {'; '.join(wrong)}.")
    size, texts = _bytes(transcript.texts), transcript.texts
    expected = likelihoods(texts, texts) / size
    scores = surprise(likelihoods(texts, [answer.text for answer in written]) / size, text_features(texts), [expected])
    return _held_against(about, transcript, scores, {"samples": len(written), "temperature": temperature}, alpha)


def _tested(
    about: _About, transcript: Transcript, answers: Sequence[Answer | None], baseline: Sequence[Float64s], alpha: float
) -> BlackBoxResult:
    answered = [answer for answer in answers if answer is not None]
    scores = surprise(beyond_pairs(answered) / _bytes(transcript.texts), text_features(transcript.texts), baseline)
    return _held_against(about, transcript, scores, {"controls": len(baseline)}, alpha)


def _held_against(
    about: _About, transcript: Transcript, scores: Float64s, more: Mapping[str, float], alpha: float
) -> BlackBoxResult:
    """Scores (n,) of texts, which do not depend on positions, against positions."""
    ranks, order = strict_ranks(scores, seed=1), np.argsort(strict_ranks(transcript.positions, seed=2))
    found = rising(ranks[order])
    a, b = average_ranks(scores), average_ranks(transcript.positions)
    size = float(np.sqrt((a @ a) * (b @ b)))
    statistics = {
        "texts": len(transcript.texts),
        "tau": found.tau,
        "rho": float(a @ b) / size if size > 0 else 0.0,
        "z": found.z,
        **more,
    }
    name, p = about.asking.name, p_value(found.log10_p, exact=True)
    if found.log10_p <= np.log10(alpha):
        sentence = (
            f"{name} finds texts the more likely the later {transcript.name} has them (p {p}). A model that knows nothing of "
            "this order does so that rarely. So it was made from that training run, or trained in the same order. This holds "
            "if the order was fixed before anybody could ask the suspect; the test does not say whether it was allowed."
        )
        return about.result("descends", sentence, found.log10_p, statistics)
    sentence = (
        f"What {name} finds likely does not follow the order of {transcript.name} (p {p}). This does not mean that it was not "
        "made from that run."
    )
    return about.result("no-evidence", sentence, found.log10_p, statistics)


def beyond_pairs(answers: Sequence[Answer]) -> Float64s:
    """(n,) log-likelihoods of texts, each token's less what the model gives this token behind the one before it on average.

    Which words a text has says most of how likely it is, and nothing of when it was read. The average of a pair is drawn to
    that of its second token by as much as SHRINKAGE occurrences weigh. Plain log-likelihoods where a model names no tokens.
    """
    if any(len(answer.pieces) != len(answer.logprobs) for answer in answers):
        return np.array([sum(answer.logprobs) for answer in answers])
    lengths = np.array([len(answer.logprobs) for answer in answers])
    values = np.concatenate([np.array(answer.logprobs) for answer in answers])
    names: dict[str, int] = {}
    tokens = np.array([names.setdefault(piece, len(names) + 1) for answer in answers for piece in answer.pieces])
    before = np.concatenate([[0], tokens[:-1]])
    before[np.cumsum(lengths)[:-1]] = 0  # nothing stands before the first token of a text
    _, pairs = np.unique(before * (len(names) + 1) + tokens, return_inverse=True)
    alone = np.bincount(tokens, values)[tokens] / np.bincount(tokens)[tokens]
    expected = (np.bincount(pairs, values)[pairs] + SHRINKAGE * alone) / (np.bincount(pairs)[pairs] + SHRINKAGE)
    return np.asarray(np.bincount(np.repeat(np.arange(len(answers)), lengths), values - expected, len(answers)))


def surprise(likelihoods: Float64s, features: Float64s, baseline: Sequence[Float64s]) -> Float64s:
    """(n,) log-likelihoods less what features of the texts (n, k) and control models (n,) each say of them, by least squares.

    Positions do not enter, so the null hypothesis is what it was.
    """
    columns = np.column_stack([np.ones(len(likelihoods)), features, *baseline])
    return np.asarray(likelihoods - columns @ np.linalg.lstsq(columns, likelihoods, rcond=None)[0])


def _asked(control: Asker, transcript: Transcript) -> list[Answer]:
    try:
        answers = control.ask(questions(transcript, repeats=False))
    except NotApplicable as reason:
        raise ObservationError(control.name, str(reason), "take another control") from reason
    return [answer or Answer() for answer in answers]


def _bytes(texts: Sequence[str]) -> Float64s:
    return np.array([len(text.encode("utf-8", "surrogatepass")) for text in texts], dtype=np.float64)


@dataclass(frozen=True)
class _About:
    """What every result of one call has in common."""

    transcript: Transcript
    asking: Asker
    stamp: Stamp | None

    def result(
        self,
        verdict: BlackBoxVerdict,
        sentence: str,
        log10_p: float | None = None,
        statistics: Mapping[str, float] | None = None,
    ) -> BlackBoxResult:
        stamp = None if self.stamp is None else self.stamp.to_json()
        return BlackBoxResult.of(
            self.asking,
            test="palimpsest",
            reference=self.transcript.name,
            verdict=verdict,
            sentence=sentence,
            null=NULL,
            log10_p=log10_p,
            statistics=statistics,
            cannot_show=CANNOT_SHOW,
            notes=tuple(self._notes()),
            evidence={"transcript": {"sha256": self.transcript.sha256}, "time_stamp": stamp},
        )

    def not_shuffled(self, ordered: Sequence[Check]) -> BlackBoxResult:
        reasons = "; it ".join(f"{check.words} (p {check.p:.1g})" for check in ordered)
        return self.result("untestable", f"The order of {self.transcript.name} is not shuffled: it {reasons}.")

    def _notes(self) -> Iterator[str]:
        yield f"{_when(self.stamp)} SHA-256 of the transcript: {self.transcript.sha256}"
        if self.asking.cut:
            yield (
                "the budget ended before all texts were asked: the test is of those that were. If you go on after seeing this, "
                "the p-value of the longer run is one of two looks."
            )
        if self.transcript.repeated:
            yield f"{self.transcript.repeated:,} lines repeat the text of another line; one of each is taken, by chance."


def _when(stamp: Stamp | None) -> str:
    """By when the order was fixed, as far as that is known."""
    if stamp is None:
        return "no time stamp shows when the order was fixed, and one that was made for the suspect proves nothing."
    if not stamp.covers:
        return f"{stamp.path} is a time stamp of another file."
    said = f"the transcript was there by {stamp.latest:%Y-%m-%d %H:%M:%S} UTC, says {stamp.authority}"
    signed = {None: "signature not checked: give --tsa-certificate", True: "signature checked"}
    return (
        f"{said} ({signed.get(stamp.trusted, f'signature not trusted: {stamp.problem}')}); compare with the suspect's release."
    )
