"""The roles that a table extracts are the matrices that the real implementation multiplies by."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import families
import numpy as np
import pytest
from families import FAMILIES, MIXED, MIXERS, model_type, random_model
from remote_code import REMOTE

from kinprint.architectures import Anatomy, known, recognise
from kinprint.checkpoints import open_checkpoint

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

ENCODERS = ("bert", "roberta")
MIXTURES = [name for name, sizes in FAMILIES.items() if "num_experts_per_tok" in sizes]


def attentions(model: Any) -> np.ndarray:
    """(heads, tokens, tokens) attention of the first layer."""
    with torch.no_grad():
        return model(input_ids=torch.tensor([[5, 9, 33]]), output_attentions=True).attentions[0][0].numpy()


class Watch:
    """Inputs and outputs of every module of one forward pass."""

    def __init__(self, model: Any) -> None:
        self.seen: dict[str, tuple[Any, Any]] = {}
        hooks = [module.register_forward_hook(self._note(name)) for name, module in model.named_modules()]
        self.attentions = attentions(model)
        for hook in hooks:
            hook.remove()

    def _note(self, name: str) -> Any:
        def hook(module: Any, inputs: Any, output: Any) -> None:
            first = lambda value: value[0] if isinstance(value, tuple) else value  # noqa: E731
            if inputs and torch.is_tensor(first(inputs)) and torch.is_tensor(first(output)):
                self.seen[name] = first(inputs).detach().double().numpy(), first(output).detach().double().numpy()

        return hook

    def of(self, tensor: str) -> tuple[np.ndarray, np.ndarray]:
        """Input and output, (tokens, width), of the module that owns a tensor of the checkpoint."""
        name = tensor.rpartition(".")[0]
        found = next(key for key in self.seen if key == name or key.endswith(f".{name}") or name.endswith(f".{key}"))
        return tuple(array.reshape(-1, array.shape[-1]) for array in self.seen[found])  # type: ignore[return-value]


@dataclass(frozen=True)
class Family:
    """A random small model with noise on every parameter, its anatomy as read from disk, and what its modules compute."""

    model: Any
    anatomy: Anatomy
    watch: Watch


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Family:
    """Made once for all tests of the family: none of them may change it."""
    model, folder = random_model(request.param), tmp_path_factory.mktemp(request.param)
    model.save_pretrained(folder)
    return Family(model, recognise(open_checkpoint(folder)), Watch(model))


def parts(anatomy: Anatomy, layer: int) -> dict[str, Any]:
    return {part.role: part for part in anatomy.parts if part.layer == layer and part.expert in (None, 0)}


def normed(array: np.ndarray, found: dict[str, Any], norm: str) -> np.ndarray:
    """What an RMSNorm inside a block makes of it, where there is one."""
    if norm not in found:
        return array
    return array / np.sqrt((array**2).mean(-1, keepdims=True) + 1e-5) * found[norm].read()


def bias(found: dict[str, Any], role: str) -> Any:
    """What the module of a matrix adds; the layers of GPT-NeoX Japanese add that of `o` themselves."""
    part = found.get(f"biases.{role}")
    return part.read() if part is not None and part.tensor.endswith(".bias") else 0.0


FIXED = {"bloom": "gelu_pytorch_tanh", "mpt": "gelu", "ctrl": "relu", "openai-gpt": "gelu_new"}
"""Activations that no configuration says."""


def activation(model: Any) -> Any:
    """The FFN's activation on arrays."""
    names = ("hidden_act", "activation_function", "hidden_activation", "activation")
    name = next((getattr(model.config, key) for key in names if getattr(model.config, key, None)), None)
    name = name or FIXED.get(model.config.model_type, "gelu_pytorch_tanh")
    function = transformers.activations.ACT2FN[name]
    return lambda array: function(torch.from_numpy(array)).numpy()


def test_every_tensor_has_a_role(family: Family) -> None:
    """Nothing that carries weights is overlooked, and the sizes are those of the configuration."""
    model, anatomy = family.model, family.anatomy
    assert anatomy.unknown == ()
    assert anatomy.facts["num_hidden_layers"] == 2
    assert anatomy.facts["hidden_size"] == 48
    assert anatomy.facts["num_attention_heads"] == model.config.num_attention_heads
    assert {"q", "k", "v", "o", "up", "down"} <= set(parts(anatomy, 1))
    stored = sum(parameter.numel() for parameter in model.parameters())
    named = sum(int(np.prod(part.shape)) for part in anatomy.parts)
    ignored = sum(p.numel() for n, p in model.named_parameters() if "token_type" in n or "pooler" in n)
    assert named == stored - ignored


def test_output_and_ffn_matrices(family: Family) -> None:
    """o and down reproduce their module's output from its input; gate and up reproduce what down reads."""
    model, anatomy, watch = family.model, family.anatomy, family.watch
    for layer in range(2):
        found = parts(anatomy, layer)
        x, y = watch.of(found["o"].tensor)
        np.testing.assert_allclose(x @ found["o"].read().T + bias(found, "o"), y, atol=1e-4)
        if "router" in found:
            continue
        x, _ = watch.of(found["up"].tensor)
        hidden, y = watch.of(found["down"].tensor)
        np.testing.assert_allclose(hidden @ found["down"].read().T + bias(found, "down"), y, atol=1e-4)
        act = activation(model)
        up = x @ found["up"].read().T + bias(found, "up")
        gated = act(x @ found["gate"].read().T + bias(found, "gate")) * up if "gate" in found else act(up)
        gated = normed(gated, found, "gains.down")
        np.testing.assert_allclose(gated, hidden, atol=1e-3)


@pytest.mark.parametrize("family", [name for name in FAMILIES if name not in ENCODERS], indirect=True)
def test_values(family: Family) -> None:
    """The first token attends to itself alone, so what o reads there is its value, once a query head."""
    anatomy, watch = family.anatomy, family.watch
    found = parts(anatomy, 1)
    x = watch.of(found["v"].tensor)[0][:1]
    groups, heads = anatomy.facts["num_key_value_heads"], anatomy.facts["num_attention_heads"]
    value = (x @ found["v"].read().T + bias(found, "v")).reshape(groups, -1)
    value = normed(np.repeat(value, heads // groups, axis=0).ravel(), found, "gains.o")
    np.testing.assert_allclose(value, watch.of(found["o"].tensor)[0][0], atol=1e-4)


@pytest.mark.parametrize("role", ["q", "k"])
def test_queries_and_keys(family: Family, role: str) -> None:
    """Without the rows of one head its attention looks at no content, and no other head changes."""
    model, anatomy, before = copy.deepcopy(family.model), family.anatomy, family.watch.attentions
    found = parts(anatomy, 0)
    groups, heads = anatomy.facts["num_key_value_heads"], anatomy.facts["num_attention_heads"]
    head = 1 if role == "q" else groups - 1
    affected = [1] if role == "q" else list(range(head * heads // groups, heads))
    with torch.no_grad():
        for name in (role, f"biases.{role}"):
            if name not in found:
                continue
            part = found[name].read().copy()
            width = part.shape[0] // (heads if role == "q" else groups)
            rows = {row.tobytes() for row in part[head * width : (head + 1) * width]}
            stored = found[name].tensor
            parameter = next(p for n, p in model.named_parameters() if n.endswith(stored) or stored.endswith(n))
            turned = found[name].lines is not None and found[name].lines.axis == 1
            lines = parameter.T if turned else parameter
            zeroed = 0
            for row in range(lines.shape[0]):
                if lines[row].detach().numpy().copy().tobytes() in rows:
                    lines[row] = 0
                    zeroed += 1
            assert zeroed == width
    changed = attentions(model)
    joint = "gains.q" in found and found["gains.q"].shape == found["q"].shape[:1]  # one norm over all heads
    others = [] if joint else [h for h in range(heads) if h not in affected]
    np.testing.assert_allclose(changed[others], before[others], atol=1e-5)
    if anatomy.facts["positions"] != "alibi" and f"norm_biases.{role}" not in found:
        causal = model.config.model_type not in ENCODERS
        flat = np.tril(np.ones((3, 3))) if causal else np.ones((3, 3))
        for h in affected:
            np.testing.assert_allclose(changed[h], flat / flat.sum(1, keepdims=True), atol=1e-3)
    assert not np.allclose(changed[affected], before[affected], atol=1e-4)


@pytest.mark.parametrize("family", MIXTURES, indirect=True)
def test_experts(family: Family) -> None:
    """Router, experts and shared expert reproduce the output of the whole block, every expert being chosen."""
    model, anatomy, watch = family.model, family.anatomy, family.watch
    found = parts(anatomy, 1)
    block = next(name for name in watch.seen if name.endswith("layers.1.mlp"))
    x, y = (array.reshape(-1, 48) for array in watch.seen[block])
    scores = np.exp(x @ found["router"].read().T)
    weights, act, total = scores / scores.sum(1, keepdims=True), activation(model), np.zeros_like(y)
    by_expert = {(part.role, part.expert): part for part in anatomy.parts if part.layer == 1}
    for expert in range(3):
        gate, up, down = (by_expert[role, expert].read() for role in ("gate", "up", "down"))
        total += weights[:, [expert]] * ((act(x @ gate.T) * (x @ up.T)) @ down.T)
    if "shared_up" in found:
        gate, up, down = (found[f"shared_{role}"].read() for role in ("gate", "up", "down"))
        share = 1 / (1 + np.exp(-x @ found["shared_router"].read().T))
        total += share * ((act(x @ gate.T) * (x @ up.T)) @ down.T)
    np.testing.assert_allclose(total, y, atol=1e-3)


def test_norm_gains(family: Family) -> None:
    """A gain reproduces its module's output from its normalised input, biases included."""
    model, anatomy, watch = family.model, family.anatomy, family.watch
    names = ("rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "norm_eps", "norm_epsilon")
    eps = next((getattr(model.config, name) for name in names if hasattr(model.config, name)), 1e-5)
    tested = 0
    shifts = [part for part in anatomy.parts if part.role.startswith("norm_biases.")]
    biases = {(part.role.removeprefix("norm_biases."), part.layer): part for part in shifts}
    for part in anatomy.parts:
        name = part.role.removeprefix("gains.")
        if not part.role.startswith("gains.") or name in ("q", "k", "o", "down"):
            continue
        x, y = watch.of(part.tensor)
        if anatomy.facts["norm"] == "layer":
            x = x - x.mean(1, keepdims=True)
        normal = x / np.sqrt((x**2).mean(1, keepdims=True) + eps)
        shift = biases[name, part.layer].read() if (name, part.layer) in biases else 0.0
        np.testing.assert_allclose(normal * part.read() + shift, y, atol=1e-3)
        tested += 1
    assert tested >= 3 or not any("norm" in name for name, _ in model.named_parameters())


def test_every_family_is_here() -> None:
    """Each table is tested by at least one of its model types; some in test_gguf, test_multimodal (those of components, too),
    test_remote_code, test_borrowed_types and test_foreign."""
    tried = {model_type(name) for name in (*FAMILIES, *MIXED, *MIXERS, *families.MIXTURES)} | {
        str(remote.config["model_type"]) for remote in REMOTE.values()
    }
    elsewhere = ("gguf", "mllama", "qwen3_vl", "squeezebert", "litgpt", "clip_text")
    tables = [table for table in known() if not table.component and not table.family.startswith(elsewhere)]
    assert {table.family for table in tables if not tried & set(table.model_types)} == set()
