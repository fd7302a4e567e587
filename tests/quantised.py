"""Quantised copies of a model: by the real libraries where they quantise on a processor, else packed as they publish it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

Arrays = dict[str, np.ndarray]
Writer = Callable[[Path, Path], None]
"""Folder of a model, folder to write."""


def is_linear(name: str) -> bool:
    return name.endswith("_proj.weight")


def write_folder(source: Path, folder: Path, tensors: dict[str, Any], settings: dict[str, Any] | None) -> None:
    """Tensors of numpy or torch with the files beside the original, and what its configuration says about quantisation."""
    folder.mkdir(parents=True)
    for file in source.iterdir():
        if file.suffix == ".json" and "index" not in file.name:
            shutil.copy(file, folder)
    if settings is not None:
        config = json.loads((source / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "quantization_config": settings}))
    if all(isinstance(tensor, np.ndarray) for tensor in tensors.values()):
        save_file({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, folder / "model.safetensors")
    else:
        import safetensors.torch

        safetensors.torch.save_file({name: t.contiguous() for name, t in tensors.items()}, folder / "model.safetensors")


# GPTQ and AWQ: rounding to the nearest code, packed field by field.


def pack(codes: np.ndarray, bits: int) -> np.ndarray:
    """Codes down the columns into int32, one bit after the other (slow, and written to be obviously right)."""
    count, columns = codes.shape
    words = np.zeros((count * bits // 32, columns), np.uint32)
    for bit in range(count * bits):
        word, place = divmod(bit, 32)
        code, its = divmod(bit, bits)
        words[word] |= (((codes[code].astype(np.uint32) >> its) & 1) << place).astype(np.uint32)
    return words.view(np.int32)


def rounded(weight: np.ndarray, group: np.ndarray, bits: int, *, symmetric: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes (in, out), scales (groups, out) and zero points (groups, out) of a weight (out, in)."""
    top = 2**bits - 1
    columns = weight.T.astype(np.float32)
    low = np.stack([np.minimum(columns[group == g].min(0), 0) for g in range(group.max() + 1)])
    high = np.stack([np.maximum(columns[group == g].max(0), 0) for g in range(group.max() + 1)])
    if symmetric:
        high = np.maximum(high, -low)
        low = -high
    scales = ((high - low) / top).astype(np.float16)
    zeros = np.full(scales.shape, 2 ** (bits - 1)) if symmetric else np.clip(np.round(-low / scales), 0, top).astype(int)
    codes = np.clip(np.round(columns / scales.astype(np.float32)[group]) + zeros[group], 0, top).astype(int)
    return codes, scales, zeros


def gptq_weight(
    weight: np.ndarray, bits: int, size: int, *, symmetric: bool = True, ordered: bool = False, version: int = 1
) -> tuple[Arrays, np.ndarray]:
    """The tensors of one weight, and the weight that they stand for, in float16."""
    group = np.arange(weight.shape[1]) // size
    if ordered:
        group = group[np.random.default_rng(0).permutation(len(group))]
    codes, scales, zeros = rounded(weight, group, bits, symmetric=symmetric)
    stored = (zeros - 1) % 2**bits if version == 1 else zeros
    parts = {"qweight": pack(codes, bits), "qzeros": pack(stored.T, bits).T, "scales": scales, "g_idx": group.astype(np.int32)}
    return parts, ((codes - zeros[group]).astype(np.float16) * scales[group]).T


def gptq(source: Path, folder: Path, *, bits: int = 4, size: int = 64, **how: Any) -> None:
    tensors = {}
    for name, weight in load_file(source / "model.safetensors").items():
        if is_linear(name):
            parts, _ = gptq_weight(weight, bits, size, **how)
            tensors |= {name.replace("weight", part): array for part, array in parts.items()}
        else:
            tensors[name] = weight.astype(np.float16)
    form = "gptq_v2" if how.get("version") == 2 else "gptq"
    settings = {"quant_method": "gptq", "bits": bits, "group_size": size, "checkpoint_format": form}
    write_folder(source, folder, tensors, settings)


def awq_weight(weight: np.ndarray, size: int) -> tuple[Arrays, np.ndarray]:
    """The tensors of one weight, and the weight that they stand for, in float16."""
    group = np.arange(weight.shape[1]) // size
    codes, scales, zeros = rounded(weight, group, 4, symmetric=False)

    def packed(fields: np.ndarray) -> np.ndarray:
        words = np.zeros((len(fields), fields.shape[1] // 8), np.uint32)
        for word in range(words.shape[1]):
            for field, output in enumerate([0, 2, 4, 6, 1, 3, 5, 7]):
                words[:, word] |= fields[:, 8 * word + output].astype(np.uint32) << np.uint32(4 * field)
        return words.view(np.int32)

    parts = {"qweight": packed(codes), "qzeros": packed(zeros), "scales": scales}
    return parts, ((codes - zeros[group]).astype(np.float16) * scales[group]).T


def awq(source: Path, folder: Path, *, size: int = 64) -> None:
    tensors = {}
    for name, weight in load_file(source / "model.safetensors").items():
        if is_linear(name):
            parts, _ = awq_weight(weight, size)
            tensors |= {name.replace("weight", part): array for part, array in parts.items()}
        else:
            tensors[name] = weight.astype(np.float16)
    settings = {"quant_method": "awq", "bits": 4, "group_size": size, "zero_point": True, "version": "gemm"}
    write_folder(source, folder, tensors, settings)


# The real libraries.


def bitsandbytes(source: Path, folder: Path, **how: Any) -> None:
    """Quantised and saved by transformers with bitsandbytes."""
    import transformers

    settings = transformers.BitsAndBytesConfig(**how)
    model = transformers.AutoModelForCausalLM.from_pretrained(source, quantization_config=settings, device_map="cpu")
    model.save_pretrained(folder)
    for file in source.glob("tokenizer*.json"):
        shutil.copy(file, folder)


def extremes(weight: Any, arguments: Any) -> tuple[Any, Any]:
    """Smallest and largest values of a weight, one for each scale that compressed-tensors will ask for."""
    import torch

    kind = arguments.strategy
    if kind == "tensor":
        return weight.min().reshape(1), weight.max().reshape(1)
    if kind == "block":
        height, width = arguments.block_structure
        rows, columns = (-(-n // size) for n, size in zip(weight.shape, (height, width), strict=True))
        padded = torch.nn.functional.pad(weight, (0, columns * width - weight.shape[1], 0, rows * height - weight.shape[0]))
        pieces = padded.reshape(rows, height, columns, width)
        return pieces.amin((1, 3)), pieces.amax((1, 3))
    pieces = weight.reshape(weight.shape[0], -1, weight.shape[1] if kind == "channel" else arguments.group_size)
    return pieces.amin(-1), pieces.amax(-1)


def compressed_model(source: Path, **weights: Any) -> tuple[Any, Any]:
    """A model that compressed-tensors has compressed, and the library's compressor; `weights` are its QuantizationArgs."""
    import transformers
    from compressed_tensors.compressors import ModelCompressor
    from compressed_tensors.quantization import QuantizationConfig, QuantizationScheme, apply_quantization_config
    from compressed_tensors.quantization.utils import calculate_qparams, generate_gparam

    model = transformers.AutoModelForCausalLM.from_pretrained(source)
    activations = weights.pop("input_activations", None)
    scheme = QuantizationScheme(targets=["Linear"], weights=weights, input_activations=activations)
    apply_quantization_config(model, QuantizationConfig(config_groups={"group_0": scheme}, ignore=["lm_head"]))
    for module in model.modules():
        arguments = getattr(getattr(module, "quantization_scheme", None), "weights", None)
        if arguments is None:
            continue
        low, high = extremes(module.weight.data.float(), arguments)
        whole = None
        if arguments.strategy == "tensor_group":
            whole = generate_gparam(low.min().reshape(1), high.max().reshape(1))
            module.weight_global_scale.data = whole
        scale, zero = calculate_qparams(low, high, arguments, global_scale=whole)
        module.weight_scale.data = scale.to(module.weight_scale.dtype)
        if hasattr(module, "weight_zero_point"):
            module.weight_zero_point.data = zero.to(module.weight_zero_point.dtype)
    compressor = ModelCompressor.from_pretrained_model(model)
    compressor.compress_model(model)
    return model, compressor


def compressed_tensors(source: Path, folder: Path, **weights: Any) -> None:
    model, compressor = compressed_model(source, **weights)
    model.save_pretrained(folder)
    compressor.update_config(str(folder))
    for file in source.glob("tokenizer*.json"):
        shutil.copy(file, folder)


def fp8(source: Path, folder: Path, *, size: int = 64) -> None:
    """Quantised by transformers' own operation, which leaves weights alone that its blocks do not divide."""
    import safetensors.torch
    import transformers
    from transformers.integrations.finegrained_fp8 import Fp8Quantize

    settings = transformers.FineGrainedFP8Config(weight_block_size=(size, size))

    class Quantizer:
        quantization_config = settings

    quantise = Fp8Quantize(Quantizer())
    tensors: dict[str, Any] = {}
    for name, weight in safetensors.torch.load_file(source / "model.safetensors").items():
        tensors |= quantise.convert({name: weight}) if is_linear(name) else {name: weight}
    said = {"quant_method": "fp8", "weight_block_size": [size, size], "activation_scheme": "dynamic"}
    write_folder(source, folder, tensors, said)


def fp8_tensor(source: Path, folder: Path) -> None:
    """One scale a tensor."""
    import safetensors.torch
    import torch

    tensors: dict[str, Any] = {}
    for name, weight in safetensors.torch.load_file(source / "model.safetensors").items():
        tensors[name] = weight
        if is_linear(name):
            scale = weight.float().abs().max() / 448
            tensors[name] = (weight.float() / scale).to(torch.float8_e4m3fn)
            tensors[f"{name}_scale"] = scale
    write_folder(source, folder, tensors, {"quant_method": "modelopt", "quant_algo": "FP8"})


DYNAMIC_INT8 = {"num_bits": 8, "type": "int", "strategy": "token", "dynamic": True, "symmetric": True}
DYNAMIC_FP8 = {**DYNAMIC_INT8, "type": "float"}

FORMS: dict[str, Writer] = {
    "GPTQ 2 bits": partial(gptq, bits=2, size=32),
    "GPTQ 3 bits": partial(gptq, bits=3, symmetric=False, version=2),
    "GPTQ 4 bits": gptq,
    "GPTQ 4 bits, ordered by activations": partial(gptq, ordered=True, symmetric=False),
    "GPTQ 8 bits": partial(gptq, bits=8),
    "AWQ": awq,
    "bitsandbytes int8": partial(bitsandbytes, load_in_8bit=True),
    "bitsandbytes nf4": partial(bitsandbytes, load_in_4bit=True, bnb_4bit_quant_type="nf4"),
    "bitsandbytes nf4, twice": partial(
        bitsandbytes, load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True
    ),
    "bitsandbytes fp4, stored as bfloat16": partial(
        bitsandbytes, load_in_4bit=True, bnb_4bit_quant_type="fp4", bnb_4bit_quant_storage="bfloat16"
    ),
    "compressed-tensors int4": partial(compressed_tensors, num_bits=4, strategy="group", group_size=32),
    "compressed-tensors int4, asymmetric": partial(
        compressed_tensors, num_bits=4, strategy="group", group_size=64, symmetric=False
    ),
    "compressed-tensors int3": partial(compressed_tensors, num_bits=3, strategy="channel"),
    "compressed-tensors int8, packed": partial(compressed_tensors, num_bits=8, strategy="channel", symmetric=False),
    "compressed-tensors int8": partial(compressed_tensors, num_bits=8, strategy="channel", input_activations=DYNAMIC_INT8),
    "compressed-tensors FP8": partial(
        compressed_tensors, num_bits=8, type="float", strategy="channel", input_activations=DYNAMIC_FP8
    ),
    "compressed-tensors FP8, blocks that do not divide": partial(
        compressed_tensors, num_bits=8, type="float", strategy="block", block_structure=[48, 80], input_activations=DYNAMIC_FP8
    ),
    "compressed-tensors NVFP4": partial(
        compressed_tensors, num_bits=4, type="float", strategy="tensor_group", group_size=16, scale_dtype="torch.float8_e4m3fn"
    ),
    "compressed-tensors MXFP4": partial(
        compressed_tensors, num_bits=4, type="float", strategy="group", group_size=32, scale_dtype="torch.uint8"
    ),
    "FP8 in blocks": fp8,
    "FP8 in blocks that leave some weights as they are": partial(fp8, size=128),
    "FP8 with one scale": fp8_tensor,
}
"""Name -> what writes a quantised copy of a Llama-like model."""


def mxfp4_weight(weight: np.ndarray) -> Arrays:
    """The tensors of stacked experts (experts, in, out), which gpt-oss stores (experts, out, in): blocks and scales."""
    rows = weight.transpose(0, 2, 1).astype(np.float32)
    groups = rows.reshape(*rows.shape[:2], -1, 32)
    largest = np.maximum(np.abs(groups).max(-1, keepdims=True), 2.0**-100)
    exponents = np.floor(np.log2(largest)).astype(int) - 2  # the largest code is 6
    values = np.array([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0])
    codes = np.abs(np.abs(groups / 2.0**exponents)[..., None] - values).argmin(-1) | np.where(groups < 0, 8, 0)
    return {
        "blocks": (codes[..., ::2] | codes[..., 1::2] << 4).astype(np.uint8),
        "scales": (exponents[..., 0] + 127).astype(np.uint8),
    }


def mxfp4(source: Path, folder: Path) -> None:
    """Of a gpt-oss model: its experts, as it is published."""
    tensors: Arrays = {}
    for name, weight in load_file(source / "model.safetensors").items():
        if name.endswith(("experts.gate_up_proj", "experts.down_proj")):
            tensors |= {f"{name}_{part}": array for part, array in mxfp4_weight(weight).items()}
        else:
            tensors[name] = weight
    write_folder(source, folder, tensors, {"quant_method": "mxfp4", "modules_to_not_convert": ["model.embed_tokens"]})
