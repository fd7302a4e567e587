"""Models of transformers written as GGUF: llama.cpp's names and its changes of the values, through the `gguf` library.

What is changed follows llama.cpp's converter (its folder `conversion`, one file a family), in our own words.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Kind
from safetensors.numpy import load_file

from kinprint.checkpoints import open_checkpoint

ARCHITECTURES = {
    "llama": gguf.MODEL_ARCH.LLAMA,
    "mistral": gguf.MODEL_ARCH.LLAMA,
    "mixtral": gguf.MODEL_ARCH.LLAMA,
    "granite": gguf.MODEL_ARCH.GRANITE,
    "qwen2": gguf.MODEL_ARCH.QWEN2,
    "qwen3": gguf.MODEL_ARCH.QWEN3,
    "qwen2_moe": gguf.MODEL_ARCH.QWEN2MOE,
    "gemma": gguf.MODEL_ARCH.GEMMA,
    "gemma2": gguf.MODEL_ARCH.GEMMA2,
    "gemma3_text": gguf.MODEL_ARCH.GEMMA3,
    "gpt2": gguf.MODEL_ARCH.GPT2,
    "gpt_neox": gguf.MODEL_ARCH.GPTNEOX,
    "bloom": gguf.MODEL_ARCH.BLOOM,
    "falcon": gguf.MODEL_ARCH.FALCON,
    "phi3": gguf.MODEL_ARCH.PHI3,
    "glm4": gguf.MODEL_ARCH.GLM4,
    "olmo": gguf.MODEL_ARCH.OLMO,
    "olmo2": gguf.MODEL_ARCH.OLMO2,
    "olmoe": gguf.MODEL_ARCH.OLMOE,
    "cohere": gguf.MODEL_ARCH.COMMAND_R,
    "stablelm": gguf.MODEL_ARCH.STABLELM,
    "starcoder2": gguf.MODEL_ARCH.STARCODER2,
    "gpt_bigcode": gguf.MODEL_ARCH.STARCODER,
    "mpt": gguf.MODEL_ARCH.MPT,
}
PERMUTED = ("llama", "mistral", "mixtral", "granite", "olmo")
GROUPED = ("gpt_neox", "bloom", "falcon")


def neighbours(array: np.ndarray, heads: int) -> np.ndarray:
    """Rows that rotate together side by side, where transformers has them half a head apart."""
    half = len(array) // heads // 2
    first = [head * 2 * half + i for head in range(heads) for i in range(half)]
    order = np.stack([first, np.array(first) + half], axis=1).ravel()
    return array[order]


def ungrouped(array: np.ndarray, heads: int, groups: int) -> np.ndarray:
    """All queries, then all keys, then all values, from group after group."""
    width, each = len(array) // (heads + 2 * groups), heads // groups
    pieces: dict[str, list[np.ndarray]] = {"q": [], "k": [], "v": []}
    for start in range(0, len(array), (each + 2) * width):
        pieces["q"].append(array[start : start + each * width])
        pieces["k"].append(array[start + each * width : start + (each + 1) * width])
        pieces["v"].append(array[start + (each + 1) * width : start + (each + 2) * width])
    return np.concatenate([*pieces["q"], *pieces["k"], *pieces["v"]])


def converted(weights: Mapping[str, np.ndarray], config: Any) -> Iterator[tuple[str, np.ndarray]]:
    """llama.cpp's name and array for every float32 array of a model of transformers."""
    family = config.model_type
    heads = config.num_attention_heads
    groups = getattr(config, "num_key_value_heads", None) or heads
    if family == "falcon" and config.multi_query and not config.new_decoder_architecture:
        groups = 1
    names = gguf.get_tensor_name_map(ARCHITECTURES[family], config.num_hidden_layers)
    for original, array in weights.items():
        name = original.removeprefix("transformer.") if family == "bloom" else original
        if family.startswith("gemma") and name.endswith("norm.weight"):
            array = array + 1
        if family in PERMUTED and ".q_proj." in name:
            array = neighbours(array, heads)
        if family in PERMUTED and ".k_proj." in name:
            array = neighbours(array, groups)
        if family in GROUPED and "query_key_value" in name:
            array = ungrouped(array, heads, groups)
        if family == "gpt2" and array.ndim == 2 and ".h." in name:
            array = array.T
        if name.endswith("experts.gate_up_proj"):
            half, stem = array.shape[1] // 2, name.removesuffix("gate_up_proj")
            pieces = {stem + "gate_proj": array[:, :half], stem + "up_proj": array[:, half:]}
        else:
            pieces = {name: array}
        for piece, value in pieces.items():
            suffix = ".bias" if piece.endswith(".bias") else ".weight"
            found = names.get_name(piece.removesuffix(suffix))
            assert found is not None, piece
            yield found + suffix, np.ascontiguousarray(value)


def weights_of(model: Any) -> dict[str, np.ndarray]:
    """The arrays of a model, a tied head only once."""
    state = {name: array.detach().float().numpy() for name, array in model.state_dict().items()}
    if model.config.tie_word_embeddings:
        state.pop("lm_head.weight", None)
    return state


def write_metadata(writer: gguf.GGUFWriter, config: Any, tokens: list[str] | None = None) -> None:
    writer.add_block_count(config.num_hidden_layers)
    writer.add_embedding_length(config.hidden_size)
    writer.add_head_count(config.num_attention_heads)
    groups = getattr(config, "num_key_value_heads", None)
    if config.model_type == "gpt_bigcode":
        groups = 1 if config.multi_query else None
    if config.model_type == "falcon":
        groups = 1 if config.multi_query else config.num_kv_heads
    if groups:
        writer.add_head_count_kv(groups)
    if getattr(config, "head_dim", None) and config.model_type not in ("falcon", "gpt2"):
        writer.add_key_length(config.head_dim)
    if config.model_type in ("gpt_neox", "stablelm", "glm4"):
        width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        writer.add_rope_dimension_count(int(config.rope_parameters["partial_rotary_factor"] * width))
    if hasattr(config, "rms_norm_eps"):
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    if hasattr(config, "num_experts_per_tok"):
        writer.add_expert_used_count(config.num_experts_per_tok)
    writer.add_feed_forward_length(getattr(config, "intermediate_size", None) or 4 * config.hidden_size)
    if tokens is not None:
        writer.add_tokenizer_model("gpt2")
        writer.add_token_list(tokens)
        writer.add_token_types([1] * len(tokens))
        writer.add_token_merges([f"{token} {token}" for token in tokens])


def write(
    path: Path,
    weights: Mapping[str, np.ndarray],
    config: Any,
    kind: Kind = Kind.F32,
    *,
    tokens: list[str] | None = None,
    said: Any = None,
    **options: Any,
) -> Path:
    """Write a model as GGUF, every matrix whose rows are whole blocks as `kind`.

    Args:
        said: the configuration that the metadata give, where it is not that of the model.
        options: of the writer (split_max_tensors).

    Returns:
        the file; of shards, the first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[ARCHITECTURES[config.model_type]], **options)
    write_metadata(writer, said or config, tokens)
    block = gguf.GGML_QUANT_SIZES[kind][0]
    for name, array in converted(weights, config):
        if array.ndim > 1 and array.shape[-1] % block == 0 and kind != Kind.F32:
            writer.add_tensor(name, gguf.quants.quantize(array, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, array.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path if path.exists() else min(path.parent.glob(f"{path.stem}-*.gguf"))


def opened(folder: Path) -> tuple[dict[str, np.ndarray], Any, list[str]]:
    """Weights, configuration and tokens of a model in a folder with one safetensors file."""
    weights = {name: array.astype(np.float32) for name, array in load_file(folder / "model.safetensors").items()}
    vocabulary = dict(open_checkpoint(folder).tokenizer)
    tokens = sorted(vocabulary, key=lambda token: vocabulary[token])
    return weights, SimpleNamespace(**json.loads((folder / "config.json").read_text())), tokens


def convert(kind: Kind, source: Path, folder: Path, **options: Any) -> None:
    """Write the model in the folder `source` as GGUF into `folder`."""
    weights, config, tokens = opened(source)
    write(folder / "model.gguf", weights, config, kind, tokens=tokens, **options)


FORMS: dict[str, Callable[[Path, Path], None]] = {
    f"GGUF {kind.name}": partial(convert, kind)
    for kind in (Kind.F16, Kind.BF16, Kind.Q8_0, Kind.Q5_1, Kind.Q5_0, Kind.Q4_1, Kind.Q4_0)
}
"""What the library can quantise; it only decodes the K and IQ types."""
