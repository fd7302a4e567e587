"""A comparison in words, for every form of report: what a verdict means and does not mean, one line a test, score, fact."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from kinprint import words
from kinprint.comparison import Comparison
from kinprint.comparison.experts import ExpertOrigin
from kinprint.comparison.false_accusations import strangers_of
from kinprint.comparison.layers import NEW, LayerOrigin
from kinprint.comparison.own_scores import own_scores
from kinprint.comparison.parts import SharedPart
from kinprint.errors import printable
from kinprint.methods import Evidence

MEANS = {
    "identical": ["Both models hold the same weights; the sentence above says how that is known."],
    "related": [
        "The two models share weights: one was made from the other, or both from a common origin.",
        "Models that were trained independently would agree this well with at most the stated probability, whatever "
        "architecture, data and recipe they have in common.",
    ],
    "no-evidence": [
        "The tests applied to this pair and found nothing that independent models would not also show.",
        "The sentence above says what the tests could have seen.",
    ],
    "untestable": ["No test applies to this pair. The reason stands beside each test."],
}

NO_DISTILLATION = "Weights do not show distillation: a model that learned from another's outputs has none of its weights."

MEANS_NOT = {
    "identical": ["It does not say who had the weights first, or whether the copy was allowed."],
    "related": [
        "It does not say which of the two came first, or whether using the weights was allowed.",
        "Shared initial weights count too: two trainings from one random start are related, although nobody copied anything. "
        "With --deep, the sentence says which of the two it looks like, where that can be told.",
        "It says nothing about data, code or ideas.",
    ],
    "no-evidence": [
        "It does not prove that the models are unrelated: the tests may miss a copy that was disguised, or trained on for very "
        "long.",
        NO_DISTILLATION,
        "It says nothing about data, code or ideas.",
    ],
    "untestable": ["It says nothing for or against a relation."],
}


def scientific(log10_p: float) -> str:
    """10 ** log10_p as people write it."""
    return f"1e{round(log10_p)}" if math.isclose(log10_p, round(log10_p)) else f"{10**log10_p:.1e}"


def p_value(item: Evidence) -> str:
    """A p-value as people write it; ≤ marks a rigorous bound."""
    return words.p_value(item.log10_p, exact=not item.bound)


REACHED = (
    'Reached by: how many unrelated pairs of the benchmark reach the score, if its models are like these ("no statement" if '
    "they are of another family or size, or if the score was not measured). A value that no unrelated pair reached proves "
    "nothing."
)


def reached(item: Evidence) -> str:
    """How often strangers like these two models have this score."""
    if not item.applies:
        return ""
    if item.false_accusations is None:
        return "no statement"
    count, total = item.false_accusations
    return f"{count} of {total}"


def parts(item: Evidence) -> str:
    """The named parts of a statistic in one line."""
    return ", ".join(f"{name} {number:.2f}" for name, number in item.parts.items())


def test(item: Evidence, null: str) -> dict[str, str]:
    """A test as one line of a table."""
    z = "–" if item.statistic is None else f"{item.statistic:.1f}"
    note = f"{item.note} Set aside: {item.set_aside}" if item.set_aside else item.note
    return {"method": item.method, "z": z, "p": p_value(item), "made": made(item), "null": null, "note": note}


def made(item: Evidence) -> str:
    """What somebody could set to make a test's evidence between strangers."""
    if not item.applies:
        return ""
    if item.set_aside:
        return "set aside"
    return "labels" if item.forgeable else "nothing"


def scores(comparison: Comparison) -> list[dict[str, str]]:
    """The scores that were measured, one line each, all on one scale: what half of the strangers reach, this pair, a copy."""
    shown = [item for item in comparison.scores if not item.unmeasured]
    own = own_scores(comparison.reference, {item.method for item in shown})
    lines = []
    for item in shown:
        strangers = strangers_of(item.method, (comparison.reference, comparison.suspect)) if item.applies else None
        line = {"strangers": "–" if strangers is None else f"{strangers.median:.3f}", "copy": _value(own.get(item.method))}
        line |= {"method": item.method, "value": _value(item.statistic), "reached": reached(item)}
        lines.append(line | {"parts": parts(item), "note": item.note})
    return lines


def _value(statistic: float | None) -> str:
    return "–" if statistic is None else f"{statistic:.3f}"


def unmeasured(scores: Iterable[Evidence]) -> str:
    """One line for all scores whose traits were not measured, with the remedy; empty if there are none."""
    names = [item.method for item in scores if item.unmeasured]
    if not names:
        return ""
    many = "1 score was" if len(names) == 1 else f"{len(names)} scores were"
    return f"{many} not measured ({', '.join(names)}): --scores"


def inapplicable(tests: Iterable[Evidence]) -> str:
    """One line for all tests that do not apply; empty if there are none."""
    names = [item.method for item in tests if not item.applies]
    if not names:
        return ""
    return f"{'1 test does' if len(names) == 1 else f'{len(names)} tests do'} not apply: {', '.join(names)}."


PART = {
    "identical": "identical, bit for bit",
    "shared": "shared",
    "follows": "carried over, or trained beside what was",
    "no-evidence": "no evidence",
}
"""What is known of a part, in a table."""


def part(item: SharedPart) -> dict[str, str]:
    """A part as one line of a table."""
    tests = ", ".join(item.tests) or "digests"
    return {"part": item.part, "state": PART[item.state], "look": item.state, "p": words.p_value(item.log10_p), "tests": tests}


def layers(found: Sequence[LayerOrigin], above: int) -> list[str]:
    """Where the layers of the suspect come from, in few lines: more of them the more is unusual.

    Args:
        above: layers of the reference.
    """
    ps = [item.log10_p for item in found if item.state in ("shared", "average", "identical") and item.log10_p is not None]
    weakest = f" (each p {words.p_value(max(ps))})" if ps else ""
    missing = _numbers([i for i in range(above) if not any(i in item.sources for item in found)])
    if all(item.in_place for item in found) and not missing:
        return [f"By layer: all {len(found)} are the reference's of the same number{weakest}."]
    lines = [f"Layers of the reference, by suspect layer: {' '.join(map(_short, found))}{weakest}"]
    unusual: dict[str, list[int]] = {}
    for item in found:
        if item.state not in ("shared", "identical"):
            unusual.setdefault(item.words(), []).append(item.layer)
    lines += [f"  layer{'s'[: len(numbers) > 1]} {_numbers(numbers)}: {what}" for what, numbers in unusual.items()]
    return (
        [*lines, f"  layers of the reference that no layer of the suspect is known to come from: {missing}"]
        if missing
        else lines
    )


def layer(item: LayerOrigin) -> dict[str, str]:
    """A layer as one line of a table."""
    return {
        "layer": str(item.layer),
        "words": item.words(),
        "look": item.state,
        "p": words.p_value(item.log10_p),
        "tests": ", ".join(item.tests) or ("digests" if item.state == "identical" else ""),
    }


def experts(found: Sequence[ExpertOrigin]) -> list[str]:
    """Where the experts of the suspect come from, in few lines: those that are in their places are only counted."""
    if not found:
        return []
    shared = [item for item in found if item.state == "shared"]
    moved = [item for item in shared if item.source is not None and item.source[1] != item.expert]
    weakest = f" (each p {words.p_value(max(item.log10_p for item in shared))})" if shared else ""
    of_their_number = len(shared) - len(moved)
    lines = [
        f"By expert: of {len(found)}, {of_their_number} are the reference's of the same number, {len(moved)} are others of it"
        f"{weakest}."
    ]
    for state, what in (("new", NEW), ("no-evidence", "no evidence")):
        by_layer = groupby((item for item in found if item.state == state), key=lambda item: item.layer)
        places = [f"{layer} ({_numbers([item.expert for item in items])})" for layer, items in by_layer]
        if places:
            lines.append(f"  layer{'s'[: len(places) > 1]} (experts) {', '.join(places)}: {what}")
    return lines


SHORT = {"new": "new", "identity": "identity", "no-evidence": "?"}
"""Layers without a source, or that are no source's, in a row of layers."""


def _short(item: LayerOrigin) -> str:
    if item.state in SHORT:
        return SHORT[item.state]
    return "+".join(map(str, item.sources if item.weights else item.sources[:1]))


def _numbers(values: Sequence[int]) -> str:
    """Ascending numbers, runs of three and more as first-last."""
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][-1] + 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs)


class Fact(NamedTuple):
    """One line of the context; `look` is "same", "different" or "warning"."""

    name: str
    reference: str
    suspect: str
    look: str


def context(shared: Mapping[str, Any]) -> list[Fact]:
    """What the models have in common besides weights, line by line."""
    facts = [Fact(name, printable(value), printable(value), "same") for name, value in shared["same"].items()]
    facts += [
        Fact(name, printable(ours), printable(theirs), "different") for name, (ours, theirs) in shared["different"].items()
    ]
    if shared["token_overlap"] is not None:
        facts.append(Fact("vocabulary in common", f"{shared['token_overlap']:.0%}", "", "different"))
    if any(shared["declared_base"].values()):
        facts.append(
            Fact("declared base model", *_both(shared["declared_base"], lambda name: printable(name or "–")), "different")
        )
    if shared["quantization"]:
        facts.append(Fact("quantised as", *_both(shared["quantization"], printable), "different"))
    if shared["gain_spread"]:
        facts.append(Fact("norm gains, spread", *_both(shared["gain_spread"], lambda spread: f"{spread:.3g}"), "different"))
    if shared["zeros"]:
        facts.append(Fact("weights of exactly 0", *_both(shared["zeros"], lambda share: f"{share:.2%}"), "different"))
    if shared["quick"]:
        facts.append(Fact("bytes read", *_both(shared["quick"], lambda share: f"quick: {share:.1%}", "all"), "warning"))
    if shared["non_finite"]:
        facts.append(Fact("NaN or infinite", *_both(shared["non_finite"], lambda count: f"{count} weights", ""), "warning"))
    return facts


def _both(sides: Mapping[str, Any], show: Callable[[Any], str], absent: str = "–") -> tuple[str, str]:
    reference, suspect = (show(sides[side]) if side in sides else absent for side in ("reference", "suspect"))
    return reference, suspect
