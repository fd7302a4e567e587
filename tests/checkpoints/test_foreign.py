"""Models in the files of other tools: what they hold is what the Hugging Face model holds, with the same fingerprint."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from families import random_model

from kinprint.architectures import recognise
from kinprint.checkpoints import open_checkpoint
from kinprint.fingerprints import fingerprint

torch = pytest.importorskip("torch")
State = dict[str, Any]


@pytest.fixture
def original(tmp_path: Path) -> Callable[[str], tuple[Path, Any]]:
    """A small random model, saved by transformers."""

    def make(family: str) -> tuple[Path, Any]:
        model = random_model(family)
        model.save_pretrained(tmp_path / "original")
        return tmp_path / "original", model

    return make


def assert_same(one: Path, other: Path) -> None:
    """Every trait, to the rounding of sums in another order. Buffers, which one of them holds, are no traits."""
    mine, theirs = (
        {trait: values for trait, values in fingerprint(path, cache=False).traits.items() if not trait.startswith("others.")}
        for path in (one, other)
    )
    assert mine.keys() == theirs.keys()
    for trait, values in mine.items():
        np.testing.assert_allclose(theirs[trait], values, rtol=1e-6, atol=1e-6, err_msg=trait)


def neighbours(weight: Any, heads: int) -> Any:
    """Rows that rotate together side by side, where transformers has them half a head apart."""
    return weight.reshape(heads, 2, -1, weight.shape[1]).transpose(1, 2).reshape(weight.shape)


META = {
    r"model\.embed_tokens": "tok_embeddings", r"lm_head": "output", r"model\.norm": "norm", r"model\.layers": "layers",
    r"input_layernorm": "attention_norm", r"post_attention_layernorm": "ffn_norm", r"self_attn\.(\w)_proj": r"attention.w\1",
    r"mlp\.gate_proj": "feed_forward.w1", r"mlp\.up_proj": "feed_forward.w3", r"mlp\.down_proj": "feed_forward.w2",
}  # fmt: skip


def meta(model: Any) -> State:
    """The names and the order of rows that Meta's and Mistral's own code uses."""
    found: State = {}
    for name, weight in model.state_dict().items():
        new = name
        for old, mine in META.items():
            new = re.sub(old, mine, new)
        heads = {"q_proj": 4, "k_proj": 2}.get(name.split(".")[-2])
        found[new] = neighbours(weight, heads) if heads else weight
    return found


PARAMS = {"dim": 48, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "vocab_size": -1, "norm_eps": 1e-5, "multiple_of": 8}
MISTRAL = {**PARAMS, "head_dim": 12, "hidden_dim": 56, "vocab_size": 72}


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("embedding", [0, 1])
def test_metas_files(original: Callable[..., tuple[Path, Any]], tmp_path: Path, parts: int, embedding: int) -> None:
    """One file or several parts; Llama 2 cuts its embedding along channels, Llama 3 along tokens."""
    folder, model = original("mistral")
    whole, target = meta(model), tmp_path / "meta"
    target.mkdir()
    for part in range(parts):
        mine = {}
        for name, weight in whole.items():
            axis = embedding if name == "tok_embeddings.weight" else int(name.endswith(("wo.weight", "w2.weight")))
            mine[name] = weight if weight.ndim == 1 else weight.chunk(parts, axis)[part].clone()
        torch.save({**mine, "rope.freqs": torch.ones(6)}, target / f"consolidated.{part:02}.pth")
    (target / "params.json").write_text(json.dumps(PARAMS))
    checkpoint = open_checkpoint(target)
    for name, weight in whole.items():
        np.testing.assert_array_equal(checkpoint.tensors[name].read(), weight.numpy())
        np.testing.assert_array_equal(checkpoint.tensors[name].read_rows(1, 40), weight.numpy()[1:40])  # type: ignore[attr-defined]
    assert recognise(checkpoint).guessed is False
    assert_same(folder, target)


def test_mistrals_file(original: Callable[..., tuple[Path, Any]], tmp_path: Path) -> None:
    """consolidated.safetensors with params.json."""
    from safetensors.torch import save_file

    folder, model = original("mistral")
    target = tmp_path / "mistral"
    target.mkdir()
    save_file({name: weight.contiguous() for name, weight in meta(model).items()}, target / "consolidated.safetensors")
    (target / "params.json").write_text(json.dumps(MISTRAL))
    assert open_checkpoint(target).config["model_type"] == "mistral"
    assert_same(folder, target)


def nanogpt(model: Any) -> State:
    """GPT-2 with Linear in the place of Conv1D, compiled."""
    turned = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")
    state = model.state_dict().items()
    return {f"_orig_mod.{name}": weight.T.contiguous() if name.endswith(turned) else weight for name, weight in state}


def test_nanogpts_file(original: Callable[..., tuple[Path, Any]], tmp_path: Path) -> None:
    """Its configuration is inside; what the matrices' orientation is, shapes say, also without it."""
    folder, model = original("gpt2")
    sizes = {"n_layer": 2, "n_head": 4, "n_embd": 48, "block_size": 16, "vocab_size": 72, "bias": True, "dropout": 0.0}
    optimizer = {"state": {0: {"exp_avg": torch.ones(2)}}}
    torch.save({"model": nanogpt(model), "optimizer": optimizer, "model_args": sizes, "iter_num": 1}, tmp_path / "ckpt.pt")
    found = recognise(open_checkpoint(tmp_path / "ckpt.pt"))
    assert (found.family, found.guessed) == ("nanogpt", False)
    assert_same(folder, tmp_path / "ckpt.pt")
    bare = tmp_path / "bare"
    bare.mkdir()
    torch.save(nanogpt(model), bare / "pytorch_model.bin")
    (bare / "config.json").write_bytes((folder / "config.json").read_bytes())
    assert recognise(open_checkpoint(bare)).family == "nanogpt"
    assert recognise(open_checkpoint(folder)).family == "gpt2"


LITGPT = {
    r"model\.embed_tokens": "transformer.wte", r"model\.norm": "transformer.ln_f", r"model\.layers": "transformer.h",
    r"input_layernorm": "norm_1", r"post_attention_layernorm": "norm_2", r"self_attn\.o_proj": "attn.proj",
    r"mlp\.gate_proj": "mlp.fc_1", r"mlp\.up_proj": "mlp.fc_2", r"mlp\.down_proj": "mlp.proj",
}  # fmt: skip
YAML = "name: {name}\nn_layer: 2\nn_embd: 48\nn_head: 4\nn_query_groups: 2\nhead_size: {head}\nintermediate_size: 56\n"


def litgpt(model: Any, *, grouped: bool) -> State:
    """One matrix for queries, keys and values: one after the other, or of every group in turn as older versions had it."""
    state = model.state_dict()
    found: State = {}
    for name, weight in state.items():
        new = name
        for old, mine in LITGPT.items():
            new = re.sub(old, mine, new)
        if "q_proj" in name:
            q, k, v = (state[name.replace("q_proj", f"{which}_proj")] for which in "qkv")
            groups = [part.reshape(2, -1, 48) for part in (q, k, v)]
            fused = torch.cat(groups, 1).reshape(-1, 48) if grouped else torch.cat([q, k, v])
            found[new.replace("self_attn.q_proj", "attn.attn" if grouped else "attn.qkv")] = fused
        elif "self_attn.k" not in name and "self_attn.v" not in name:
            found[new] = weight
    return found


@pytest.mark.parametrize(
    ("family", "name", "head", "grouped"),
    [("mistral", "Mistral-7B", 12, False), ("mistral", "Mistral-7B", 12, True), ("gemma", "Gemma-2b", 16, False)],
)
def test_litgpts_file(
    original: Callable[..., tuple[Path, Any]], tmp_path: Path, family: str, name: str, head: int, grouped: bool
) -> None:
    """lit_model.pth with model_config.yaml; Gemma's gains are stored less one there too."""
    folder, model = original(family)
    target = tmp_path / "litgpt"
    target.mkdir()
    torch.save({"model": litgpt(model, grouped=grouped)}, target / "lit_model.pth")
    (target / "model_config.yaml").write_text(YAML.format(name=name, head=head) + "norm_class_name: RMSNorm\n")
    found = recognise(open_checkpoint(target))
    assert (found.unknown, found.guessed) == ((), False)
    assert_same(folder, target)


def test_litgpts_file_of_a_model_with_layer_norms(original: Callable[..., tuple[Path, Any]], tmp_path: Path) -> None:
    """Pythia: no gate, biases everywhere."""
    folder, model = original("gpt_neox")
    names = {
        r"gpt_neox\.embed_in": "transformer.wte", r"embed_out": "lm_head", r"gpt_neox\.final_layer_norm": "transformer.ln_f",
        r"gpt_neox\.layers": "transformer.h", r"input_layernorm": "norm_1", r"post_attention_layernorm": "norm_2",
        r"attention\.query_key_value": "attn.attn", r"attention\.dense": "attn.proj", r"mlp\.dense_h_to_4h": "mlp.fc",
        r"mlp\.dense_4h_to_h": "mlp.proj",
    }  # fmt: skip
    state = {}
    for name, weight in model.state_dict().items():
        for old, mine in names.items():
            name = re.sub(old, mine, name)
        state[name] = weight
    target = tmp_path / "litgpt"
    target.mkdir()
    torch.save(state, target / "lit_model.pth")
    said = "name: pythia\nn_layer: 2\nn_embd: 48\nn_head: 4\nrotary_percentage: 0.5\nnorm_class_name: LayerNorm\n"
    (target / "model_config.yaml").write_text(said)
    assert recognise(open_checkpoint(target)).unknown == ()
    assert_same(folder, target)


@pytest.mark.parametrize("kind", ["nanogpt", "meta"])
def test_what_a_transform_writes_opens_in_transformers(
    original: Callable[..., tuple[Path, Any]], tmp_path: Path, kind: str
) -> None:
    """Under the names, the orientation and the configuration of the Hugging Face model, which computes the same."""
    import transformers

    import kinprint

    _, model = original("gpt2" if kind == "nanogpt" else "mistral")
    if kind == "nanogpt":
        sizes = {"n_layer": 2, "n_head": 4, "n_embd": 48, "block_size": 16, "vocab_size": 72}
        torch.save({"model": nanogpt(model), "model_args": sizes}, tmp_path / "ckpt.pt")
    else:
        torch.save(meta(model), tmp_path / "consolidated.00.pth")
        (tmp_path / "params.json").write_text(json.dumps({**MISTRAL, "rope_theta": 10000.0}))
    given = tmp_path / ("ckpt.pt" if kind == "nanogpt" else "consolidated.00.pth")
    kinprint.transform("permute", given, tmp_path / "written", seed=1)
    written = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "written").eval()
    tokens = torch.arange(12)[None]
    torch.testing.assert_close(written(tokens).logits, model(tokens).logits, atol=1e-4, rtol=1e-4)
