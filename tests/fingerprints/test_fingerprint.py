"""The fingerprint and its file."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from kinprint.errors import FingerprintError
from kinprint.fingerprints import Fingerprint
from kinprint.fingerprints.trait_table import TRAIT_VERSION


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


def test_what_a_killed_process_left_is_removed(example: Fingerprint, tmp_path: Path) -> None:
    """Temporary files of this name that are an hour old; not those that someone may be writing, nor other people's files."""
    old, new = (tmp_path / f".it.kinprint.{letter * 16}.tmp" for letter in "ab")
    other = tmp_path / ".it.kinprint.mine.tmp"
    for file in (old, new, other):
        file.write_bytes(b"half")
    for file in (old, other):
        os.utime(file, (0, 0))
    example.save(tmp_path / "it.kinprint")
    assert {path.name for path in tmp_path.iterdir()} == {"it.kinprint", new.name, other.name}


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


METADATA = {
    "format": "kinprint-fingerprint/1",
    "trait_version": str(TRAIT_VERSION),
    "name": "x",
    "facts": "{}",
    "provenance": "{}",
}
TENSOR = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"[]",
        b"{" * 100_000,
        b'{"a":' * 100_000,
        b"\xff\xfe",
        json.dumps({"gains.final": TENSOR}).encode(),
        *(
            json.dumps(header).encode()
            for header in (
                {"__metadata__": METADATA | change, "gains.final": TENSOR | {"data_offsets": [0, 8]}}
                for change in (
                    {"format": "kinprint-fingerprint/2"},
                    {"trait_version": "999"},
                    {"name": ""},
                    {"name": "a\nb"},
                    {"name": "x" * 1000},
                    {"facts": "[1]"},
                    {"facts": '{"a":NaN}'},
                    {"facts": '{"a":1e999}'},
                    {"facts": "[" * 100_000},
                    {"provenance": "{"},
                    {"facts": 3},
                )
            )
        ),
        *(
            json.dumps({"__metadata__": METADATA, name: TENSOR | change}).encode()
            for name, change in (
                ("../x", {}),
                ("UPPER", {}),
                ("a" * 200, {}),
                ("gains.final", {"dtype": "BF16", "shape": [4]}),
                ("gains.final", {"dtype": "Q9"}),
                ("gains.final", {"shape": [1 << 62, 4]}),
                ("gains.final", {"shape": [-2]}),
                ("gains.final", {"shape": [3]}),
                ("gains.final", {"data_offsets": [0, 1 << 60]}),
                ("gains.final", {"data_offsets": [8, 0]}),
                ("gains.final", {"data_offsets": [4, 8], "shape": [1]}),
                ("gains.final", {"shape": [1, 1, 1, 1, 1, 2]}),
            )
        ),
    ],
)
def test_hostile_headers(tmp_path: Path, header: bytes) -> None:
    """Whatever a header says: one clear error that names the file."""
    path = tmp_path / "hostile.kinprint"
    path.write_bytes(len(header).to_bytes(8, "little") + header + np.ones(2, np.float32).tobytes())
    with pytest.raises(FingerprintError, match=r"hostile\.kinprint"):
        Fingerprint.load(path)


@pytest.mark.parametrize("length", [0, 7, 1 << 40, (1 << 64) - 1])
def test_header_lengths_are_not_trusted(tmp_path: Path, length: int) -> None:
    path = tmp_path / "hostile.kinprint"
    path.write_bytes(length.to_bytes(8, "little") + b"{}")
    with pytest.raises(FingerprintError, match=r"hostile\.kinprint"):
        Fingerprint.load(path)


def test_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(FingerprintError):
        Fingerprint.load(tmp_path)


def test_a_folder_that_cannot_be_written(example: Fingerprint, tmp_path: Path) -> None:
    with pytest.raises(FingerprintError, match="cannot be written"):
        example.save(tmp_path / "none" / "a.kinprint")
    with pytest.raises(FingerprintError, match="cannot be written"):
        example.save(tmp_path)


def test_fingerprints_are_values(example: Fingerprint) -> None:
    """Equal by content, pickled for worker processes, not to be changed."""
    again = pickle.loads(pickle.dumps(example))
    assert again == example
    assert hash(again) == hash(example)
    renamed = Fingerprint("other", example.traits, example.facts)
    assert renamed.digest == example.digest
    assert Fingerprint("example", example.traits, {"model_type": "gpt2"}).digest != example.digest
    with pytest.raises(ValueError, match="read-only"):
        example.traits["gains.input"][0, 0] = 1
    assert example.layers == 2
