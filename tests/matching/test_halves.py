"""Conversions between float16 and float32: the same bits as numpy's."""

from __future__ import annotations

import numpy as np

from kinprint.fingerprints.kernels import SMALL, widened
from kinprint.matching.halves import narrowed

EVERY = np.arange(1 << 16, dtype=np.uint16).view(np.float16)


def same(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.dtype == np.float16
    nothing = np.isnan(expected)
    assert np.isnan(found[nothing]).all()
    assert np.array_equal(found[~nothing].view(np.uint16), expected[~nothing].view(np.uint16))


def test_every_half_survives() -> None:
    same(narrowed(widened(EVERY)), EVERY)
    assert np.array_equal(widened(EVERY), EVERY.astype(np.float32), equal_nan=True)


def test_rounding_at_and_beside_every_tie() -> None:
    finite = np.sort(EVERY[np.isfinite(EVERY)].astype(np.float32))
    middles = np.concatenate([(finite[1:] + finite[:-1]) / 2, [np.float32(65520), np.float32(-65520)]]).astype(np.float32)
    for numbers in (middles, np.nextafter(middles, np.float32(np.inf)), np.nextafter(middles, np.float32(-np.inf))):
        repeated = np.tile(numbers, 2)
        assert repeated.size > SMALL
        with np.errstate(over="ignore"):
            same(narrowed(repeated), repeated.astype(np.float16))


def test_any_bits_and_few_numbers() -> None:
    bits = np.random.default_rng(0).integers(0, 1 << 32, 1 << 18, dtype=np.uint32).view(np.float32)
    for numbers in (bits, bits[:100], bits.reshape(512, 512)[:, ::2]):
        with np.errstate(over="ignore", invalid="ignore"):
            same(narrowed(numbers), numbers.astype(np.float16))
