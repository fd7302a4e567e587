"""What is made of a model's weights beyond its neurons: blocks made anew, a basis for each layer, latents, linear attention.

Each conversion is a function from a `Folder` to another. They take what a checkpoint of transformers holds, and write what the
released code of each method writes, before the training that heals it.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor

from kinprint.zoo.text import text

FFN = re.compile(r"\.mlp\.(gate|up|down)_proj\.weight$|layer\.\d+\.(intermediate|output)\.dense\.weight$")
ATTENTION = re.compile(r"\.self_attn\.[qkvo]_proj\.weight$|\.attention\.(self\.(query|key|value)|output\.dense)\.weight$")
WINDOWS, WINDOW = 16, 128
"""Texts, and tokens of each, whose hidden states give a SliceGPT its bases."""
SHORT, WIDE = 4, 3
"""Tokens that the convolutions of linear attention see; how many of its layers stand before one of attention."""


class RefusedError(Exception):
    """A model has no such conversion; the text is a clause that says why."""


@dataclass(frozen=True)
class Folder:
    """A checkpoint in memory.

    Attributes:
        config: what `config.json` says.
        tensors: name -> weight in the stored dtype.
        name: from which all random numbers are drawn, so that no two models share any.
    """

    config: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    name: str

    @classmethod
    def read(cls, path: Path, name: str) -> Folder:
        tensors = {key: value for file in sorted(path.glob("*.safetensors")) for key, value in load_file(file).items()}
        return cls(json.loads((path / "config.json").read_text()), tensors, name)

    def write(self, path: Path) -> None:
        """As bfloat16, so that the result is no larger than what is released."""
        path.mkdir(parents=True)
        (path / "config.json").write_text(json.dumps(dict(self.config), indent=1))
        stored = {name: value.to(torch.bfloat16).contiguous() for name, value in self.tensors.items()}
        save_file(stored, path / "model.safetensors", metadata={"format": "pt"})

    @property
    def layers(self) -> int:
        return int(self.config["num_hidden_layers"])

    @property
    def heads(self) -> tuple[int, int, int]:
        """Heads, key-value heads, dimensions of each."""
        heads = int(self.config["num_attention_heads"])
        width = self.config.get("head_dim") or int(self.config["hidden_size"]) // heads
        return heads, int(self.config.get("num_key_value_heads") or heads), int(width)

    def random(self, what: str, shape: tuple[int, ...], size: float) -> Tensor:
        """Normal numbers of this standard deviation, from the folder's name and what they are for."""
        generator = torch.Generator().manual_seed(zlib.crc32(f"{self.name} {what}".encode()))
        return torch.randn(shape, generator=generator) * size

    def of_layer(self, layer: int, name: str) -> Tensor:
        return self.tensors[f"model.layers.{layer}.{name}.weight"].float()


def renewed(model: Folder, what: re.Pattern[str]) -> Folder:
    """Normal numbers in the place of some matrices, each of the scale of what stood there; norms and biases stay.

    A stand-in for blocks that were trained anew, with nothing of the old ones in them.
    """
    chosen = {name for name in model.tensors if what.search(name)}
    if not chosen:
        raise RefusedError("it has no matrices of these names")
    new = {
        name: model.random(name, tuple(value.shape), float(value.float().std()))
        for name, value in model.tensors.items()
        if name in chosen
    }
    return replace(model, tensors={**model.tensors, **new})


def plain(model: Folder) -> Folder:
    """The model in Llama's layout, with gains that multiply; for a Gemma 3 an approximation that training has to heal.

    Gains of Gemma's norms on queries, keys and the outputs of blocks go into the matrices in front of them: those norms have no
    place in the layouts that models are converted to.
    """
    kind = model.config["model_type"]
    if kind == "llama":
        return model
    if kind != "gemma3_text":
        raise RefusedError(f"its layers are not Llama's ({kind})")
    tensors = {name: value for name, value in model.tensors.items() if ".layers." not in name and name != "model.norm.weight"}
    tensors["model.norm.weight"] = model.tensors["model.norm.weight"].float() + 1
    for layer in range(model.layers):
        gain = {part: model.of_layer(layer, part) + 1 for part in ("input_layernorm", "post_attention_layernorm",
                "pre_feedforward_layernorm", "post_feedforward_layernorm", "self_attn.q_norm", "self_attn.k_norm")}  # fmt: skip
        behind = {"self_attn.o_proj": "post_attention_layernorm", "mlp.down_proj": "post_feedforward_layernorm",
                  "self_attn.q_proj": "self_attn.q_norm", "self_attn.k_proj": "self_attn.k_norm"}  # fmt: skip
        for part in ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
                     "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"):  # fmt: skip
            matrix = model.of_layer(layer, part)
            if part in behind:
                matrix = matrix * gain[behind[part]].repeat(len(matrix) // len(gain[behind[part]]))[:, None]
            tensors[f"model.layers.{layer}.{part}.weight"] = matrix
        tensors[f"model.layers.{layer}.input_layernorm.weight"] = gain["input_layernorm"]
        tensors[f"model.layers.{layer}.post_attention_layernorm.weight"] = gain["pre_feedforward_layernorm"]
    return replace(model, tensors=tensors)


READERS = {"input_layernorm": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
           "post_attention_layernorm": ("mlp.gate_proj", "mlp.up_proj")}  # fmt: skip
"""What reads each norm of a layer of Llama, in the order of the layer; o_proj and down_proj write what the next norm reads."""


def sliced(model: Folder, cut: float = 0.0) -> Folder:
    """SliceGPT (arXiv 2401.15024): in front of every block the stream has a basis of its own, the principal components of what
    the block reads, less the last ones; a matrix beside every block takes what passes by from one basis to the next.

    Gains are folded, and norms have none. Names are those of the released code (`attn_shortcut_Q`, `mlp_shortcut_Q`). All bases
    come from the hidden states of the uncut model, where the released code goes on with those of the model cut so far.

    Args:
        cut: share of the channels.
    """
    if model.config["model_type"] != "llama":
        raise RefusedError("gains behind its blocks act on single channels of the stream, so no basis but theirs can be taken")
    width = round(int(model.config["hidden_size"]) * (1 - cut))
    bases = [basis[:, :width] for basis in principal(model)]
    tensors = {"model.embed_tokens.weight": model.tensors["model.embed_tokens.weight"].float() @ bases[0]}
    block = 0
    for layer in range(model.layers):
        at = f"model.layers.{layer}."
        for (norm, readers), writer, shortcut in zip(
            READERS.items(), ("self_attn.o_proj", "mlp.down_proj"), ("attn_shortcut_Q", "mlp_shortcut_Q"), strict=True
        ):
            gain = model.of_layer(layer, norm)
            for name in readers:
                tensors[f"{at}{name}.weight"] = (model.of_layer(layer, name) * gain) @ bases[block]
            tensors[f"{at}{writer}.weight"] = bases[block + 1].T @ model.of_layer(layer, writer)
            tensors[at + shortcut] = bases[block].T @ bases[block + 1]
            block += 1
    head = model.tensors.get("lm_head.weight", model.tensors["model.embed_tokens.weight"]).float()
    tensors["lm_head.weight"] = (head * model.tensors["model.norm.weight"].float()) @ bases[block]
    return replace(model, config={**model.config, "tie_word_embeddings": False, "hidden_size": width}, tensors=tensors)


def principal(model: Folder) -> list[Tensor]:
    """(channels, channels) principal components of what each norm reads, the largest first: two a layer, and the last norm's.

    Of hidden states at the bytes of source text taken as token numbers, each divided by its root mean square.
    """
    runner = transformers.LlamaForCausalLM(transformers.LlamaConfig(**model.config))
    runner.load_state_dict({name: value.float() for name, value in model.tensors.items()}, strict=False)
    runner.tie_weights()
    norms = [module for name, module in runner.named_modules() if name.endswith(("layernorm", "model.norm"))]
    width = int(model.config["hidden_size"])
    moments = {module: torch.zeros(width, width) for module in norms}

    def seen(module: torch.nn.Module, given: tuple[Tensor, ...]) -> None:
        states = given[0].reshape(-1, width)
        states = states / states.pow(2).mean(dim=1, keepdim=True).sqrt()
        moments[module] += states.T @ states

    for module in norms:
        module.register_forward_pre_hook(seen)
    ids = np.frombuffer(text("code", "tiny").encode()[: WINDOWS * WINDOW], np.uint8).astype(np.int64)
    with torch.no_grad():
        runner(input_ids=torch.from_numpy(ids.reshape(-1, WINDOW) % int(model.config["vocab_size"])))
    return [torch.linalg.eigh(moment.double())[1].flip(1).float() for moment in moments.values()]


def united(model: Folder) -> Folder:
    """A SliceGPT as a Llama: what each basis is in the first one is the product of the matrices up to it, and is taken out."""
    tensors = {"model.embed_tokens.weight": model.tensors["model.embed_tokens.weight"]}
    way = torch.eye(int(model.config["hidden_size"]))
    for layer in range(model.layers):
        at = f"model.layers.{layer}."
        for (norm, readers), writer, shortcut in zip(
            READERS.items(), ("self_attn.o_proj", "mlp.down_proj"), ("attn_shortcut_Q", "mlp_shortcut_Q"), strict=True
        ):
            tensors[f"{at}{norm}.weight"] = torch.ones(len(way))
            for name in readers:
                tensors[f"{at}{name}.weight"] = model.of_layer(layer, name) @ way.T
            way = way @ model.tensors[at + shortcut].float()
            tensors[f"{at}{writer}.weight"] = way @ model.of_layer(layer, writer)
    tensors["model.norm.weight"] = torch.ones(len(way))
    tensors["lm_head.weight"] = model.tensors["lm_head.weight"].float() @ way.T
    return replace(model, tensors=tensors)


def latent(model: Folder, kept: float = 1.0) -> Folder:
    """Grouped queries to latents (MLA), as TransMLA does (arXiv 2502.07864), in the layout of DeepSeek-V3 without experts.

    Key-value heads are mixed, each pair of dimensions that rotate together by a matrix of its own, which positions let pass, so
    that one head has most of the keys. Its dimensions become the rotated key that all heads share; the others lose their
    positions and go with the values through one latent, by a singular value decomposition. A model with one key-value head
    keeps the positions of the heavier half of its pairs.

    Args:
        kept: share of the latent's dimensions.
    """
    model = plain(model)
    heads, groups, width = model.heads
    pairs = width // 2 if groups > 1 else width // 4
    tensors = {name: value for name, value in model.tensors.items() if not ATTENTION.search(name)}
    for layer in range(model.layers):
        at = f"model.layers.{layer}.self_attn."
        q, k, v, o = (model.of_layer(layer, f"self_attn.{part}_proj") for part in "qkvo")
        turned, mixing = concentrated(k.reshape(groups, 2, width // 2, -1))
        heavy = turned[0].square().sum(dim=(0, 2)).argsort(descending=True)[:pairs].sort().values
        free = torch.ones(groups, 2, width // 2, dtype=torch.bool)
        free[0, :, heavy] = False
        rotary = turned[0][:, heavy].reshape(2 * pairs, -1)
        down, key_up, value_up = joint(turned[free], v, kept)
        member = torch.arange(heads) // (heads // groups)
        # what each head's own key is of the mixed ones: dimension (half, pair) from (component, half, pair)
        from_mixed = torch.einsum("gcp,hi,pr->ghpcir", mixing, torch.eye(2), torch.eye(width // 2))
        keys = from_mixed.reshape(groups, width, -1)[:, :, free.flatten()] @ key_up
        values = value_up.reshape(groups, width, -1)
        by_head = q.reshape(heads, 2, width // 2, -1)
        shared = mixing[member][:, 0, heavy][:, None, :, None] * by_head[:, :, heavy]
        tensors[f"{at}q_proj.weight"] = torch.cat([q.reshape(heads, width, -1), shared.flatten(1, 2)], dim=1).flatten(0, 1)
        tensors[f"{at}kv_a_proj_with_mqa.weight"] = torch.cat([down, rotary])
        tensors[f"{at}kv_a_layernorm.weight"] = torch.ones(len(down))
        tensors[f"{at}kv_b_proj.weight"] = torch.cat([keys[member], values[member]], dim=1).flatten(0, 1)
        tensors[f"{at}o_proj.weight"] = o
    config = {
        "model_type": "deepseek_v3", "num_key_value_heads": heads, "q_lora_rank": None, "kv_lora_rank": len(down),
        "qk_nope_head_dim": width, "qk_rope_head_dim": 2 * pairs, "v_head_dim": width, "rope_interleave": False,
        "first_k_dense_replace": model.layers, "attention_bias": False,
    }  # fmt: skip
    kept_keys = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "vocab_size", "rms_norm_eps",
                 "rope_theta", "max_position_embeddings", "tie_word_embeddings")  # fmt: skip
    return replace(model, config={key: model.config[key] for key in kept_keys if key in model.config} | config, tensors=tensors)


def concentrated(keys: Tensor) -> tuple[Tensor, Tensor]:
    """(components, halves, pairs, channels) mixed keys, the component with most of each pair first; (groups, components, pairs)
    how they were mixed, orthogonal for each pair."""
    moments = torch.einsum("ghpc,khpc->pgk", keys.double(), keys.double())
    mixing = torch.linalg.eigh(moments)[1].flip(-1).float()  # pairs, groups, components
    return torch.einsum("pgk,ghpc->khpc", mixing, keys), mixing.permute(1, 2, 0)


def joint(keys: Tensor, values: Tensor, kept: float) -> tuple[Tensor, Tensor, Tensor]:
    """(latent, channels) down, (rows, latent) up for keys and for values: the best of this rank once both weigh the same."""
    balance = float(keys.norm() / values.norm())
    left, sizes, right = torch.linalg.svd(torch.cat([keys / balance, values]).double(), full_matrices=False)
    rank = max(1, round(kept * min(len(sizes), len(keys) + len(values))))
    up = (left[:, :rank] * sizes[:rank]).float()
    return right[:rank].float(), up[: len(keys)] * balance, up[len(keys) :]


def linear(model: Folder) -> Folder:
    """Linear attention in three of four layers (gated delta nets), in the layout of Qwen3.5.

    Queries, keys, values and outputs are copied, keys and values once for each head; gates, convolutions and decays are new, as
    are the gates of the attention that stays.
    """
    model = plain(model)
    heads, groups, width = model.heads
    tensors = {}
    for name, value in model.tensors.items():
        is_gain = name.endswith("norm.weight")
        if not ATTENTION.search(name):
            tensors[name] = value.float() - 1 if is_gain else value  # that layout stores gains less 1
    kinds = ["full_attention" if layer % (WIDE + 1) == WIDE else "linear_attention" for layer in range(model.layers)]
    for layer, kind in enumerate(kinds):
        at = f"model.layers.{layer}."
        q, k, v, o = (model.of_layer(layer, f"self_attn.{part}_proj") for part in "qkvo")
        gate = model.random(f"{at}gate", tuple(q.shape), float(q.std()))
        if kind == "full_attention":
            both = torch.cat([q.reshape(heads, width, -1), gate.reshape(heads, width, -1)], dim=1).flatten(0, 1)
            tensors |= {f"{at}self_attn.{part}_proj.weight": value for part, value in zip("qkvo", (both, k, v, o), strict=True)}
            tensors |= {f"{at}self_attn.{part}_norm.weight": torch.zeros(width) for part in "qk"}
            continue
        at += "linear_attn."
        k, v = (part.reshape(groups, width, -1).repeat_interleave(heads // groups, dim=0).flatten(0, 1) for part in (k, v))
        tensors[f"{at}in_proj_qkv.weight"] = torch.cat([q, k, v])
        tensors[f"{at}in_proj_z.weight"] = gate
        for part in ("a", "b"):
            tensors[f"{at}in_proj_{part}.weight"] = model.random(at + part, (heads, q.shape[1]), float(q.std()))
        tensors[f"{at}conv1d.weight"] = model.random(f"{at}conv", (3 * heads * width, 1, SHORT), SHORT**-0.5)
        tensors |= {f"{at}dt_bias": torch.ones(heads), f"{at}A_log": torch.arange(1.0, heads + 1).log()}
        tensors |= {f"{at}norm.weight": torch.ones(width), f"{at}out_proj.weight": o}
    config = {
        "model_type": "qwen3_5_text", "layer_types": kinds, "head_dim": width, "num_key_value_heads": groups,
        "linear_num_key_heads": heads, "linear_num_value_heads": heads, "linear_key_head_dim": width,
        "linear_value_head_dim": width, "linear_conv_kernel_dim": SHORT,
    }  # fmt: skip
    kept_keys = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "vocab_size", "rms_norm_eps",
                 "max_position_embeddings", "tie_word_embeddings")  # fmt: skip
    return replace(model, config={key: model.config[key] for key in kept_keys if key in model.config} | config, tensors=tensors)


Conversion = Callable[[Folder], Folder]
