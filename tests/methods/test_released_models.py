"""Released models, by their QK head spectra alone (measurements of SD-interp/qk-spectral-analysis, Apache-2.0)."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from kinprint import Comparison, Fingerprint, compare

RELATED = {
    ("Mistral-7B-Instruct-v0.1", "Mistral-7B-Instruct-v0.2"): -30,
    ("Llama-3.1-8B-Instruct", "Llama-3.2-3B-Instruct"): -8,
}


@pytest.fixture(scope="module")
def fingerprints(data: Path) -> dict[str, Fingerprint]:
    found = {}
    for path in sorted((data / "qk_spectra").glob("*.npz")):
        with np.load(path) as stored:
            facts = {"num_key_value_heads": int(stored["num_kv_heads"])}
            found[path.stem] = Fingerprint(path.stem, {"heads.qk_spectrum": stored["qk_singular_values"]}, facts)
    return found


def both_ways(fingerprints: dict[str, Fingerprint], pair: tuple[str, str]) -> list[Comparison]:
    return [compare(fingerprints[a], fingerprints[b]) for a, b in (pair, pair[::-1])]


@pytest.mark.parametrize("pair", RELATED, ids=" / ".join)
def test_related_pairs(fingerprints: dict[str, Fingerprint], pair: tuple[str, str]) -> None:
    """Found in both directions, with an ascending layer map."""
    for found in both_ways(fingerprints, pair):
        assert found.verdict == "related"
        assert found.log10_p is not None
        assert found.log10_p <= RELATED[pair]
        assert found.layer_map is not None
        steps = np.diff(found.layer_map)
        assert steps.min() >= (0 if found.suspect.layers > found.reference.layers else 1)


def test_unrelated_pairs(fingerprints: dict[str, Fingerprint]) -> None:
    """Every other ordered pair, those with a profile correlation of 0.98 among them: p above 1e-3, no evidence."""
    others = set(itertools.permutations(fingerprints, 2)) - set(RELATED) - {pair[::-1] for pair in RELATED}
    assert len(others) == 38
    for a, b in sorted(others):
        found = compare(fingerprints[a], fingerprints[b])
        assert found.log10_p is not None, (a, b)
        assert found.log10_p > -3, (a, b)
        assert found.verdict == "no-evidence"
