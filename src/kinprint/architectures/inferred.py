"""A table for a model that no table knows, drawn from the names and shapes of its tensors.

Only what is safe is inferred: which matrices of the layers are on the residual stream and on which side, and which of them
belong together. What names and shapes cannot tell stays unsaid: how many heads there are, what tells positions apart, where
norms stand and what they add to their gains. Tensors without a role still count for whether two models are the same.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kinprint.architectures import roles
from kinprint.architectures.companions import NUMBER, companion
from kinprint.architectures.facts import DEFAULTS
from kinprint.architectures.table import Entry, Skip, Table, compiled, pattern
from kinprint.checkpoints import Tensor

FAMILY = "inferred"

CROSS = re.compile(r"cross|encoder_attn|encdec|enc_dec|inter_attention", re.IGNORECASE)
"""Steps of attention that joins two streams."""

ROLES: tuple[tuple[str, str], ...] = (
    ("router", r"(^|\.)router(\.\w+)?$"),
    ("q", r"(^|[._])(q|query|wq|q_proj|q_lin|query_proj|q_linear|to_q|in_proj_q)$"),
    ("k", r"(^|[._])(k|key|wk|k_proj|k_lin|key_proj|k_linear|to_k|in_proj_k)$"),
    ("v", r"(^|[._])(v|value|wv|v_proj|v_lin|value_proj|v_linear|to_v|in_proj_v)$"),
    ("o", r"(attn|attention|self|mixer)\w*\.(\w+\.)*(o|o_proj|out_proj|out_lin|wo|c_proj|dense|proj|out|output|linear_out|"
          r"fc_out|output\.dense|to_out)$|(^|\.)(wo|o_proj|out_lin|attention\.output\.dense)$"),
    ("gate", r"(mlp|ffn|ff|feed_?forward\w*|expert\w*|moe)\w*\.(\w+\.)*(gate_proj|w1|wi_0|gate|linear_gate|w_gate|fc_gate|"
             r"c_fc2)$|(^|\.)(gate_proj)$"),
    ("up", r"(mlp|ffn|ff|feed_?forward\w*|expert\w*|moe)\w*\.(\w+\.)*(up_proj|w3|wi_1|wi|up|fc1|fc_in|c_fc|lin1|dense_h_to_4h|"
           r"linear_1|linear1|intermediate|intermediate_dense|dense_in|w_up)$|(^|\.)(up_proj|fc1|c_fc|lin1|intermediate\.dense|linear1|ffn)$"),
    ("down", r"(mlp|ffn|ff|feed_?forward\w*|expert\w*|moe)\w*\.(\w+\.)*(down_proj|w2|wo|down|fc2|fc_out|c_proj|lin2|"
             r"dense_4h_to_h|linear_2|linear2|output|output_dense|dense_out|w_down)$|(^|\.)(down_proj|fc2|lin2|linear2|ffn_output|output\.dense)$"),
)  # fmt: skip
"""Roles, and names of the modules whose weight plays them, behind the number of the layer; the first that fits."""

OUTSIDE: tuple[tuple[str, str], ...] = (
    ("embedding", r"(^|\.)(embed_tokens|word_embeddings|wte|tok_embeddings|token_embd|word_embedding|embed_in|embedding|shared|"
                  r"token_embeddings?|tokens_embed|w|embeddings|embed)$"),
    ("head", r"(^|\.)(lm_head|embed_out|output_layer|output|lm_head\.\w+)$"),
    ("position", r"(^|\.)(embed_positions|position_embeddings|positions_embed|wpe)$"),
)  # fmt: skip

WRITES = {"o", "down"}
"""Roles whose output is the residual stream."""

_ROLES = tuple((role, re.compile(pattern, re.IGNORECASE | re.ASCII)) for role, pattern in ROLES)
_OUTSIDE = tuple((role, re.compile(pattern, re.IGNORECASE | re.ASCII)) for role, pattern in OUTSIDE)


@dataclass(frozen=True)
class _Kind:
    """Tensors of layers that are alike: the rest of their name behind the layer, with `{expert}`, and the first of them."""

    rest: str
    tensor: Tensor


def inferred(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Table | None:
    """The table that names and shapes suggest; None where nothing looks like the layers of a model.

    Args:
        config: of the language model; only its width is taken, and only if matrices have it.
    """
    stacks = _stacks(tensors)
    if not stacks:
        return None
    kinds = {root: _kinds(tensors, root) for root in stacks}
    width = _width((kind for root in stacks for kind in kinds[root]), tensors, config)
    if width is None:
        return None
    entries: dict[str, Entry] = {}
    for root, index in zip(stacks, ("layer", "second"), strict=False):
        entries |= {f"{root}{{{index}}}.{rest}": entry for rest, entry in _of_layer(kinds[root], width).items()}
    entries |= _outside(tensors, width)
    if not any(entry.matrix for entry in entries.values()):
        return None
    rest = tuple((pattern(f"{root}{{{index}}}.*"), Skip("")) for root, index in zip(stacks, ("layer", "second"), strict=False))
    return compiled(
        Table(
            family=FAMILY,
            model_types=(),
            norm="rms",
            positions=(),
            prefixes=("",),
            config=dict.fromkeys(DEFAULTS, ()),
            tensors=entries,
            essential=(),
            skipped=rest,
        )
    )


def _stacks(tensors: Mapping[str, Tensor]) -> list[str]:
    """What stands in front of the number of a layer: of the largest stack, or of an encoder and its decoder, in this order.

    One without a matrix is none: convolutions stand in stacks too.
    """
    size: dict[str, int] = defaultdict(int)
    layers: dict[str, set[int]] = defaultdict(set)
    with_a_matrix: set[str] = set()
    for name, tensor in tensors.items():
        if found := NUMBER.search(name):
            root = name[: found.start()]
            size[root] += int(np.prod(tensor.shape))
            layers[root].add(int(found[0]))
            if len(tensor.shape) == 2:
                with_a_matrix.add(root)
    whole = [root for root in size if root in with_a_matrix and layers[root] == set(range(len(layers[root])))]
    own = [root for root in whole if not companion(root)] or whole
    if not own:
        return []
    largest = max(own, key=lambda root: size[root])
    for one, other in (("encoder", "decoder"), ("enc", "dec")):
        for count in (1, -1):
            pair = [largest.replace(other, one, count), largest.replace(one, other, count)]
            if pair[0] != pair[1] and all(root in own for root in pair):
                return pair
    return [largest]


def _kinds(tensors: Mapping[str, Tensor], root: str) -> list[_Kind]:
    """The kinds of tensors that the layers of a stack have. A second number counts experts where the name says so."""
    seen: dict[str, _Kind] = {}
    for name, tensor in tensors.items():
        found = NUMBER.match(name, len(root)) if name.startswith(root) else None
        if found:
            rest = name[found.end() + 1 :]
            rest = re.sub(r"(experts?\w*\.)(\d+)(?=\.)", r"\1{expert}", rest, count=1)
            seen.setdefault(rest, _Kind(rest, tensor))
    return list(seen.values())


def _width(kinds: Iterable[_Kind], tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> int | None:
    """Channels of the residual stream: what the configuration says, if matrices of a layer have such an axis; else the length
    that most of them have, and an embedding where there is one."""
    matrices = [kind.tensor for kind in kinds if len(kind.tensor.shape) == 2 and min(kind.tensor.shape) > 1]
    lengths = Counter(length for tensor in matrices for length in set(tensor.shape))
    if not lengths:
        return None
    said = (config.get(key) for key in ("hidden_size", "d_model", "n_embd", "emb_dim", "dim"))
    if found := next((size for size in said if isinstance(size, int) and lengths[size] > 1), None):
        return found
    embedded = {
        tensor.shape[1]
        for name, tensor in tensors.items()
        if len(tensor.shape) == 2 and not NUMBER.search(name) and _outside_role(name) == "embedding"
    }
    return max(lengths, key=lambda length: (length in embedded, lengths[length], length))


def _of_layer(kinds: list[_Kind], width: int) -> dict[str, Entry]:
    """Entries of the matrices of a layer, and of their biases. A role that two kinds claim has neither."""
    modules: dict[str, list[_Kind]] = defaultdict(list)
    for kind in kinds:
        module, _, leaf = kind.rest.rpartition(".")
        if leaf != "weight" or len(kind.tensor.shape) != 2 or CROSS.search(module):
            continue
        if role := next((role for role, spelled in _ROLES if spelled.search(module)), None):
            modules[role].append(kind)
    up = modules.get("up", ())
    if len(up) != 1 or any(kind.tensor.shape != up[0].tensor.shape for kind in modules["gate"]):
        modules["gate"] = []  # a router may be called so
    own = {role: claimants[0] for role, claimants in modules.items() if len(claimants) == 1}
    turned = _turned(own, width)
    entries: dict[str, Entry] = {}
    for role, kind in own.items():
        outputs, inputs = kind.tensor.shape[::-1] if turned else kind.tensor.shape
        if (outputs if role in WRITES else inputs) != width:
            continue
        entries[kind.rest] = Entry((role,), transposed=turned)
        bias = kind.rest.removesuffix("weight") + "bias"
        if role in roles.MATRICES and any(other.rest == bias and other.tensor.shape == (outputs,) for other in kinds):
            entries[bias] = Entry((f"biases.{role}",))
    return entries


def _turned(own: Mapping[str, _Kind], width: int) -> bool:
    """Whether matrices lie as (input, output): what an FFN that is wider than the stream shows."""
    up, down = own.get("up"), own.get("down")
    return bool(
        up and down and up.tensor.shape[0] == width != up.tensor.shape[1] and down.tensor.shape == up.tensor.shape[::-1]
    )


def _outside(tensors: Mapping[str, Tensor], width: int) -> dict[str, Entry]:
    """Entries of the embedding and the head, where one tensor alone can be meant."""
    found: dict[str, list[str]] = defaultdict(list)
    for name, tensor in tensors.items():
        if NUMBER.search(name) or len(tensor.shape) != 2 or tensor.shape[1] != width or companion(name):
            continue
        if role := _outside_role(name):
            found[role].append(name)
    chosen = {role: min(names, key=lambda name: ("shared" not in name, len(name))) for role, names in found.items()}
    return {name: Entry((role,)) for role, name in chosen.items()}


def _outside_role(name: str) -> str | None:
    """What a matrix outside the layers is by its name."""
    module = name.removesuffix(".weight")
    return next((role for role, spelled in _OUTSIDE if spelled.search(module)), None)
