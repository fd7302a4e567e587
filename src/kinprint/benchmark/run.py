"""Pairs -> outcomes: every model is measured once, then every pair is compared by every method."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

from kinprint import engines, methods
from kinprint._version import __version__
from kinprint.architectures import open_model
from kinprint.architectures.weights import Weights
from kinprint.benchmark.pairs import Pair, Pairs
from kinprint.benchmark.result import BenchmarkResult, MethodColumn, PairOutcome, Reading, Shape
from kinprint.comparison import examine
from kinprint.comparison.verdict import combined_log10_p
from kinprint.errors import KinprintError, printable
from kinprint.fingerprints import Fingerprint, fingerprint
from kinprint.json_numbers import finite
from kinprint.methods import Finding, Method, Score

Stage = Literal["models", "pairs"]
Progress = Callable[[Stage, int, int], None]
"""Called with the stage, what is done and what there is in all."""

KEPT = 64
"""Fingerprints a process keeps in memory; the others wait on disk."""

KEPT_OPEN = 4
"""Checkpoints a process keeps open, with the neurons that deep methods have found in them."""


def run(
    pairs: Pairs,
    *,
    command: str = "",
    deep: bool = False,
    quick: bool = False,
    jobs: int = 1,
    cache: bool = True,
    progress: Progress = lambda stage, done, total: None,
    open_model: Callable[[str], Fingerprint] | None = None,
) -> BenchmarkResult:
    """Measure every model, compare every pair.

    A model that cannot be read, and a pair that cannot be compared, are recorded with the reason; the run goes on.

    Args:
        pairs: what to compare.
        command: what was typed, for the record.
        deep: run the methods that need both checkpoints too.
        quick: measure models from about 1 % of their weights.
        jobs: processes that compare pairs.
        cache: use and fill the user's cache of fingerprints.
        progress: called after every model and every pair.
        open_model: opens a model's place; `kinprint.fingerprint` by default. If it observes models, the methods on observed
            models have something to compare.
    """
    opener = open_model or partial(fingerprint, quick=quick, scores=True, cache=cache)
    with tempfile.TemporaryDirectory(prefix="kinprint-") as folder:
        start = time.perf_counter()
        files, unreadable = _measure(pairs.models, Path(folder), opener, progress)
        measured = time.perf_counter()
        shapes = {name: shape for name, file in files.items() if (shape := _shape(_load(file))) is not None}
        outcomes = []
        progress("pairs", 0, len(pairs.pairs))
        for outcome in _compare_all(pairs, files, unreadable, jobs, deep):
            outcomes.append(outcome)
            progress("pairs", len(outcomes), len(pairs.pairs))
        _load.cache_clear()
        _open.cache_clear()
    order = {pair: number for number, pair in enumerate(pairs.pairs)}
    outcomes.sort(key=lambda outcome: order[outcome.pair])
    return BenchmarkResult(
        name=pairs.name,
        notes=pairs.notes,
        command=command,
        version=__version__,
        models=len(pairs.models),
        unreadable=unreadable,
        columns=tuple(_column(m) for m in methods.known() if _ran(m, deep, outcomes)),
        outcomes=tuple(outcomes),
        jobs=jobs,
        measuring_seconds=measured - start,
        comparing_seconds=time.perf_counter() - measured,
        shapes=shapes,
    )


def _shape(model: Fingerprint) -> Shape | None:
    stated = model.stated
    if stated.model_type is None or stated.hidden_size is None or model.layers is None:
        return None
    return Shape(stated.model_type, stated.hidden_size, model.layers)


def _column(method: Method) -> MethodColumn:
    threshold = (method.threshold, method.threshold_source) if isinstance(method, Score) else (None, "")
    return MethodColumn(method.name, method.kind, *threshold)


def _ran(method: Method, deep: bool, outcomes: Sequence[PairOutcome]) -> bool:
    """Whether a method has a column: those on observed models only if there were any."""
    asked = (deep or not method.deep) and not method.observed
    return asked or any(method.name in outcome.readings for outcome in outcomes)


def _measure(
    models: Mapping[str, str], folder: Path, opener: Callable[[str], Fingerprint], progress: Progress
) -> tuple[dict[str, Path], dict[str, str]]:
    """Fingerprint files by model, and why the others have none."""
    files: dict[str, Path] = {}
    unreadable: dict[str, str] = {}
    progress("models", 0, len(models))
    for number, (name, place) in enumerate(models.items()):
        target = folder / f"{number}.kinprint"
        try:
            opener(place).save(target)
            files[name] = target
        except KinprintError as error:
            unreadable[name] = f"{error.problem}; {error.remedy}" if error.remedy else error.problem
        except Exception as error:  # whatever is wrong with one model of hundreds, the others are measured, and this one named
            unreadable[name] = _unexpected(error)
        progress("models", number + 1, len(models))
    return files, unreadable


def _compare_all(
    pairs: Pairs, files: Mapping[str, Path], unreadable: Mapping[str, str], jobs: int, deep: bool
) -> Iterator[PairOutcome]:
    """The outcome of every pair, as it comes."""
    failed = {
        pair: "; ".join(f"{name}: {unreadable[name]}" for name in (pair.reference, pair.suspect) if name in unreadable)
        for pair in pairs.pairs
        if pair.reference in unreadable or pair.suspect in unreadable
    }
    ready = []
    for pair in pairs.pairs:
        if pair not in failed:
            places = (pairs.models[pair.reference], pairs.models[pair.suspect]) if deep else None
            ready.append(PairTask(pair, files[pair.reference], files[pair.suspect], places))
    yield from (PairOutcome(pair, failed=failed[pair]) for pair in pairs.pairs if pair in failed)
    if jobs == 1 or len(ready) < 2:
        yield from map(_compare, ready)
        return
    for outcome in engines.named("processes").run(_compare, ready, jobs):
        yield outcome.result or PairOutcome(outcome.item.pair, failed=str(outcome.error))


class PairTask(NamedTuple):
    """A pair, the files of its fingerprints and, for deep methods, where its checkpoints are."""

    pair: Pair
    reference: Path
    suspect: Path
    places: tuple[str, str] | None


@lru_cache(maxsize=KEPT)
def _load(path: Path) -> Fingerprint:
    return Fingerprint.load(path)


@lru_cache(maxsize=KEPT_OPEN)
def _open(place: str) -> Weights:
    return open_model(place).weights


def _compare(task: PairTask) -> PairOutcome:
    try:
        weights = None if task.places is None else (_open(task.places[0]), _open(task.places[1]))
        return compare_pair(task.pair, (_load(task.reference), _load(task.suspect)), weights)
    except Exception as error:  # a method that fails on one pair is reported with it, and does not end the run
        return PairOutcome(task.pair, failed=str(error) if isinstance(error, KinprintError) else _unexpected(error))


def compare_pair(
    pair: Pair, fingerprints: tuple[Fingerprint, Fingerprint], weights: tuple[Weights, Weights] | None = None
) -> PairOutcome:
    """One pair by every known method (the deep ones given weights), each on the clock."""
    seconds: dict[str, float] = {}

    def clocked(method: Method) -> Method:
        def timed(a: Any, b: Any) -> Finding:
            start = time.perf_counter()
            try:
                return method.run(a, b)
            finally:
                seconds[method.name] = time.perf_counter() - start

        return replace(method, run=timed)

    start = time.perf_counter()
    comparison = examine(fingerprints, weights, methods=[clocked(method) for method in methods.known()])
    whole = time.perf_counter() - start
    readings = {
        item.method: Reading(finite(item.statistic), finite(item.log10_p), item.bound, seconds.get(item.method))
        for item in comparison.evidence
    }
    deep = {method.name for method in methods.known() if method.deep}
    shallow = (
        combined_log10_p([item for item in comparison.evidence if item.method not in deep]) if weights is not None else None
    )
    return PairOutcome(pair, None, comparison.verdict, comparison.log10_p, readings, whole, shallow)


def _unexpected(error: Exception) -> str:
    return printable(f"{type(error).__name__}: {error}")
