"""The test itself: its bound against the exact distribution, and what it must not do."""

from __future__ import annotations

import itertools
import math
import os
import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import kstest

from kinprint.statistics import RelabellingGroup, exchangeability_test, single_layer_tests
from kinprint.statistics.exchangeability import log_mean_exp


def relabellings(groups: int, members: int) -> list[np.ndarray]:
    """Every relabelling of groups, and of members inside each group, as an order of the units."""
    inside = list(itertools.permutations(range(members)))
    return [
        np.concatenate([[g * members + m for m in within] for g, within in zip(outer, chosen, strict=True)])
        for outer in itertools.permutations(range(groups))
        for chosen in itertools.product(inside, repeat=groups)
    ]


@pytest.mark.parametrize(("groups", "members"), [(4, 1), (3, 2), (2, 3), (1, 4)])
def test_moment_generating_function(groups: int, members: int) -> None:
    """log_mean_exp is the mean over all relabellings, exactly: groups are exchanged whole."""
    rng = np.random.default_rng(1)
    n = groups * members
    single = rng.normal(size=(n, n))
    scores = single.reshape(groups, members, groups, members).transpose(0, 2, 1, 3)[None, None, :, :, None]
    structure = RelabellingGroup(groups, members)
    found = log_mean_exp(scores, structure.outer()[None], structure.inner())
    exact = np.mean([math.exp(single[np.arange(n), order].sum()) for order in relabellings(groups, members)])
    assert found[0] == pytest.approx(math.log(exact))


@pytest.mark.parametrize("members", [1, 2])
def test_the_bound_is_never_below_the_exact_p_value(members: int) -> None:
    """H0 enumerated: in two layers of few units the reported bound is at least the exact tail probability."""
    rng = np.random.default_rng(2)
    structure = RelabellingGroup(6 // members, members)
    orders = np.stack(relabellings(structure.groups, members))
    for strength in (1.0, 3.0, 30.0):
        x = rng.normal(size=(2, 6, 4))
        y = strength * x + rng.normal(size=x.shape)
        scores = np.einsum("lif,ljf->lij", x, y)
        each = [scores[layer][np.arange(6), orders].sum(1) for layer in range(2)]
        exact = np.mean(np.add.outer(*each) >= scores.trace(axis1=1, axis2=2).sum() - 1e-9)
        assert exchangeability_test(x, y, structure).log10_p >= math.log10(exact) - 1e-9


def test_perfect_agreement_reaches_the_number_of_relabellings() -> None:
    """No p-value is below one over the number of relabellings; a perfect copy comes close to it."""
    x = np.random.default_rng(3).normal(size=(4, 16, 20)) * 5
    found = exchangeability_test(x, x, RelabellingGroup(16))
    floor = -4 * RelabellingGroup(16).log10_relabellings()
    assert found.bound
    assert floor - 1e-6 <= found.log10_p <= floor + 1


def test_layers_found_again() -> None:
    """Dropped and repeated layers: the map is recovered and the evidence survives the search."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(10, 64, 4))
    kept = [0, 1, 2, 5, 6, 9]
    dropped = exchangeability_test(x, x[kept] + 0.5 * rng.normal(size=(6, 64, 4)), RelabellingGroup(64))
    assert dropped.layer_map == tuple(kept)
    assert dropped.log10_p < -30
    repeated = [0, 1, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9]
    deeper = exchangeability_test(x, x[repeated] + 0.5 * rng.normal(size=(12, 64, 4)), RelabellingGroup(64))
    assert deeper.layer_map == tuple(repeated)
    assert deeper.log10_p < -30


def test_relabelled_units_are_not_seen() -> None:
    """A test by index has no power against relabelling: that is its stated limit."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(3, 64, 4))
    assert exchangeability_test(x, x[:, rng.permutation(64)], RelabellingGroup(64)).log10_p > -4


def test_members_stay_in_their_group() -> None:
    """Heads of a group that resemble each other are no evidence: agreement of groups alone is worth 1 / groups! a layer."""
    rng = np.random.default_rng(6)
    shared = np.repeat(rng.normal(size=(1, 4, 20)), 6, axis=1)  # four groups of six heads each
    x, y = (shared + rng.normal(size=shared.shape) for _ in range(2))
    assert exchangeability_test(x, y, RelabellingGroup(4, 6)).log10_p > -2


THREADS = """
import numba, numpy
from kinprint.statistics import RelabellingGroup, exchangeability_test, single_layer_tests
x, y = numpy.random.default_rng(7).normal(size=(2, 5, 40, 3))
four = exchangeability_test(x, y, RelabellingGroup(20, 2))
numba.set_num_threads(1)
assert exchangeability_test(x, y, RelabellingGroup(20, 2)) == four
"""


def test_independent_of_threads() -> None:
    """One thread and four give the same result to the last bit. In a process of its own: this one has one thread."""
    subprocess.run([sys.executable, "-c", THREADS], check=True, env=os.environ | {"NUMBA_NUM_THREADS": "4"})


def test_a_single_layer_is_tested_whatever_the_others_share() -> None:
    """H0 for one layer of which all others are copies: its p-value is uniform. H1 for one of the others."""
    structure, found, shared = RelabellingGroup(48), [], []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(3, 48, 2)) + rng.normal(size=(48, 1)) * (seed % 2)  # layers may share an order
        y = x + 0.1 * rng.normal(size=x.shape)
        y[1] = rng.normal(size=y[1].shape)
        results = single_layer_tests(x, y, structure, [(seed % 3, 1), (2, 2)])
        found.append(10 ** results[0].log10_p)
        shared.append(results[1].log10_p)
    assert kstest(found, "uniform").pvalue > 0.001
    assert np.median(shared) < -6
