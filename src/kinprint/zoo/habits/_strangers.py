"""Small random models of a family, in memory, without torch: strangers by the dozen.

Sizes of rows and columns vary as they do in trained models, and channels keep theirs through all layers: units have something
to be recognised by.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinprint.architectures import OpenModel
from kinprint.checkpoints import Checkpoint
from kinprint.fingerprints import Fingerprint, fingerprint
from kinprint.transforms import Model, in_memory, model_of
from kinprint.zoo.families import EXPERTS, SHAPES, Shape, settings

FAMILIES = ("llama", "qwen2", "gpt_neox", "gpt2", "mixtral")
UNIT_SPREAD, CHANNEL_SPREAD, GAIN_SPREAD = 0.25, 0.2, 0.15
"""Standard deviations of the logarithms of the sizes of rows and of channels, and of norm gains around 1."""

Sizes = dict[str, int]


@dataclass(frozen=True)
class Drawn:
    """A tensor that was never on disk."""

    name: str
    array: NDArray[np.float32]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.array.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    def read(self) -> NDArray[np.float32]:
        return self.array


def stranger(family: str, seed: int, shape: Shape = SHAPES["tiny"]) -> Model:
    """A random model in float32; another family or seed is another model.

    Args:
        family: of `FAMILIES`.
        shape: head sizes other than hidden / heads are not possible.
    """
    rng = np.random.default_rng([seed, FAMILIES.index(family)])
    channels = np.exp(rng.normal(0, CHANNEL_SPREAD, shape.hidden))
    tensors = {name: Drawn(name, _drawn(rng, name, size, channels)) for name, size in _tensors(family, shape)}
    config = {"model_type": family, **settings(family, shape)}
    return model_of(Checkpoint(f"{family}-{seed}", f"{family}-{seed}", tensors, config))


def measured(model: Model, name: str, *, quick: bool = False, scores: bool = False) -> Fingerprint:
    """The fingerprint of a model in memory."""
    return fingerprint(OpenModel(in_memory(model, name)), cache=False, threads=1, quick=quick, scores=scores)


def _drawn(rng: np.random.Generator, name: str, size: tuple[int, ...], channels: NDArray[np.float64]) -> NDArray[np.float32]:
    """Normal numbers; every row and column has a size of its own, along the residual stream that of its channel."""
    width = len(channels)
    if len(size) == 1:
        norm = any(word in name for word in ("norm", "ln_"))
        return (rng.normal(0, 1, size) * (GAIN_SPREAD if norm else 0.02) + (norm and name.endswith("weight"))).astype(
            np.float32
        )
    array = rng.normal(0, width**-0.5, size)
    for axis, count in enumerate(size):
        along = channels if count == width and not _on_heads(name, axis) else np.exp(rng.normal(0, UNIT_SPREAD, count))
        array *= along[:, None] if axis == 0 else along
    return array.astype(np.float32)


def _on_heads(name: str, axis: int) -> bool:
    """Whether an axis of a square matrix lies on heads: the rows of queries, the columns of what attention writes."""
    lying = (("q_proj", "k_proj", "v_proj", "attn.c_proj"), ("o_proj", "attention.dense"))
    return any(word in name for word in lying[axis])


def _tensors(family: str, shape: Shape) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes, as `transformers` saves them."""
    width, words = shape.hidden, shape.vocabulary
    if family == "gpt2":
        yield from {"transformer.wte.weight": (words, width), "transformer.wpe.weight": (2 * shape.length, width)}.items()
        ends, block = "transformer.ln_f", "transformer.h.{}."
    elif family == "gpt_neox":
        yield from {"gpt_neox.embed_in.weight": (words, width), "embed_out.weight": (words, width)}.items()
        ends, block = "gpt_neox.final_layer_norm", "gpt_neox.layers.{}."
    else:
        yield "model.embed_tokens.weight", (words, width)
        ends, block = "model.norm", "model.layers.{}."
    kinds = ("weight", "bias") if family in ("gpt2", "gpt_neox") else ("weight",)
    for kind in kinds:
        yield f"{ends}.{kind}", (width,)
    for layer in range(shape.layers):
        for name, size in _block(family, shape):
            yield block.format(layer) + name, size


def _block(family: str, shape: Shape) -> Iterator[tuple[str, tuple[int, ...]]]:
    width, neurons = shape.hidden, shape.neurons
    if family in ("gpt2", "gpt_neox"):
        norms, qkv, out, up, down = {
            "gpt2": (("ln_1", "ln_2"), "attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"),
            "gpt_neox": (
                ("input_layernorm", "post_attention_layernorm"), "attention.query_key_value", "attention.dense",
                "mlp.dense_h_to_4h", "mlp.dense_4h_to_h",
            ),
        }[family]  # fmt: skip
        neurons = neurons * 3 // 2
        for norm in norms:
            yield f"{norm}.weight", (width,)
            yield f"{norm}.bias", (width,)
        for name, outputs, inputs in (
            (qkv, 3 * width, width),
            (out, width, width),
            (up, neurons, width),
            (down, width, neurons),
        ):
            yield f"{name}.weight", (inputs, outputs) if family == "gpt2" else (outputs, inputs)
            yield f"{name}.bias", (outputs,)
        return
    keys = shape.groups * (width // shape.heads)
    for norm in ("input_layernorm", "post_attention_layernorm"):
        yield f"{norm}.weight", (width,)
    for name, outputs in (("q", width), ("k", keys), ("v", keys)):
        yield f"self_attn.{name}_proj.weight", (outputs, width)
        if family == "qwen2":
            yield f"self_attn.{name}_proj.bias", (outputs,)
    yield "self_attn.o_proj.weight", (width, width)
    if family != "mixtral":
        for name, size in (("gate", (neurons, width)), ("up", (neurons, width)), ("down", (width, neurons))):
            yield f"mlp.{name}_proj.weight", size
        return
    neurons = max(neurons // EXPERTS, 16)
    yield "block_sparse_moe.gate.weight", (EXPERTS, width)
    for expert in range(EXPERTS):
        for name, size in (("w1", (neurons, width)), ("w3", (neurons, width)), ("w2", (width, neurons))):
            yield f"block_sparse_moe.experts.{expert}.{name}.weight", size
