"""Which table a model is read by: tensors first, then values, then the configuration, its type last."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from families import FAMILIES, random_model

from kinprint.architectures import recognise
from kinprint.architectures.companions import belongs_to, companion, is_buffer
from kinprint.architectures.given import nearest, tables_of
from kinprint.architectures.table import known
from kinprint.checkpoints import Checkpoint

pytest.importorskip("torch")
pytest.importorskip("transformers")


class Plain:
    """A tensor in memory."""

    def __init__(self, name: str, array: np.ndarray) -> None:
        self.name, self.array, self.dtype, self.shape = name, array, array.dtype, array.shape

    def read(self) -> np.ndarray:
        return self.array


def checkpoint(name: str, config: dict[str, Any] | None = None, **replaced: np.ndarray) -> Checkpoint:
    """A random model of a family, read as the configuration given says; without one as its own says."""
    model = random_model(name)
    state = {key: value.detach().numpy() for key, value in model.state_dict().items()} | replaced
    tensors = {key: Plain(key, array) for key, array in sorted(state.items())}
    return Checkpoint("m", "m", tensors, model.config.to_dict() if config is None else config)


def added(anatomy: Any) -> bool:
    gain = next(part for part in anatomy.parts if part.role == "gains.input")
    return bool(np.abs(gain.read().mean() - 1) < 0.2)


@pytest.mark.parametrize("model_type", ["unheard-of", "llama", "mistral"])
def test_gains_stored_less_one_are_read_so_whatever_the_type(model_type: str) -> None:
    """Gemma under another name: what it stores has both signs, so something is added to it."""
    found = recognise(checkpoint("gemma", {"model_type": model_type, "num_attention_heads": 4, "head_dim": 16}))
    gain = next(part for part in found.parts if part.role == "gains.input")
    assert found.family == "gemma"
    assert 0.5 < float(gain.read().mean()) < 1.5


@pytest.mark.parametrize("model_type", ["unheard-of", "gemma", None])
def test_gains_stored_as_they_are_have_nothing_added(model_type: str | None) -> None:
    """Llama under another name, Gemma's too: never a guess of + 1."""
    config = {"num_attention_heads": 4, "num_key_value_heads": 2} | ({"model_type": model_type} if model_type else {})
    found = recognise(checkpoint("mistral", config))
    gain = next(part for part in found.parts if part.role == "gains.input")
    assert 0.5 < float(gain.read().mean()) < 1.5


@pytest.mark.parametrize("model_type", ["mistral", "unheard-of"])
@pytest.mark.parametrize("kind", ["decayed", "turned"])
def test_signs_that_a_plain_norm_may_have(kind: str, model_type: str) -> None:
    """One norm that decayed to numbers about zero, as in SmolLM2-135M; or signs of all norms turned, with what reads them."""
    rng = np.random.default_rng(0)
    state = random_model("mistral").state_dict()
    gains = {name: value.numpy() for name, value in state.items() if "layernorm" in name}
    if kind == "decayed":
        name = next(iter(gains))
        gains = {name: rng.normal(0, 0.04, gains[name].shape).astype(np.float32)}
    else:
        gains = {name: (value * rng.choice([-1, 1], len(value))).astype(np.float32) for name, value in gains.items()}
    config = {"model_type": model_type, "num_attention_heads": 4, "num_key_value_heads": 2}
    found = recognise(checkpoint("mistral", config, **gains))
    read = {part.layer: part.read() for part in found.parts if part.role == "gains.input"}
    np.testing.assert_array_equal(read[0], gains["model.layers.0.input_layernorm.weight"])


def test_where_values_do_not_tell_nothing_is_added() -> None:
    """Gains near one half may be either: without a type the plain reading is taken."""
    state = random_model("mistral").state_dict()
    half = {name: np.full(tuple(value.shape), 0.45, np.float32) for name, value in state.items() if "norm" in name}
    found = recognise(checkpoint("mistral", {"model_type": "unheard-of"}, **half))
    gain = next(part for part in found.parts if part.role == "gains.input")
    np.testing.assert_allclose(gain.read(), 0.45)


@pytest.mark.parametrize(("mean", "said"), [(0.0, True), (1.0, False)])
def test_what_a_guess_says_of_layer_norms(mean: float, said: bool) -> None:
    """Nemotron's LayerNorms add one to their gains, under names that others may have: no guess says so where values deny it."""
    state = random_model("nemotron").state_dict()
    random = np.random.default_rng(0)
    gains = {n: (mean + 0.1 * random.normal(size=48)).astype(np.float32) for n in state if n.endswith("norm.weight")}
    guessed = recognise(checkpoint("nemotron", {"model_type": "unheard-of"}, **gains))
    known = recognise(checkpoint("nemotron", **gains))
    assert (guessed.guessed, known.guessed) == (True, False)
    assert added(known) == (mean == 0)
    roles = {part.role for part in guessed.parts}
    assert ("gains.input" in roles, "gains.final" in roles, "norm_biases.input" in roles) == (said, said, True)
    assert set(guessed.skipped) == (set() if said else set(gains))
    assert not said or added(guessed)


@pytest.mark.parametrize("name", ["cohere", "cohere2_moe"])
def test_one_norm_for_both_blocks_is_a_layer_norm(name: str) -> None:
    """Of models with such names only Cohere's have no norm in front of the FFN; tables that lack one by name only say less."""
    guessed = recognise(checkpoint(name, {"model_type": "unheard-of"}))
    assert guessed.guessed
    assert guessed.facts["norm"] == "layer"


@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in ("bert", "roberta")])
def test_an_unknown_type_is_a_guess(name: str) -> None:
    """The tensors are the same and so is the table, or one that reads them alike; that it is a guess is said."""
    known = recognise(checkpoint(name))
    config = {**random_model(name).config.to_dict(), "model_type": "unheard-of"}
    guessed = recognise(checkpoint(name, config))
    assert not known.guessed
    assert guessed.guessed
    assert any("read as" in note for note in guessed.notes)
    assert guessed.facts.get("rotary_dim") == config.get("rotary_dim")
    roles = {(part.layer, part.role): part.shape for part in known.parts}
    if guessed.family != "inferred":
        unsaid = {place for place in roles if name == "nemotron" and place[1].startswith("gains.")}
        expected = {place: shape for place, shape in roles.items() if place not in unsaid}
        assert {(part.layer, part.role): part.shape for part in guessed.parts} == expected


def test_a_type_is_not_believed_where_a_norm_of_its_is_missing() -> None:
    """Cohere's model under Llama's type: one LayerNorm for both blocks, which no Llama has."""
    name = "cohere_compass_text"
    found = recognise(checkpoint(name, {**random_model(name).config.to_dict(), "model_type": "llama"}))
    assert (found.guessed, found.facts["norm"]) == (True, "layer")
    assert "rotary_pairs" not in found.facts


@pytest.mark.parametrize(("name", "believed"), [("gemma", False), ("mistral", True)])
def test_a_type_that_does_not_know_all_tensors_is_not_believed_where_gains_deny_it(name: str, believed: bool) -> None:
    """Gemma and Mistral under Llama's type, with something in every layer that no table knows."""
    config = {**random_model(name).config.to_dict(), "model_type": "llama"}
    layers = range(config["num_hidden_layers"])
    new = {f"model.layers.{n}.self_attn.sorcery.weight": np.ones((3, 3), np.float32) for n in layers}
    found = recognise(checkpoint(name, config, **new))
    assert (found.family, found.guessed) == (("llama", False) if believed else ("inferred", True))
    assert any(part.role.startswith("gains.") for part in found.parts) == believed


@pytest.mark.parametrize("model_type", ["llama", "unheard-of"])
def test_layers_inside_another_model_are_those_of_another_stack(model_type: str) -> None:
    """DeepSeek-OCR 2: what sees has the names of a language model too, behind names that stand in front of both."""
    plain = checkpoint("llama")
    inner = {f"model.reader.model.model.{n.removeprefix('model.')}": t for n, t in plain.tensors.items() if ".layers." in n}
    config = {**plain.config, "model_type": model_type}
    found = recognise(Checkpoint("m", "m", {**plain.tensors, **inner}, config))
    assert {part.tensor for part in found.parts} <= set(plain.tensors)
    assert set(found.others) >= set(inner)
    assert found.facts["num_hidden_layers"] == recognise(plain).facts["num_hidden_layers"]


def test_a_language_model_is_found_behind_any_front() -> None:
    """Inside a larger model: whatever stands in front of its layers, next to what is no language model."""
    plain = checkpoint("llama")
    moved = {f"thinker.{name}": tensor for name, tensor in plain.tensors.items()}
    moved |= {f"thinker.visual.blocks.{n}.attn.qkv.weight": Plain("v", np.ones((9, 3), np.float32)) for n in range(5)}
    found = recognise(Checkpoint("m", "m", moved, plain.config))
    assert found.family == "llama"
    assert found.others == dict.fromkeys((n for n in moved if "visual" in n), "vision tower")
    assert {part.tensor for part in found.parts} == {name for name in moved if "visual" not in name}


def test_types_that_are_spelled_alike() -> None:
    assert nearest("qwen33").split(", ")[0] == "qwen3"
    assert {table.family for table in tables_of("llama")} >= {"llama", "gguf_llama"}


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("vision_tower.vision_model.encoder.layers.0.mlp.fc1.weight", "vision tower"),
        ("model.visual.blocks.3.attn.qkv.weight", "vision tower"),
        ("visual.merger.mlp.0.weight", "projector"),
        ("multi_modal_projector.linear_1.weight", "projector"),
        ("model.spatial_projectors.0.qformer.encoder.layer.0.output.dense.weight", "projector"),
        ("model.qwen2_model.model.model.layers.0.mlp.up_proj.weight", "vision tower"),
        ("speech_encoder.layers.0.ffn.weight", "audio encoder"),
        ("speecht5.encoder.wrapped_encoder.layers.0.final_layer_norm.weight", ""),
        ("thinker.audio_tower.layers.1.fc1.weight", "audio encoder"),
        ("model.layers.0.self_attn.q_proj.lora_A.default.weight", "adapter"),
        ("score.weight", "head for scores"),
        ("bert.pooler.dense.weight", "pooler"),
        ("model.layers.0.self_attn.v.weight", ""),
        ("encoder.block.0.layer.0.SelfAttention.v.weight", ""),
        ("model.layers.0.mlp.gate.weight", ""),
    ],
)
def test_what_stands_beside_a_language_model(name: str, what: str) -> None:
    assert companion(name) == what
    assert belongs_to(name) != ""


def test_buffers() -> None:
    assert is_buffer("model.layers.0.self_attn.rotary_emb.inv_freq")
    assert is_buffer("h.0.attn.masked_bias")
    assert not is_buffer("h.0.attn.c_attn.bias")


@pytest.mark.parametrize("index", ["0", "12345"])
def test_a_name_is_looked_up_among_all_patterns_that_it_matches(index: str) -> None:
    """Names of every pattern of every table, with numbers in the place of its indices."""
    for table in known():
        for name, pattern, _ in table.patterns:
            spelled = re.sub(r"\{\w+\}", index, name).replace("*", "x.1")
            matching = [other for other, known_as, _ in table.patterns if known_as.fullmatch(spelled)]
            likely = [other for other, _, _ in table.likely(spelled)]
            assert name in matching
            assert [other for other in likely if other in matching] == matching, (table.family, spelled)
            assert pattern.fullmatch(f"{spelled}.more") is None or "*" in name
