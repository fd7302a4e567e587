"""What a head leaves of log-probabilities: nothing of its own, all that is not its own, and p-values under the null."""

from __future__ import annotations

import math

import ml_dtypes
import numpy as np
import pytest
from scipy import stats

from kinprint.blackbox.output_heads import OutputHead
from kinprint.blackbox.span import DIRECTIONS, FLOOR, Reading, unexplained

TOKENS, HIDDEN = 120, 24


def _head(seed: int, *, bias: bool = False) -> OutputHead:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(TOKENS, HIDDEN)).astype(np.float32)
    gain = rng.uniform(0.5, 1.5, size=HIDDEN).astype(np.float32)
    added = rng.normal(size=TOKENS).astype(np.float32) if bias else None
    return OutputHead(f"head-{seed}", rows, added, gain, tokens={f"t{i}": i for i in range(TOKENS)})


def _answer(head: OutputHead, seed: int, temperature: float = 1.0) -> np.ndarray:
    """(tokens,) log-probabilities behind a hidden state as a final norm gives it."""
    assert head.gain is not None
    x = np.random.default_rng(seed).normal(size=head.hidden)
    logits = head.rows.astype(float) @ (head.gain * x / np.sqrt((x**2).mean())) + (0 if head.bias is None else head.bias)
    logits = logits / temperature
    return np.asarray(logits - np.logaddexp.reduce(logits))


def _reading(values: np.ndarray, count: int = TOKENS) -> Reading:
    ids = np.random.default_rng(9).permutation(TOKENS)[:count]
    return Reading(ids, values[ids])


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_a_head_explains_its_own_answers(bias: bool, temperature: float) -> None:
    """Whatever the temperature, which the length of the hidden state shows."""
    head = _head(1, bias=bias)
    found = unexplained(head, [_reading(_answer(head, seed, temperature), 80) for seed in range(3)])
    assert all(each.share < 1e-9 and each.log10_p < -100 for each in found)
    assert [each.directions for each in found] == [80 - HIDDEN - 1 - bias] * 3
    if not bias:
        assert [1 / each.scale for each in found] == pytest.approx([temperature] * 3)


def test_a_head_leaves_much_of_the_answers_of_another() -> None:
    """Another head, and one that was trained on."""
    head, other = _head(1), _head(2)
    tuned = OutputHead("tuned", head.rows + 0.1 * other.rows, gain=head.gain)
    for model in (other, tuned):
        (found,) = unexplained(head, [_reading(_answer(model, 3))])
        assert found.share > 0.05
        assert found.log10_p > -1e-3


def test_rounding_leaves_little() -> None:
    """Logits in bfloat16, and three decimals: still the head's."""
    head = _head(1)
    values = _answer(head, 3)
    for rounded in (values.astype(ml_dtypes.bfloat16).astype(float), values.round(2)):
        (found,) = unexplained(head, [_reading(rounded)])
        assert 1e-4 < found.share < FLOOR / 2
        assert found.log10_p < -12


def test_uniform_at_the_boundary_of_the_null() -> None:
    """H0 at its boundary: beside what the head gives, every direction outside it has a normal part of FLOOR of the spread, put
    there for each of 1 000 answers. P-values are uniform, but for the change that the part makes to the spread."""
    head = _head(1)
    columns = np.linalg.svd(np.c_[head.rows, np.ones(TOKENS)], full_matrices=True)[0][:, HIDDEN + 1 :]
    rng = np.random.default_rng(4)
    readings = []
    for seed in range(1000):
        values = _answer(head, seed)
        own = FLOOR * values.std() * columns @ rng.normal(size=columns.shape[1])
        readings.append(Reading(np.arange(TOKENS), values + own))
    p = [10**each.log10_p for each in unexplained(head, readings)]
    assert stats.kstest(p, "uniform").pvalue > 1e-3


def test_too_few_tokens_and_constant_answers_say_nothing() -> None:
    head = _head(1)
    few, constant = unexplained(head, [_reading(_answer(head, 1), HIDDEN + DIRECTIONS), _reading(np.full(TOKENS, -3.0))])
    for found in (few, constant):
        assert math.isnan(found.share)
        assert found.log10_p == 0
