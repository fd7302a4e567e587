"""GGUF: what is read, against the `gguf` library; what is refused."""

from __future__ import annotations

import contextlib
import struct
import time
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind
from hypothesis import given, settings
from hypothesis import strategies as st

from kinprint.checkpoints import open_checkpoint
from kinprint.checkpoints.checkpoint import read_rows
from kinprint.checkpoints.formats import _gguf
from kinprint.checkpoints.formats import gguf as ours
from kinprint.checkpoints.source import LocalFile
from kinprint.errors import CheckpointError


def decodable() -> list[Kind]:
    """Every type that the library dequantises, but for those whose bytes are the values."""
    found = []
    for kind, (_, size) in gguf.GGML_QUANT_SIZES.items():
        try:
            gguf.quants.dequantize(np.zeros((1, size), np.uint8), kind)
        except NotImplementedError:
            continue
        found.append(kind)
    return [kind for kind in found if kind not in (Kind.F32, Kind.F16, Kind.BF16)]


def write(path: Path, tensors: dict[str, tuple[np.ndarray, Kind | None]], **metadata: Any) -> Path:
    """Write tensors (arrays, or bytes of a quantised type) and metadata with the library's writer."""
    writer = gguf.GGUFWriter(path, metadata.pop("architecture", "llama"))
    for key, value in metadata.items():
        getattr(writer, f"add_{key}")(value)
    for name, (array, kind) in tensors.items():
        writer.add_tensor(name, array, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize("kind", decodable(), ids=lambda kind: kind.name)
def test_every_type_is_decoded_as_the_library_does(tmp_path: Path, kind: Kind) -> None:
    """Random bytes are valid blocks: shape, values, and the same rows when only they are read."""
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    codes = np.random.default_rng(int(kind)).integers(0, 256, (3, 5, 2 * size), np.uint8)
    path = write(tmp_path / "model.gguf", {"x": (codes, kind)})
    tensor = open_checkpoint(path).tensors["x"]
    with np.errstate(all="ignore"):
        expected = gguf.quants.dequantize(codes, kind)
    assert (tensor.shape, tensor.dtype) == ((3, 5, 2 * elements), np.float32)
    np.testing.assert_array_equal(tensor.read(), expected)
    np.testing.assert_array_equal(read_rows(tensor, 1, 3), expected[1:3])
    assert not tensor.read().flags.writeable
    assert open_checkpoint(path).quantization == f"GGUF, {kind.name}"


@pytest.mark.parametrize("kind", [Kind.Q4_1, Kind.Q6_K])
def test_short_rows_are_decoded_together(kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bit for bit what the library makes of each row; the last rows are no whole group."""
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    monkeypatch.setattr(ours, "LONG", 8 * elements)
    codes = np.random.default_rng(0).integers(0, 256, (71, 2 * size), np.uint8)
    tensor = open_checkpoint(write(tmp_path / "model.gguf", {"x": (codes, kind)})).tensors["x"]
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(tensor.read(), gguf.quants.dequantize(codes, kind))


def test_rows_are_all_that_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One expert of a stack costs the decoding of one expert; a large tensor is decoded in pieces."""
    seen: list[int] = []
    decode = ours._decode
    monkeypatch.setattr(ours, "_decode", lambda codes, kind: (seen.append(len(codes)), decode(codes, kind))[1])
    codes = np.zeros((8, 6, 34), np.uint8)
    tensor = open_checkpoint(write(tmp_path / "model.gguf", {"x": (codes, Kind.Q8_0)})).tensors["x"]
    assert read_rows(tensor, 2, 3).shape == (1, 6, 32)
    assert seen == [6]
    monkeypatch.setattr(ours, "PIECE", 32 * 10)
    seen.clear()
    tensor.read()
    assert seen == [10] * 4 + [8]


@pytest.mark.parametrize("dtype", ["f4", "f2", "f8", "i1", "i2", "i4", "i8"])
def test_plain_types_are_mapped(tmp_path: Path, dtype: str) -> None:
    """Values, shape and element type are those written, bytes are not copied."""
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    tensor = open_checkpoint(write(tmp_path / "model.gguf", {"x": (array, None)})).tensors["x"]
    assert tensor.dtype == array.dtype
    np.testing.assert_array_equal(tensor.read(), array)
    assert not tensor.read().flags.owndata
    assert open_checkpoint(tmp_path).quantization == ""


def test_bfloat16_is_mapped(tmp_path: Path) -> None:
    array = np.array([[1.5, -2.0, 0.25, 3.0]], np.float32)
    path = write(tmp_path / "model.gguf", {"x": (gguf.quants.quantize(array, Kind.BF16), Kind.BF16)})
    tensor = open_checkpoint(path).tensors["x"]
    assert tensor.dtype.name == "bfloat16"
    np.testing.assert_array_equal(tensor.read().astype(np.float32), array)


def test_metadata_become_configuration_and_tokenizer(tmp_path: Path) -> None:
    """They count before files that lie beside, which speak of other tensor names; arrays a layer, if all are equal."""
    (tmp_path / "config.json").write_text('{"model_type": "other"}')
    (tmp_path / "tokenizer.json").write_text('{"model": {"vocab": {"x": 0}}}')
    said = {"embedding_length": 64, "block_count": 2, "head_count": 4, "head_count_kv": [2, 2], "key_length": 16}
    said |= {"feed_forward_length": [96, 128], "token_list": ["a", "é", "▁b"], "expert_count": 0, "rope_dimension_count": 8}
    checkpoint = open_checkpoint(write(tmp_path / "model.gguf", {"x": (np.zeros((1, 4), "f4"), None)}, **said))
    assert checkpoint.config == {
        "model_type": "llama",
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "rotary_dim": 8,
    }
    assert checkpoint.tokenizer == {"a": 0, "é": 1, "▁b": 2}


def test_a_file_without_metadata_takes_what_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "other"}')
    (tmp_path / "tokenizer.json").write_text('{"model": {"vocab": {"x": 0}}}')
    (tmp_path / "model.gguf").write_bytes(raw())
    checkpoint = open_checkpoint(tmp_path)
    assert (checkpoint.config, dict(checkpoint.tokenizer)) == ({"model_type": "other"}, {"x": 0})


def test_types_are_named_by_their_share(tmp_path: Path) -> None:
    def blocks(rows: int, size: int) -> np.ndarray:
        return np.zeros((rows, size), np.uint8)

    tensors = {
        "a": (blocks(1, 34), Kind.Q8_0),
        "b": (blocks(1, 144), Kind.Q4_K),
        "c": (blocks(9, 210), Kind.Q6_K),
        "d": (np.zeros(99, "f4"), None),
    }
    assert open_checkpoint(write(tmp_path / "model.gguf", tensors)).quantization == "GGUF, Q6_K, Q4_K and Q8_0"


def test_a_large_vocabulary_opens_at_once(tmp_path: Path) -> None:
    """150 000 tokens and 300 000 merges: a fraction of a second of the processor, most of it for the header's two readings."""
    tokens = [f"token-{n}" for n in range(150_000)]
    merges = [f"m{n} m{n}" for n in range(300_000)]
    path = write(tmp_path / "model.gguf", {"x": (np.zeros((1, 4), "f4"), None)}, token_list=tokens, token_merges=merges)
    start = time.process_time()
    checkpoint = open_checkpoint(path)
    took = time.process_time() - start
    assert checkpoint.tokenizer["token-149999"] == 149_999
    assert took < 10


# --- what is refused


def string(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


def info(name: bytes = b"x", shape: tuple[int, ...] = (4,), kind: int = 0, offset: int = 0) -> bytes:
    return string(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


def raw(
    keys: list[bytes] | None = None,
    infos: list[bytes] | None = None,
    data: bytes = bytes(32),
    *,
    magic: bytes = b"GGUF",
    version: bytes = b"\x03\0\0\0",
    counts: tuple[int, int] | None = None,
) -> bytes:
    """A GGUF file byte by byte, right unless told otherwise: one float32 tensor of four elements."""
    keys, infos = keys or [], [info()] if infos is None else infos
    tensors, pairs = counts or (len(infos), len(keys))
    header = magic + version + struct.pack("<QQ", tensors, pairs) + b"".join(keys) + b"".join(infos)
    return header + bytes(-len(header) % 32) + data


def key(name: bytes, kind: int, value: bytes) -> bytes:
    return string(name) + struct.pack("<I", kind) + value


def array(kind: int, count: int, content: bytes = b"") -> bytes:
    return struct.pack("<IQ", kind, count) + content


ARCHITECTURE = key(b"general.architecture", 8, string(b"llama"))


def test_what_is_right_opens(tmp_path: Path) -> None:
    """The builder above writes what the library reads too; version 2 as version 3, every type of value."""
    values = [key(b"%d" % n, n, bytes(np.dtype(f).itemsize)) for n, f in _gguf._NUMBERS.items()]
    values += [key(b"bool", 7, b"\1"), key(b"text", 8, string(b"\xff")), key(b"none", 9, array(8, 0))]
    values += [key(b"bools", 9, array(7, 2, b"\0\1")), key(b"nested", 9, array(9, 1, array(4, 1, bytes(4))))]
    path = tmp_path / "model.gguf"
    for version in (b"\x02\0\0\0", b"\x03\0\0\0"):
        path.write_bytes(raw(values, version=version))
        assert open_checkpoint(path).tensors["x"].read().tolist() == [0.0] * 4
    header = _gguf.read_header(LocalFile(path))
    assert (header.metadata["bool"], header.metadata["text"], header.metadata["none"]) == (True, b"\xff", [])
    path.write_bytes(raw())
    assert gguf.GGUFReader(path).tensors[0].name == "x"


NESTED = array(9, 1, array(9, 1, array(9, 1, array(9, 1, array(9, 1, array(4, 0))))))
HOSTILE = {
    "no magic": (raw(magic=b"GGML"), "does not begin with GGUF"),
    "big-endian": (raw(version=b"\0\0\0\x03"), "big-endian"),
    "version 1": (raw(version=b"\1\0\0\0"), "GGUF of version 1; 2 and 3 are read"),
    "version 4": (raw(version=b"\4\0\0\0"), "GGUF of version 4"),
    "endless tensors": (raw(counts=(2**63, 0)), "tensors, more than"),
    "endless keys": (raw(counts=(1, 2**63)), "metadata keys, more than"),
    "more tensors than there are": (raw(counts=(199_999, 0)), "the tensor  appears twice"),
    "endless key": (raw([struct.pack("<Q", 2**63)]), "a metadata key of"),
    "endless string": (raw([key(b"a", 8, struct.pack("<Q", 2**64 - 1))]), "beyond the end of the file"),
    "endless array": (raw([key(b"a", 9, array(4, 2**62))]), "beyond the end of the file"),
    "endless strings": (raw([key(b"a", 9, array(8, 2**62))]), "strings in its arrays"),
    "many strings": (raw([key(b"a", 9, array(8, 3_000_000))]), "beyond the end of the file"),
    "endless string in an array": (raw([key(b"a", 9, array(8, 1, struct.pack("<Q", 2**63)))]), "beyond the end of the file"),
    "endless arrays": (raw([key(b"a", 9, array(9, 2**62))]), "arrays within arrays"),
    "deep arrays": (raw([key(b"a", 9, NESTED)]), "nested too deeply"),
    "unknown value": (raw([key(b"a", 13, b"")]), "unknown type 13"),
    "unknown element": (raw([key(b"a", 9, array(13, 1))]), "unknown type 13"),
    "a key twice": (raw([key(b"a", 7, b"\0")] * 2), "key a appears twice"),
    "a key of bytes": (raw([key(b"\xff", 7, b"\0")]), "a metadata key that is not valid UTF-8"),
    "a tensor twice": (raw(infos=[info(), info(offset=32)], data=bytes(64)), "tensor x appears twice"),
    "a name of bytes": (raw(infos=[info(b"\xff")]), "tensor name that is not valid UTF-8"),
    "a long name": (raw(infos=[info(b"x" * 1025)]), "a tensor name of 1,025 characters"),
    "many axes": (raw(infos=[info(shape=(1, 1, 1, 1, 4))]), "of 5 axes"),
    "endless axes": (raw(infos=[string(b"x") + b"\xff" * 4]), "axes"),
    "a huge shape": (raw(infos=[info(shape=(2**62, 2**62))]), "beyond any memory"),
    "a huge empty shape": (raw(infos=[info(shape=(0, 2**63))]), "beyond any memory"),
    "a shape beyond the file": (raw(infos=[info(shape=(9,))]), "truncated"),
    "an offset beyond the file": (raw(infos=[info(offset=2**64 - 32)]), "begins at"),
    "a hole": (raw(infos=[info(offset=32)], data=bytes(64)), "begins at"),
    "an unaligned offset": (raw(infos=[info(offset=4)]), "begins at"),
    "an overlap": (raw(infos=[info(), info(b"y")]), "begins at"),
    "trailing bytes": (raw(data=bytes(64)), "32 bytes after the last tensor"),
    "half a block": (raw(infos=[info(shape=(33,), kind=8)]), "no whole number of blocks of 32"),
    "a scalar of blocks": (raw(infos=[info(shape=(), kind=8)]), "no whole number of blocks"),
    "an unknown type": (raw(infos=[info(kind=99)]), "the unknown type 99"),
    "a removed type": (raw(infos=[info(kind=4)]), "the unknown type 4"),
    "a type without values": (raw(infos=[info(shape=(32,), kind=9)]), "Q8_1, which the gguf library does not decode"),
    "alignment 0": (raw([key(b"general.alignment", 4, bytes(4))]), "alignment"),
    "alignment 3": (raw([key(b"general.alignment", 4, b"\3\0\0\0")]), "alignment"),
    "alignment of text": (raw([key(b"general.alignment", 8, string(b"32"))]), "alignment"),
    "a huge alignment": (raw([key(b"general.alignment", 10, struct.pack("<Q", 2**63))]), "alignment"),
    "true as alignment": (raw([key(b"general.alignment", 7, b"\1")]), "alignment"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files_are_one_clear_error(tmp_path: Path, case: str) -> None:
    """Whatever is wrong names the file, costs no memory that the file could ask for, and is printable."""
    content, message = HOSTILE[case]
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    start = time.process_time()
    with pytest.raises(CheckpointError, match=message) as caught:
        open_checkpoint(path)
    assert time.process_time() - start < 5
    assert caught.value.subject == str(path)
    assert str(caught.value).isprintable()


def test_every_beginning_of_a_file_is_refused(tmp_path: Path) -> None:
    """A download that stopped is never taken for a model."""
    whole = raw([key(b"a", 8, string(b"text")), key(b"b", 9, array(8, 2, string(b"x") + string(b"y")))])
    path = tmp_path / "model.gguf"
    for length in range(len(whole) - 16):  # the padding behind the last tensor may be missing
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError):
            open_checkpoint(path)


def test_a_header_beyond_the_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(raw([key(b"a", 8, struct.pack("<Q", 200_000_000))]))
    with path.open("r+b") as file:
        file.truncate(300_000_000)  # sparse
    with pytest.raises(CheckpointError, match="a header of more than the 100,000,000 bytes allowed"):
        open_checkpoint(path)


def test_tokens_that_are_no_strings_are_a_note(tmp_path: Path) -> None:
    """The weights can be compared without."""
    path = tmp_path / "model.gguf"
    path.write_bytes(raw([ARCHITECTURE, key(b"tokenizer.ggml.tokens", 9, array(4, 1, bytes(4)))]))
    checkpoint = open_checkpoint(path)
    assert dict(checkpoint.tokenizer) == {}
    assert "not an array of strings" in checkpoint.notes[0]


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_damage_never_escapes(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Bytes changed anywhere: the file opens, or it is a CheckpointError."""
    whole = bytearray(raw([key(b"a", 9, array(8, 2, string(b"x") + string(b"y")))], [info(shape=(32,), kind=8)], bytes(64)))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "model.gguf"
    path.write_bytes(whole)
    with contextlib.suppress(CheckpointError):
        for tensor in open_checkpoint(path).tensors.values():
            tensor.read()
