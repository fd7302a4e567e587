"""Does the first checkpoint show any training? Tests of what a random start is, from its fingerprint and, at hand, its weights.

H0 of each test: the start is as an initialiser leaves it. The entries of every matrix are independent draws around zero from
one distribution, normal (also cut at two or three deviations) or uniform, of any size for every role and layer; gains and
biases are constants, or biases such draws. Then

- `constants`: every gain and every bias of one layer is the same number. No p-value: under H0 it never fails.
- `entries`: of two entries of one matrix, the ratio of their sizes has a distribution that the family alone decides. Exact.
- `channels`, `neurons`: matrices do not agree about which unit is large, because their entries are independent.
- `spikes`: no direction stands above the edge of the Marchenko-Pastur law. Needs the weights.

A start that fails none of them may still have been trained for some steps: docs/audit.md says how few are seen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kinprint.architectures import Weights
from kinprint.arrays import Float64s
from kinprint.auditing.chain import Stage
from kinprint.auditing.findings import AuditFinding, State
from kinprint.fingerprints import Fingerprint
from kinprint.statistics import bonferroni, smallest
from kinprint.statistics.random_start import FAMILIES, concordance, largest_singular_value, ratio_p, ratios

LAYERS = 6
"""Layers whose spectra are looked at, evenly spread."""

SIDE = 512
"""Rows and columns of a matrix whose spectrum is looked at, evenly spread."""

FEWEST = 16
"""Units, or ratios, below which a test has nothing to say."""

ROUNDING = 2.0**-9
"""Half the spacing of 8 significant bits (bfloat16), relative: sizes are blurred by it, so that rounding makes no ties."""

CONSTANT = ("gains.", "biases.", "norm_biases.")


@dataclass(frozen=True)
class StartTest:
    """One test of the start.

    Attributes:
        name: of the test.
        log10_p: corrected for all places at which this test looked; None of `constants`, or where it could not be made.
        words: what was found.
        fails: for `constants`, whether anything is not constant.
    """

    name: str
    log10_p: float | None
    words: str
    fails: bool = False


def start_findings(stage: Stage, model: Fingerprint, weights: Weights | None, alpha: float) -> list[AuditFinding]:
    """A finding for every test of the start.

    Args:
        model: its fingerprint.
        weights: of its checkpoint, where that is at hand.
        alpha: largest p-value, corrected for all tests, from which the start is called not random.

    Raises:
        CheckpointError: a matrix cannot be read.
    """
    tests = start_tests(model, weights)
    tries = sum(test.log10_p is not None for test in tests)
    findings = []
    for test in tests:
        log10_p = None if test.log10_p is None else bonferroni(test.log10_p, tries)
        if test.fails or (log10_p is not None and log10_p <= math.log10(alpha)):
            words = f"{test.name}: {test.words}; an untrained start has nothing like it"
            findings.append(AuditFinding("start", "broken", stage.label, words, log10_p))
        else:
            known = log10_p is not None or test.name == "constants"
            state: State = "holds" if known else "not-testable"
            findings.append(AuditFinding("start", state, stage.label, f"{test.name}: {test.words}", log10_p))
    return findings


def start_tests(model: Fingerprint, weights: Weights | None = None) -> list[StartTest]:
    """Every test of the start, those that could not be made with the reason."""
    return [
        _constants(model),
        _entries(model),
        _units("channels", _channel_sizes(model)),
        _units("neurons", _neuron_sizes(model)),
        _spikes(weights),
    ]


def _constants(model: Fingerprint) -> StartTest:
    """Gains and biases; biases that are no constants are left to `entries`."""
    differ = [
        role
        for role, rows in _rows(model, CONSTANT)
        if not role.startswith("biases.") and any(not _constant(row) for row in rows)
    ]
    if differ:
        return StartTest("constants", None, f"entries of {', '.join(differ)} differ", fails=True)
    seen = any(True for _ in _rows(model, CONSTANT))
    return StartTest("constants", None, "all gains of a layer are equal, all biases too" if seen else "there are none")


def _entries(model: Fingerprint) -> StartTest:
    """Of each role the p-value of the family that fits best, which is valid whichever of them the initialiser is."""
    values, fits = [], []
    for role, rows in _rows(model, ("sample.", "biases.")):
        found = np.concatenate([ratios(_blurred(row)) for row in rows if not _constant(row)] or [np.zeros(0)])
        if len(found) >= FEWEST:
            best = max(FAMILIES, key=lambda family: ratio_p(found, family))
            values.append(ratio_p(found, best))
            fits.append((role.removeprefix("sample."), best))
    if not values:
        return StartTest("entries", None, "the fingerprint holds no sampled entries that differ")
    worst = int(np.argmin(values))
    words = f"entries of {len(values)} roles beside initialisers, worst {fits[worst][0]} (best beside {fits[worst][1]})"
    return StartTest("entries", smallest(values), words)


def _units(name: str, blocks: list[Float64s]) -> StartTest:
    """Whether measurements agree about which units are large, within each of several groups of measurements."""
    told = [_measured(block) for block in blocks]
    values = [concordance(block) for block in told if block.shape[0] >= 2 and block.shape[1] >= FEWEST]
    if not values:
        return StartTest(name, None, "too few sizes are known")
    return StartTest(name, smallest(values), f"how far matrices agree on which {name} are large")


def _channel_sizes(model: Fingerprint) -> list[Float64s]:
    """One group: a row for each matrix of each layer."""
    return [np.concatenate([rows for _, rows in _rows(model, ("channels.",))] or [np.zeros((0, 0))])]


def _neuron_sizes(model: Fingerprint) -> list[Float64s]:
    """A group a layer: gate, up, down."""
    norms = model.traits.get("neurons.norms")
    return [] if norms is None else [np.asarray(layer, dtype=np.float64).T for layer in norms]


def _spikes(weights: Weights | None) -> StartTest:
    if weights is None:
        return StartTest("spikes", None, "the spectra of matrices are not in fingerprints: name the checkpoint to test them")
    found = [largest_singular_value(matrix) for matrix in _matrices(weights)]
    if not found:
        return StartTest("spikes", None, "no matrix could be looked at")
    values = [log10_p for _, log10_p in found]
    height = found[int(np.argmin(values))][0]
    words = f"the largest direction of {len(found)} matrices is {height:.2f} times the edge of the Marchenko-Pastur law"
    return StartTest("spikes", smallest(values), words)


def _matrices(weights: Weights) -> Iterator[Float64s]:
    """Some rows and columns of matrices of some layers, the embedding and the head."""
    layers = {round(place) for place in np.linspace(0, weights.layers - 1, LAYERS)}
    for (layer, _, expert), part in sorted(weights.parts.items(), key=lambda item: str(item[0])):
        if (
            len(part.shape) != 2
            or min(part.shape) < FEWEST
            or (layer is not None and layer not in layers)
            or expert not in (None, 0)
        ):
            continue
        rows, columns = (np.linspace(0, size - 1, min(size, SIDE)).astype(int) for size in part.shape)
        matrix = np.asarray(part.read()[np.ix_(rows, columns)], dtype=np.float64)
        matrix = matrix[matrix.any(axis=1)]  # a row of zeros is a token that stands for nothing, no draw
        if len(matrix) >= FEWEST and np.isfinite(matrix).all() and matrix.std() > 0:
            yield matrix


def _rows(model: Fingerprint, kinds: tuple[str, ...]) -> Iterator[tuple[str, Float64s]]:
    """Traits of these kinds, (rows, n): a row a layer."""
    for name, values in model.traits.items():
        if name.startswith(kinds):
            yield name, np.atleast_2d(np.asarray(values, dtype=np.float64))


def _constant(row: Float64s) -> bool:
    known = row[~np.isnan(row)]
    return not len(known) or bool(np.ptp(known) == 0)


def _blurred(row: Float64s) -> Float64s:
    known = row[~np.isnan(row)]
    return np.asarray(known * (1 + np.random.default_rng(0).uniform(-ROUNDING, ROUNDING, len(known))))


def _measured(block: Float64s) -> Float64s:
    """Rows without NaN and whose entries differ."""
    return block[[bool(not np.isnan(row).any() and np.ptp(row) > 0) for row in block]]
