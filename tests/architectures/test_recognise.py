"""Recognising checkpoints that are incomplete, unknown or contradictory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinprint.architectures import known, recognise
from kinprint.architectures.kinds import spans
from kinprint.architectures.table import parse
from kinprint.checkpoints import Checkpoint
from kinprint.errors import ArchitectureError
from kinprint.fingerprints.measure import measure

CONFIG = {
    "model_type": "llama",
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 40,
}


class Plain:
    def __init__(self, name: str, array: np.ndarray) -> None:
        self.name, self.array, self.dtype, self.shape = name, array, array.dtype, array.shape

    def read(self) -> np.ndarray:
        return self.array


def llama(
    config: dict[str, Any], prefix: str = "model.", layers: tuple[int, ...] = (0, 1), dtype: type = np.float32
) -> Checkpoint:
    shapes = {"embed_tokens.weight": (50, 24), "norm.weight": (24,)}
    for layer in layers:
        block = f"layers.{layer}."
        shapes |= {block + "input_layernorm.weight": (24,), block + "post_attention_layernorm.weight": (24,)}
        shapes |= {block + "self_attn.q_proj.weight": (24, 24), block + "self_attn.k_proj.weight": (12, 24)}
        shapes |= {block + "self_attn.v_proj.weight": (12, 24), block + "self_attn.o_proj.weight": (24, 24)}
        shapes |= {block + "mlp.gate_proj.weight": (40, 24), block + "mlp.up_proj.weight": (40, 24)}
        shapes |= {block + "mlp.down_proj.weight": (24, 40)}
    tensors = {prefix + name: Plain(prefix + name, np.ones(shape, dtype)) for name, shape in shapes.items()}
    return Checkpoint(name="m", source="m", tensors=tensors, config=config)


@pytest.mark.parametrize("prefix", ["model.", "", "language_model.model."])
def test_prefixes(prefix: str) -> None:
    """A head model, its base model and the text part of a multimodal one are read alike."""
    anatomy = recognise(llama(CONFIG, prefix))
    assert anatomy.unknown == ()
    assert anatomy.facts["num_key_value_heads"] == 2


def test_without_configuration_heads_are_not_guessed() -> None:
    """Shapes alone do not tell heads apart: the fact is left out, and a note says so."""
    anatomy = recognise(llama({}))
    assert "num_attention_heads" not in anatomy.facts
    assert anatomy.facts["hidden_size"] == 24
    assert any("no configuration" in note for note in anatomy.notes)


def test_unknown_model_type_is_tried_by_its_tensors() -> None:
    """Of tables that explain all of them, one without further parts: what they would tell of norms is not in the tensors."""
    found = recognise(llama({**CONFIG, "model_type": "something-new"}))
    assert found.facts["norm"] == "rms"
    assert "rotary_pairs" not in found.facts
    gain = next(part for part in found.parts if part.role == "gains.input")
    assert gain.read().tolist() == [1.0] * 24


def test_text_configuration_inside_a_multimodal_one() -> None:
    assert recognise(llama({"model_type": "wrapper", "text_config": CONFIG})).facts["num_attention_heads"] == 4


def test_known_type_with_foreign_tensors() -> None:
    """Tensors count, not the type, which anybody may change."""
    found = recognise(llama({**CONFIG, "model_type": "gpt2"}))
    assert found.guessed
    assert found.facts["norm"] == "rms"


def test_unknown_tensors_name_what_is_known() -> None:
    checkpoint = Checkpoint("m", "m", {"a.b": Plain("a.b", np.ones((2, 2)))}, {})
    with pytest.raises(ArchitectureError, match="nothing in it looks like the layers of a language model"):
        recognise(checkpoint)


@pytest.mark.parametrize(
    ("key", "value"), [("hidden_size", 25), ("num_hidden_layers", 3), ("num_attention_heads", 5), ("num_key_value_heads", 4)]
)
def test_contradicting_configuration(key: str, value: int) -> None:
    """Both numbers are named, and what to do."""
    with pytest.raises(ArchitectureError, match=rf"(?s){key}.*(configuration|tensors)"):
        recognise(llama({**CONFIG, key: value}))


def test_missing_layer() -> None:
    with pytest.raises(ArchitectureError, match="layers are missing"):
        recognise(llama(CONFIG, layers=(0, 2)))


def test_integer_weights_are_refused() -> None:
    with pytest.raises(ArchitectureError, match="quantised"):
        recognise(llama(CONFIG, dtype=np.int8))


class Decoded(Plain):
    """A tensor that must never be decoded whole."""

    def read(self) -> np.ndarray:
        raise AssertionError(f"{self.name} was decoded whole")

    def read_rows(self, start: int, stop: int) -> np.ndarray:
        assert stop == start + 1
        return self.array[start:stop]


def test_stacked_experts_are_read_one_at_a_time() -> None:
    """A whole fingerprint of a mixture with stacked experts never asks for more than one expert's rows."""
    rng = np.random.default_rng(0)
    plain = llama({**CONFIG, "model_type": "gpt_oss", "num_local_experts": 6})
    tensors = {name: tensor for name, tensor in plain.tensors.items() if ".mlp." not in name}
    for layer in range(2):
        block = f"model.layers.{layer}.mlp."
        shapes = {"experts.gate_up_proj": (6, 24, 80), "experts.gate_up_proj_bias": (6, 80)}
        shapes |= {"experts.down_proj": (6, 40, 24), "experts.down_proj_bias": (6, 24)}
        made = {block + name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
        tensors |= {name: Decoded(name, array) for name, array in made.items()}
        tensors[block + "router.weight"] = Plain("router", rng.normal(size=(6, 24)).astype(np.float32))
    checkpoint = Checkpoint(name="m", source="m", tensors=tensors, config=plain.config)
    found = measure(checkpoint, recognise(checkpoint))
    assert found.traits["experts.norms"].shape == (2, 6, 2)
    gate = tensors["model.layers.1.mlp.experts.gate_up_proj"].array[4][:, ::2]
    np.testing.assert_allclose(found.traits["experts.norms"][1, 4, 1], np.linalg.norm(gate), rtol=1e-5)


def test_what_needs_a_configuration_says_so() -> None:
    """Heads that share a tensor with their rotary part cannot be told apart by shapes: keys and values have no role."""
    plain = llama({})
    tensors = {n: t for n, t in plain.tensors.items() if "k_proj" not in n and "v_proj" not in n}
    for layer in range(2):
        for name, shape in (("kv_a_proj_with_mqa", (20, 24)), ("kv_b_proj", (40, 16))):
            full = f"model.layers.{layer}.self_attn.{name}.weight"
            tensors[full] = Plain(full, np.ones(shape, np.float32))
    found = recognise(Checkpoint(name="m", source="m", tensors=tensors, config={}))
    assert {part.role for part in found.parts if part.layer is not None} == {"q", "o", "gate", "up", "down"}
    assert any("no configuration" in note for note in found.notes)


def test_layers_in_words() -> None:
    assert spans([0, 1, 2, 5, 7, 8]) == "0-2, 5, 7-8"
    assert spans([]) == ""


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(sorted(CONFIG)), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from([*CONFIG, "text_config", "head_dim"]), JSON))
def test_hostile_configurations(values: dict[str, Any]) -> None:
    """Whatever a configuration says, the outcome is an anatomy or one clear error."""
    try:
        recognise(llama({**CONFIG, **values}))
    except ArchitectureError as error:
        assert len(str(error)) < 1000  # noqa: PT017


def test_every_table_is_sound() -> None:
    """Tables are checked when they are read. A model type is served once for each of the ways to name tensors, but for
    Granite 4, which has experts or has none, for ChatGLM, whose first version has names of its own, for Qwen3-VL's mixtures,
    whose experts lie either way round, and for types that others have borrowed, Jina and MosaicML. A tower may have the type of
    the whole."""
    own = ("gguf", "meta", "nanogpt")
    types = [
        (table.component or next((way for way in own if table.family.startswith(way)), ""), model_type)
        for table in known()
        for model_type in table.model_types
    ]
    twice = ("granitemoehybrid", "chatglm", "bert", "xlm-roberta", "qwen3_vl_moe", "qwen3_vl_moe_text")
    assert {kind for kind in types if types.count(kind) > 1} == {("", kind) for kind in twice}


def test_a_table_with_an_unknown_role_is_refused() -> None:
    raw = {"model_types": ["x"], "norm": "rms", "positions": [], "prefixes": [""], "tensors": {"w": "nonsense"}}
    with pytest.raises(ArchitectureError, match="nonsense"):
        parse("x", raw)
    with pytest.raises(ArchitectureError, match="unknown keys"):
        parse("x", {**raw, "tensors": {}, "rolls": 1})


@pytest.mark.parametrize("norm", ["layers.1.input_layernorm.weight", "layers.0.post_attention_layernorm.weight"])
@pytest.mark.parametrize("length", [1, 3, 48])
def test_a_gain_that_does_not_fit_the_channels(norm: str, length: int) -> None:
    """Nothing could be folded into the matrices behind it; compiled loops would read beyond its end."""
    checkpoint = llama(CONFIG)
    name = f"model.{norm}"
    checkpoint.tensors[name] = Plain(name, np.ones(length, np.float32))  # type: ignore[index]
    with pytest.raises(ArchitectureError, match=rf"{name} has shape \({length},\), which does not fit 24 channels"):
        recognise(checkpoint)
