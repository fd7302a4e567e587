"""What unrelated pairs reach by each score, small enough to be shipped: `comparison.false_accusations` reads it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from kinprint.benchmark.result import BenchmarkResult, PairOutcome, Shape
from kinprint.comparison.false_accusations import FORMAT
from kinprint.errors import ZooError

QUANTILES = 200
"""At most this many values of a score are kept."""


def calibration(result: BenchmarkResult, earlier: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The statistics of each score on the undisguised unrelated pairs: what ordinary strangers reach.

    Args:
        result: of a run.
        earlier: what this function gave for another run: scores that this one did not measure are kept.

    Disguised pairs are left out: they lower some scores, and would make the others look safer than they are.

    Raises:
        ZooError: no score applied to any unrelated pair.
    """
    unrelated = [o for o in result.compared if o.pair.truth == "unrelated" and not o.pair.disguised]
    scores = {}
    for column in result.columns:
        said = [o for o in unrelated if o.value(column.name) is not None]
        if column.kind == "score" and said:
            values = sorted(value for o in said if (value := o.value(column.name)) is not None)
            kept = [round(v, 6) for v in _thinned(values)]
            entry = {"pairs": len(values), "command": result.command, "statistics": kept}
            scores[column.name] = entry | _models(result.shapes, said)
    if not scores:
        raise ZooError(result.name, "no score applied to an unrelated pair", "a calibration needs unrelated models")
    known = earlier["scores"] if earlier is not None and earlier.get("format") == FORMAT else {}
    every = dict(sorted((known | scores).items()))
    return {"format": FORMAT, "benchmark": result.name, "version": result.version, "scores": every}


def _models(shapes: Mapping[str, Shape], outcomes: Iterable[PairOutcome]) -> dict[str, Any]:
    """Families and sizes of the models of these pairs; nothing where one is not known."""
    names = {name for o in outcomes for name in (o.pair.reference, o.pair.suspect)}
    if not names <= shapes.keys():
        return {}
    of = [shapes[name] for name in names]
    hidden, layers = [shape.hidden for shape in of], [shape.layers for shape in of]
    sizes = {"hidden_size": [min(hidden), max(hidden)], "num_hidden_layers": [min(layers), max(layers)]}
    return {"models": {"families": sorted({shape.family for shape in of}), **sizes}}


def _thinned(values: list[float]) -> list[float]:
    """At most QUANTILES of the sorted values, evenly spaced by rank, the first and the last among them."""
    chosen = np.linspace(0, len(values) - 1, min(QUANTILES, len(values))).round().astype(int)
    return [values[i] for i in chosen]
