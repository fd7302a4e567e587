"""LoRA adapters, written by peft: base and adapter together are what peft merges."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from families import random_model
from safetensors.numpy import load_file, save_file

from kinprint.checkpoints import open_checkpoint
from kinprint.checkpoints.checkpoint import read_rows
from kinprint.checkpoints.source import LocalFile
from kinprint.comparison import compare
from kinprint.errors import CheckpointError
from kinprint.fingerprints import fingerprint

torch = pytest.importorskip("torch")
peft = pytest.importorskip("peft")

ATTENTION = {"r": 4, "lora_alpha": 10, "target_modules": ["q_proj", "v_proj"]}
SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("llama", ATTENTION),
    "rsLoRA": ("llama", {**ATTENTION, "use_rslora": True}),
    "patterns": (
        "llama",
        {
            **ATTENTION,
            "rank_pattern": {"layers.1.self_attn.q_proj": 2, "v_proj": 3},
            "alpha_pattern": {"layers.0.self_attn.q_proj": 3, "v_proj": 7},
        },
    ),
    "DoRA": ("llama", {**ATTENTION, "use_dora": True}),
    "whole modules": ("llama", {**ATTENTION, "modules_to_save": ["lm_head", "embed_tokens"]}),
    "biases": ("llama", {**ATTENTION, "bias": "all"}),
    "embedding": ("llama", {"r": 4, "lora_alpha": 9, "target_modules": ["embed_tokens", "down_proj"]}),
    "every linear": ("qwen3", {"r": 3, "lora_alpha": 5, "target_modules": "all-linear"}),
    "transposed": ("gpt2", {"r": 4, "lora_alpha": 8, "target_modules": ["c_attn", "c_proj"], "fan_in_fan_out": True}),
    "transposed, DoRA": (
        "gpt2",
        {"r": 4, "lora_alpha": 8, "target_modules": ["c_proj"], "fan_in_fan_out": True, "use_dora": True},
    ),
    "tokens": ("llama", {**ATTENTION, "trainable_token_indices": [5, 2]}),
    "tokens of a module": ("llama", {**ATTENTION, "trainable_token_indices": {"lm_head": [3]}}),
    "tied": ("qwen2", {"r": 4, "lora_alpha": 8, "target_modules": ["embed_tokens"]}),
}  # fmt: skip


def train(family: str, settings: dict[str, Any], folder: Path) -> Any:
    """A base and an adapter with noise on all that is trained, saved under `folder`; the adapted model."""
    model = random_model(family)
    if settings["target_modules"] == ["embed_tokens"]:
        model.config.tie_word_embeddings = True
        model.tie_weights()
    model.save_pretrained(folder / "base")
    torch.manual_seed(1)
    adapted = peft.get_peft_model(model, peft.LoraConfig(**settings))
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    adapted.save_pretrained(folder / "adapter")
    return adapted


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """Folders `base` and `adapter`."""
    train("llama", ATTENTION, tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", SETTINGS)
def test_base_and_adapter_are_what_peft_merges(tmp_path: Path, name: str) -> None:
    """Every tensor, to rounding; what is read of one is the same in pieces; the base alone is something else."""
    adapted = train(*SETTINGS[name], tmp_path)
    adapted.merge_and_unload().save_pretrained(tmp_path / "merged")
    ours = open_checkpoint(f"{tmp_path / 'base'}+{tmp_path / 'adapter'}").tensors
    merged, base = (load_file(tmp_path / folder / "model.safetensors") for folder in ("merged", "base"))
    assert merged.keys() <= ours.keys()
    for tensor, values in merged.items():
        found = ours[tensor]
        assert found.shape == values.shape
        np.testing.assert_allclose(found.read(), values, atol=2e-6, rtol=2e-6, err_msg=tensor)
        np.testing.assert_array_equal(read_rows(found, 1, 3), found.read()[1:3])
    assert any(not np.allclose(merged[tensor], base[tensor], atol=1e-3) for tensor in merged)


def test_names_with_the_name_of_the_adapter_are_those_without(made: Path) -> None:
    """As a training script saves them from memory: `lora_A.default.weight`."""
    weights = made / "adapter" / "adapter_model.safetensors"
    source = f"{made / 'base'}+{made / 'adapter'}"
    before = {name: tensor.read() for name, tensor in open_checkpoint(source).tensors.items()}
    save_file({name.replace(".weight", ".default.weight"): array for name, array in load_file(weights).items()}, weights)
    after = open_checkpoint(source).tensors
    assert after.keys() == before.keys()
    for name, values in before.items():
        np.testing.assert_array_equal(after[name].read(), values)


def test_a_tied_head_is_changed_alone(tmp_path: Path) -> None:
    """The embedding stays what it is, the head is one of its own: what the adapted model computes."""
    import transformers

    model = random_model("qwen2")
    model.config.tie_word_embeddings = True
    model.tie_weights()
    model.save_pretrained(tmp_path / "base")
    base = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    adapted = peft.get_peft_model(base, peft.LoraConfig(r=4, target_modules=["lm_head", "q_proj"]))
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.normal_()
    adapted.save_pretrained(tmp_path / "adapter")
    found = open_checkpoint(f"{tmp_path / 'base'}+{tmp_path / 'adapter'}")
    assert found.config["tie_word_embeddings"] is False
    config = transformers.AutoConfig.for_model(**found.config)
    whole = transformers.AutoModelForCausalLM.from_config(config).eval()
    whole.load_state_dict({name: torch.tensor(tensor.read().copy()) for name, tensor in found.tensors.items()})
    tokens = torch.arange(12)[None]
    torch.testing.assert_close(whole(tokens).logits, adapted.eval()(tokens).logits, atol=1e-4, rtol=1e-4)


def test_an_adapter_beside_its_base_in_one_file_leaves_the_base_readable(tmp_path: Path) -> None:
    """Saved from memory without merging: the base has its roles, the matrices of the adapter count as an adapter."""
    from kinprint.architectures import recognise

    adapted = train("llama", ATTENTION, tmp_path)
    torch.save(adapted.state_dict(), tmp_path / "both.bin")
    (tmp_path / "config.json").write_bytes((tmp_path / "base" / "config.json").read_bytes())
    both = recognise(open_checkpoint(tmp_path / "both.bin"))
    alone = recognise(open_checkpoint(tmp_path / "base"))
    assert [(part.layer, part.role, part.shape) for part in both.parts] == [
        (part.layer, part.role, part.shape) for part in alone.parts
    ]
    assert {both.others[name] for name in both.unknown} == {"adapter"}


def test_the_sum_is_a_model(made: Path) -> None:
    """Configuration of the base, a name of both, every file that a cache must watch, and kin of its base."""
    source = f"{made / 'base'}+{made / 'adapter'}"
    checkpoint, base = open_checkpoint(source), open_checkpoint(made / "base")
    assert (checkpoint.name, checkpoint.source) == ("base+adapter", source)
    assert checkpoint.config == base.config
    assert {path.name for path in checkpoint.files} >= {"model.safetensors", "config.json", "adapter_config.json"}
    assert LocalFile(made / "adapter" / "adapter_model.safetensors") in checkpoint.files
    assert (fingerprint(source, cache=False).facts["parameters"]) == fingerprint(made / "base", cache=False).facts["parameters"]


def test_a_sum_is_related_to_its_base(models: Path, tmp_path: Path) -> None:
    """An adapter for the shipped model, of the size of usual ones: the verdict."""
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(models / "base")
    torch.manual_seed(0)
    adapted = peft.get_peft_model(model, peft.LoraConfig(**ATTENTION))
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0, 0.01)
    adapted.save_pretrained(tmp_path / "adapter")
    suspect = fingerprint(f"{models / 'base'}+{tmp_path / 'adapter'}", cache=False)
    assert compare(fingerprint(models / "base", cache=False), suspect).verdict == "related"


def test_adapters_add_up(made: Path) -> None:
    """BASE+ADAPTER+ADAPTER adds the change twice."""
    base, once, twice = (
        open_checkpoint(f"{made / 'base'}{sum_}").tensors["model.layers.0.self_attn.q_proj.weight"].read()
        for sum_ in ("", f"+{made / 'adapter'}", f"+{made / 'adapter'}+{made / 'adapter'}")
    )
    np.testing.assert_allclose(twice - base, 2 * (once - base), atol=1e-5)


def test_the_other_file_format(made: Path) -> None:
    """adapter_model.bin, as peft wrote before."""
    source = f"{made / 'base'}+{made / 'adapter'}"
    name = "model.layers.1.self_attn.v_proj.weight"
    expected = open_checkpoint(source).tensors[name].read()
    weights = made / "adapter" / "adapter_model.safetensors"
    torch.save({key: torch.from_numpy(value) for key, value in load_file(weights).items()}, weights.with_suffix(".bin"))
    weights.unlink()
    np.testing.assert_array_equal(open_checkpoint(source).tensors[name].read(), expected)


def test_other_names_in_front(made: Path) -> None:
    """A base saved without the head's prefix has the same modules."""
    tensors = load_file(made / "base" / "model.safetensors")
    expected = open_checkpoint(f"{made / 'base'}+{made / 'adapter'}").tensors["model.layers.0.self_attn.q_proj.weight"].read()
    for prefix in ("", "language_model.model."):
        bare = {name.replace("model.", prefix): value for name, value in tensors.items()}
        save_file(bare, made / "base" / "model.safetensors")
        found = open_checkpoint(f"{made / 'base'}+{made / 'adapter'}").tensors[f"{prefix}layers.0.self_attn.q_proj.weight"]
        np.testing.assert_array_equal(found.read(), expected)


def test_a_plus_in_a_name_is_no_sum(made: Path) -> None:
    """What exists wins, on either side of the sign."""
    shutil.copytree(made / "base", made / "b+c")
    shutil.copytree(made / "adapter", made / "a+d")
    assert open_checkpoint(str(made / "b+c")).name == "b+c"
    assert open_checkpoint(f"{made / 'b+c'}+{made / 'a+d'}").name == "b+c+a+d"
    with pytest.raises(CheckpointError, match="no such file or folder"):
        open_checkpoint(made / "base+adapter")  # a path, not a string


def test_on_a_hub(made: Path, hub: Callable[..., Any]) -> None:
    """Both sides may be hub ids; the commits of both are kept."""
    hub({"org/base": made / "base", "org/adapter": made / "adapter"})
    checkpoint = open_checkpoint("org/base+org/adapter")
    assert checkpoint.name == "org/base+org/adapter"
    assert checkpoint.revision.count("+") == 1
    expected = open_checkpoint(f"{made / 'base'}+{made / 'adapter'}").tensors
    name = "model.layers.0.self_attn.q_proj.weight"
    np.testing.assert_array_equal(checkpoint.tensors[name].read(), expected[name].read())
    with pytest.raises(CheckpointError, match="an adapter of"):
        open_checkpoint("org/adapter")


def test_an_adapter_alone_says_what_to_write(made: Path) -> None:
    """The base that it names is shown, made harmless, and not opened."""
    config = made / "adapter" / "adapter_config.json"
    content = json.loads(config.read_text())
    config.write_text(json.dumps({**content, "base_model_name_or_path": "org/base\x1b[31m"}))
    for path in (made / "adapter", made / "adapter" / "adapter_model.safetensors"):
        with pytest.raises(CheckpointError, match=r"an adapter of org/base\\x1b\[31m, not a model; write org/base") as caught:
            open_checkpoint(path)
        assert str(caught.value).isprintable()
    config.write_text("{}")
    with pytest.raises(CheckpointError, match="an adapter of a model that it does not name"):
        open_checkpoint(made / "adapter")


def test_a_model_with_an_adapter_beside_it_is_a_model(made: Path) -> None:
    for file in (made / "adapter").iterdir():
        if file.name.startswith("adapter_"):
            shutil.copy(file, made / "base")
    assert "lm_head.weight" in open_checkpoint(made / "base").tensors


CONFIGS: dict[str, tuple[dict[str, Any], str]] = {
    "another method": ({"peft_type": "IA3"}, "an adapter of type IA3; only LORA is read"),
    "a changed base": ({"init_lora_weights": "pissa_niter_4"}, "pissa_niter_4 changes it"),
    "parameters": ({"target_parameters": ["experts.gate_up_proj"]}, "uses target_parameters"),
    "replicated layers": ({"layer_replication": [[0, 1]]}, "uses layer_replication"),
    "alpha as text": ({"lora_alpha": "\x1b[31m"}, r"lora_alpha is \\x1b\[31m, not a number"),
    "infinite alpha": ({"lora_alpha": float("inf")}, "lora_alpha is inf"),
    "huge alpha": ({"lora_alpha": 10**400}, "not a number"),
    "no alpha": ({"lora_alpha": None}, "lora_alpha is None"),
    "patterns as a list": ({"alpha_pattern": [1]}, "not a table of at most 1,000 names"),
    "too many patterns": ({"alpha_pattern": {str(n): 1 for n in range(1001)}}, "not a table of at most"),
    "an endless expression": ({"alpha_pattern": {"(a+)+$": 1}}, r"expression \(a\+\)\+\$ in alpha_pattern is no name"),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_configurations_that_are_refused(made: Path, case: str) -> None:
    """What cannot be added to weights, or is no number, is one error that names the file."""
    change, message = CONFIGS[case]
    config = made / "adapter" / "adapter_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **change}))
    with pytest.raises(CheckpointError, match=message) as caught:
        open_checkpoint(f"{made / 'base'}+{made / 'adapter'}")
    assert caught.value.subject == str(config)
    assert str(caught.value).isprintable()


LAYER = "base_model.model.model.layers.{}.self_attn.q_proj."
A, B = (LAYER.format(0) + f"lora_{half}.weight" for half in "AB")
TOKENS = "base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta"
WEIGHTS: dict[str, tuple[dict[str, np.ndarray | None], str]] = {
    "a missing half": ({B: None}, "it holds A, not A and B"),
    "another base": (
        {LAYER.format(7) + f"lora_{x}.weight": np.ones((4, 4), "f4") for x in "AB"},
        "does not have; give the base",
    ),
    "another shape": ({A: np.ones((4, 99), "f4")}, "its weight in the base"),
    "another rank": ({A: np.ones((5, 48), "f4")}, "its weight in the base"),
    "no rank": ({A: np.ones((0, 48), "f4"), B: np.ones((48, 0), "f4")}, "its weight in the base"),
    "three axes": ({A: np.ones((4, 48, 1), "f4")}, "its weight in the base"),
    "integers": ({A: np.ones((4, 48), "i4")}, "not floating-point"),
    "lengths of others": ({LAYER.format(0) + "lora_magnitude_vector": np.ones(7, "f4")}, "not one an output"),
    "biases of B": ({LAYER.format(0) + "lora_B.bias": np.ones(48, "f4")}, "lora_B.bias, which is not read"),
    "tokens that nobody names": ({TOKENS: np.ones((3, 48), "f4")}, "nothing beside it says which tokens of model.embed_tokens"),
    "two adapters": ({LAYER.format(1) + f"lora_{x}.other.weight": np.ones((4, 4), "f4") for x in "AB"}, "several adapters"),
}


@pytest.mark.parametrize("case", WEIGHTS)
def test_weights_that_are_refused(made: Path, case: str) -> None:
    """What has no place in the base, or not the shape for it, is one error that names the file."""
    changes, message = WEIGHTS[case]
    weights = made / "adapter" / "adapter_model.safetensors"
    tensors = {**load_file(weights), **{name: array for name, array in changes.items() if array is not None}}
    save_file({name: array for name, array in tensors.items() if name not in changes or changes[name] is not None}, weights)
    with pytest.raises(CheckpointError, match=message) as caught:
        open_checkpoint(f"{made / 'base'}+{made / 'adapter'}")
    assert caught.value.subject == str(weights)


def test_no_adapter_there(made: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no adapter: adapter_config\.json and adapter_model\.safetensors"):
        open_checkpoint(f"{made / 'base'}+{made / 'base'}")
