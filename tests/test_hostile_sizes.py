"""Small files that ask for much: refused before anything is allocated or looped over, or read in little memory."""

from __future__ import annotations

import json
import shutil
import struct
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from kinprint import Fingerprint
from kinprint.architectures import recognise
from kinprint.architectures.given import tables_of
from kinprint.benchmark import from_list, from_zoo
from kinprint.checkpoints import Checkpoint, adapters, json_text, open_checkpoint, tokenizer, weight_files
from kinprint.checkpoints.formats import _gguf
from kinprint.checkpoints.remote.sparse import RemoteFile, SparseCopy
from kinprint.checkpoints.source import LocalFile
from kinprint.errors import ArchitectureError, CheckpointError, FingerprintError, ProbeError, ZooError
from kinprint.fingerprints.trait_table import TRAIT_VERSION
from kinprint.observation import probe, read_texts

CORPUS = Path(__file__).parents[1] / "fuzz" / "corpus"


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    """Every test of this file takes less than what an input may take, by far."""
    start = time.process_time()
    yield
    assert time.process_time() - start < 10


def llama(folder: Path, **config: Any) -> Checkpoint:
    """The smallest Llama of the corpus, something changed in its configuration."""
    shutil.copy(CORPUS / "companions" / "llama.safetensors", folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(json.loads((CORPUS / "config" / "llama").read_text()) | config))
    return open_checkpoint(folder)


def gguf(path: Path, tensors: bytes, keys: bytes) -> Path:
    """A GGUF file without data: entries of tensors and of metadata, at most one of each."""
    header = b"GGUF" + struct.pack("<IQQ", 3, bool(tensors), bool(keys)) + keys + tensors
    path.write_bytes(header + bytes(-len(header) % 32))
    return path


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


# --- checkpoints


def test_more_experts_than_bytes(tmp_path: Path) -> None:
    """A tensor of 2^40 empty experts takes no bytes; it must not become 2^40 parts."""
    checkpoint = llama(tmp_path)
    tensors = dict(checkpoint.tensors)
    some = next(iter(tensors.values()))
    for name in ("gate_up_proj", "down_proj"):
        full = f"model.layers.0.mlp.experts.{name}"
        tensors[full] = replace(some, name=full, shape=(2**40, 64, 0))  # type: ignore[type-var]
    tensors = {name: tensor for name, tensor in tensors.items() if "_proj.weight" not in name or "self_attn" in name}
    config = {**checkpoint.config, "model_type": "qwen3_moe"}
    with pytest.raises(ArchitectureError, match="is empty"):
        recognise(replace(checkpoint, tensors=tensors, config=config))


def test_an_empty_quantised_tensor(tmp_path: Path) -> None:
    """2^58 rows of no blocks: decoding them in pieces would not end."""
    entry = text(b"a") + struct.pack("<I", 2) + struct.pack("<QQ", 0, 2**58) + struct.pack("<IQ", 8, 0)
    with pytest.raises(CheckpointError, match="empty"):
        open_checkpoint(gguf(tmp_path / "a.gguf", entry, b""))


def test_arrays_within_arrays(tmp_path: Path) -> None:
    """Twelve bytes of a file each, a hundred of memory."""
    count = _gguf.MAX_NESTED + 1
    key = text(b"k") + struct.pack("<IIQ", 9, 9, count) + struct.pack("<IQ", 0, 0) * count
    with pytest.raises(CheckpointError, match="arrays within arrays"):
        open_checkpoint(gguf(tmp_path / "a.gguf", b"", key))


def test_an_index_of_very_many_files(tmp_path: Path) -> None:
    table = {str(number): f"{number}.safetensors" for number in range(weight_files.MAX_SHARDS + 1)}
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": table}))
    with pytest.raises(CheckpointError, match="more than the 10,000 allowed"):
        open_checkpoint(index)


def test_a_vocabulary_of_very_many_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer, "MAX_LINES", 2)
    (tmp_path / "vocab.txt").write_text("a\nb\n")
    assert tokenizer.read_vocabulary((LocalFile(tmp_path / "vocab.txt"),)) == {"a": 0, "b": 1}
    (tmp_path / "vocab.txt").write_text("a\nb\nc\n")
    with pytest.raises(CheckpointError, match="lines"):
        tokenizer.read_vocabulary((LocalFile(tmp_path / "vocab.txt"),))


@pytest.mark.parametrize("share", [float("inf"), 1e308, -1, 10**30])
def test_a_share_of_a_head_that_is_none(tmp_path: Path, share: float) -> None:
    """The model of the corpus has no norms, so that it is only a Llama if somebody says so."""
    with pytest.raises(ArchitectureError, match="0 to 1"):
        recognise(llama(tmp_path, partial_rotary_factor=share), tables_of("llama"))


@pytest.mark.parametrize("size", [1, "x", [32], [1, 2, 3], {}])
def test_a_size_of_blocks_that_is_none(tmp_path: Path, size: Any) -> None:
    header = (CORPUS / "quantised-header" / "fp8").read_bytes()
    data = (CORPUS / "companions" / "fp8.data").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + data)
    said = json.loads((CORPUS / "quantised-config" / "fp8").read_text())
    said["quantization_config"]["weight_block_size"] = size
    (tmp_path / "config.json").write_text(json.dumps(said))
    with pytest.raises(CheckpointError, match="weight_block_size"):
        open_checkpoint(tmp_path)


def test_patterns_are_looked_up_not_tried(tmp_path: Path) -> None:
    """1,000 long patterns and 1,000 modules: each module costs its own length, not that of all patterns."""
    (tmp_path / "base").mkdir()
    (tmp_path / "adapter").mkdir()
    names = [f"l{number}.q" for number in range(1000)]
    save_file({f"{name}.weight": np.ones((1, 1), "f4") for name in names}, tmp_path / "base" / "model.safetensors")
    parts = {f"base_model.model.{name}.lora_{part}.weight": np.ones((1, 1), "f4") for name in names for part in "AB"}
    save_file(parts, tmp_path / "adapter" / "adapter_model.safetensors")
    patterns = {"l7.q": 3, "^q": 5, "q": 2} | {f"x{number}" + "y" * 10_000: 1 for number in range(adapters.MAX_PATTERNS - 3)}
    said = {"peft_type": "LORA", "lora_alpha": 1, "alpha_pattern": patterns}
    (tmp_path / "adapter" / "adapter_config.json").write_text(json.dumps(said))
    tensors = open_checkpoint(f"{tmp_path / 'base'}+{tmp_path / 'adapter'}").tensors
    assert tensors["l7.q.weight"].read() == 4  # the first key that means it
    assert tensors["l8.q.weight"].read() == 3


# --- JSON


@pytest.mark.parametrize("depth", [json_text.MAX_NESTING, 900])
def test_what_could_be_parsed_but_not_written_again(depth: int) -> None:
    """Depth is bounded by a number, not by how much of the stack is left."""
    inside = b"[" * (json_text.MAX_NESTING - 1) + b"]" * (json_text.MAX_NESTING - 1)
    assert json_text.parse_object(b'{"a":%b}' % inside, "x")
    with pytest.raises(CheckpointError, match="too deeply"):
        json_text.parse_object(b'{"a":%b}' % (b"[" * depth + b"]" * depth), "x")


def test_text_that_python_keeps_in_four_bytes_a_character(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_text, "MAX_NOT_ASCII", 20)
    assert json_text.parse_object(b'{"a": "%b"}' % (b"x" * 50), "x")
    with pytest.raises(CheckpointError, match="not ASCII"):
        json_text.parse_object('{"a": "xxxxxxxxxxxxxxxxxxxx😀"}'.encode(), "x")


@pytest.mark.parametrize(
    ("escaped", "whole"),
    [(r"\ud83d\ude00", True), (r"\\ud83d", True), (r"\ud83d", False), (r"\ude00\ud83d", False), (r"\ud83d\\ude00", False),
     (r"\uD83D\uDE00\n\u0041", True), (r"\ud83d\ud83d\ude00", False)],
)  # fmt: skip
def test_halves_of_surrogate_pairs(escaped: str, whole: bool) -> None:
    """Found in the text, without another copy of it; what is only behind a backslash is no escape."""
    data = ('{"a": "%s"}' % escaped).encode()  # noqa: UP031 - braces
    if whole:
        json_text.parse_object(data, "x")["a"].encode()
    else:
        with pytest.raises(CheckpointError, match="surrogate"):
            json_text.parse_object(data, "x")


# --- fingerprints, records, lists


def kinprint_file(path: Path, facts: str) -> Path:
    told = {"format": "kinprint-fingerprint/1", "name": "a", "facts": facts, "trait_version": str(TRAIT_VERSION)}
    header = json.dumps({"__metadata__": told}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    return path


@pytest.mark.parametrize("facts", ['{"a":' + "[" * 900 + "]" * 900 + "}", '{"a":[' + "[]," * 4_100_000 + "[]]}"])
def test_facts_that_nest_or_multiply(tmp_path: Path, facts: str) -> None:
    with pytest.raises(FingerprintError, match="damaged"):
        Fingerprint.load(kinprint_file(tmp_path / "a.kinprint", facts))


def test_a_record_that_nests(tmp_path: Path) -> None:
    """It is taken for none, and made again."""
    (tmp_path / "copy").write_bytes(bytes(10))
    (tmp_path / "record").write_bytes(b"[" * 9000 + b"\n")
    remote = RemoteFile("there", 10, "v", lambda start, stop: iter(()))  # type: ignore[arg-type, return-value]
    assert SparseCopy(tmp_path / "copy", tmp_path / "record", remote).expect(0, 10) == 10


def test_a_list_of_very_many_nothings(tmp_path: Path) -> None:
    (tmp_path / "pairs.json").write_bytes(b"[" + b"[]," * 4_100_000 + b"[]]")
    with pytest.raises(ZooError, match="items"):
        from_list(tmp_path / "pairs.json")


def member(name: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "family": "f", "kind": "k", **more}


@pytest.mark.parametrize(
    "models",
    [
        [member(".."), member("a")],
        [member(""), member("a")],
        [member("a\x1b[2J"), member("b")],
        [member("a", initialisation={}), member("b")],
        [member("a", disguise="no"), member("b")],
        [{**member("a"), "family": ["\x1b"]}, member("b")],
        [member(f"m{n}", parents=[f"m{n - 1}"] if n else []) for n in range(40)],
        [member(f"m{n}") for n in range(1001)],
        {"name": "a"},
        [[]],
    ],
)
def test_a_lineage_that_climbs_out_or_grows(tmp_path: Path, models: Any) -> None:
    """Names are those of folders in the zoo; ways between models are listed, so generations are few."""
    (tmp_path / "lineage.json").write_text(json.dumps({"format": "kinprint-zoo/1", "size": "s", "models": models}))
    with pytest.raises(ZooError, match="not a lineage file"):
        from_zoo(tmp_path)


def test_parquet_that_unfolds(tmp_path: Path) -> None:
    """One long text named by every row: a kilobyte on disk, gigabytes as a list."""
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    column = arrow.DictionaryArray.from_arrays(arrow.array(np.zeros(3000, np.int32)), arrow.array(["x" * 900_000]))
    parquet.write_table(arrow.table({"text": column}), tmp_path / "a.parquet", compression="zstd")
    assert (tmp_path / "a.parquet").stat().st_size < 10_000
    with pytest.raises(ProbeError, match="allowed"):
        read_texts(tmp_path / "a.parquet")


def test_texts_of_a_pipe(tmp_path: Path) -> None:
    """It would block."""
    import os

    os.mkfifo(tmp_path / "a.txt")
    with pytest.raises(ProbeError, match="regular"):
        read_texts(tmp_path / "a.txt")
    with open(tmp_path / "b.txt", "wb") as file:
        file.truncate(probe.MAX_BYTES + 1)
    with pytest.raises(ProbeError, match="bytes allowed"):
        read_texts(tmp_path / "b.txt")
