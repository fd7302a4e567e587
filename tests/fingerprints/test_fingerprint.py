"""The fingerprint and its file."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from kinprint.errors import FingerprintError
from kinprint.fingerprints import Fingerprint
from kinprint.fingerprints.traits import markdown_table


@pytest.fixture
def example() -> Fingerprint:
    traits = {"gains.input": np.arange(6.0).reshape(2, 3), "digests": np.zeros((4, 32), np.uint8)}
    return Fingerprint("example", traits, {"model_type": "llama"}, {"source": "here"})


def test_round_trip(example: Fingerprint, tmp_path: Path) -> None:
    """What is read is what was written; the file is a plain safetensors file, the same each time."""
    example.save(tmp_path / "a.kinprint")
    example.save(tmp_path / "b.kinprint")
    found = Fingerprint.load(tmp_path / "a.kinprint")
    assert (found.name, found.facts, found.provenance, found.digest) == (
        example.name, example.facts, example.provenance, example.digest)  # fmt: skip
    assert (tmp_path / "a.kinprint").read_bytes() == (tmp_path / "b.kinprint").read_bytes()
    with safe_open(tmp_path / "a.kinprint", "np") as file:
        np.testing.assert_array_equal(file.get_tensor("gains.input"), example.traits["gains.input"])


@pytest.mark.parametrize(
    "traits",
    [
        {"Gains": np.ones(3)},
        {"gains.input": np.ones((2, 3)), "gains.q": np.ones((3, 3)), "channels.q": np.ones((4, 5))},
        {"moments.q": np.ones((2, 5))},
        {"gains.final": np.array(["a"])},
        {"gains.final": np.array([np.inf])},
        {"gains.final": np.zeros(0)},
        {"heads.qk_spectrum": np.ones(3)},
    ],
)
def test_traits_that_do_not_follow_the_format(traits: dict[str, np.ndarray]) -> None:
    with pytest.raises(FingerprintError):
        Fingerprint("bad", traits)


def test_an_interrupted_save_leaves_the_old_file(example: Fingerprint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.kinprint"
    example.save(path)
    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(FingerprintError):
        Fingerprint("other", {"gains.final": np.ones(3)}).save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@settings(max_examples=300, deadline=None)
@given(position=st.integers(0, 1 << 20), value=st.integers(0, 255), cut=st.integers(0, 400))
def test_damaged_files(tmp_path_factory: pytest.TempPathFactory, position: int, value: int, cut: int) -> None:
    """A changed byte or a missing end gives a fingerprint or one clear error, never anything else."""
    path = tmp_path_factory.mktemp("f") / "a.kinprint"
    Fingerprint("x", {"gains.final": np.ones(5)}, {"a": 1}).save(path)
    data = bytearray(path.read_bytes())
    data[position % len(data)] = value
    path.write_bytes(bytes(data[: len(data) - cut] if cut < len(data) else b""))
    try:
        Fingerprint.load(path)
    except FingerprintError as error:
        assert "a.kinprint" in str(error)  # noqa: PT017


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FingerprintError, match="no such file"):
        Fingerprint.load(tmp_path / "none.kinprint")


def test_the_documentation_lists_every_trait() -> None:
    page = Path(__file__).parents[2] / "docs" / "fingerprint-format.md"
    assert markdown_table() in page.read_text()
