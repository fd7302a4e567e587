"""What benchmarks/conversions.py makes computes what its sources say, and is read as what it is."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from families import GROUPED

from kinprint.architectures import open_model

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

SHAPE = {**GROUPED, "hidden_size": 48, "num_hidden_layers": 4, "head_dim": 12, "tie_word_embeddings": False}
HEADS, GROUPS, WIDTH = 4, 2, 12


@pytest.fixture
def conversions(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    import conversions

    return conversions


def random(conversions: ModuleType, kind: str = "llama") -> tuple[Any, Any]:
    """A random model with gains that differ, as transformers has it and as the benchmark has it."""
    torch.manual_seed(3)
    model = transformers.AutoModelForCausalLM.from_config(transformers.AutoConfig.for_model(kind, **SHAPE)).float().eval()
    for name, value in model.named_parameters():
        if "norm" in name:
            torch.nn.init.normal_(value.data, mean=0.0 if kind == "gemma3_text" else 1.0, std=0.3)
        else:
            torch.nn.init.normal_(value.data, std=0.2)
    tensors = {name: value.detach().clone() for name, value in model.state_dict().items()}
    return model, conversions.Folder({**SHAPE, "model_type": kind, "rms_norm_eps": model.config.rms_norm_eps}, tensors, "tiny")


def saved(model: Any, path: Path) -> Any:
    """What kinprint reads of it; transformers must miss and ignore no tensor. Weights were rounded to 8 bits."""
    model.write(path)
    kind = transformers.AutoModelForCausalLM
    report = kind.from_pretrained(path, output_loading_info=True)[1]
    assert not any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    return open_model(path).weights


def logits_beside_shortcuts(original: Any, sliced: Any) -> Any:
    """As SliceGPT runs a model: norms without gains, and a matrix beside every block."""
    ids = torch.arange(20)[None]
    states = sliced.tensors["model.embed_tokens.weight"][ids]
    angles = original.model.rotary_emb(states, ids)

    def normed(values: Any) -> Any:
        return values * torch.rsqrt(values.pow(2).mean(-1, keepdim=True) + original.config.rms_norm_eps)

    for index, layer in enumerate(original.model.layers):
        at = f"model.layers.{index}."
        own = {name.removeprefix(at): value for name, value in sliced.tensors.items() if name.startswith(at)}
        layer.load_state_dict({**layer.state_dict(), **{name: value for name, value in own.items() if "shortcut" not in name}})
        written = layer.self_attn(normed(states), angles, attention_mask=None)[0]
        states = states @ own["attn_shortcut_Q"] + written
        states = states @ own["mlp_shortcut_Q"] + layer.mlp(normed(states))
    return normed(states) @ sliced.tensors["lm_head.weight"].T


def test_a_slicegpt_of_all_channels_computes_what_the_original_computes(conversions: ModuleType) -> None:
    """Run beside its shortcut matrices, and as a Llama once they are multiplied out."""
    model, folder = random(conversions)
    with torch.no_grad():
        wanted = model(input_ids=torch.arange(20)[None]).logits
        sliced = conversions.sliced(folder)
        united = conversions.united(sliced)
        model.load_state_dict(dict(united.tensors))
        torch.testing.assert_close(model(input_ids=torch.arange(20)[None]).logits, wanted, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(logits_beside_shortcuts(model, sliced), wanted, rtol=1e-3, atol=1e-3)
    bases = [conversions.principal(folder)[block] for block in (0, 1)]
    assert (bases[0].T @ bases[1]).diagonal().abs().mean() < 0.9  # another basis at every block


def test_a_slicegpt_has_fewer_channels_and_is_read_as_a_llama_with_matrices_of_no_role(
    conversions: ModuleType, tmp_path: Path
) -> None:
    conversions.sliced(random(conversions)[1], 0.25).write(tmp_path / "sliced")
    weights = open_model(tmp_path / "sliced").weights
    assert weights.stored(0, "q").shape == (HEADS * WIDTH, 36)
    assert weights.stored(3, "down").shape == (36, SHAPE["intermediate_size"])


@pytest.mark.parametrize("kind", ["llama", "gemma3_text"])
def test_latents_hold_the_products_of_the_heads(conversions: ModuleType, tmp_path: Path, kind: str) -> None:
    """Without positions, queries times keys are those of the original: what rotates and what does not add up to them."""
    folder = random(conversions, kind)[1]
    weights = saved(conversions.latent(folder), tmp_path / "latents")
    original = conversions.plain(folder)
    for layer in range(weights.layers):
        q, k, v = (original.of_layer(layer, f"self_attn.{part}_proj").numpy() for part in "qkv")
        up, rotary = (weights.stored(layer, role).reshape(HEADS, -1, 48) for role in ("q", "q_rotary"))
        key_up, value_up = (weights.stored(layer, role).reshape(HEADS, WIDTH, -1) for role in ("k_up", "v_up"))
        down, shared = weights.stored(layer, "kv_down"), weights.stored(layer, "k_rotary")
        for head in range(HEADS):
            group = slice(head // (HEADS // GROUPS) * WIDTH, (head // (HEADS // GROUPS) + 1) * WIDTH)
            wanted = q[head * WIDTH : (head + 1) * WIDTH].T @ k[group]
            found = up[head].T @ key_up[head] @ down + rotary[head].T @ shared
            assert abs(found - wanted).max() < 0.02 * abs(wanted).max()
            assert abs(value_up[head] @ down - v[group]).max() < 0.02 * abs(v).max()


def test_half_a_latent_keeps_the_most_that_it_can(conversions: ModuleType) -> None:
    """Against the best approximation of half the rank, which numpy's own decomposition gives."""
    torch.manual_seed(5)
    keys, values = torch.randn(10, 30), torch.randn(14, 30)
    values *= keys.norm() / values.norm()
    down, key_up, value_up = conversions.joint(keys, values, 0.5)
    both = torch.cat([keys, values])
    left = torch.linalg.svdvals(both)[12:].square().sum().sqrt()
    assert down.shape == (12, 30)
    assert float((torch.cat([key_up, value_up]) @ down - both).norm()) == pytest.approx(float(left), rel=1e-3)


@pytest.mark.parametrize("kind", ["llama", "gemma3_text"])
def test_linear_attention_has_the_heads_of_the_original(conversions: ModuleType, tmp_path: Path, kind: str) -> None:
    folder = random(conversions, kind)[1]
    weights = saved(conversions.linear(folder), tmp_path / "linear")
    original = conversions.plain(folder)
    once_a_head = [head // (HEADS // GROUPS) for head in range(HEADS)]
    for role, part in (("mixer_q", "q"), ("mixer_k", "k"), ("mixer_v", "v")):
        matrix = original.of_layer(0, f"self_attn.{part}_proj").reshape(-1, WIDTH, 48)
        wanted = (matrix if part == "q" else matrix[once_a_head]).flatten(0, 1).bfloat16().float().numpy()
        assert (weights.stored(0, role) == wanted).all()
    assert weights.stored(0, "q") is None
    assert (weights.stored(3, "q") == original.of_layer(3, "self_attn.q_proj").bfloat16().float().numpy()).all()
    gain, wanted = weights.stored(0, "gains.post_attention"), original.of_layer(0, "post_attention_layernorm").numpy()
    assert abs(gain - wanted).max() < 0.01


def test_new_blocks_have_the_old_scale_and_nothing_of_one_another(conversions: ModuleType) -> None:
    folder = random(conversions)[1]
    new = conversions.renewed(folder, conversions.FFN)
    other = conversions.renewed(conversions.Folder(folder.config, folder.tensors, "another"), conversions.FFN)
    for name, value in folder.tensors.items():
        if ".mlp." not in name:
            assert new.tensors[name] is value
            continue
        for one, two in ((new, folder), (new, other)):
            both = torch.stack([one.tensors[name].flatten(), two.tensors[name].flatten()])
            assert abs(float(torch.corrcoef(both)[0, 1])) < 0.1
        assert float(new.tensors[name].std()) == pytest.approx(float(value.std()), rel=0.1)


def test_what_has_no_such_conversion_says_why(conversions: ModuleType) -> None:
    folder = random(conversions, "gemma3_text")[1]
    with pytest.raises(conversions.RefusedError, match="gains behind its blocks"):
        conversions.sliced(folder)
    with pytest.raises(conversions.RefusedError, match="not Llama's"):
        conversions.latent(conversions.Folder({"model_type": "bert"}, {}, "tiny"))
