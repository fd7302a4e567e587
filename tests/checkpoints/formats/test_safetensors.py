from __future__ import annotations

import contextlib
import json
import struct
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kinprint.checkpoints.checkpoint import Tensor
from kinprint.checkpoints.formats import safetensors as format_module
from kinprint.checkpoints.formats.safetensors import DTYPES
from kinprint.checkpoints.source import LocalFile
from kinprint.errors import CheckpointError


def open_file(path: Path) -> dict[str, Tensor]:
    """The tensors of a file on this disk."""
    return format_module.open_file(LocalFile(path))


def entry(dtype: Any = "F32", shape: Any = (2,), offsets: Any = (0, 8), **more: Any) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets, **more}


def bits(array: np.ndarray) -> bytes:
    return np.ascontiguousarray(array).tobytes()


def test_every_dtype_comes_back_bit_for_bit(write_raw) -> None:
    header, data = {}, b""
    for name, dtype in DTYPES.items():
        content = bytes(range(256)) if dtype.kind != "b" else bytes([0, 1] * 128)
        shape = [4, 64 // dtype.itemsize]
        header[name] = entry(name, shape, [len(data), len(data) + 256])
        data += content
    for name, tensor in open_file(write_raw(header, data)).items():
        array = tensor.read()
        assert (array.dtype, array.shape) == (DTYPES[name], tensor.shape)
        assert bits(array) == data[slice(*header[name]["data_offsets"])]


@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?", "bfloat16"])
def test_agrees_with_the_library_of_that_name(tmp_path: Path, dtype: str) -> None:
    kind = np.dtype(ml_dtypes.bfloat16) if dtype == "bfloat16" else np.dtype(dtype)
    wanted = {"a": np.arange(12).reshape(3, 4).astype(kind), "scalar": np.array(1, kind), "empty": np.ones((0, 3), kind)}
    path = tmp_path / "model.safetensors"
    safetensors.numpy.save_file(wanted, path, metadata={"format": "np"})
    found = open_file(path)
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        assert found[name].read().dtype == kind
        assert found[name].read().shape == array.shape
        assert bits(found[name].read()) == bits(array)


def test_bfloat16_and_fp8_of_pytorch_come_back_bit_for_bit(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    save_file = pytest.importorskip("safetensors.torch").save_file
    kinds = [torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2, torch.float16]
    wanted = {str(kind): torch.randn(31, 7).to(kind) for kind in kinds}
    save_file(wanted, tmp_path / "model.safetensors")
    for name, tensor in open_file(tmp_path / "model.safetensors").items():
        np.testing.assert_array_equal(tensor.read().astype("f4"), wanted[name].float().numpy())


HOSTILE: dict[str, tuple[Any, bytes, str]] = {
    "not json": ("{nonsense", b"", "not valid JSON"),
    "not an object": ("[]", b"", "no JSON object"),
    "leading space": (" {}", b"", "no JSON object"),
    "nan": ('{"a": NaN}', b"", "NaN"),
    "not utf-8": (b'{"a\xff": 1}', b"", "not valid JSON"),
    "nested": ('{"a":' * 50_000, b"", "nested too deeply"),
    "huge number": ('{"a": {"dtype": "U8", "shape": [' + "9" * 5000 + '], "data_offsets": [0, 1]}}', b"", "valid JSON"),
    "duplicate tensor": ('{"a": {}, "a": {}}', b"", "'a' appears twice"),
    "metadata": ({"__metadata__": {"a": 1}}, b"", "__metadata__"),
    "metadata list": ({"__metadata__": []}, b"", "__metadata__"),
    "entry is a list": ({"a": []}, b"", "exactly dtype, shape and data_offsets"),
    "entry lacks shape": ({"a": {"dtype": "F32", "data_offsets": [0, 8]}}, bytes(8), "exactly dtype"),
    "entry with more": ({"a": entry(extra=1)}, bytes(8), "exactly dtype"),
    "unknown dtype": ({"a": entry("X4")}, bytes(8), "unknown dtype X4; known are F64, F32"),
    "new dtype": ({"a": entry("F4")}, bytes(8), "takes 8 bytes, not what its shape and dtype say"),
    "dtype no text": ({"a": entry(["F32"])}, bytes(8), "unknown dtype"),
    "shape no list": ({"a": entry(shape=2)}, bytes(8), "shape"),
    "negative dim": ({"a": entry(shape=[-2])}, bytes(8), "shape"),
    "bool dim": ({"a": entry(shape=[2, True])}, bytes(8), "shape"),
    "float dim": ({"a": entry(shape=[2.0])}, bytes(8), "shape"),
    "null dim": ({"a": entry(shape=[None])}, bytes(8), "shape"),
    "rank": ({"a": entry(shape=[1] * 32 + [2])}, bytes(8), "shape"),
    "dim overflow": ({"a": entry(shape=[2**64])}, bytes(8), "shape"),
    "product overflow": ({"a": entry(shape=[2**40, 2**40])}, bytes(8), "beyond any memory"),
    "wrapped product": ({"a": entry(shape=[2**32, 2**32, 2])}, bytes(8), "beyond any memory"),
    "empty overflow": ({"a": entry(shape=[0, 2**40, 2**40], offsets=[0, 0])}, b"", "beyond any memory"),
    "wrong length": ({"a": entry(shape=[3])}, bytes(8), "takes 8 bytes"),
    "offsets of three": ({"a": entry(offsets=[0, 4, 8])}, bytes(8), "data_offsets"),
    "offsets negative": ({"a": entry(offsets=[-8, 0])}, bytes(8), "data_offsets"),
    "offsets bool": ({"a": entry("U8", [1], [False, True])}, bytes(1), "data_offsets"),
    "offsets reversed": ({"a": entry(offsets=[8, 0])}, bytes(8), "data_offsets"),
    "offsets beyond": ({"a": entry(offsets=[8, 16])}, bytes(8), "begins at 8"),
    "truncated": ({"a": entry()}, bytes(7), "truncated: 7 of 8"),
    "trailing": ({"a": entry()}, bytes(9), "1 bytes after the last tensor"),
    "trailing only": ({}, bytes(1), "1 bytes after"),
    "hole": ({"a": entry(), "b": entry(offsets=[12, 20])}, bytes(20), "begins at 12"),
    "overlap": ({"a": entry(), "b": entry(offsets=[4, 12])}, bytes(12), "begins at 4"),
    "same bytes": ({"a": entry(), "b": entry()}, bytes(8), "begins at 0"),
    "long name": ({"a" * 1025: entry()}, bytes(8), "name of 1,025 characters"),
    "surrogate name": ('{"\\ud800": 1}', b"", "surrogate"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_the_specification_forbids_is_refused(write_raw, case: str) -> None:
    header, data, problem = HOSTILE[case]
    path = write_raw(header, data)
    with pytest.raises(CheckpointError, match=problem) as caught:
        open_file(path)
    assert caught.value.subject == str(path)


@pytest.mark.parametrize("content", [b"", b"\x08", struct.pack("<Q", 0), struct.pack("<Q", 2**64 - 1) + b"{}"])
def test_files_too_short_for_their_header_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="not a valid safetensors file"):
        open_file(path)


def test_a_header_beyond_the_limit_is_refused_unread(write_raw) -> None:
    with pytest.raises(CheckpointError, match="more than the 100,000,000 allowed"):
        open_file(write_raw("{}", length=100_000_001))
    with pytest.raises(CheckpointError, match="in a file of 10"):
        open_file(write_raw("{}", length=3))


def test_too_many_tensors_are_refused(write_raw, monkeypatch) -> None:
    monkeypatch.setattr(format_module, "MAX_TENSORS", 2)
    with pytest.raises(CheckpointError, match="3 tensors in one file"):
        open_file(write_raw({name: entry(shape=[0], offsets=[0, 0]) for name in "abc"}))


def test_control_characters_in_names_are_harmless_in_messages(write_raw) -> None:
    with pytest.raises(CheckpointError) as caught:
        open_file(write_raw({"\x1b[31m\n": entry("F4")}, bytes(8)))
    assert "\x1b" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_padding_and_empty_tensors_are_allowed(write_raw) -> None:
    empty = {"b": entry(shape=[0], offsets=[8, 8]), "c": entry(shape=[2, 0], offsets=[0, 0])}
    tensors = open_file(write_raw(json.dumps({"a": entry(), **empty}) + "   ", bytes(8)))
    assert {name: t.read().shape for name, t in tensors.items()} == {"a": (2,), "b": (0,), "c": (2, 0)}


VALID_HEADER = json.dumps({"__metadata__": {"format": "pt"}, "a": entry(), "b": entry("BF16", [1, 2], [8, 12])}).encode()
VALID = struct.pack("<Q", len(VALID_HEADER)) + VALID_HEADER + bytes(12)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.sampled_from(sorted(DTYPES)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=8,
)
entries = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(sorted(DTYPES)) | json_values,
        "shape": st.lists(st.integers(-1, 4), max_size=3) | json_values,
        "data_offsets": st.lists(st.integers(-1, 24), min_size=2, max_size=2) | json_values,
    }
)
headers = st.dictionaries(st.text(max_size=3) | st.just("__metadata__"), entries | json_values, max_size=4)


def mutated(draw_from: bytes) -> st.SearchStrategy[bytes]:
    """`draw_from` with a slice replaced by a few random bytes."""

    def replace(at: int, length: int, by: bytes) -> bytes:
        return draw_from[:at] + by + draw_from[at + length :]

    return st.builds(replace, st.integers(0, len(draw_from)), st.integers(0, 12), st.binary(max_size=8))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=400)
@given(
    st.binary(max_size=64)
    | mutated(VALID)
    | st.builds(
        lambda header, data: struct.pack("<Q", len(header)) + header + data,
        headers.map(lambda h: json.dumps(h).encode()),
        st.binary(max_size=24),
    )
)
def test_any_bytes_are_tensors_or_a_clear_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with contextlib.suppress(CheckpointError):
        tensors = open_file(path)
        assert sum(t.read().nbytes for t in tensors.values()) <= len(content)
