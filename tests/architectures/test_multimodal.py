"""The language model inside a multimodal checkpoint: found, and measured as if it stood alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kinprint.architectures import recognise
from kinprint.checkpoints import open_checkpoint
from kinprint.comparison import compare
from kinprint.fingerprints import fingerprint

torch = pytest.importorskip("torch")
T = pytest.importorskip("transformers")

SIZES = {"hidden_size": 48, "intermediate_size": 56, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 72}
TEXT = {**SIZES, "num_key_value_heads": 2, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
ROTARY = {"rope_parameters": {"rope_type": "default", "mrope_section": [2, 2, 2], "rope_theta": 1e4}}
SEEN = {"hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 28}
SEEN |= {"patch_size": 14}
BLOCKS = {"depth": 2, "hidden_size": 32, "intermediate_size": 40, "num_heads": 4, "patch_size": 14, "out_hidden_size": 48}

MODELS: dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]] = {
    # name: its classes' name, that of the language model's, what the configurations of text and vision say
    "llava": ("Llava", "Llama", {"model_type": "llama"}, {"model_type": "clip_vision_model", **SEEN}),
    "mistral3": ("Mistral3", "Mistral", {"model_type": "mistral"}, {"model_type": "pixtral", **SEEN}),
    "idefics3": ("Idefics3", "Llama", {"model_type": "llama"}, SEEN),
    "gemma3": ("Gemma3", "Gemma3", {"head_dim": 16}, SEEN),
    "qwen2_vl": ("Qwen2VL", "Qwen2", ROTARY, {"depth": 2, "embed_dim": 32, "hidden_size": 48, "num_heads": 4}),
    "qwen2_5_vl": ("Qwen2_5_VL", "Qwen2", ROTARY, BLOCKS),
    "qwen3_vl": ("Qwen3VL", "Qwen3", {**ROTARY, "head_dim": 16}, {**BLOCKS, "deepstack_visual_indexes": [0]}),
}


def write_both(name: str, folder: Path) -> None:
    """A random multimodal model, and its language model as one of text alone."""
    classes, alone, text, vision = MODELS[name]
    torch.manual_seed(0)
    torch.set_num_threads(1)
    config = getattr(T, classes + "Config")(text_config={**TEXT, **text}, vision_config=vision)
    model = getattr(T, classes + "ForConditionalGeneration")(config).float()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    model.save_pretrained(folder / "multimodal")
    kind = "Gemma3TextConfig" if alone == "Gemma3" else alone + "Config"
    plain = {key: value for key, value in {**TEXT, **text}.items() if key not in ("model_type", "rope_parameters")}
    language = getattr(T, alone + "ForCausalLM")(getattr(T, kind)(**plain, tie_word_embeddings=config.tie_word_embeddings))
    inner = model.model.text_model if name == "idefics3" else model.model.language_model
    language.model.load_state_dict(inner.state_dict())
    language.lm_head.weight.data = model.lm_head.weight.data.clone()
    language.save_pretrained(folder / "text")


@pytest.mark.parametrize("name", MODELS)
def test_the_language_model_is_found(tmp_path: Path, name: str) -> None:
    """Every trait and number is that of the language model alone; what is not measured is what sees, and it is listed."""
    write_both(name, tmp_path)
    both, alone = (recognise(open_checkpoint(tmp_path / kind)) for kind in ("multimodal", "text"))
    assert both.family == alone.family
    assert both.notes == alone.notes == ()
    assert alone.unknown == ()
    assert both.unknown
    assert all(any(part in tensor for part in ("vision", "visual", "projector", "connector")) for tensor in both.unknown)
    found, expected = (fingerprint(tmp_path / kind, cache=False) for kind in ("multimodal", "text"))
    assert found.traits.keys() - expected.traits.keys() == {"others.digests", "others.samples"}
    for trait, values in expected.traits.items():
        np.testing.assert_array_equal(found.traits[trait], values, err_msg=trait)
    assert {fact for fact in expected.facts if found.facts[fact] != expected.facts[fact]} <= {
        *("model_type", "content", "others", "stored_bytes"),
    }
    comparison = compare(*(tmp_path / kind for kind in ("text", "multimodal")), methods=[])
    assert comparison.verdict == "related"
    assert "missing in the reference" in comparison.sentence()


def test_layers_that_attend_to_images_are_listed(tmp_path: Path) -> None:
    """Mllama: their FFNs are measured, their attention is not, and the other layers are those of Llama."""
    rotary = {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4}}
    text = {**TEXT, **rotary, "num_hidden_layers": 3, "cross_attention_layers": [1]}
    vision = {key: SEEN[key] for key in ("hidden_size", "intermediate_size", "num_hidden_layers", "image_size", "patch_size")}
    vision |= {"attention_heads": 4, "num_global_layers": 1, "vision_output_dim": 64, "intermediate_layers_indices": [0]}
    vision |= {"supported_aspect_ratios": [[1, 1]], "max_num_tiles": 1}
    T.MllamaForConditionalGeneration(T.MllamaConfig(text_config=text, vision_config=vision)).save_pretrained(tmp_path)
    anatomy = recognise(open_checkpoint(tmp_path))
    assert anatomy.family == "mllama"
    assert {part.layer for part in anatomy.parts if part.role == "q"} == {0, 2}
    assert {part.layer for part in anatomy.parts if part.role == "up"} == {0, 1, 2}
    assert all("vision" in name or "projector" in name or "cross_attn" in name for name in anatomy.unknown)
    spectra = fingerprint(tmp_path, cache=False).traits["heads.qk_spectrum"]
    assert np.isnan(spectra[1]).all()
    assert np.isfinite(spectra[[0, 2]]).all()
