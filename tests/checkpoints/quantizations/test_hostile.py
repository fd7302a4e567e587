"""Whatever does not fit is one clear error that names the model and the tensor, before anything of size is allocated."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from quantised import awq_weight, gptq_weight, write_folder

from kinprint import open_checkpoint
from kinprint.architectures import recognise
from kinprint.errors import ArchitectureError, CheckpointError

pytest.importorskip("torch")
Tensors = dict[str, np.ndarray]
Settings = dict[str, Any]
WEIGHT = np.random.default_rng(1).normal(size=(64, 96)).astype(np.float32)
STATE = "a.weight.quant_state.bitsandbytes__nf4"


def gptq() -> tuple[Tensors, Settings]:
    parts, _ = gptq_weight(WEIGHT, 4, 32)
    return {f"a.{name}": array for name, array in parts.items()}, {"quant_method": "gptq", "bits": 4, "group_size": 32}


def awq() -> tuple[Tensors, Settings]:
    parts, _ = awq_weight(WEIGHT, 32)
    settings = {"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemm"}
    return {f"a.{name}": array for name, array in parts.items()}, settings


def int8() -> tuple[Tensors, Settings]:
    parts = {
        "a.weight": np.ones((64, 96), np.int8),
        "a.SCB": np.ones(64, np.float32),
        "a.weight_format": np.zeros((), np.uint8),
    }
    return parts, {"quant_method": "bitsandbytes"}


def state(**changes: Any) -> np.ndarray:
    said = {"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": [64, 96], "nested_blocksize": 256}
    said |= {"nested_dtype": "float32", "nested_offset": 0.1, **changes}
    return np.frombuffer(json.dumps(said).encode(), np.uint8)


def nf4() -> tuple[Tensors, Settings]:
    parts = {
        "a.weight": np.zeros((3072, 1), np.uint8),
        "a.weight.absmax": np.zeros(96, np.uint8),
        "a.weight.quant_map": np.ones(16, np.float32),
        "a.weight.nested_absmax": np.ones(1, np.float32),
        "a.weight.nested_quant_map": np.ones(256, np.float32),
        STATE: state(),
    }
    return parts, {"quant_method": "bitsandbytes"}


def packed() -> tuple[Tensors, Settings]:
    parts = {
        "a.weight_packed": np.zeros((64, 12), np.int32),
        "a.weight_scale": np.ones((64, 3), np.float32),
        "a.weight_zero_point": np.zeros((8, 3), np.int32),
        "a.weight_shape": np.array([64, 96]),
        "a.weight_g_idx": np.repeat(np.arange(3), 32).astype(np.int32),
    }
    groups = {"group_0": {"weights": {"num_bits": 4, "group_size": 32}}}
    return parts, {"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": groups}


def nvfp4() -> tuple[Tensors, Settings]:
    parts = {
        "a.weight_packed": np.zeros((64, 48), np.uint8),
        "a.weight_scale": np.ones((64, 6), ml_dtypes.float8_e4m3fn),
        "a.weight_global_scale": np.ones(1, np.float32),
    }
    return parts, {"quant_method": "compressed-tensors", "format": "nvfp4-pack-quantized"}


def naive() -> tuple[Tensors, Settings]:
    parts = {"a.weight": np.ones((64, 96), np.int8), "a.weight_scale": np.ones((64, 1), np.float32)}
    return parts, {"quant_method": "compressed-tensors", "format": "int-quantized"}


def fp8() -> tuple[Tensors, Settings]:
    parts = {"a.weight": np.ones((200, 300), ml_dtypes.float8_e4m3fn), "a.weight_scale_inv": np.ones((2, 3), np.float32)}
    return parts, {"quant_method": "fp8", "weight_block_size": [128, 128]}


def mxfp4() -> tuple[Tensors, Settings]:
    parts = {"a_blocks": np.zeros((4, 32, 2, 16), np.uint8), "a_scales": np.full((4, 32, 2), 127, np.uint8)}
    return parts, {"quant_method": "mxfp4"}


SCHEMES = (gptq, awq, int8, nf4, packed, nvfp4, naive, fp8, mxfp4)
Change = Callable[[Tensors, Settings], object]


def put(name: str, value: Any) -> Change:
    return lambda tensors, settings: tensors.__setitem__(name, np.asarray(value))


def say(name: str, value: Any) -> Change:
    return lambda tensors, settings: settings.__setitem__(name, value)


def group(**weights: Any) -> Change:
    return say("config_groups", {"group_0": {"weights": weights}})


def drop(name: str) -> Change:
    return lambda tensors, settings: tensors.pop(name)


def spoil(name: str, value: float) -> Change:
    """One value of a tensor."""

    def change(tensors: Tensors, settings: Settings) -> None:
        tensors[name] = np.array(tensors[name])
        tensors[name].reshape(-1)[-1] = value

    return change


CASES: list[tuple[Callable[[], tuple[Tensors, Settings]], Change, str]] = [
    (gptq, drop("a.scales"), "a.scales"),
    (gptq, drop("a.qzeros"), "a.qzeros"),
    (gptq, put("a.scales", np.ones((3, 63), np.float16)), "a.qweight"),
    (gptq, put("a.scales", np.ones((3, 64), np.int32)), "a.scales"),
    (gptq, put("a.scales", np.ones((0, 64), np.float16)), "a.scales"),
    (gptq, put("a.qweight", np.ones((12, 64), np.int64)), "a.qweight"),
    (gptq, put("a.qweight", np.ones(12, np.int32)), "a.qweight"),
    (gptq, put("a.qzeros", np.ones((3, 10), np.int32)), "a.qzeros"),
    (gptq, put("a.qzeros", np.ones((2, 8), np.int32)), "a.qzeros"),
    (gptq, put("a.g_idx", np.zeros(95, np.int32)), "a.g_idx"),
    (gptq, spoil("a.g_idx", 3), "a.g_idx"),
    (gptq, spoil("a.g_idx", 2**31 - 1), "a.g_idx"),
    (gptq, spoil("a.g_idx", -1), "a.g_idx"),
    (gptq, spoil("a.scales", np.nan), "a.scales"),
    (gptq, spoil("a.scales", np.inf), "a.scales"),
    (gptq, put("a.weight", np.ones((64, 96), np.float16)), "a.weight"),
    (gptq, say("bits", 99), "bits"),
    (gptq, say("bits", "4"), "bits"),
    (gptq, say("bits", 4.0), "bits"),
    (gptq, say("group_size", 0), "group_size"),
    (gptq, say("group_size", -2), "group_size"),
    (gptq, say("group_size", True), "group_size"),
    (gptq, say("checkpoint_format", "marlin"), "marlin"),
    (awq, drop("a.scales"), "a.scales"),
    (awq, put("a.scales", np.ones((3, 65), np.float16)), "a.scales"),
    (awq, put("a.scales", np.ones((5, 64), np.float16)), "a.qzeros"),
    (awq, spoil("a.scales", np.nan), "a.scales"),
    (awq, say("bits", 8), "bits"),
    (awq, say("group_size", 0), "group_size"),
    (awq, say("version", "gemv"), "gemv"),
    (int8, drop("a.SCB"), "a.weight"),
    (int8, put("a.SCB", np.ones(63, np.float32)), "a.SCB"),
    (int8, put("a.SCB", np.ones(64, np.float16)), "a.SCB"),
    (int8, spoil("a.SCB", np.nan), "a.SCB"),
    (int8, put("a.weight_format", np.ones((), np.uint8)), "a.weight_format"),
    (nf4, drop("a.weight"), "a.weight"),
    (nf4, drop("a.weight.absmax"), "a.weight.absmax"),
    (nf4, drop("a.weight.quant_map"), "a.weight.quant_map"),
    (nf4, drop("a.weight.nested_absmax"), "a.weight.nested_absmax"),
    (nf4, put("a.weight", np.zeros((3071, 1), np.uint8)), "a.weight"),
    (nf4, put("a.weight", np.zeros((3072, 1), np.int64)), "a.weight"),
    (nf4, put("a.weight.absmax", np.zeros(95, np.uint8)), "a.weight.absmax"),
    (nf4, put("a.weight.nested_quant_map", np.ones(255, np.float32)), "a.weight.nested_quant_map"),
    (nf4, spoil("a.weight.nested_absmax", np.inf), "a.weight.nested_absmax"),
    (nf4, spoil("a.weight.quant_map", np.nan), "a.weight.quant_map"),
    (nf4, put(STATE, np.zeros(9, np.uint8)), STATE),
    (nf4, put(STATE, np.full(100_000, 32, np.uint8)), STATE),
    (nf4, put(STATE, state(blocksize=0)), STATE),
    (nf4, put(STATE, state(blocksize=2**62)), STATE),
    (nf4, put(STATE, state(nested_blocksize=0)), STATE),
    (nf4, put(STATE, state(nested_offset=1e999)), STATE),
    (nf4, put(STATE, state(nested_offset="x")), STATE),
    (nf4, put(STATE, state(shape=[2**39, 2**39])), "a.weight"),
    (nf4, put(STATE, state(shape=[64, -96])), STATE),
    (nf4, put(STATE, state(shape=[])), STATE),
    (nf4, put(STATE, state(shape=None)), STATE),
    (nf4, put(STATE, state(dtype="object")), STATE),
    (nf4, put(STATE, state(dtype=[])), STATE),
    (packed, drop("a.weight_scale"), "a.weight_scale"),
    (packed, drop("a.weight_shape"), "a.weight_shape"),
    (packed, put("a.weight_shape", np.array([64, 2**62])), "a.weight_shape"),
    (packed, put("a.weight_shape", np.array([-64, 96])), "a.weight_shape"),
    (packed, put("a.weight_shape", np.array([64, 96, 1])), "a.weight_shape"),
    (packed, put("a.weight_shape", np.array([64, 50])), "a.weight_packed"),
    (packed, put("a.weight_scale", np.ones((64, 5), np.float32)), "a.weight_scale"),
    (packed, put("a.weight_scale", np.ones((64, 0), np.float32)), "a.weight_scale"),
    (packed, put("a.weight_zero_point", np.zeros((9, 3), np.int32)), "a.weight_zero_point"),
    (packed, spoil("a.weight_g_idx", 2**31 - 1), "a.weight_g_idx"),
    (packed, spoil("a.weight_g_idx", -2), "a.weight_g_idx"),
    (packed, spoil("a.weight_scale", np.nan), "a.weight_scale"),
    (packed, group(num_bits=99), "num_bits"),
    (packed, group(num_bits=4, group_size=0), "group_size"),
    (packed, say("format", "marlin-24"), "marlin-24"),
    (packed, say("sparsity_config", {"format": "sparse-24-bitmask"}), "sparse-24-bitmask"),
    (nvfp4, drop("a.weight_scale"), "a.weight_scale"),
    (nvfp4, put("a.weight_scale", np.ones((64, 5), ml_dtypes.float8_e4m3fn)), "a.weight_scale"),
    (nvfp4, put("a.weight_global_scale", np.zeros(1, np.float32)), "a.weight_global_scale"),
    (nvfp4, put("a.weight_global_scale", np.ones(2, np.float32)), "a.weight_global_scale"),
    (nvfp4, spoil("a.weight_scale", np.nan), "a.weight_scale"),
    (naive, drop("a.weight_scale"), "a.weight_scale"),
    (naive, put("a.weight_scale", np.ones((7, 7), np.float32)), "a.weight_scale"),
    (naive, put("a.weight_zero_point", np.ones((64, 2), np.int8)), "a.weight_zero_point"),
    (naive, spoil("a.weight_scale", np.inf), "a.weight_scale"),
    (naive, group(num_bits=8, block_structure=[0, 128]), "block_structure"),
    (fp8, drop("a.weight_scale_inv"), "a.weight_scale_inv"),
    (fp8, put("a.weight_scale_inv", np.ones((3, 3), np.float32)), "a.weight_scale_inv"),
    (fp8, put("a.weight_scale_inv", np.ones((2, 3, 1), np.float32)), "a.weight_scale_inv"),
    (fp8, put("a.weight_scale_inv", np.ones((2, 3), np.int32)), "a.weight_scale_inv"),
    (fp8, spoil("a.weight_scale_inv", np.nan), "a.weight_scale_inv"),
    (fp8, put("a.weight_scale_inv", np.full((2, 3), 255, np.uint8)), "a.weight_scale_inv"),
    (fp8, say("weight_block_size", [0, 128]), "weight_block_size"),
    (fp8, say("weight_block_size", [128]), "weight_block_size"),
    (fp8, say("weight_block_size", {"a": 1}), "weight_block_size"),
    (mxfp4, drop("a_scales"), "a_scales"),
    (mxfp4, put("a_scales", np.zeros((4, 32, 3), np.uint8)), "a_scales"),
    (mxfp4, put("a_scales", np.zeros((4, 32, 2), np.int32)), "a_scales"),
    (mxfp4, put("a_blocks", np.zeros((4, 32, 16), np.uint8)), "a_blocks"),
    (mxfp4, spoil("a_scales", 255), "a_scales"),
    (mxfp4, put("a", np.ones(3, np.float32)), "tensor a "),
]


def store(tensors: Tensors, settings: Settings, folder: Path) -> Path:
    source = folder / "source"
    source.mkdir()
    (source / "config.json").write_text(json.dumps({"model_type": "llama"}))
    write_folder(source, folder / "model", tensors, settings)
    return folder / "model"


def read_all(folder: Path) -> None:
    for tensor in open_checkpoint(folder).tensors.values():
        array = tensor.read()
        assert (array.shape, array.dtype) == (tensor.shape, tensor.dtype)


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.__name__)
def test_what_the_cases_spoil_is_good(scheme: Callable[[], tuple[Tensors, Settings]], tmp_path: Path) -> None:
    """Without the change, each of them reads; otherwise the cases would show nothing."""
    read_all(store(*scheme(), tmp_path))


@pytest.mark.parametrize(("scheme", "change", "named"), CASES)
def test_one_clear_error(scheme: Callable[[], tuple[Tensors, Settings]], change: Change, named: str, tmp_path: Path) -> None:
    """CheckpointError with the model and the tensor or setting in it."""
    tensors, settings = scheme()
    change(tensors, settings)
    folder = store(tensors, settings, tmp_path)
    with pytest.raises(CheckpointError) as error:
        read_all(folder)
    assert error.value.subject == str(folder)
    assert named in error.value.problem
    assert error.value.remedy


def test_random_damage(tmp_path: Path) -> None:
    """300 checkpoints whose shapes, dtypes and values were changed at random: read, or CheckpointError."""
    random = np.random.default_rng(0)
    dtypes = [np.int8, np.uint8, np.int32, np.int64, np.float16, np.float32, ml_dtypes.float8_e4m3fn, ml_dtypes.bfloat16]
    refused = 0
    for number in range(300):
        tensors, settings = SCHEMES[number % len(SCHEMES)]()
        name = str(random.choice(list(tensors)))
        array = tensors[name]
        match random.integers(4):
            case 0:
                shape = list(array.shape or (1,))
                shape[random.integers(len(shape))] = int(random.choice([0, 1, 2, 33, 64]))
                tensors[name] = np.resize(array, shape)
            case 1:
                tensors[name] = array.astype(np.float32).astype(dtypes[random.integers(len(dtypes))])
            case 2:
                tensors[name] = np.frombuffer(random.bytes(array.nbytes), array.dtype).reshape(array.shape)
            case 3:
                del tensors[name]
        folder = tmp_path / str(number)
        folder.mkdir()
        if not tensors:
            continue
        try:
            read_all(store(tensors, settings if random.integers(2) else {}, folder))
        except CheckpointError:
            refused += 1
    assert 100 < refused < 300


@pytest.mark.parametrize("settings", [None, [], "gptq", {}, {"quant_method": None}])
def test_integers_of_no_scheme(settings: Any, models: Path, tmp_path: Path) -> None:
    """Integer weights that nothing explains are refused by the architecture, as ever."""
    from safetensors.numpy import load_file

    tensors = load_file(models / "base" / "model.safetensors")
    name = "model.layers.0.self_attn.q_proj.weight"
    tensors[name] = tensors[name].astype(np.float32).astype(np.int8)
    write_folder(models / "base", tmp_path / "model", tensors, settings)
    checkpoint = open_checkpoint(tmp_path / "model")
    assert checkpoint.quantization == ""
    with pytest.raises(ArchitectureError, match="int8 values, a quantised form that is not read"):
        recognise(checkpoint)


@pytest.mark.parametrize("method", ["unheard-of", ["gptq"]])
def test_methods_of_no_scheme(method: Any, tmp_path: Path) -> None:
    """A method that no scheme reads is named where there are matrices of integers, and of no account otherwise."""
    codes = {"a.codes": np.ones((8, 8), np.int32)}
    with pytest.raises(CheckpointError, match=r"quantised by .*, a form that is not read \(tensor a.codes\)"):
        open_checkpoint(store(codes, {"quant_method": method}, tmp_path))
    (tmp_path / "dense").mkdir()
    dense = {"a.weight": np.ones((8, 8), np.float32), "a.position_ids": np.ones((1, 8), np.int64)}
    assert not open_checkpoint(store(dense, {"quant_method": method}, tmp_path / "dense")).quantization


def test_packed_weights_that_nothing_explains(tmp_path: Path) -> None:
    """Without a configuration, and with shapes of neither GPTQ nor AWQ: the error asks for the configuration."""
    tensors, _ = awq()
    tensors["a.scales"] = np.ones((3, 60), np.float16)
    tensors["a.qzeros"] = np.zeros((3, 9), np.int32)
    with pytest.raises(CheckpointError, match=r"config\.json"):
        open_checkpoint(store(tensors, {}, tmp_path))
