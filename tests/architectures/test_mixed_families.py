"""Latents, layers of different kinds, two stacks: what a table extracts is what the real implementation multiplies by."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from families import ENCODERS, MIXED, SEQ2SEQ, random_model
from running import Run
from safetensors.numpy import save_file
from shares import every

from kinprint import compare, fingerprint, transforms
from kinprint.architectures import recognise
from kinprint.checkpoints import Checkpoint, open_checkpoint
from kinprint.errors import ArchitectureError, TransformError
from kinprint.methods import known

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

Array = np.ndarray[Any, Any]

DENSE_THEN_EXPERTS = ["attention + dense", "attention + experts", "attention + experts"]
TWO = ["attention + dense"] * 2
RELATIVE = ["attention + relative positions + dense"] * 2
MAMBA = ["mamba mixer + dense", "attention + dense", "mamba mixer + dense"]
MIXTURE = ["attention + dense", "attention + experts"]
DECODER = "attention + cross-attention + dense"
KINDS = {
    "deepseek_v2": DENSE_THEN_EXPERTS,
    "deepseek_v2-plain_queries": DENSE_THEN_EXPERTS,
    "deepseek_v3": DENSE_THEN_EXPERTS,
    "minicpm3": ["attention + dense"] * 3,
    "glm4_moe": DENSE_THEN_EXPERTS,
    "gpt_oss": ["attention + experts"] * 3,
    "llama4_text": ["attention + dense", "attention + experts", "attention + dense"],
    "qwen3_next": ["linear attention + experts", "linear attention + experts", "attention + experts"],
    "bamba": MAMBA,
    "granitemoe": ["attention + experts"] * 3,
    "granitemoehybrid": ["mamba mixer + experts", "attention + experts", "mamba mixer + experts"],
    "granitemoehybrid-dense": MAMBA,
    "nemotron_h": ["mamba mixer", "dense", "attention", "dense", "mamba mixer"],
    "falcon_h1": ["attention + mamba mixer + dense"] * 3,
    "jamba": ["mamba mixer + dense", "attention + experts", "mamba mixer + dense"],
    "t5": ["attention + dense"] * 2 + [DECODER] * 3,
    "t5-ungated": ["attention + dense"] * 2 + [DECODER] * 2,
    "mt5": ["attention + dense"] * 2 + [DECODER] * 2,
    "umt5": ["attention + dense"] * 2 + [DECODER] * 2,
    "modernbert": ["attention + dense"] * 3,
    "modernbert-decoder": ["attention + dense"] * 3,
    "deberta": RELATIVE,
    "longformer": ["attention + global attention + dense"] * 2,
    "xlnet": ["attention + relative positions + relative segments + dense"] * 2,
    "funnel": ["attention + relative positions + relative segments + dense"] * 5,
    "pegasus_x": ["attention + global tokens + dense"] * 2 + [DECODER] * 3,
    "nllb-moe": [*MIXTURE[:2], DECODER, DECODER.replace("dense", "experts"), DECODER],
    "led": ["attention + global attention + dense"] * 2 + [DECODER] * 3,
    "prophetnet": TWO + [DECODER.replace("dense", "relative positions + dense")] * 3,
    "longt5": ["attention + global tokens + dense"] * 2 + [DECODER] * 2,
    "switch_transformers": [*MIXTURE[:2], DECODER, DECODER.replace("dense", "experts")],
    "granite_swa": ["attention + dense"] * 3,
    "diffllama": ["attention + differential attention + dense"] * 3,
    "doge": ["attention + dynamic mask + scaled residual stream + dense"] * 3,
    "cpmant": ["attention + dense"] * 3,
}
KINDS |= {name: TWO + ([DECODER] * 3 if name in SEQ2SEQ else []) for name in MIXED if name not in KINDS}
SINKS = ("gpt_oss", "granite_swa")
PROMPTED = ("cpmant",)
"""Tokens of a prompt stand in front of all others, which attend to them."""

LATENT = [name for name in MIXED if name.startswith(("deepseek", "minicpm"))]


def encoders(name: str) -> int:
    """How many layers attend to all tokens: those of an encoder."""
    if name in SEQ2SEQ:
        return sum("cross-attention" not in kind for kind in KINDS[name])
    return len(KINDS[name]) if name in ENCODERS else 0


MEASURED = {"attention", "cross-attention", "dense", "experts"}


@pytest.mark.parametrize("name", MIXED)
def test_every_tensor_is_accounted_for(name: str, runs: Callable[[str], Run]) -> None:
    """Every entry has a role once, or its tensor is listed as skipped; of every layer it is known what it is made of."""
    run = runs(name)
    assert run.anatomy.unknown == ()
    assert run.anatomy.facts["layer_kinds"] == KINDS[name]
    beside = (*run.anatomy.skipped, *run.anatomy.buffers)
    skipped = sum(int(np.prod(run.checkpoint.tensors[tensor].shape)) for tensor in beside)
    stored = sum(int(np.prod(tensor.shape)) for tensor in run.checkpoint.tensors.values())
    assert sum(int(np.prod(part.shape)) for part in run.anatomy.parts) + skipped == stored
    for kind in {word for line in KINDS[name] for word in line.split(" + ")} - MEASURED:
        assert any(kind in note and ("not measured" in note or "measured in part" in note) for note in run.anatomy.notes)


@pytest.mark.parametrize("name", MIXED)
def test_attention_outputs(name: str, runs: Callable[[str], Run]) -> None:
    """o reproduces its module; what o reads at a first token that attends to itself alone is its value, once a query head."""
    run = runs(name)
    heads, groups = run.anatomy.facts["num_attention_heads"], run.anatomy.facts["num_key_value_heads"]
    checked = 0
    for layer in (layer for layer, kind in enumerate(KINDS[name]) if "attention" in kind.split(" + ")):
        if name == "xlnet":  # which has no module for o: `test_attention_of_xlnet`
            continue
        if name == "diffllama":
            return  # outputs are not those of single heads, and have no role
        x, y = run.of(run.parts[layer, "o", None].tensor)
        np.testing.assert_allclose(x @ run.read(layer, "o").T + run.bias(layer, "o"), y, atol=1e-4)
        if layer < encoders(name) or name in PROMPTED:
            continue  # the first token attends to all
        if name in LATENT:
            latent, _ = run.of(run.parts[layer, "kv_down", None].tensor)
            value = compressed(run, layer, latent)[:1] @ run.read(layer, "v_up").T
        else:
            value = run.of(run.parts[layer, "v", None].tensor)[0][:1] @ run.read(layer, "v").T + run.bias(layer, "v")
        value = np.repeat(value.reshape(groups, -1), heads // groups, axis=0)
        seen = x[0].reshape(heads, -1)
        if name == "qwen3_next":
            gate = run.of(run.parts[layer, "attention_gate", None].tensor)[0][:1] @ run.read(layer, "attention_gate").T
            value = value / (1 + np.exp(-gate.reshape(heads, -1)))
        if name in SINKS:  # the sink takes a share of the attention
            shares = (seen * value).sum(1, keepdims=True) / (value**2).sum(1, keepdims=True)
            assert ((shares > 0) & (shares < 1)).all()
            value = value * shares
        np.testing.assert_allclose(value, seen, atol=1e-4)
        checked += 1
    assert checked or name in ENCODERS or name in PROMPTED


def test_attention_of_xlnet(runs: Callable[[str], Run]) -> None:
    """Values, weighted as the library says and written by o, are what the norm behind attention reads beside the stream."""
    run = runs("xlnet")
    for layer in range(2):
        x, _ = run.of(f"transformer.layer.{layer}.rel_attn.q")
        values = split(x @ run.read(layer, "v").T, 12, 4)
        weights = run.output.attentions[layer][0].double().numpy()
        written = (weights @ values).swapaxes(0, 1).reshape(len(x), -1) @ run.read(layer, "o").T
        read, _ = run.of(run.parts[layer, "gains.post_attention", None].tensor)
        np.testing.assert_allclose(x + written, read, atol=1e-4)


@pytest.mark.parametrize("name", sorted(SEQ2SEQ & MIXED.keys()))
def test_cross_attention(name: str, runs: Callable[[str], Run]) -> None:
    """Queries of the decoder's stream on keys and values of the encoder's are what cross_o reads, and it writes what its module
    writes."""
    run = runs(name)
    heads = run.anatomy.facts["num_attention_heads"]
    checked = 0
    for layer in (layer for layer, kind in enumerate(KINDS[name]) if "cross-attention" in kind):
        made = {}
        for role in ("cross_q", "cross_k", "cross_v", "cross_o"):
            x, y = run.of(run.parts[layer, role, None].tensor)
            made[role] = x @ run.read(layer, role).T + run.bias(layer, role)
            np.testing.assert_allclose(made[role], y, atol=1e-3)
        q, k, v = (split(made[f"cross_{role}"], run.anatomy.facts["head_dim"], heads) for role in "qkv")
        size = 1.0 if run.anatomy.family in ("t5", "umt5", "longt5", "switch_transformers") else q.shape[-1] ** -0.5
        scores = q @ k.swapaxes(1, 2) * size
        if name == "t5gemma":
            scores = np.tanh(q @ k.swapaxes(1, 2) / 16 / 50) * 50  # query_pre_attn_scalar 256, capped
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        read = (weights / weights.sum(-1, keepdims=True) @ v).swapaxes(0, 1).reshape(len(made["cross_q"]), -1)
        np.testing.assert_allclose(read, run.of(run.parts[layer, "cross_o", None].tensor)[0], atol=1e-3)
        checked += 1
    assert checked == len(KINDS[name]) - encoders(name) > 0


def split(array: Array, width: int, heads: int) -> Array:
    """(tokens, heads * width) by head, (heads, tokens, width); key-value heads are repeated for the queries that share them."""
    by_head = array.reshape(len(array), -1, width).swapaxes(0, 1)
    return np.repeat(by_head, heads // len(by_head), axis=0)


def compressed(run: Run, layer: int, x: Array, role: str = "kv") -> Array:
    """(tokens, latent) what keys and values (or queries) are made from, in DeepSeek's order: down, norm, gain."""
    down = x @ run.read(layer, f"{role}_down").T + run.bias(layer, f"{role}_down")
    normal = down / np.sqrt((down**2).mean(1, keepdims=True) + getattr(run.model.config, "rms_norm_eps", 1e-6))
    return np.asarray(normal * run.read(layer, f"gains.{role}_latent"))


@pytest.mark.parametrize("name", LATENT)
def test_content_part_of_latent_attention(name: str, tmp_path: Path) -> None:
    """Without the rotary rows of one head its attention is the softmax of content queries times content keys."""
    run = Run(name, tmp_path)
    layer, head, facts = 1, 2, run.anatomy.facts
    attention = run.model.model.layers[layer].self_attn
    projection = attention.q_b_proj if attention.q_lora_rank else attention.q_proj
    with torch.no_grad():
        projection.weight.view(facts["num_attention_heads"], -1, projection.weight.shape[1])[head, facts["head_dim"] :] = 0
    attended = run().attentions[layer][0, head].double().numpy()
    x, _ = run.of(run.parts[layer, "kv_down", None].tensor)
    rows = slice(head * facts["head_dim"], (head + 1) * facts["head_dim"])
    if attention.q_lora_rank:
        queries = compressed(run, layer, x, "q") @ run.read(layer, "q_up")[rows].T
    else:
        queries = x @ run.read(layer, "q")[rows].T
    keys = compressed(run, layer, x) @ run.read(layer, "k_up")[rows].T
    scores = np.where(np.tri(len(x)) > 0, queries @ keys.T * float(attention.scaling), -np.inf)
    weights = np.exp(scores - scores.max(1, keepdims=True))
    np.testing.assert_allclose(weights / weights.sum(1, keepdims=True), attended, atol=1e-4)


@pytest.mark.parametrize("name", LATENT)
def test_spectra_of_latent_heads(name: str, runs: Callable[[str], Run]) -> None:
    """What is computed from factors is the singular values of the products multiplied out: for the layer as they are stored, by
    head in folded form, the gain in front folded in and the size that the latent's norm divides out left open."""
    run = runs(name)
    traits = fingerprint(run.checkpoint.source, scores=True).traits
    for layer in range(3):
        q = run.read(layer, "q") if (layer, "q", None) in run.parts else multiplied_out(run, layer, "q")
        k, v, o = multiplied_out(run, layer, "k"), multiplied_out(run, layer, "v"), run.read(layer, "o").T
        gain = run.read(layer, "gains.input")
        for trait, left, right in (("qk", q, k), ("vo", o, v)):
            products = [a.T @ b for a, b in zip(np.split(left, 4), np.split(right, 4), strict=True)]
            found = traits[f"heads.{trait}_spectrum"][layer]
            folded = [product * gain * (gain[:, None] if trait == "qk" else 1) for product in products]
            values = np.stack([np.linalg.svd(p, compute_uv=False)[: found.shape[1]] for p in folded])
            np.testing.assert_allclose(found / found.max(), values / values.max(), rtol=1e-3, atol=1e-4)
            whole = traits[f"products.{trait}_spectrum"][layer]
            dense = np.linalg.svd(sum(products), compute_uv=False)
            np.testing.assert_allclose(whole, dense[: len(whole)], rtol=1e-3, atol=1e-4 * dense.max())
            assert dense[len(whole) :].max(initial=0.0) < 1e-6 * dense.max()


def multiplied_out(run: Run, layer: int, role: str) -> Array:
    name = "q" if role == "q" else "kv"
    down = run.read(layer, f"gains.{name}_latent")[:, None] * run.read(layer, f"{name}_down")
    return run.read(layer, f"{role}_up") @ down


@pytest.mark.parametrize("role", ["q", "k"])
@pytest.mark.parametrize("name", [name for name in MIXED if name not in LATENT])
def test_queries_and_keys(name: str, role: str, tmp_path: Path) -> None:
    """Without the rows of one head its attention looks at no content, and no other head changes."""
    run = Run(name, tmp_path)
    layer = next(layer for layer, kind in enumerate(KINDS[name]) if "attention" in kind.split(" + "))
    layer = encoders(name) if name in WINDOWED else layer
    heads, groups = run.anatomy.facts["num_attention_heads"], run.anatomy.facts["num_key_value_heads"]
    head = 1 if role == "q" else groups - 1
    affected = [1] if role == "q" else list(range(head * heads // groups, heads))
    before = attended(run.output, name, layer, KINDS[name])
    with torch.no_grad():
        for kind in (role, f"biases.{role}"):
            if (layer, kind, None) not in run.parts:
                continue
            part = run.parts[layer, kind, None]
            width = part.shape[0] // (heads if role == "q" else groups)
            mine = {row.tobytes() for row in part.read()[head * width : (head + 1) * width]}
            found = [lines[n] for lines in rows_of(run.model) for n in range(len(lines)) if as_bytes(lines[n]) in mine]
            assert len(found) == width
            for row in found:
                row.zero_()
    after = attended(run(), name, layer, KINDS[name])
    others = [h for h in range(heads) if h not in affected]
    np.testing.assert_allclose(after[others], before[others], atol=1e-5)
    assert not np.allclose(after[affected], before[affected], atol=1e-4)
    after = after[..., :3] if name == "longformer" else after  # the window around the last token
    if run.anatomy.facts["positions"] not in ("bias", "shared_bias", "relative") and name not in (
        "prophetnet",
        "doge",
    ):  # which stay
        np.testing.assert_allclose(after[affected][:, -1], after[affected][:, -1:, 0].repeat(after.shape[-1], 1), atol=1e-5)


def rows_of(model: Any) -> list[Any]:
    """Every parameter as rows of outputs: vectors entry by entry, and those with axes for heads in both directions."""
    found = [parameter.data for parameter in model.parameters()]
    heads = [array.reshape(len(array), -1).T for array in found if array.ndim == 3]
    return [array.reshape(-1, *array.shape[1:]) for array in found if array.ndim in (1, 2)] + heads


def as_bytes(row: Any) -> bytes:
    return bytes(np.ascontiguousarray(row.numpy()).tobytes())


WINDOWED = ("longt5", "pegasus_x", "led")
"""Families whose encoder's attention is listed by window: their decoder is looked at."""


def attended(output: Any, name: str, layer: int, kinds: list[str]) -> Array:
    """(heads, tokens, tokens) attention of a layer; the library may list layers with attention only."""
    listed = (*output.encoder_attentions, *output.decoder_attentions) if name in SEQ2SEQ else output.attentions
    if len(listed) < len(kinds):
        layer = [n for n, kind in enumerate(kinds) if "attention" in kind.split(" + ")].index(layer)
    return np.asarray(listed[layer][0].detach().numpy())


@pytest.mark.parametrize("name", MIXED)
def test_dense_ffn(name: str, runs: Callable[[str], Run]) -> None:
    """gate and up reproduce what down reads, and down its module's output."""
    run = runs(name)
    for layer in (layer for layer, kind in enumerate(KINDS[name]) if "dense" in kind):
        hidden, y = run.of(run.parts[layer, "down", None].tensor)
        np.testing.assert_allclose(hidden @ run.read(layer, "down").T + run.bias(layer, "down"), y, atol=1e-3)
        x, _ = run.of(run.parts[layer, "up", None].tensor)
        up = x @ run.read(layer, "up").T + run.bias(layer, "up")
        if (layer, "gate", None) not in run.parts:
            np.testing.assert_allclose(run.act(up), hidden, atol=1e-3)
            continue
        gate = x @ run.read(layer, "gate").T + run.bias(layer, "gate")
        scale = float(run.model.config.mlp_multipliers[0]) if name == "falcon_h1" else 1.0
        np.testing.assert_allclose(run.act(gate * scale) * up, hidden, atol=1e-3)


UNGATED_EXPERTS = ("nllb-moe", "switch_transformers")


@pytest.mark.parametrize("name", UNGATED_EXPERTS)
def test_ungated_experts(name: str, runs: Callable[[str], Run]) -> None:
    """An expert alone computes what its up and down say, and the router's scores are those of its module."""
    run = runs(name)
    for layer in (layer for layer, kind in enumerate(KINDS[name]) if "experts" in kind):
        x, scores = run.of(run.parts[layer, "router", None].tensor)
        np.testing.assert_allclose(x @ run.read(layer, "router").T, scores, atol=1e-4)
        for expert in range(4):
            up, down = run.parts[layer, "up", expert], run.parts[layer, "down", expert]
            module = run.model.get_submodule(up.tensor.rpartition(".")[0].rpartition(".")[0])
            x = np.random.default_rng(0).normal(size=(5, 64))
            with torch.no_grad():
                found = module(torch.from_numpy(x).float()).double().numpy()
            hidden = run.act(x @ up.read().T.astype(np.float64) + run.bias(layer, "up", expert))
            np.testing.assert_allclose(hidden @ down.read().T + run.bias(layer, "down", expert), found, atol=1e-3)


GATED_EXPERTS = [name for name, kinds in KINDS.items() if any("experts" in kind for kind in kinds)]


@pytest.mark.parametrize("name", [name for name in GATED_EXPERTS if name not in UNGATED_EXPERTS])
def test_experts(name: str, runs: Callable[[str], Run]) -> None:
    """An expert alone computes what its gate, up and down say; so does what is shared."""
    run = runs(name)
    layer = KINDS[name].index(next(kind for kind in KINDS[name] if "experts" in kind))
    ends = tuple(f"layers.{layer}.{block}.experts" for block in ("mlp", "feed_forward", "block_sparse_moe"))
    module = next(module for name, module in run.model.named_modules() if name.endswith(ends))
    x = np.random.default_rng(0).normal(size=(5, 64))
    for expert in (0, 3):
        gate, up, down = (run.read(layer, role, expert) for role in ("gate", "up", "down"))
        g, u = (x @ m.T + run.bias(layer, role, expert) for m, role in ((gate, "gate"), (up, "up")))
        if name == "gpt_oss":
            g, u = g.clip(max=7.0), u.clip(-7.0, 7.0)
            expected = (g / (1 + np.exp(-1.702 * g)) * (u + 1)) @ down.T + run.bias(layer, "down", expert)
        else:
            expected = (run.act(g) * u) @ down.T
        inputs = torch.from_numpy(x).float()
        with torch.no_grad():
            if name == "llama4_text":
                found = module(inputs.repeat(4, 1)).view(4, 5, -1)[expert]
            else:
                chosen = torch.full((5, 1), expert)
                shape = (5, 1)
                found = module(inputs, chosen, torch.ones(shape))
        np.testing.assert_allclose(found.double().numpy(), expected, atol=1e-3)
    if (layer, "shared_down", None) in run.parts:
        hidden, y = run.of(run.parts[layer, "shared_down", None].tensor)
        np.testing.assert_allclose(hidden @ run.read(layer, "shared_down").T, y, atol=1e-3)
        x, _ = run.of(run.parts[layer, "shared_up", None].tensor)
        gated = run.act(x @ run.read(layer, "shared_gate").T) * (x @ run.read(layer, "shared_up").T)
        np.testing.assert_allclose(gated, hidden, atol=1e-3)
    router = run.read(layer, "router")
    assert router.shape == (4, 64)


@pytest.mark.parametrize("name", MIXED)
def test_norm_gains(name: str, runs: Callable[[str], Run]) -> None:
    """A gain reproduces its module's output from its normalised input."""
    run = runs(name)
    names = ("rms_norm_eps", "norm_eps", "layer_norm_epsilon", "layer_norm_eps", "eps")
    eps = next((getattr(run.model.config, name) for name in names if hasattr(run.model.config, name)), 1e-5)
    tested = 0
    for part in run.anatomy.parts:
        if not part.role.startswith("gains.") or part.role in ("gains.q", "gains.k"):
            continue
        x, y = run.of(part.tensor)
        if run.anatomy.facts["norm"] == "layer":
            x = x - x.mean(1, keepdims=True)
        shift = run.parts.get((part.layer, part.role.replace("gains.", "norm_biases."), None))
        normed = x / np.sqrt((x**2).mean(1, keepdims=True) + eps) * part.read() + (shift.read() if shift else 0)
        np.testing.assert_allclose(normed, y, atol=2e-3)
        tested += 1
    assert tested >= 3


SILENT = {"experts", "heads", "huref", "match", "matched-heads", "mdir", "routers"}
"""Methods that need more than four heads or experts in a few layers, or a tokenizer."""


def silent(name: str, run: Run) -> set[str]:
    """Methods that need what the family lacks: queries and keys, attention in every layer of three or more, gates with free
    signs, channels that positions do not name, an embedding and a head as wide as the residual stream."""
    lacking = {"awm"} if name in LATENT else set[str]()
    wide = {
        part.role for part in run.anatomy.parts if part.layer is None and part.shape[1:] == (run.anatomy.facts["hidden_size"],)
    }
    lacking |= {test for test, role in (("embedding", "embedding"), ("output-head", "head")) if role not in wide}
    if run.anatomy.facts["positions"] == "sinusoidal":
        lacking |= {"channels", "embedding", "output-head"}
    if len(KINDS[name]) < 3 or any("attention" not in kind.replace("linear attention", "") for kind in KINDS[name]):
        lacking |= {"ghostspec-corr", "std-profile"}
    if name == "gpt_oss" or all(part.role != "gate" for part in run.anatomy.parts):
        lacking |= {"matched-invariants", "matched-readings"}
    return lacking | ({"matched-writes"} if name == "nemotron_h" else set())  # which has an FFN in two layers


SCORED = 3
"""In one family of so many the scores that need both checkpoints are asked for too: they read what the tests read."""


@pytest.mark.parametrize("name", every(3, MIXED))
def test_related_and_not(name: str, runs: Callable[[str], Run], tmp_path: Path) -> None:
    """A copy with noise is related, a model from another seed is not, by all methods but those that must be silent."""
    run = runs(name)
    noised, other = random_model(name), random_model(name, seed=7)
    with torch.no_grad():
        for parameter in noised.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05 * parameter.std().nan_to_num(0.1))
    for label, model in (("noised", noised), ("other", other)):
        model.save_pretrained(tmp_path / label)
    scores = list(MIXED).index(name) % SCORED == 0
    found = compare(run.checkpoint.source, tmp_path / "noised", deep=True, scores=scores)
    assert found.verdict == "related"
    asked = {
        method.name for method in known() if scores or not (method.needs_scores or (method.deep and method.kind == "score"))
    }
    assert {item.method for item in found.evidence if not item.applies} & asked == (SILENT | silent(name, run)) & asked
    deep = list(MIXED).index(name) % SCORED == 0  # what only both checkpoints show does not depend on the table
    assert compare(run.checkpoint.source, tmp_path / "other", deep=deep).verdict == "no-evidence"


ACROSS = [
    ("bamba", "deepseek_v2"),
    ("nemotron_h", "t5-ungated"),
    ("minicpm3", "modernbert"),
    ("jamba", "bamba"),
    ("gpt_oss", "qwen3_next"),
    ("deepseek_v3", "llama4_text"),
    ("t5", "granitemoehybrid"),
]


@pytest.mark.parametrize("pair", ACROSS)
def test_models_of_different_kinds(pair: tuple[str, str], runs: Callable[[str], Run]) -> None:
    """Latents against heads, hybrids against mixtures, stacks against layers: some tests apply, and none finds anything."""
    for one, other in (pair, pair[::-1]):
        found = compare(runs(one).checkpoint.source, runs(other).checkpoint.source, deep=True)
        assert found.verdict == "no-evidence"
        assert min(item.log10_p for item in found.tests if item.applies) > -4


def test_kimi_is_read_as_deepseek(runs: Callable[[str], Run], tmp_path: Path) -> None:
    """Its own model type, DeepSeek's tensors."""
    source = Path(runs("deepseek_v3").checkpoint.source)
    for file in source.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "model_type": "kimi_k2"}))
    anatomy = recognise(open_checkpoint(tmp_path))
    assert anatomy.family == "deepseek"
    assert anatomy.facts["layer_kinds"] == DENSE_THEN_EXPERTS


def test_prediction_layers_are_skipped(runs: Callable[[str], Run], tmp_path: Path) -> None:
    """A layer behind the last that predicts several tokens ahead is no layer of the model, with or without configuration."""
    from safetensors.numpy import load_file, save_file

    source = Path(runs("deepseek_v3").checkpoint.source)
    tensors = load_file(source / "model.safetensors")
    last = {n.replace("layers.2.", "layers.3."): t for n, t in tensors.items() if "layers.2." in n}
    extra = {"model.layers.3.eh_proj.weight": np.ones((64, 128), np.float32)}
    extra |= {f"model.layers.3.{name}.weight": np.ones(64, np.float32) for name in ("enorm", "hnorm", "shared_head.norm")}
    save_file({**tensors, **last, **extra}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_bytes((source / "config.json").read_bytes())
    anatomy = recognise(open_checkpoint(tmp_path))
    assert anatomy.facts["num_hidden_layers"] == 3
    assert anatomy.unknown == ()
    assert set(anatomy.skipped) == {*last, *extra}
    assert "not measured: multi-token prediction layer of layers 3" in anatomy.notes
    assert fingerprint(tmp_path).provenance["skipped_tensors"]


@pytest.mark.parametrize("seed", [0, 7])
def test_heads_behind_latents(seed: int, tmp_path: Path) -> None:
    """The test by heads sees a noised copy of a model with enough heads, and nothing in a model from another seed."""
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model("deepseek_v3", **{**MIXED["deepseek_v3"], "num_attention_heads": 16})
    one = transformers.AutoModelForCausalLM.from_config(config)
    torch.manual_seed(seed)
    other = transformers.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05 * parameter.std().nan_to_num(0.1))
    for label, model in (("one", one), ("other", other)):
        model.save_pretrained(tmp_path / label)
    heads = next(item for item in compare(tmp_path / "one", tmp_path / "other").evidence if item.method == "heads")
    assert heads.log10_p is not None
    assert (heads.log10_p < -6) == (seed == 0)


def test_layers_in_blocks(runs: Callable[[str], Run], tmp_path: Path) -> None:
    """Funnel's layers count on from block to block; none may be missing, and an encoder alone is not transformed either."""
    tensors = runs("funnel").checkpoint.tensors
    config = runs("funnel").checkpoint.config
    found = {(part.layer, part.tensor) for part in runs("funnel").anatomy.parts if part.role == "q"}
    places = ("encoder.blocks.0.0", "encoder.blocks.0.1", "encoder.blocks.1.0", "decoder.layers.0", "decoder.layers.1")
    assert found == {(layer, f"funnel.{place}.attention.q_head.weight") for layer, place in enumerate(places)}
    for gone in ("encoder.blocks.0.0.", "encoder.blocks.0."):
        rest = {name: tensor for name, tensor in tensors.items() if gone not in name}
        with pytest.raises(ArchitectureError, match="layers are missing"):
            recognise(Checkpoint("m", "m", rest, config))
    save_file(
        {name: tensor.read() for name, tensor in tensors.items() if ".decoder." not in name}, tmp_path / "model.safetensors"
    )
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(TransformError, match="blocks"):
        transforms.apply("noise", tmp_path, tmp_path / "copy")
