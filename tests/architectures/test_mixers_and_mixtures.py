"""Mixers in the place of attention, and mixtures of experts: what a table extracts is what the real implementation computes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from families import MIXERS, MIXTURES, random_model
from running import Run
from shares import every

from kinprint import compare

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

Array = np.ndarray[Any, Any]
NAMES = [*MIXERS, *MIXTURES]

LINEAR = ["linear attention", "linear attention", "attention"]
EMBEDDED = "attention + embedding of every layer"
KINDS = {
    "qwen3_5_text": [f"{kind} + dense" for kind in LINEAR],
    "qwen3_5_moe_text": [f"{kind} + experts" for kind in LINEAR],
    "qwen4_exp_text": [
        "embedding of n-grams + hyper-connections + linear attention + experts",
        "hyper-connections + linear attention + experts",
        "attention + hyper-connections + sparse attention indexer + experts",
    ],
    "kimi_linear": ["linear attention + dense", "linear attention + experts", "attention + experts"],
    "bailing_hybrid": ["linear attention + dense", "linear attention + experts", "attention + attention gate + experts"],
    "lfm2": ["short convolution + dense", "attention + dense", "short convolution + dense"],
    "lfm2_moe": ["short convolution + dense", "attention + experts", "short convolution + experts"],
    "lfm3": ["short convolution + dense", *["attention + attention gate + dense"] * 2],
    "mamba": ["mamba mixer"] * 3,
    "falcon_mamba": ["mamba mixer"] * 3,
    "mamba2": ["mamba mixer"] * 3,
    "zamba": ["mamba mixer", *["mamba mixer", "mamba mixer + shared attention block"] * 2],
    "zamba2": ["mamba mixer", *["mamba mixer", "mamba mixer + shared attention block"] * 2],
    "recurrent_gemma": ["linear recurrence + dense", "linear recurrence + dense", "attention + dense"],
    "rwkv": ["gate of the FFN + time mixing + dense"] * 3,
    "xlstm": ["matrix memory + dense"] * 3,
    "hrm_text": ["attention + dense"] * 4,
    "minimax": ["attention + experts", "linear attention + experts", "attention + experts"],
    "olmo_hybrid": [f"{kind} + dense" for kind in LINEAR],
    "zaya": ["convolutional attention + router + experts"] * 3,
    "inkling_text": [
        "attention + relative positions + short convolution + dense",
        *["attention + relative positions + shared experts + short convolution + experts"] * 2,
    ],
    "inkling2_text": [
        *["attention + attention sinks + relative positions + short convolution + experts"] * 2,
        "attention sinks + attention with norms of its own + relative positions + short convolution + experts",
    ],
    "axk2": [f"gate of a norm + gated queries + sparse attention indexer + {ffn}" for ffn in ("dense", "experts", "experts")],
    "dbrx": ["attention + experts in one matrix"] * 3,
    "deepseek_v32": [f"attention + sparse attention indexer + {ffn}" for ffn in ("dense", "experts", "experts")],
    "glm_moe_dsa": [f"attention + sparse attention indexer + {ffn}" for ffn in ("dense", "experts", "experts")],
    "deepseek_v4": ["compressed attention + hyper-connections + experts"] * 3,
    "doge-moe": ["attention + dynamic mask + neurons that are looked up + scaled residual stream + dense"] * 3,
    "dots3_note_text": [
        "latent attention + sparse attention indexer + dense",
        *["latent attention + experts"] * 2,
    ],
    "gemma3n_text": [f"{EMBEDDED} + low-rank branch (LAuReL) + streams (AltUp) + dense"] * 4,
    "gemma4_text": [f"{EMBEDDED} + dense"] * 4,
    "gemma4_text-moe": ["attention + FFN beside the experts + router with a scale of its own + experts"] * 4,
    "gemma4_unified_text": ["attention + dense"] * 4,
    "hy_v4": [
        "attention + hyper-connections + sparse attention indexer + dense",
        "attention + hyper-connections + sparse attention indexer + experts",
        "attention + hyper-connections + experts",
    ],
    "jetmoe": ["experts of attention + experts"] * 3,
    "laguna": [f"attention + attention gate + {ffn}" for ffn in ("dense", "experts", "experts")],
    "longcat_flash": ["attention + experts"] * 2 + ["attention + dense"] * 2,
    "youtu": ["attention + dense"] * 3,
}
DENSE_THEN_EXPERTS = ["attention + dense", "attention + experts", "attention + experts"]
ALL_EXPERTS = ("aria_text", "flex_olmo", "granitemoe_swa", "hunyuan_v1_moe", "kolibri1", "minimax_m2", "phimoe", "solar_open")
KINDS |= {name: ["attention + experts"] * 3 for name in ALL_EXPERTS}
KINDS |= {name: DENSE_THEN_EXPERTS for name in NAMES if name not in KINDS}

LATENT = {
    "deepseek_v32",
    "axk1",
    "glm_moe_dsa",
    "glm4_moe_lite",
    "youtu",
    "kimi_linear",
    "bailing_hybrid",
    "longcat_flash",
    "hy_v4",
}
"""Keys and values pass through a latent."""

SCALED = {
    "mimo_v2_flash",
    "gemma3n_text",
    "gemma4_text",
    "gemma4_unified_text",
    "bailing_hybrid",
    "lfm3",
    "laguna",
    "gemma4_text-moe",
    "longcat_flash",
}
"""What o reads is values times a number for every head: a constant, what a norm divides by, or a gate."""

UNEVEN_LAYERS = {"laguna", "mimo_v2_flash"}
"""Layers have different numbers of heads."""

CONVOLVED = {"inkling_text", "inkling2_text"}
"""Keys and values pass through a convolution."""

ATTENTION = [name for name in NAMES if name != "hrm_text" and any("attention" in kind.split(" + ") for kind in KINDS[name])]
"""Families with layers of attention whose queries have a role."""

MIXING = [*(name for name in MIXERS if name != "hrm_text"), "qwen3_next", "bamba", "granitemoehybrid", "granitemoehybrid-dense"]
MIXING += ["nemotron_h", "falcon_h1", "jamba"]
"""Families with mixers that have roles."""


@pytest.mark.parametrize("name", NAMES)
def test_every_tensor_is_accounted_for(name: str, runs: Callable[[str], Run]) -> None:
    """Every entry has a role once, or its tensor is listed as skipped; of every layer it is known what it is made of."""
    run = runs(name)
    assert run.anatomy.unknown == ()
    assert run.anatomy.facts["layer_kinds"] == KINDS[name]
    without = (*run.anatomy.skipped, *run.anatomy.buffers)
    skipped = sum(int(np.prod(run.checkpoint.tensors[tensor].shape)) for tensor in without)
    stored = sum(int(np.prod(tensor.shape)) for tensor in run.checkpoint.tensors.values())
    assert sum(int(np.prod(part.shape)) for part in run.anatomy.parts) + skipped == stored
    for kind in {word for line in KINDS[name] for word in line.split(" + ")} - {"attention", "dense", "experts"}:
        assert any(note.startswith((f"not measured: {kind}", f"measured in part: {kind}")) for note in run.anatomy.notes)


@pytest.mark.parametrize("name", ATTENTION)
def test_attention_outputs(name: str, runs: Callable[[str], Run]) -> None:
    """o reproduces its module; what o reads at a first token that attends to itself alone is its value, once a query head."""
    run = runs(name)
    heads, groups = run.anatomy.facts["num_attention_heads"], run.anatomy.facts["num_key_value_heads"]
    checked = 0
    for layer in (layer for layer, kind in enumerate(KINDS[name]) if "attention" in kind.split(" + ")):
        part = run.parts[layer, "o", None]
        x, y = run.of(part.tensor)
        np.testing.assert_allclose(x @ run.read(layer, "o").T + run.bias(layer, "o"), y, atol=1e-4)
        if name in CONVOLVED or not {(layer, "v", None), (layer, "v_up", None)} & run.parts.keys():
            continue
        if name in LATENT:
            latent, _ = run.of(run.parts[layer, "kv_down", None].tensor)
            value = compressed(run, layer, latent)[:1] @ run.read(layer, "v_up").T
        else:
            shapes = (run.parts[layer, role, None].shape[0] // run.anatomy.facts["head_dim"] for role in ("q", "k"))
            if name in UNEVEN_LAYERS and tuple(shapes) != (heads, groups):
                continue
            value = run.of(run.parts[layer, "v", None].tensor)[0][:1] @ run.read(layer, "v").T + run.bias(layer, "v")
        value = np.repeat(value.reshape(groups, -1), heads // groups, axis=0)
        seen = x[0].reshape(heads, -1)
        if (layer, "attention_gate", None) in run.parts:
            gate = run.of(run.parts[layer, "attention_gate", None].tensor)[0][:1] @ run.read(layer, "attention_gate").T
            value = value / (1 + np.exp(-gate.reshape(heads, -1)))
        if (layer, "biases.sinks", None) in run.parts or name in SCALED:  # the sink takes a share of the attention
            shares = (seen * value).sum(1, keepdims=True) / (value**2).sum(1, keepdims=True)
            assert (shares > 0).all()
            assert name in SCALED or (shares < 1).all()
            value = value * shares
        np.testing.assert_allclose(value, seen, atol=1e-4)
        checked += 1
    assert checked or name in CONVOLVED


def compressed(run: Run, layer: int, x: Array, role: str = "kv") -> Array:
    """(tokens, latent) what keys and values (or queries) are made from, in DeepSeek's order: down, norm, gain."""
    down = x @ run.read(layer, f"{role}_down").T + run.bias(layer, f"{role}_down")
    normal = down / np.sqrt((down**2).mean(1, keepdims=True) + getattr(run.model.config, "rms_norm_eps", 1e-6))
    return np.asarray(normal * run.read(layer, f"gains.{role}_latent"))


@pytest.mark.parametrize("role", ["q", "k"])
@pytest.mark.parametrize("name", [name for name in ATTENTION if name not in LATENT])
def test_queries_and_keys(name: str, role: str, tmp_path: Path) -> None:
    """Without the rows of one head its attention looks at no content, and no other head changes."""
    run = Run(name, tmp_path)
    heads, groups = run.anatomy.facts["num_attention_heads"], run.anatomy.facts["num_key_value_heads"]
    keys = {layer: run.parts[layer, "k", None].shape[0] for layer in range(len(KINDS[name])) if (layer, "k", None) in run.parts}
    layer = next(layer for layer, rows in keys.items() if rows == groups * run.anatomy.facts["head_dim"])
    head = 1 if role == "q" else groups - 1
    affected = [1] if role == "q" else list(range(head * heads // groups, heads))
    before = attended(run.output, layer, KINDS[name])
    with torch.no_grad():
        for kind in (role, f"biases.{role}"):
            if (layer, kind, None) not in run.parts:
                continue
            part = run.parts[layer, kind, None]
            width = part.shape[0] // (heads if role == "q" else groups)
            mine = {row.tobytes() for row in part.read()[head * width : (head + 1) * width]}
            stored = run.in_memory(part.tensor)
            parameter = next(p for n, p in run.model.named_parameters() if n.endswith(stored) or stored.endswith(n))
            gone = [n for n, row in enumerate(parameter) if row.detach().numpy().copy().tobytes() in mine]
            assert len(gone) == width
            parameter[gone] = 0
    after = attended(run(), layer, KINDS[name])
    joint = (layer, "gains.q", None) in run.parts and run.parts[layer, "gains.q", None].shape[0] > width  # over all heads
    others = [h for h in range(heads) if h not in affected and not joint]
    np.testing.assert_allclose(after[others], before[others], atol=1e-5)
    assert not np.allclose(after[affected], before[affected], atol=1e-4)
    if "doge" not in name and name not in CONVOLVED:  # whose biases stay
        np.testing.assert_allclose(after[affected][:, -1], after[affected][:, -1:, 0].repeat(after.shape[-1], 1), atol=1e-5)


def attended(output: Any, layer: int, kinds: list[str]) -> Array:
    """(heads, tokens, tokens) attention of a layer; the library may list layers with attention only."""
    listed = output.attentions
    if len(listed) < len(kinds):
        layer = [n for n, kind in enumerate(kinds) if "attention" in kind.split(" + ")].index(layer)
    return np.asarray(listed[layer][0].detach().numpy())


@pytest.mark.parametrize("name", MIXING)
def test_mixers(name: str, tmp_path: Path) -> None:
    """Without the first half of the rows of one role, the first half of what a mixer writes from changes, and is gone if these
    are values or input; the other half does not, but for the size that a norm over both may give it."""
    run = Run(name, tmp_path)
    layer = min(place[0] for place in run.parts if place[1] == "mixer_out" and place[0] is not None)
    writer = run.parts[layer, "mixer_out", None].tensor
    x, y = run.of(writer)
    np.testing.assert_allclose(x @ run.read(layer, "mixer_out").T + run.bias(layer, "mixer_out"), y, atol=1e-4)
    parameters = dict(run.model.named_parameters())
    with torch.no_grad():
        for called, parameter in parameters.items():
            if "conv" in called and called.endswith("bias"):
                parameter.zero_()
        run()
        before = run.of(writer)[0]
        half = before.shape[1] // 2
        tried = 0
        for role in ("mixer_q", "mixer_k", "mixer_v", "mixer_in", "mixer_gate"):
            if (layer, role, None) not in run.parts:
                continue
            tried += 1
            saved = {called: parameter.clone() for called, parameter in parameters.items()}
            for kind in (role, f"biases.{role}"):
                if (layer, kind, None) not in run.parts:
                    continue
                part = run.parts[layer, kind, None]
                rows = {row.tobytes() for row in part.read()[: part.shape[0] // 2]}
                parameter = parameters[run.in_memory(part.tensor)]
                gone = [n for n, row in enumerate(parameter) if row.detach().numpy().copy().tobytes() in rows]
                assert len(gone) == part.shape[0] // 2
                parameter[gone] = 0
            run()
            after = run.of(writer)[0]
            for called, parameter in parameters.items():
                parameter.copy_(saved[called])
            assert not np.allclose(after[:, :half], before[:, :half], atol=1e-4)
            if role in ("mixer_v", "mixer_in"):
                np.testing.assert_allclose(after[:, :half], 0, atol=1e-6)
            if role == "mixer_in" and name in ("jamba", "mamba", "falcon_mamba"):
                continue  # what a Mamba mixer makes of states and steps depends on all of its input
            sizes = (after[:, half:] * before[:, half:]).sum(1) / (before[:, half:] ** 2).sum(1)
            np.testing.assert_allclose(after[:, half:], before[:, half:] * sizes[:, None], atol=1e-4)
    assert tried >= 2


@pytest.mark.parametrize("name", NAMES)
def test_dense_ffn(name: str, runs: Callable[[str], Run]) -> None:
    """gate and up reproduce what down reads, and down its module's output."""
    run = runs(name)
    dense = [layer for layer, kind in enumerate(KINDS[name]) if kind.endswith("dense")]
    if name in ("minimax_m3_vl_text", "hrm_text"):
        return  # (up + 1) times its gate, as in its experts; fused in the file alone
    for layer in dense:
        hidden, y = run.of(run.parts[layer, "down", None].tensor)
        np.testing.assert_allclose(hidden @ run.read(layer, "down").T + run.bias(layer, "down"), y, atol=1e-3)
        x, _ = run.of(run.parts[layer, "up", None].tensor)
        up = x @ run.read(layer, "up").T + run.bias(layer, "up")
        if (layer, "gate", None) not in run.parts:
            np.testing.assert_allclose(run.act(up), hidden, atol=1e-3)
            continue
        gate = x @ run.read(layer, "gate").T + run.bias(layer, "gate")
        np.testing.assert_allclose(run.act(gate) * up, hidden, atol=1e-3)


@pytest.mark.parametrize(
    "name", [name for name, kinds in KINDS.items() if name != "jetmoe" and any(kind.endswith(" experts") for kind in kinds)]
)
def test_experts(name: str, runs: Callable[[str], Run]) -> None:
    """An expert alone computes what its gate, up and down say; so does what is shared."""
    run = runs(name)
    layer = KINDS[name].index(next(kind for kind in KINDS[name] if kind.endswith(" experts")))
    ends = tuple(f"layers.{layer}.{block}experts" for block in ("mlp.", "feed_forward.", "block_sparse_moe.", ""))
    module = next(module for name, module in run.model.named_modules() if name.endswith(ends))
    x = np.random.default_rng(0).normal(size=(5, 64))
    for expert in (0, 3):
        gate, up, down = (run.read(layer, role, expert) for role in ("gate", "up", "down"))
        g, u = (x @ m.T + run.bias(layer, role, expert) for m, role in ((gate, "gate"), (up, "up")))
        if name == "inkling2_text":
            expected = (4 * np.tanh(g / 4) / (1 + np.exp(-g)) * 25 * np.tanh(u / 25)) @ down.T
        elif name == "minimax_m3_vl_text":
            g, u = g.clip(max=7.0), u.clip(-7.0, 7.0)
            expected = (g / (1 + np.exp(-1.702 * g)) * (u + 1)) @ down.T + run.bias(layer, "down", expert)
        else:
            expected = (run.act(g) * u) @ down.T
        inputs = torch.from_numpy(x).float()
        with torch.no_grad():
            if name == "llama4_text":
                found = module(inputs.repeat(4, 1)).view(4, 5, -1)[expert]
            else:
                chosen = torch.full((5, 2), expert)  # twice: LongCat's cannot be chosen once
                found = module(inputs, chosen, torch.full((5, 2), 0.5))
        np.testing.assert_allclose(found.double().numpy(), expected, atol=1e-3)
    if (layer, "shared_down", None) in run.parts:
        hidden, y = run.of(run.parts[layer, "shared_down", None].tensor)
        np.testing.assert_allclose(hidden @ run.read(layer, "shared_down").T, y, atol=1e-3)
        x, _ = run.of(run.parts[layer, "shared_up", None].tensor)
        gated = run.act(x @ run.read(layer, "shared_gate").T) * (x @ run.read(layer, "shared_up").T)
        assert name == "minimax_m3_vl_text" or np.allclose(gated, hidden, atol=1e-3)
    assert (layer, "router", None) not in run.parts or run.read(layer, "router").shape == (4, 64)


@pytest.mark.parametrize("name", NAMES)
def test_norm_gains(name: str, runs: Callable[[str], Run]) -> None:
    """A gain reproduces its module's output from its normalised input."""
    run = runs(name)
    names = ("rms_norm_eps", "norm_eps", "layer_norm_epsilon", "layer_norm_eps")
    eps = next((getattr(run.model.config, name) for name in names if getattr(run.model.config, name, None)), 1e-5)
    tested = 0
    for part in run.anatomy.parts:
        if not part.role.startswith("gains.") or part.role in ("gains.q", "gains.k"):
            continue
        x, y = run.of(part.tensor)
        if run.anatomy.facts["norm"] == "layer":
            x = x - x.mean(1, keepdims=True)
        place = part.layer, part.role.replace("gains", "norm_biases"), None
        shift = run.parts[place].read() if place in run.parts else 0.0
        np.testing.assert_allclose(x / np.sqrt((x**2).mean(1, keepdims=True) + eps) * part.read() + shift, y, atol=2e-3)
        tested += 1
    assert tested >= 3 or name in ("hrm_text", "qwen4_exp_text")  # whose norms have no gains, or stand between streams


def test_what_a_file_fuses(runs: Callable[[str], Run]) -> None:
    """HRM keeps four matrices in one tensor, of which the library makes four modules; the stack of slow layers comes second."""
    run = runs("hrm_text")
    for layer in range(4):
        module = (run.model.model.L_module, run.model.model.H_module)[layer // 2].layers[layer % 2]
        found = {"q": "q_proj", "k": "k_proj", "v": "v_proj", "o": "o_proj", "attention_gate": "gate_proj"}
        for role, name in found.items():
            np.testing.assert_array_equal(run.read(layer, role), getattr(module.self_attn, name).weight.detach().numpy())
        for role in ("gate", "up", "down"):
            np.testing.assert_array_equal(run.read(layer, role), getattr(module.mlp, f"{role}_proj").weight.detach().numpy())


RELATED = ["qwen3_5_text", "kimi_linear", "mamba2", "rwkv", "minimax", "gemma4_text-moe", "longcat_flash", "deepseek_v4"]


@pytest.mark.parametrize("name", every(2, RELATED))
def test_related_and_not(name: str, runs: Callable[[str], Run], tmp_path: Path) -> None:
    """A copy with noise is related, a model from another seed is not, by all methods that apply."""
    run = runs(name)
    noised, other = random_model(name), random_model(name, seed=7)
    with torch.no_grad():
        for parameter in noised.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05 * parameter.std().nan_to_num(0.1))
    for label, model in (("noised", noised), ("other", other)):
        model.save_pretrained(tmp_path / label)
    assert compare(run.checkpoint.source, tmp_path / "noised", deep=True).verdict == "related"
    assert compare(run.checkpoint.source, tmp_path / "other", deep=True).verdict == "no-evidence"
