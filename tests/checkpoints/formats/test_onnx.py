"""ONNX: names and orientation of weights, external data, what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx_files import field, model, node, tensor

from kinprint.checkpoints import open_checkpoint
from kinprint.checkpoints.checkpoint import read_rows
from kinprint.errors import CheckpointError

WEIGHT = np.arange(12, dtype=np.float32).reshape(3, 4)  # (input, output)
PROJECTION = node("MatMul", "/model/layers.0/self_attn/q_proj/MatMul", "x", "onnx::MatMul_7")


def write(folder: Path, content: bytes) -> Path:
    (folder / "model.onnx").write_bytes(content)
    return folder


def test_a_weight_has_the_name_of_the_module_that_uses_it_and_lies_as_there(tmp_path: Path) -> None:
    """Only what has no name of its own: GPT-2's Conv1D keeps its."""
    named = node("Gemm", "/h.0/attn/c_attn/Gemm", "x", "h.0.attn.c_attn.weight")
    tensors = [tensor("onnx::MatMul_7", WEIGHT), tensor("h.0.attn.c_attn.weight", WEIGHT), tensor("norm.weight", WEIGHT[0])]
    found = open_checkpoint(write(tmp_path, model(tensors, [PROJECTION, named]))).tensors
    assert list(found) == ["h.0.attn.c_attn.weight", "model.layers.0.self_attn.q_proj.weight", "norm.weight"]
    turned = found["model.layers.0.self_attn.q_proj.weight"]
    np.testing.assert_array_equal(turned.read(), WEIGHT.T)
    np.testing.assert_array_equal(read_rows(turned, 1, 3), WEIGHT.T[1:3])
    np.testing.assert_array_equal(found["h.0.attn.c_attn.weight"].read(), WEIGHT)


def test_external_data(tmp_path: Path) -> None:
    """In a file beside, which counts among the files of the model."""
    (tmp_path / "model.onnx.data").write_bytes(b"padding!" + WEIGHT.tobytes() + b"more")
    place = {"location": "model.onnx.data", "offset": 8, "length": WEIGHT.nbytes}
    found = open_checkpoint(write(tmp_path, model([tensor("onnx::MatMul_7", WEIGHT, place)], [PROJECTION])))
    np.testing.assert_array_equal(found.tensors["model.layers.0.self_attn.q_proj.weight"].read(), WEIGHT.T)
    assert {file.name for file in found.files} == {"model.onnx", "model.onnx.data"}


def test_numbers_listed_one_by_one(tmp_path: Path) -> None:
    """As small tensors are written: packed floats, and whole numbers of any sign."""
    floats = field(1, 3) + field(2, 1) + field(8, "f") + field(4, WEIGHT[0, :3].tobytes())
    whole = field(1, 2) + field(2, 7) + field(8, "i") + field(7, -3) + field(7, 5)
    found = open_checkpoint(write(tmp_path, model([floats, whole]))).tensors
    assert found["f"].read().tolist() == [0, 1, 2]
    assert found["i"].read().tolist() == [-3, 5]


def test_a_type_of_less_than_a_byte_is_no_reason_to_refuse_the_others(tmp_path: Path) -> None:
    small = field(1, 5) + field(2, 22) + field(8, "codes") + field(9, bytes(3))
    found = open_checkpoint(write(tmp_path, model([small, tensor("w", WEIGHT)]))).tensors
    assert found["codes"].read().tolist() == [0, 0, 0]
    assert found["w"].shape == (3, 4)


REFUSED = {
    "quantised": (model([tensor("w", WEIGHT)], [node("MatMulNBits", "/a/b", "x", "w")]), "ONNX Runtime (MatMulNBits)"),
    "outside": (model([tensor("w", WEIGHT, {"location": "../x"})]), "in a file outside its folder: ../x"),
    "absolute": (model([tensor("w", WEIGHT, {"location": "/etc/passwd"})]), "in a file outside its folder"),
    "nowhere": (model([tensor("w", WEIGHT, {"location": "x.data"})]), "no such file"),
    "no number": (model([tensor("w", WEIGHT, {"location": "model.onnx", "offset": -1})]), "whose place is no number"),
    "too short": (model([tensor("w", WEIGHT, {"location": "model.onnx", "offset": 10**6})]), "too short for tensor w"),
    "wrong length": (model([tensor("w", WEIGHT, {"location": "model.onnx"})]), "not what its shape and type say"),
    "wrong size": (model([field(1, 9) + field(2, 1) + field(8, "w") + field(9, bytes(4))]), "takes 4 bytes"),
    "twice": (model([tensor("w", WEIGHT)] * 2), "two tensors named w"),
    "empty": (model([]), "holds no weights"),
    "negative": (model([field(1, -1) + field(2, 1) + field(8, "w") + field(9, b"")]), "no list of sizes"),
    "cut off": (model([tensor("w", WEIGHT)])[:-20], "reaches beyond its message"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(tmp_path: Path, case: str) -> None:
    content, words = REFUSED[case]
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(write(tmp_path, content))
    assert words in str(caught.value)
