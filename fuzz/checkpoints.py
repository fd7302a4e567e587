"""Throw damaged checkpoints at every parser: `python fuzz/checkpoints.py [INPUTS] [SEED]`.

The tests do a little of this on every run; this does as much as wanted. Whatever is not tensors must be a
CheckpointError, quickly and in little memory. An input that breaks the rule is written to the folder `findings`.
"""

from __future__ import annotations

import argparse
import collections
import io
import json
import pickle
import random
import resource
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import safetensors.numpy

from kinprint.checkpoints import open_checkpoint
from kinprint.errors import CheckpointError

SLOW = 2.0  # seconds
MEMORY = 2**30  # bytes, of the whole process
TOKENS = [b"0", b"-1", b"9223372036854775807", b"1e999", b"[", b"]", b"{", b"}", b'"', b",", b":", b"null", b"true", b"NaN"]
TOKENS += [b"\x00", b"\xff" * 8, b"\\ud800", b"../", b"\xff\xff\xff\x7f", b"PK\x01\x02", b"PK\x05\x06", b"\x80\x02", b"(", b"u"]
TOKENS += [b"R", b"Q", b"cos\nsystem\n", b"\x85", b"h\x00", b"2", b"]", b"}", b")", b"e", b"a", b"s", b"t", b"b", b"&a", b"*a"]


def safetensors_seed() -> bytes:
    tensors = {"a": np.ones((2, 3), ml_dtypes.bfloat16), "b": np.arange(4), "e": np.ones((0, 2), "f4")}
    return safetensors.numpy.save(tensors, metadata={"format": "pt"})


class _Name:
    def __init__(self, text: str) -> None:
        self.text = text


class _Storage:
    pass


class _Call:
    def __init__(self, name: str, *arguments: Any) -> None:
        self.name, self.arguments = _Name(name), arguments


class _Pickler(pickle._Pickler):  # type: ignore[name-defined, misc]
    dispatch = pickle._Pickler.dispatch.copy()  # type: ignore[attr-defined]

    def _name(self, value: _Name) -> None:
        self.write(b"c" + value.text.replace(" ", "\n").encode() + b"\n")

    def _call(self, value: _Call) -> None:
        self.save(value.name)
        self.save(value.arguments)
        self.write(pickle.REDUCE)

    def persistent_id(self, value: Any) -> Any:
        return ("storage", _Name("torch FloatStorage"), "0", "cpu", 4) if isinstance(value, _Storage) else None

    dispatch[_Name] = _name
    dispatch[_Call] = _call


def torch_pickle() -> bytes:
    tensor = _Call("torch._utils _rebuild_tensor_v2", _Storage(), 0, (2, 2), (2, 1), False, collections.OrderedDict())
    parameter = _Call("torch._utils _rebuild_parameter", tensor, True, None)
    buffer = io.BytesIO()
    _Pickler(buffer, 2).dump({"model": {"w": tensor, "p": parameter, "n": {"x": tensor}}, "epoch": 3, "lr": 0.1})
    return buffer.getvalue()


def torch_zip(pickled: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("m/data.pkl", pickled)
        archive.writestr("m/byteorder", b"little")
        archive.writestr("m/data/0", bytes(16))
    return buffer.getvalue()


def gguf_seed() -> bytes:
    """Metadata of several kinds, a plain and a quantised tensor, by the library that others write GGUF with."""
    import gguf

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.gguf"
        writer = gguf.GGUFWriter(path, "llama")
        writer.add_block_count(1)
        writer.add_head_count_kv([2, 2])
        writer.add_token_list(["a", "b"])
        writer.add_bool("x", True)
        writer.add_tensor("a", np.ones((2, 3), "f4"))
        writer.add_tensor("b", np.ones((2, 34), "u1"), raw_dtype=gguf.GGMLQuantizationType.Q8_0)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path.read_bytes()


def mutate(data: bytes, rng: random.Random) -> bytes:
    """One to four edits: bits, bytes, tokens, copied, removed and moved slices."""
    result = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at, length = rng.randrange(len(result) + 1), min(rng.randrange(1, 40), rng.randrange(1, 40))
        match rng.randrange(6):
            case 0 if at < len(result):
                result[at] ^= 1 << rng.randrange(8)
            case 1:
                result[at : at + 1] = rng.randbytes(1)
            case 2:
                result[at : at + rng.choice((0, length))] = rng.choice(TOKENS)
            case 3:
                del result[at : at + length]
            case 4:
                source = rng.randrange(len(result) + 1)
                result[at:at] = result[source : source + length] * rng.choice((1, 1, 1, 50))
            case 5:
                result[at : at + 8] = rng.choice((0, 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1)).to_bytes(8, "little")
    return bytes(result)


def targets() -> dict[str, tuple[str, bytes, Callable[[bytes], bytes]]]:
    """Name -> the file to write, a valid content, and what wraps the mutated content."""

    def as_it_is(data: bytes) -> bytes:
        return data

    def with_length(header: bytes) -> bytes:
        return len(header).to_bytes(8, "little") + header + bytes(44)

    whole = safetensors_seed()
    index = {"metadata": {"total_size": 44}, "weight_map": dict.fromkeys("abe", "shard.safetensors")}
    vocabulary = {"model": {"vocab": {"a": 0, "b": 1}}, "added_tokens": [{"id": 2, "content": "<s>"}]}
    card = b"---\nbase_model:\n- org/model\ntags: [a, b]\nx: {y: true, z: null}\nt: |\n  text\n---\n# Title\n"
    config = {"model_type": "llama", "hidden_size": 64, "rope_scaling": {"factor": 8.0}, "names": ["a", None, True]}
    return {
        "safetensors": ("model.safetensors", whole, as_it_is),
        "safetensors header": ("model.safetensors", whole[8 : 8 + int.from_bytes(whole[:8], "little")], with_length),
        "PyTorch zip": ("model.pt", torch_zip(torch_pickle()), as_it_is),
        "PyTorch pickle": ("model.pt", torch_pickle(), torch_zip),
        "GGUF": ("model.gguf", gguf_seed(), as_it_is),
        "index": ("model.safetensors.index.json", json.dumps(index).encode(), as_it_is),
        "config": ("config.json", json.dumps(config).encode(), as_it_is),
        "tokenizer": ("tokenizer.json", json.dumps(vocabulary).encode(), as_it_is),
        "card": ("README.md", card, as_it_is),
    }


def examine(folder: Path) -> bool:
    """Open the checkpoint and read all of it; whether that succeeded."""
    try:
        checkpoint = open_checkpoint(folder)
        for tensor in checkpoint.tensors.values():
            array = tensor.read()
            assert array.shape == tensor.shape
            assert array.dtype == tensor.dtype
            array.tobytes()
    except CheckpointError as error:
        if not str(error).isprintable():
            raise ValueError("the message is not printable") from error
        return False
    assert all(note.isprintable() for note in checkpoint.notes)
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("inputs", type=int, nargs="?", default=10_000)
    parser.add_argument("seed", type=int, nargs="?", default=0)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    plan = targets()
    findings, opened, slowest = 0, collections.Counter[str](), 0.0
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(options.inputs):
            name = list(plan)[number % len(plan)]
            file, valid, wrap = plan[name]
            folder = Path(scratch) / name
            if not folder.exists():
                folder.mkdir()
                beside = "shard.safetensors" if name == "index" else "model.safetensors"
                if file in ("config.json", "tokenizer.json", "README.md", "model.safetensors.index.json"):
                    (folder / beside).write_bytes(plan["safetensors"][1])
            content = wrap(rng.randbytes(rng.randrange(200)) if number % 50 == 0 else mutate(valid, rng))
            (folder / file).write_bytes(content)
            start = time.perf_counter()
            try:
                opened[name] += examine(folder)
                took = time.perf_counter() - start
                slowest = max(slowest, took)
                assert took < SLOW, f"took {took:.1f} s"
            except Exception as error:
                findings += 1
                Path("findings").mkdir(exist_ok=True)
                (Path("findings") / f"{findings}-{file}").write_bytes(content)
                print(f"{name}, input {number}: {type(error).__name__}: {error}", flush=True)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"{options.inputs:,} inputs, {findings} findings, slowest {slowest:.2f} s, memory {memory / 2**20:.0f} MiB")
    print("still opened:", dict(opened))
    raise SystemExit(findings > 0 or memory > MEMORY)


if __name__ == "__main__":
    main()
