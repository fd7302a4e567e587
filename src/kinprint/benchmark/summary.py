"""The tables of a benchmark: how each method stands, by kind of derivation, and how its p-values are distributed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from statistics import median
from typing import Any, Literal

from kinprint.benchmark.measures import Share, above_all, auc, reaching, roc, uniformity
from kinprint.benchmark.result import FINGERPRINTS, VERDICT, BenchmarkResult, MethodColumn, PairOutcome

RELATIVES = "relatives"
"""Kind of a pair from one line in which neither model descends from the other."""

ENOUGH = 20
"""With fewer independent pairs than this, all pairs are plotted."""


@dataclass(frozen=True)
class Standing:
    """How one method did.

    Attributes:
        method, kind: "verdict" is the combined verdict.
        applied: pairs it had something to say about, of all that were compared.
        auc, auc_undisguised: related against unrelated, over the pairs it applied to.
        clean, clean_undisguised: related pairs above the largest unrelated pair, of all related pairs; "undisguised" looks at
            undisguised pairs alone, related and unrelated.
        found, found_undisguised: related pairs at p <= alpha (tests and verdict), of all related pairs.
        accused: unrelated pairs at p <= alpha (tests and verdict).
        threshold, threshold_source, accused_at_threshold: of a score: unrelated pairs accused by the rule of its source,
            of those it applied to.
        seconds: median of a pair.
    """

    method: str
    kind: Literal["verdict", "test", "score"]
    applied: Share
    auc: float | None
    auc_undisguised: float | None
    clean: Share | None
    clean_undisguised: Share | None
    found: Share | None
    found_undisguised: Share | None
    accused: Share | None
    threshold: float | None
    threshold_source: str
    accused_at_threshold: Share | None
    seconds: float | None


@dataclass(frozen=True)
class KindRow:
    """How many pairs of one kind were found (or accused), by method.

    Tests and verdict at alpha; scores above every unrelated pair, for undisguised kinds above every undisguised one.
    """

    truth: str
    kind: str
    disguised: bool
    pairs: int
    found: Mapping[str, int | None]


@dataclass(frozen=True)
class Calibration:
    """The p-values of one test on unrelated pairs.

    Attributes:
        pairs, independent: how many; independent ones are of models that descend from no other model here.
        uniformity, uniformity_independent: p-values of Kolmogorov-Smirnov tests.
        smallest_p: log10.
        largest_z: of the statistic.
        below_5_percent: share of p-values at most 0.05.
        bounds: how many are upper bounds rather than Monte Carlo p-values.
        p, p_independent: the p-values, sorted.
    """

    method: str
    pairs: int
    independent: int
    uniformity: float | None
    uniformity_independent: float | None
    smallest_log10_p: float | None
    largest_z: float | None
    below_5_percent: float | None
    bounds: int
    p: tuple[float, ...]
    p_independent: tuple[float, ...]

    @property
    def shown(self) -> tuple[float, ...]:
        """The p-values for a plot."""
        return self.p_independent if self.independent >= ENOUGH else self.p


class Summary:
    """Every table of one result; each is worked out when it is asked for."""

    def __init__(self, result: BenchmarkResult) -> None:
        self.result = result
        of = {truth: [o for o in result.compared if o.pair.truth == truth] for truth in ("related", "unrelated")}
        self.related, self.unrelated = of["related"], of["unrelated"]
        verdicts = [VERDICT, FINGERPRINTS] if any(o.shallow_log10_p is not None for o in result.outcomes) else [VERDICT]
        self.columns: tuple[MethodColumn, ...] = (*(MethodColumn(name, "test") for name in verdicts), *result.columns)

    @cached_property
    def standings(self) -> tuple[Standing, ...]:
        """The verdict first, then tests, then scores."""
        return tuple(self._standing(column) for column in self.columns)

    @cached_property
    def kinds(self) -> tuple[KindRow, ...]:
        """Related kinds, then the shared initialisations, then the unrelated ones; undisguised before disguised."""
        order = ("related", "shared-initialisation", "unrelated")
        groups: dict[tuple[str, bool, str], list[PairOutcome]] = {}
        for outcome in self.result.compared:
            groups.setdefault((outcome.pair.truth, outcome.pair.disguised, outcome.pair.kind), []).append(outcome)
        rows = []
        for (truth, disguised, kind), outcomes in sorted(
            groups.items(), key=lambda item: (order.index(item[0][0]), item[0][1])
        ):
            counts = {column.name: self._count(column, outcomes, not disguised) for column in self.columns}
            rows.append(KindRow(truth, kind, disguised, len(outcomes), counts))
        return tuple(rows)

    @cached_property
    def calibrations(self) -> tuple[Calibration, ...]:
        """Of every test that applied to an unrelated pair."""
        calibrations = (self._calibration(column.name) for column in self.result.columns if column.kind == "test")
        return tuple(item for item in calibrations if item.pairs)

    @cached_property
    def missed(self) -> tuple[PairOutcome, ...]:
        """Undisguised related pairs that the verdict did not find."""
        return tuple(o for o in self.related if not o.called_related and not o.pair.disguised)

    @cached_property
    def missed_disguised(self) -> tuple[PairOutcome, ...]:
        """Disguised related pairs that the verdict did not find."""
        return tuple(o for o in self.related if not o.called_related and o.pair.disguised)

    @cached_property
    def accused(self) -> tuple[PairOutcome, ...]:
        """Unrelated pairs that the verdict called related."""
        return tuple(o for o in self.unrelated if o.called_related)

    @cached_property
    def failed(self) -> tuple[PairOutcome, ...]:
        """Pairs that could not be compared."""
        return tuple(o for o in self.result.outcomes if o.failed is not None)

    def roc(self, method: str, *, undisguised: bool = True) -> list[tuple[float, float]]:
        """Points (false accusations, found) of a method's curve."""
        related, unrelated = self._values(method, undisguised)
        return roc(related, unrelated)

    def to_json(self) -> dict[str, Any]:
        """The tables, as the report's JSON holds them beside the outcomes."""
        return {
            "standings": [asdict(row) for row in self.standings],
            "kinds": [asdict(row) for row in self.kinds],
            "calibration": [asdict(row) for row in self.calibrations],
            "missed": [_names(o) for o in self.missed],
            "missed_disguised": [_names(o) for o in self.missed_disguised],
            "accused": [_names(o) for o in self.accused],
        }

    def _values(self, method: str, undisguised: bool = False) -> tuple[list[float | None], list[float | None]]:
        related, unrelated = (
            [o.value(method) for o in outcomes if not (undisguised and o.pair.disguised)]
            for outcomes in (self.related, self.unrelated)
        )
        return related, unrelated

    def _standing(self, column: MethodColumn) -> Standing:
        name, decides = column.name, column.kind == "test"
        related, unrelated = self._values(name)
        plain, plain_unrelated = self._values(name, undisguised=True)
        accused = None
        if column.threshold is not None:
            accused = reaching([value for value in unrelated if value is not None], column.threshold)
        values = [o.value(name) for o in self.result.compared]
        seconds = [time for o in self.result.compared if (time := _seconds(o, name)) is not None]
        return Standing(
            method=name,
            kind="verdict" if name in (VERDICT, FINGERPRINTS) else column.kind,
            applied=(sum(value is not None for value in values), len(values)),
            auc=auc(_known(related), _known(unrelated)),
            auc_undisguised=auc(_known(plain), _known(plain_unrelated)),
            clean=above_all(related, unrelated) if _known(related) else None,
            clean_undisguised=above_all(plain, plain_unrelated) if _known(plain) else None,
            found=reaching(related, self._limit) if decides and _known(related) else None,
            found_undisguised=reaching(plain, self._limit) if decides and _known(plain) else None,
            accused=reaching(unrelated, self._limit) if decides and _known(unrelated) else None,
            threshold=column.threshold,
            threshold_source=column.threshold_source,
            accused_at_threshold=accused,
            seconds=median(seconds) if seconds else None,
        )

    @property
    def _limit(self) -> float:
        return -math.log10(self.result.alpha)

    def _count(self, column: MethodColumn, outcomes: Sequence[PairOutcome], undisguised: bool) -> int | None:
        """How many of the outcomes a method calls related; None if it applied to none of them or has no threshold."""
        values = [o.value(column.name) for o in outcomes]
        if not _known(values):
            return None
        if column.kind == "test":
            return reaching(values, self._limit)[0]
        above = above_all(values, self._values(column.name, undisguised)[1])
        return None if above is None else above[0]

    def _calibration(self, method: str) -> Calibration:
        founders = self._founders()
        every = [o for o in self.unrelated if (r := o.readings.get(method)) and r.log10_p is not None]
        independent = [o for o in every if {o.pair.reference, o.pair.suspect} <= founders]
        p, p_independent = (sorted(_p(o, method) for o in outcomes) for outcomes in (every, independent))
        logs = [r.log10_p for o in every if (r := o.readings[method]).log10_p is not None]
        return Calibration(
            method=method,
            pairs=len(every),
            independent=len(independent),
            uniformity=uniformity(p),
            uniformity_independent=uniformity(p_independent),
            smallest_log10_p=min(logs, default=None),
            largest_z=max((r.statistic for o in every if (r := o.readings[method]).statistic is not None), default=None),
            below_5_percent=reaching([-value for value in p], -0.05)[0] / len(p) if p else None,
            bounds=sum(o.readings[method].bound for o in every),
            p=tuple(p),
            p_independent=tuple(p_independent),
        )

    def _founders(self) -> set[str]:
        """Models that share nothing with one another: their pairs are independent under the null hypothesis, pair by pair.

        Of two models in a pair with weights in common only the reference, which is the ancestor where there is one, stays.
        """
        founders = {name for o in self.result.outcomes for name in (o.pair.reference, o.pair.suspect)}
        descended = {o.pair.suspect for o in self.result.outcomes if o.pair.truth == "related" and o.pair.kind != RELATIVES}
        founders -= descended
        for outcome in self.result.outcomes:
            pair = outcome.pair
            if pair.truth != "unrelated" and {pair.reference, pair.suspect} <= founders:
                founders.discard(pair.suspect)
        return founders


def _known(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _seconds(outcome: PairOutcome, method: str) -> float | None:
    if method == VERDICT:
        return outcome.seconds
    reading = outcome.readings.get(method)
    return None if reading is None or reading.statistic is None else reading.seconds


def _p(outcome: PairOutcome, method: str) -> float:
    log10_p = outcome.readings[method].log10_p
    return 1.0 if log10_p is None else min(float(10**log10_p), 1.0)


def _names(outcome: PairOutcome) -> dict[str, Any]:
    pair = outcome.pair
    return {
        "reference": pair.reference, "suspect": pair.suspect, "kind": pair.kind, "verdict": outcome.verdict,
        "log10_p": outcome.log10_p,
    }  # fmt: skip
