"""What cannot be read, and the true reason that is given for it: how each is made, and the words of the message.

Every case is a folder or a file that people have. A message says what was found, and the way out.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from kinprint.checkpoints import open_checkpoint
from kinprint.errors import CheckpointError

Make = Callable[[Path], Path]
"""Folder to write into -> what the user gives."""

ONE = {"w": np.ones((2, 2), np.float32)}
ADAPTER = {f"base_model.model.model.layers.0.self_attn.q_proj.lora_{half}.weight": np.ones((2, 2), np.float32) for half in "AB"}


def files(given: str = "", **contents: bytes | str | dict[str, Any]) -> Make:
    """Files of these contents, `__` in their names for a dot and `___` for a slash; the folder is given, or one of them."""

    def make(folder: Path) -> Path:
        for name, content in contents.items():
            path = folder / name.replace("___", "/").replace("__", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, dict) and all(isinstance(value, np.ndarray) for value in content.values()):
                save_file(content, path)
            else:
                text = json.dumps(content) if isinstance(content, dict) else content
                path.write_bytes(text.encode() if isinstance(text, str) else text)
        return folder / given

    return make


def named(name: str, content: bytes = b"xyz") -> Make:
    """One file of that name, in a folder, which is given."""

    def make(folder: Path) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return folder

    return make


def given(make: Make, name: str) -> Make:
    """As `make`, but the file of that name is given."""
    return lambda folder: make(folder) / name


def gguf(**said: str) -> Make:
    """A GGUF that says these things about itself."""

    def make(folder: Path) -> Path:
        import gguf as library

        writer = library.GGUFWriter(folder / "x.gguf", said.get("architecture", "llama"))
        for key, value in said.items():
            if key != "architecture":
                writer.add_string(f"general.{key}".replace("__", "."), value)
        writer.add_tensor("w", np.ones((2, 2), np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return folder / "x.gguf"

    return make


def torch_file(make: Callable[[Any], Any]) -> Make:
    """A file of PyTorch."""

    def write(folder: Path) -> Path:
        torch = pytest.importorskip("torch")
        torch.save(make(torch), folder / "x.pt")
        return folder / "x.pt"

    return write


def quantised(method: str = "", **tensors: np.ndarray) -> Make:
    """Tensors of one layer, whose parts have these names, and what the configuration says of their quantisation."""
    parts = {f"model.layers.0.self_attn.q_proj.{name.replace('__', '.')}": array for name, array in tensors.items()}
    config = {"model_type": "llama", **({"quantization_config": {"quant_method": method}} if method else {})}
    return files(model__safetensors=parts, config__json=config)


def index(names: dict[str, str], *shards: str) -> Make:
    """An index, and shards with one tensor each."""

    def make(folder: Path) -> Path:
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
        for number, shard in enumerate(shards):
            save_file({f"w{number}": np.ones(2, np.float32)}, folder / shard)
        return folder

    return make


CODES = np.ones((4, 4), np.uint8)
HTML = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>"
SHARDS = [f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3)]

CASES: dict[str, tuple[Make, str]] = {
    # other tools
    "TensorFlow": (named("tf_model.h5"), "weights of TensorFlow or Keras (tf_model.h5), which is not read; load them with"),
    "Keras file": (given(named("x.bin", b"\x89HDF\r\n\x1a\n"), "x.bin"), "weights of TensorFlow or Keras, which is not read"),
    "saved_model": (named("saved_model.pb"), "weights of TensorFlow or Keras (saved_model.pb)"),
    "TensorFlow's old form": (named("bert_model.ckpt.data-00000-of-00001"), "weights of TensorFlow or Keras"),
    "Flax": (
        named("flax_model.msgpack"),
        "weights of Flax (flax_model.msgpack), which is not read; load them with transformers",
    ),
    "Core ML": (named("Model.mlpackage/Manifest.json"), "a model of Core ML (Model.mlpackage)"),
    "OpenVINO": (files(openvino_model__xml="<net/>", openvino_model__bin=b"xyz"), "a model of OpenVINO, which is not read"),
    "OpenVINO's file": (given(named("openvino_model.bin"), "openvino_model.bin"), "a model of OpenVINO, which is not read"),
    "NeMo": (given(named("m.nemo"), "m.nemo"), "an archive of NeMo, which is not read; convert it to Hugging Face"),
    "TensorFlow Lite": (given(named("m.tflite", b"\0\0\0\0TFL3"), "m.tflite"), "a model of TensorFlow Lite"),
    "ExecuTorch": (named("m.pte"), "a program of ExecuTorch"),
    "TensorRT": (named("rank0.engine"), "an engine of TensorRT (rank0.engine)"),
    "CTranslate2": (
        given(named("model.bin", b"\6\0\0\0\x17\0TransformerDecoderSpec\0"), "model.bin"),
        "a model of CTranslate2",
    ),
    "MLC": (named("params_shard_0.bin"), "a model of MLC"),
    "GGML before GGUF": (
        given(named("m.bin", b"tjgg" + bytes(20)), "m.bin"),
        "from before GGUF, which is not read; convert it",
    ),
    "llamafile": (given(named("m.llamafile", b"MZqFpD"), "m.llamafile"), "a llamafile, which is not read; unzip it"),
    "distributed": (named("__0_0.distcp"), "a distributed checkpoint of PyTorch (__0_0.distcp), which is not read; join it"),
    "DeepSpeed": (named("zero_pp_rank_0_mp_rank_00_model_states.pt"), "zero_to_fp32.py"),
    "numpy": (named("m.npz"), "arrays of numpy (m.npz), which is not read; save them with safetensors"),
    "pickle": (named("m.pkl"), "a pickle (m.pkl), which is not read"),
    # what comes in the place of a file
    "HTML": (given(named("model.safetensors", HTML), "model.safetensors"), "an HTML page, not the weights; download the file"),
    "HTML in a folder": (named("pytorch_model.bin", HTML), "an HTML page, not the weights"),
    "Git LFS": (named("model.safetensors", b"version https://git-lfs.github.com/spec/v1\n"), "run `git lfs pull`"),
    "a server's words": (named("model.gguf", b"Entry not found"), "the message of a server, not the weights"),
    "a server's JSON": (named("model.gguf", b'{"error":"Repository not found"}'), "the message of a server, not the weights"),
    "Ollama's manifest": (
        given(
            named(
                "latest",
                json.dumps(
                    {"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:" + "ab" * 32}]}
                ).encode(),
            ),
            "latest",
        ),
        "a manifest of Ollama, not the weights; give the file that it names: blobs/sha256-abab",
    ),
    # where models lie
    "nothing": (files(README__md="x"), "no weights there; a file should end in one of .safetensors"),
    "a training folder": (
        files(**{"checkpoint-500___model__safetensors": ONE, "checkpoint-1000___model__safetensors": ONE}),
        "no weights there, but in checkpoint-1000 below it (and checkpoint-500); give",
    ),
    "several quantisations": (
        files(**{"m-Q4_K_M__gguf": b"x" * 200_000, "m-Q8_0__gguf": b"x" * 400_000}),
        "several weights files and no index (m-Q4_K_M.gguf 0.2 MB, m-Q8_0.gguf 0.4 MB); give the file that you mean",
    ),
    "one shard": (
        files(SHARDS[1], **{shard.replace(".", "__"): ONE for shard in SHARDS}),
        "one of the 3 files of a model; give the folder",
    ),
    "one part": (
        files("consolidated.00.pth", consolidated__00__pth=b"x", consolidated__01__pth=b"x"),
        "one of the 2 files of a model; give the folder",
    ),
    "a part is missing": (
        files(consolidated__00__pth=b"x", consolidated__02__pth=b"x"),
        "1 of 3 shards missing: consolidated.01",
    ),
    "an index names what is not there": (index({"w0": SHARDS[0], "w1": SHARDS[1]}, SHARDS[0]), "1 of 2 shards missing"),
    "an index leaves out a file": (
        index({"w0": SHARDS[0], "w1": SHARDS[1]}, *SHARDS),
        f"does not name {SHARDS[2]}, which lies beside it",
    ),
    "an index leaves out a tensor": (index({"x": SHARDS[0]}, SHARDS[0]), "does not hold the tensor x"),
    "a cache without a snapshot": (
        lambda folder: (
            files(**{"models--a--b___snapshots___x": "", "models--a--b___refs___main": "abc"})(folder) / "models--a--b"
        ),
        "a repository in a hub's cache whose refs/main names no snapshot",
    ),
    # adapters
    "an adapter": (
        files(adapter_model__safetensors=ADAPTER, adapter_config__json={"base_model_name_or_path": "org/base"}),
        "an adapter of org/base, not a model; write org/base+",
    ),
    "an adapter without settings": (files("x.safetensors", x__safetensors=ADAPTER), "a LoRA adapter alone, not a model"),
    "an adapter as GGUF": (
        gguf(type="adapter", base_model__0__name="Base"),
        "a LoRA adapter of Base as GGUF, not a model; merge it",
    ),
    "a vision part": (gguf(type="mmproj", architecture="clip"), "the vision or audio part of a model"),
    "statistics": (gguf(type="imatrix"), "statistics for quantising a model (imatrix), not a model"),
    # pickles
    "a whole module": (
        torch_file(lambda torch: torch.nn.Linear(2, 2)),
        "a whole module, not its state dict: loading it would run torch.nn",
    ),
    "no tensors": (torch_file(lambda torch: {"lr": 0.1}), "holds no dictionary of tensors"),
    # quantisations
    "exl2": (quantised(q_weight=CODES, q_scale=CODES), "quantised by ExLlamaV2 (exl2), a form that is not read"),
    "exl3": (quantised("exl3", trellis=CODES.astype(np.int16), suh=CODES), "quantised by ExLlamaV3 (exl3)"),
    "HQQ": (quantised(W_q=CODES, meta=CODES), "quantised by HQQ, a form that is not read"),
    "quanto": (quantised(weight___data=CODES, weight___scale=CODES), "quantised by quanto, a form that is not read"),
    "torchao": (quantised("torchao", weight=CODES), "quantised by torchao, a form that is not read"),
    "torchao, flattened": (quantised(_weight_qdata=CODES), "quantised by torchao, a form that is not read"),
    "AQLM": (quantised(codebooks=CODES, codes=CODES), "quantised by AQLM"),
    "AutoRound's own": (quantised("auto-round", qweight=CODES.astype(np.int32)), "quantised by auto-round, a form that is not"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_true_reason_is_given(tmp_path: Path, case: str) -> None:
    """One line, with the name of what was found and the way out."""
    make, words = CASES[case]
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(make(tmp_path))
    assert words in str(caught.value)
    assert str(caught.value).isprintable()
    assert caught.value.remedy
