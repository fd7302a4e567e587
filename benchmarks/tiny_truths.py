"""What is true of a transformers model, asked of its modules and configuration: what a reading of its file is held against."""

from __future__ import annotations

import inspect
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

HEADS = ("num_heads", "num_attention_heads", "n_heads", "n_head", "num_q_heads")
GROUPS = ("num_key_value_heads", "num_kv_heads", "kv_n_heads", "n_kv_heads")
WIDTHS = ("head_dim", "attention_head_size", "dim_per_head", "d_head", "dim_head", "key_value_proj_dim", "head_size",
          "qk_nope_head_dim", "qk_head_dim", "v_head_dim")  # fmt: skip

ROTATES = re.compile(r"^(?!.*(vision|visual|audio|image|speech|codec|timestamp)).*inv_freq$")
"""Buffers of frequencies, but for those of what sees and hears."""

ROTATIONS = re.compile(r"^( *)def (\w*rot\w*)\((.*?)(?=^\1(?:def |class |@)|\Z)", re.DOTALL | re.MULTILINE)
"""Functions of a module's source that rotate."""


def truths(model: Any, stored: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Facts about a model, as JSON.

    Args:
        stored: the tensors of its file.

    Returns:
        `layers`: numbers of layers that a right reading may give. `heads`, `kv_heads`, `head_dim`: what its attention has
        somewhere. `added`: name of a tensor -> what its norm adds to it. `norms`: name -> "rms" or "layer". `shapes`: name of a
        matrix -> (outputs, inputs). `rotary`: dimensions of a head that rotate. `interleaved`: whether neighbours rotate
        together, None if that is not known. `tied`: name of a tensor that the file leaves out -> the stored one that it is.
        `runs`: "" if it computes something from a few tokens, else why not.
    """
    owners = _owners(model, stored)
    said = _attention(model)
    norms = {name: found for name, module in owners.items() if (found := _norm(module, stored[name])) is not None}
    return {
        "layers": _layers(model.config),
        **said,
        "added": {name: added for name, (added, _) in norms.items()},
        "norms": {name: kind for name, (_, kind) in norms.items()},
        "shapes": {name: shape for name, module in owners.items() if (shape := _shape(module))},
        "rotary": sorted({2 * int(buffer.shape[-1]) for name, buffer in model.named_buffers() if ROTATES.search(name)}),
        "interleaved": _interleaved(model),
        "tied": _tied(model, stored),
        "runs": _runs(model),
    }


def _owners(model: Any, stored: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Name of a stored tensor -> the module whose `weight` it is, bit for bit; files and modules may call it differently."""
    by_content: dict[tuple[tuple[int, ...], bytes], list[str]] = defaultdict(list)
    for name, array in stored.items():
        if array.ndim in (1, 2):
            by_content[array.shape, array.tobytes()[:256]].append(name)
    found: dict[str, Any] = {}
    for module in model.modules():
        weight = getattr(module, "weight", None)
        if weight is not None and hasattr(weight, "detach") and weight.ndim in (1, 2):
            array = weight.detach().numpy()
            for name in by_content.get((array.shape, array.tobytes()[:256]), ()):
                if np.array_equal(stored[name], array):
                    found[name] = module
    return found


def _norm(module: Any, weight: np.ndarray) -> tuple[float, str] | None:
    """What a norm adds to its stored gain, and of which kind it is; None of other modules, and where it needs more input."""
    import torch

    if weight.ndim != 1 or "norm" not in type(module).__name__.lower() or "group" in type(module).__name__.lower():
        return None
    kept = {name: value.detach().clone() for name, value in module.named_parameters(recurse=False)}
    stream = torch.randn(1, 5, len(weight), generator=torch.Generator().manual_seed(0))

    def gives(gain: float, x: Any) -> Any:
        for name, value in module.named_parameters(recurse=False):
            value.fill_(gain if name == "weight" else 0.0)
        made = module(x)
        return made[0] if isinstance(made, tuple) else made

    try:
        with torch.no_grad():
            zero, one, shifted = gives(0.0, stream), gives(1.0, stream), gives(1.0, stream + 3)
    except Exception:  # a norm with a gate, a norm of one shape only: nothing is known of it
        return None
    finally:
        with torch.no_grad():
            for name, value in module.named_parameters(recurse=False):
                value.copy_(kept[name])
    step = one - zero
    if zero.shape != stream.shape or not bool(step.abs().max() > 0):
        return None
    share = float((zero / step).median())
    if abs(share - round(share)) > 1e-3:
        return None
    return float(round(share)), "layer" if torch.allclose(one, shifted, atol=1e-3) else "rms"


def _shape(module: Any) -> tuple[int, int] | None:
    kind = type(module).__name__
    rows, columns = module.weight.shape if module.weight.ndim == 2 else (0, 0)
    if kind == "Conv1D":
        return int(columns), int(rows)
    return (int(rows), int(columns)) if kind == "Linear" else None


def _layers(config: Any) -> list[int]:
    """Of a model with an encoder and a decoder both together, or either."""
    text = config.get_text_config()

    def first(*keys: str) -> int | None:
        return next((value for key in keys if isinstance(value := getattr(text, key, None), int)), None)

    pair = (
        first("encoder_layers", "num_encoder_layers", "encoder_num_hidden_layers", "num_layers"),
        first("decoder_layers", "num_decoder_layers", "decoder_num_hidden_layers"),
    )
    if None in pair:
        encoder = _depth_of(config, "encoder")
        pair = encoder, _depth_of(config, "decoder") or (None if encoder is None else first("num_hidden_layers"))
    if None not in pair and getattr(config, "is_encoder_decoder", True):
        return [sum(pair), *pair]  # type: ignore[list-item]
    # ALBERT: the layers of a group are one; LongCat: a layer is two; HRM: two stacks
    said = (first("num_hidden_layers", "n_layer"), first("num_layers"), first("num_hidden_groups"))
    stack, decoder = first("num_layers_per_stack"), first("num_decoder_layers")
    both = said[0] + decoder if said[0] is not None and decoder is not None else None  # Funnel
    return [value for value in (*said, stack and 2 * stack, both) if value is not None]


def _depth_of(config: Any, side: str) -> int | None:
    """Layers that a configuration inside another gives an encoder or a decoder."""
    inner = getattr(config, side, None) or getattr(config, f"{side}_config", None)
    return getattr(inner.get_text_config(), "num_hidden_layers", None) if hasattr(inner, "get_text_config") else None


def _attention(model: Any) -> dict[str, list[int]]:
    """What the configurations of text and the modules of attention say of heads."""
    text = model.config.get_text_config()
    found: dict[str, set[int]] = {"heads": set(), "kv_heads": set(), "head_dim": set()}
    modules = [module for module in model.modules() if "attention" in type(module).__name__.lower()]
    for kind, names in (("heads", HEADS), ("kv_heads", GROUPS), ("head_dim", WIDTHS)):
        for holder in (text, *modules):
            found[kind] |= {value for name in names if isinstance(value := getattr(holder, name, None), int)}
    for module in modules:
        groups = getattr(module, "num_key_value_groups", None)
        if isinstance(groups, int) and groups:
            found["kv_heads"] |= {heads // groups for heads in found["heads"]}
    hidden = getattr(text, "hidden_size", None)
    if not found["head_dim"] and isinstance(hidden, int):
        found["head_dim"] = {hidden // heads for heads in found["heads"] if heads}
    if not found["kv_heads"]:
        found["kv_heads"] = found["heads"]
    return {kind: sorted(values) for kind, values in found.items()}


def _interleaved(model: Any) -> bool | None:
    """What the source of its rotation says; None where it says nothing, or both."""
    source = _source(model.modules())
    if re.search(r"def \w*interleave\(", source):  # the configuration decides
        return None
    functions = {match[2]: match[3] for match in ROTATIONS.finditer(source)}
    turns = "\n".join(text for name, text in functions.items() if name.startswith("rotate")) or "\n".join(functions.values())
    neighbours = re.search(r"view_as_complex|\[\.\.\., ?(:, )*(0|1)?::2\]|\[:, :, :, ::2\]", turns)
    halves = re.search(r"shape\[-1\] // 2|chunk\(", turns)
    return None if bool(neighbours) == bool(halves) else bool(neighbours)


def _source(modules: Iterable[Any]) -> str:
    files = {type(module).__module__ for module in modules if "transformers.models" in type(module).__module__}
    return "\n".join(inspect.getsource(sys.modules[name]) for name in sorted(files))


def _tied(model: Any, stored: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Tensors that a file leaves out because another is the same one."""
    groups: dict[tuple[int, tuple[int, ...]], list[str]] = defaultdict(list)
    for name, tensor in model.state_dict(keep_vars=True).items():
        groups[tensor.data_ptr(), tuple(tensor.shape)].append(name)
    pairs = ((names, next((name for name in names if name in stored), None)) for names in groups.values() if len(names) > 1)
    return {name: kept for names, kept in pairs if kept is not None for name in names if name not in stored}


def _runs(model: Any) -> str:
    """A configuration whose numbers do not go together often shows when the model is used."""
    import torch

    tokens = torch.tensor([[5, 9, 33, 60]])
    given = {"input_ids": tokens} | ({"decoder_input_ids": tokens} if model.config.is_encoder_decoder else {})
    try:
        with torch.no_grad():
            model(**given)
    except Exception as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())}"[:160]
    return ""
