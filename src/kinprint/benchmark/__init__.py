"""Labelled pairs in, a table of methods out.

`pairs` says which models to compare and what is true of each pair, `published` has lists that others labelled; `run` measures
every model once and compares every pair by every method; `summary` turns what was seen (`result`) into the tables, by the
figures of `measures`; `calibration` keeps what unrelated pairs reach, for the comparison to show beside each score.
"""

from kinprint.benchmark.calibration import calibration
from kinprint.benchmark.pairs import Pair, Pairs, from_list, from_zoo
from kinprint.benchmark.published import PublishedList, ahead, published
from kinprint.benchmark.result import FORMAT, VERDICT, BenchmarkResult, MethodColumn, PairOutcome, Reading
from kinprint.benchmark.run import run
from kinprint.benchmark.summary import Calibration, KindRow, Standing, Summary

__all__ = [
    "FORMAT",
    "VERDICT",
    "BenchmarkResult",
    "Calibration",
    "KindRow",
    "MethodColumn",
    "Pair",
    "PairOutcome",
    "Pairs",
    "PublishedList",
    "Reading",
    "Standing",
    "Summary",
    "ahead",
    "calibration",
    "from_list",
    "from_zoo",
    "published",
    "run",
]
