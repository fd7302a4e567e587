"""Latents, layers of different kinds, two stacks: what a table extracts is what the real implementation multiplies by."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from families import MIXED, random_model

from kinprint import compare, fingerprint
from kinprint.architectures import Anatomy, Part, recognise
from kinprint.checkpoints import open_checkpoint

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

Array = np.ndarray[Any, Any]
TOKENS = [[5, 9, 33, 60]]

DENSE_THEN_EXPERTS = ["attention + dense", "attention + experts", "attention + experts"]
MAMBA = ["mamba mixer + dense", "attention + dense", "mamba mixer + dense"]
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
}
LATENT = [name for name in MIXED if name.startswith(("deepseek", "minicpm"))]


class Run:
    """A random model on disk, its anatomy, and inputs and outputs of its modules in one forward pass."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        try:
            self.model = random_model(name)
        except (ValueError, KeyError) as error:
            pytest.skip(f"transformers {transformers.__version__} has no {name}: {error}")
        self.model.save_pretrained(folder)
        self.checkpoint = open_checkpoint(folder)
        self.anatomy: Anatomy = recognise(self.checkpoint)
        self.parts: dict[tuple[int | None, str, int | None], Part] = {
            (p.layer, p.role, p.expert): p for p in self.anatomy.parts
        }
        self.seen: dict[str, tuple[Array, Array]] = {}
        for module, thing in self.model.named_modules():
            thing.register_forward_hook(self._note(module), with_kwargs=True)
        self.output = self()

    def __call__(self) -> Any:
        more = {"decoder_input_ids": torch.tensor(TOKENS)} if "t5" in self.name else {}
        with torch.no_grad():
            return self.model(input_ids=torch.tensor(TOKENS), output_attentions=True, **more)

    def _note(self, name: str) -> Any:
        def hook(module: Any, inputs: Any, keywords: Any, output: Any) -> None:
            first = inputs[0] if inputs else keywords.get("hidden_states")
            output = output[0] if isinstance(output, tuple) else output
            if torch.is_tensor(first) and torch.is_tensor(output):
                pair = (value.detach().double().numpy() for value in (first, output))
                one, other = (array.reshape(-1, array.shape[-1]) for array in pair)
                self.seen[name] = one, other

        return hook

    def of(self, tensor: str) -> tuple[Array, Array]:
        """Input and output, (tokens, width), of the module that owns a tensor of the checkpoint."""
        name = in_memory(tensor).rpartition(".")[0]
        tail = next((key for key in self.seen if key == name or key.endswith(f".{name}") or name.endswith(f".{key}")), None)
        assert tail is not None, name
        return self.seen[tail]

    def read(self, layer: int | None, role: str, expert: int | None = None) -> Array:
        return np.asarray(self.parts[layer, role, expert].read(), dtype=np.float64)

    def bias(self, layer: int, role: str, expert: int | None = None) -> Array | float:
        return self.read(layer, f"biases.{role}", expert) if (layer, f"biases.{role}", expert) in self.parts else 0.0

    def act(self, array: Array) -> Array:
        names = ("hidden_act", "hidden_activation", "mlp_hidden_act", "dense_act_fn")
        name = next(getattr(self.model.config, key) for key in names if getattr(self.model.config, key, None))
        return np.asarray(transformers.activations.ACT2FN[name](torch.from_numpy(array)).numpy())


def in_memory(tensor: str) -> str:
    """What the library calls a tensor of the file while it runs (Nemotron-H is saved under an older name)."""
    return tensor.replace("backbone.", "model.")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Run]:
    made: dict[str, Run] = {}

    def of(name: str) -> Run:
        if name not in made:
            made[name] = Run(name, tmp_path_factory.mktemp(name))
        return made[name]

    return of


@pytest.mark.parametrize("name", MIXED)
def test_every_tensor_is_accounted_for(name: str, runs: Callable[[str], Run]) -> None:
    """Every entry has a role once, or its tensor is listed as skipped; of every layer it is known what it is made of."""
    run = runs(name)
    assert run.anatomy.unknown == ()
    assert run.anatomy.facts["layer_kinds"] == KINDS[name]
    skipped = sum(int(np.prod(run.checkpoint.tensors[tensor].shape)) for tensor in run.anatomy.skipped)
    stored = sum(int(np.prod(tensor.shape)) for tensor in run.checkpoint.tensors.values())
    assert sum(int(np.prod(part.shape)) for part in run.anatomy.parts) + skipped == stored
    for kind in {word for line in KINDS[name] for word in line.split(" + ")} - {"attention", "dense", "experts"}:
        assert any(kind in note and "not measured" in note for note in run.anatomy.notes)


@pytest.mark.parametrize("name", MIXED)
def test_attention_outputs(name: str, runs: Callable[[str], Run]) -> None:
    """o reproduces its module; what o reads at a first token that attends to itself alone is its value, once a query head."""
    run = runs(name)
    heads, groups = run.anatomy.facts["num_attention_heads"], run.anatomy.facts["num_key_value_heads"]
    checked = 0
    for layer in (layer for layer, kind in enumerate(KINDS[name]) if "attention" in kind.split(" + ")):
        part = run.parts[layer, "o", None]
        x, y = run.of(part.tensor)
        np.testing.assert_allclose(x @ run.read(layer, "o").T + run.bias(layer, "o"), y, atol=1e-4)
        if "bert" in name or ("t5" in name and layer < 2):
            continue  # encoders: the first token attends to all
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
        if name == "gpt_oss":  # the sink takes a share of the attention
            shares = (seen * value).sum(1, keepdims=True) / (value**2).sum(1, keepdims=True)
            assert ((shares > 0) & (shares < 1)).all()
            value = value * shares
        np.testing.assert_allclose(value, seen, atol=1e-4)
        checked += 1
    assert checked or "bert" in name


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
    traits = fingerprint(run.checkpoint.source).traits
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
            stored = in_memory(part.tensor)
            parameter = next(p for n, p in run.model.named_parameters() if n.endswith(stored) or stored.endswith(n))
            gone = [n for n, row in enumerate(parameter) if row.detach().numpy().copy().tobytes() in mine]
            assert len(gone) == width
            parameter[gone] = 0
    after = attended(run(), name, layer, KINDS[name])
    others = [h for h in range(heads) if h not in affected]
    np.testing.assert_allclose(after[others], before[others], atol=1e-5)
    assert not np.allclose(after[affected], before[affected], atol=1e-4)
    if "t5" not in name:  # whose position biases stay
        np.testing.assert_allclose(after[affected][:, -1], after[affected][:, -1:, 0].repeat(after.shape[-1], 1), atol=1e-5)


def attended(output: Any, name: str, layer: int, kinds: list[str]) -> Array:
    """(heads, tokens, tokens) attention of a layer; the library may list layers with attention only."""
    listed = output.encoder_attentions if "t5" in name else output.attentions
    if "t5" not in name and len(listed) < len(kinds):
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


@pytest.mark.parametrize("name", [name for name, kinds in KINDS.items() if any("experts" in kind for kind in kinds)])
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
    names = ("rms_norm_eps", "norm_eps", "layer_norm_epsilon", "layer_norm_eps")
    eps = next(getattr(run.model.config, name) for name in names if hasattr(run.model.config, name))
    tested = 0
    for part in run.anatomy.parts:
        if not part.role.startswith("gains.") or part.role in ("gains.q", "gains.k"):
            continue
        x, y = run.of(part.tensor)
        if run.anatomy.facts["norm"] == "layer":
            x = x - x.mean(1, keepdims=True)
        np.testing.assert_allclose(x / np.sqrt((x**2).mean(1, keepdims=True) + eps) * part.read(), y, atol=2e-3)
        tested += 1
    assert tested >= 3


SILENT = {"experts", "heads", "huref", "match", "matched-heads", "routers"}
"""Methods that need more than four heads or experts in a few layers, or a tokenizer."""


def silent(name: str) -> set[str]:
    """Methods that need what the family lacks: queries and keys, attention in every layer, gates with free signs."""
    lacking = {"awm"} if name in LATENT else set[str]()
    if any("attention" not in kind.replace("linear attention", "") for kind in KINDS[name]):
        lacking |= {"ghostspec-corr", "std-profile"}
    if name in ("gpt_oss", "t5-ungated", "nemotron_h"):
        lacking |= {"matched-invariants", "matched-readings"}
    return lacking | ({"matched-writes"} if name == "nemotron_h" else set())  # which has an FFN in two layers


@pytest.mark.parametrize("name", MIXED)
def test_related_and_not(name: str, runs: Callable[[str], Run], tmp_path: Path) -> None:
    """A copy with noise is related, a model from another seed is not, by all methods but those that must be silent."""
    run = runs(name)
    noised, other = random_model(name), random_model(name, seed=7)
    with torch.no_grad():
        for parameter in noised.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05 * parameter.std().nan_to_num(0.1))
    for label, model in (("noised", noised), ("other", other)):
        model.save_pretrained(tmp_path / label)
    found = compare(run.checkpoint.source, tmp_path / "noised", deep=True)
    assert found.verdict == "related"
    assert {item.method for item in found.evidence if not item.applies} == SILENT | silent(name)
    assert compare(run.checkpoint.source, tmp_path / "other", deep=True).verdict == "no-evidence"


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
