"""What a benchmark saw: every reading of every method on every pair, and the JSON that keeps it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from kinprint.benchmark.pairs import Pair
from kinprint.comparison import ALPHA
from kinprint.errors import ZooError
from kinprint.methods import Kind

FORMAT = "kinprint-benchmark/1"
VERDICT = "kinprint"
"""Name of the combined verdict among the methods."""

FINGERPRINTS = "fingerprints alone"
"""Name of the verdict that fingerprints alone would give, where deep methods were run too."""


@dataclass(frozen=True)
class MethodColumn:
    """A method as the benchmark needs it; see `kinprint.methods._method.Method`."""

    name: str
    kind: Kind
    threshold: float | None = None
    threshold_source: str = ""


class Shape(NamedTuple):
    """What a model is, as far as it shapes a score."""

    family: str
    hidden: int
    layers: int


@dataclass(frozen=True)
class Reading:
    """What one method said about one pair.

    Attributes:
        statistic: None where it does not apply.
        log10_p: of a test.
        bound: whether log10_p is an upper bound.
        seconds: how long it took; None where it had nothing to run on.
    """

    statistic: float | None = None
    log10_p: float | None = None
    bound: bool = False
    seconds: float | None = None


@dataclass(frozen=True)
class PairOutcome:
    """What became of one pair.

    Attributes:
        pair: with its truth.
        failed: why it could not be compared; None if it was.
        verdict, log10_p: of the comparison.
        readings: by method.
        seconds: the whole comparison.
        shallow_log10_p: what the tests on fingerprints alone would have given, where deep ones were run too.
    """

    pair: Pair
    failed: str | None = None
    verdict: str | None = None
    log10_p: float | None = None
    readings: Mapping[str, Reading] = field(default_factory=dict)
    seconds: float | None = None
    shallow_log10_p: float | None = None

    @property
    def called_related(self) -> bool:
        return self.verdict in ("related", "identical")

    def value(self, column: str) -> float | None:
        """How strongly a method speaks for relatedness: -log10 p of a test and of the verdict, the statistic of a score."""
        if column in (VERDICT, FINGERPRINTS):
            if self.verdict == "identical":
                return math.inf
            log10_p = self.log10_p if column == VERDICT else self.shallow_log10_p
            return None if log10_p is None else -log10_p
        reading = self.readings.get(column)
        if reading is None or reading.statistic is None:
            return None
        return reading.statistic if reading.log10_p is None else -reading.log10_p


@dataclass(frozen=True)
class BenchmarkResult:
    """A whole run.

    Attributes:
        name: of the zoo or the list.
        command: what was typed.
        version: of kinprint.
        models: how many were named.
        unreadable: model -> why it could not be read.
        columns: the methods, tests first.
        outcomes: one a pair.
        jobs: pairs compared at the same time.
        alpha: largest p-value called related.
        measuring_seconds, comparing_seconds: wall time of the two parts.
        notes: as of the pairs.
        shapes: model -> its type, hidden size and number of layers, where its fingerprint states all three.
    """

    name: str
    command: str
    version: str
    models: int
    unreadable: Mapping[str, str]
    columns: tuple[MethodColumn, ...]
    outcomes: tuple[PairOutcome, ...]
    jobs: int = 1
    alpha: float = ALPHA
    measuring_seconds: float = 0.0
    comparing_seconds: float = 0.0
    notes: tuple[str, ...] = ()
    shapes: Mapping[str, Shape] = field(default_factory=dict)

    @property
    def compared(self) -> tuple[PairOutcome, ...]:
        return tuple(outcome for outcome in self.outcomes if outcome.failed is None)

    def to_json(self) -> dict[str, Any]:
        """Everything, so that every table and plot can be made again."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, data: Any) -> BenchmarkResult:
        """The run that `to_json` wrote (what a report added to it is not read).

        Raises:
            ZooError: it is none.
        """
        try:
            if data["format"] != FORMAT:
                raise ValueError(f"format {data['format']!r}")
            fields = {key: data[key] for key in cls.__dataclass_fields__ if key in data}
            columns = tuple(MethodColumn(**column) for column in fields["columns"])
            read = {
                "notes": tuple(map(str, fields.get("notes", ()))),
                "shapes": {name: Shape(*shape) for name, shape in fields.get("shapes", {}).items()},
                "columns": columns,
                "outcomes": tuple(_outcome(row) for row in fields["outcomes"]),
            }
            return cls(**fields | read)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ZooError("benchmark result", f"not a {FORMAT} object ({error!r})") from None


def _outcome(row: Mapping[str, Any]) -> PairOutcome:
    readings = {name: Reading(**reading) for name, reading in row["readings"].items()}
    return PairOutcome(**{**row, "pair": Pair(**row["pair"]), "readings": readings})
