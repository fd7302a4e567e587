"""How the figures of a benchmark are written: the same in the terminal, in Markdown and in HTML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from kinprint.benchmark import BenchmarkResult, Calibration, KindRow, PairOutcome, Standing, Summary
from kinprint.errors import printable
from kinprint.words import p_value

Rows = Sequence[Sequence[str]]
NONE = "–"

STANDINGS = (
    "method", "kind", "applied", "AUC", "AUC undisguised", "found, nobody accused", "the same, undisguised",
    "found at p ≤ 1e-6", "the same, undisguised", "accused at p ≤ 1e-6", "accused at its source's threshold", "time a pair",
)  # fmt: skip
CALIBRATION = (
    "test", "unrelated pairs", "KS p, all", "independent pairs", "KS p, independent", "p ≤ 0.05", "smallest p", "largest z",
    "bounds",
)  # fmt: skip

CAVEATS = (
    "AUC: the chance that a related pair has the larger value than an unrelated one, over the pairs a method applied to "
    "(ties count half). 0.5 is guessing.",
    "Found, nobody accused: related pairs above the largest unrelated pair, of all related pairs. For a score that threshold "
    "is chosen on these very pairs, which nobody can do in practice: it is the most a score could find. Undisguised: among "
    "undisguised pairs alone.",
    "Found and accused at p ≤ 1e-6: of all related and of all unrelated pairs; a test that does not apply has not found.",
    "Accused at its source's threshold: unrelated pairs that reach the value from which the score's source spoke of "
    "derivation, of those it applied to.",
    "Pairs with shared initialisation (one random seed, or siblings where the labels say no more) are a class of their own and "
    "in no figure but their own rows.",
    "Disguised pairs: somebody relabelled or mixed the units on purpose. Tests by index cannot see these copies.",
)
DEPENDENCE = (
    "Pairs that share a model, or models of one line, are dependent, so the Kolmogorov-Smirnov p of all pairs can be small "
    "though every p-value holds. Independent pairs are those of models that descend from no other model here. Monte Carlo "
    "p-values are multiples of 1/1000, which moves the distance by at most 0.001; a bound is larger than the p-value it "
    "stands for."
)


def share(value: tuple[int, int] | None) -> str:
    """(1, 4) -> 1 of 4 (25 %)."""
    if value is None or not value[1]:
        return NONE
    return f"{value[0]} of {value[1]} ({percent(value)})"


def percent(value: tuple[int, int]) -> str:
    """Rounded to whole percents, but 0 and 100 only where they are exact."""
    count, total = value
    shown = round(100 * count / total)
    if 0 < count < total:
        shown = min(max(shown, 1), 99)
    return f"{shown} %"


def number(value: float | None, digits: int = 3) -> str:
    return NONE if value is None else f"{value:.{digits}f}"


def area(value: float | None) -> str:
    """An AUC; 0 and 1 only where they are exact."""
    if value is None or value in (0, 1):
        return number(value)
    return number(min(max(value, 0.001), 0.999))


def ks(value: float | None) -> str:
    return NONE if value is None else f"{value:.2f}" if value >= 0.01 else f"{value:.0e}"


def seconds(value: float | None) -> str:
    if value is None:
        return NONE
    return f"{1000 * value:.0f} ms" if value < 1 else f"{value:.1f} s"


def about(result: BenchmarkResult) -> str:
    """What was compared, in a sentence."""
    failed = len(result.outcomes) - len(result.compared)
    counts: Counter[str] = Counter(outcome.pair.truth for outcome in result.compared)
    truths = ", ".join(f"{counts[truth]} {word}" for truth, word in TRUTHS.items() if counts[truth])
    return (
        f"{printable(result.name)}: {result.models} models"
        + (f" ({len(result.unreadable)} not readable)" if result.unreadable else "")
        + f", {len(result.outcomes)} pairs"
        + (f", {failed} of them not compared" if failed else "")
        + f": {truths or 'none compared'}."
    )


TRUTHS = {"related": "related", "unrelated": "unrelated", "shared-initialisation": "with shared initialisation"}


def cost(result: BenchmarkResult) -> str:
    """How long it took, in a sentence."""
    at_once = f", {result.jobs} pairs at the same time" if result.jobs > 1 else ""
    return (
        f"Measuring the models took {seconds(result.measuring_seconds)} (fingerprints measured earlier are reused), comparing "
        f"the pairs {seconds(result.comparing_seconds)}{at_once}; kinprint {result.version}."
    )


def warnings(summary: Summary) -> list[str]:
    """What the pairs cannot show, and what is to be known of them."""
    lacking = [word for word, pairs in (("related", summary.related), ("unrelated", summary.unrelated)) if not pairs]
    missing = [f"No {word} pair was compared: figures that need one are shown as {NONE}." for word in lacking]
    return [*map(printable, summary.result.notes), *missing]


def standing_rows(summary: Summary) -> Rows:
    """Cells under STANDINGS."""
    return [_standing(row) for row in summary.standings]


def _standing(row: Standing) -> list[str]:
    limit = "" if row.threshold is None else f" at {row.threshold:g}"
    return [
        row.method,
        row.kind,
        share(row.applied),
        area(row.auc),
        area(row.auc_undisguised),
        share(row.clean),
        share(row.clean_undisguised),
        share(row.found),
        share(row.found_undisguised),
        share(row.accused),
        NONE if row.accused_at_threshold is None else share(row.accused_at_threshold) + limit,
        seconds(row.seconds),
    ]


def threshold_notes(summary: Summary) -> list[str]:
    """Where the thresholds of scores come from."""
    return [
        f"{row.method}: {row.threshold:g}, {row.threshold_source}." for row in summary.standings if row.threshold is not None
    ]


def kind_rows(summary: Summary, truth: str) -> Rows:
    """(kind, pairs, then found by each method) of one class of truth."""
    return [
        [
            row_name(row),
            str(row.pairs),
            *(NONE if n is None else f"{n} ({percent((n, row.pairs))})" for n in row.found.values()),
        ]
        for row in summary.kinds
        if row.truth == truth
    ]


def row_name(row: KindRow) -> str:
    return printable(row.kind, 80) + (" (disguised)" if row.disguised and "disguise" not in row.kind else "")


def calibration_rows(summary: Summary) -> Rows:
    """Cells under CALIBRATION."""
    return [_calibration(row) for row in summary.calibrations]


def _calibration(row: Calibration) -> list[str]:
    return [
        row.method,
        str(row.pairs),
        ks(row.uniformity),
        str(row.independent),
        ks(row.uniformity_independent),
        NONE if row.below_5_percent is None else f"{row.below_5_percent:.1%}",
        p_value(row.smallest_log10_p, exact=True),
        number(row.largest_z, 1),
        str(row.bounds),
    ]


def outcome_line(outcome: PairOutcome) -> str:
    """One pair by name, and what was said of it."""
    pair = outcome.pair
    p = p_value(outcome.log10_p, exact=True)
    stated = "" if outcome.log10_p is None else f", p {p}" if p.startswith("≤") else f", p = {p}"
    source = f"; labelled by {printable(pair.source, 80)}" if pair.source not in ("", "lineage") else ""
    names = f"{printable(pair.reference, 80)} → {printable(pair.suspect, 80)}"
    return f"{names} ({printable(pair.kind, 80)}): {outcome.verdict}{stated}{source}"


def unreadable(result: BenchmarkResult) -> list[str]:
    """Models that could not be read, and why."""
    return [f"{printable(name, 80)}: {printable(reason)}" for name, reason in result.unreadable.items()]


def failure_lists(summary: Summary) -> list[tuple[str, str, list[str]]]:
    """(title, what it means if empty, lines) of everything that went wrong."""
    return [
        ("Unrelated pairs called related", "None.", [outcome_line(o) for o in summary.accused]),
        ("Undisguised related pairs missed", "None.", [outcome_line(o) for o in summary.missed]),
        ("Disguised related pairs missed", "None.", [outcome_line(o) for o in summary.missed_disguised]),
        (
            "Pairs that could not be compared",
            "None.",
            [
                f"{printable(o.pair.reference, 80)} → {printable(o.pair.suspect, 80)} ({o.pair.truth}): {printable(o.failed)}"
                for o in summary.failed
            ],
        ),
    ]
