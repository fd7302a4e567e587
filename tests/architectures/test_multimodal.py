"""The language model inside a multimodal checkpoint: found, and measured as if it stood alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from kinprint.architectures import open_model, recognise
from kinprint.architectures.companions import companion
from kinprint.checkpoints import open_checkpoint
from kinprint.comparison import compare
from kinprint.errors import ArchitectureError
from kinprint.fingerprints import fingerprint
from kinprint.fingerprints.inspection import inspect

torch = pytest.importorskip("torch")
T = pytest.importorskip("transformers")

SIZES = {"hidden_size": 48, "intermediate_size": 56, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 72}
TEXT = {**SIZES, "num_key_value_heads": 2, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
ROTARY = {"rope_parameters": {"rope_type": "default", "mrope_section": [2, 2, 2], "rope_theta": 1e4}}
SEEN = {"hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 28}
SEEN |= {"patch_size": 14}
MIXTURE = {"head_dim": 16, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 40}
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
    "qwen3_vl_moe": ("Qwen3VLMoe", "Qwen3Moe", {**ROTARY, **MIXTURE}, {**BLOCKS, "deepstack_visual_indexes": [0]}),
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
    assert {both.others[tensor] for tensor in both.unknown} == {"vision tower", "projector"}
    found, expected = (fingerprint(tmp_path / kind, cache=False) for kind in ("multimodal", "text"))
    beside = {key for key in found.traits if not key.startswith("component.vision_tower.")} - expected.traits.keys()
    assert beside == {"others.digests", "others.samples"}
    for trait, values in expected.traits.items():
        np.testing.assert_array_equal(found.traits[trait], values, err_msg=trait)
    assert {fact for fact in expected.facts if found.facts[fact] != expected.facts[fact]} <= {
        *("model_type", "content", "others", "stored_bytes", "components"),
    }
    tower = found.components["vision tower"]
    assert inspect(tmp_path / "multimodal").components == inspect(found).components
    assert (tower.layers, tower.facts["hidden_size"], tower.facts["num_attention_heads"]) == (2, 32, 4)
    assert tower.facts["positions"] == (
        "rope" if name in ("mistral3", "qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe") else "learned"
    )
    comparison = compare(*(tmp_path / kind for kind in ("text", "multimodal")), methods=[])
    assert comparison.verdict == "related"
    assert "missing in the reference" in comparison.sentence()


def test_experts_that_lie_transposed(tmp_path: Path) -> None:
    """Qwen3-VL's mixtures were published with stacked experts as (input, output); transformers 5 stores (output, input). Both
    are read as what they multiply by."""
    write_both("qwen3_vl_moe", tmp_path)
    published = tmp_path / "published"
    published.mkdir()
    stored = load_file(tmp_path / "multimodal" / "model.safetensors")
    turned = {name: array.swapaxes(1, 2).copy() if ".experts." in name else array for name, array in stored.items()}
    assert sum(".experts." in name for name in turned) == 4
    save_file(turned, published / "model.safetensors")
    (published / "config.json").write_text((tmp_path / "multimodal" / "config.json").read_text())
    ours, theirs = (recognise(open_checkpoint(folder)) for folder in (tmp_path / "multimodal", published))
    assert (ours.guessed, theirs.guessed) == (False, False)
    for part in ours.parts:
        np.testing.assert_array_equal(theirs.at[part.layer, part.role, part.expert].read(), part.read())
    assert compare(tmp_path / "multimodal", published, methods=[]).verdict == "identical"


SOUND = {"d_model": 32, "encoder_layers": 2, "encoder_attention_heads": 4, "encoder_ffn_dim": 40, "num_mel_bins": 8}
SOUND |= {"max_source_positions": 16}
WAVES = {"hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 32}
WAVES |= {"conv_dim": [16, 16], "conv_stride": [2, 2], "conv_kernel": [3, 3], "num_feat_extract_layers": 2}
WAVES |= {"num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2}


def test_an_encoder_of_sound_is_named(tmp_path: Path) -> None:
    """Qwen2-Audio: Whisper's encoder and a projector stand beside the language model; the encoder is a component."""
    config = T.Qwen2AudioConfig(text_config={**TEXT, "model_type": "qwen2"}, audio_config=SOUND)
    T.Qwen2AudioForConditionalGeneration(config).save_pretrained(tmp_path)
    anatomy = recognise(open_checkpoint(tmp_path))
    assert (anatomy.family, anatomy.guessed) == ("qwen2", False)
    assert {anatomy.others[tensor] for tensor in anatomy.unknown} == {"audio encoder", "projector"}
    encoder = open_model(tmp_path).components["audio encoder"].anatomy
    assert (encoder.family, encoder.guessed, encoder.facts["positions"]) == ("whisper_encoder", False, "sinusoidal")


def alone(name: str) -> Any:
    """An encoder of images or sound, or of images and text, by itself."""
    seen, letters = {**SEEN, "patch_size": 14}, {**SEEN, "vocab_size": 72, "max_position_embeddings": 16}
    return {
        "clip": lambda: T.CLIPModel(T.CLIPConfig(text_config=letters, vision_config=seen, projection_dim=16)),
        "clip-vision": lambda: T.CLIPVisionModel(T.CLIPVisionConfig(**seen)),
        "siglip": lambda: T.SiglipModel(T.SiglipConfig(text_config=letters, vision_config=seen)),
        "vit": lambda: T.ViTForImageClassification(T.ViTConfig(**seen)),
        "dinov2": lambda: T.Dinov2Model(T.Dinov2Config(**seen)),
        "wav2vec2": lambda: T.Wav2Vec2ForCTC(T.Wav2Vec2Config(**WAVES)),
        "swin": lambda: T.SwinModel(T.SwinConfig(image_size=32, embed_dim=24, depths=[1, 1], num_heads=[2, 4], window_size=4)),
        "resnet": lambda: T.ResNetModel(T.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1])),
    }[name]()


@pytest.mark.parametrize(
    ("name", "family", "positions", "query", "beside"),
    [
        ("clip", "clip_text", "learned", "text_model.encoder.layers.1.self_attn.q_proj.weight", {"vision tower", "projector"}),
        ("clip-vision", "clip_vision", "learned", "encoder.layers.1.self_attn.q_proj.weight", set()),
        ("siglip", "clip_text", "learned", "text_model.encoder.layers.1.self_attn.q_proj.weight", {"vision tower"}),
        ("vit", "vit", "learned", "vit.encoder.layer.1.attention.attention.query.weight", {"head for scores"}),
        ("dinov2", "vit", "learned", "encoder.layer.1.attention.attention.query.weight", set()),
        ("wav2vec2", "inferred", "unknown", "wav2vec2.encoder.layers.1.attention.q_proj.weight", {"output head"}),
    ],
)
def test_encoders_of_images_and_sound_alone(
    name: str, family: str, positions: str, query: str, beside: set[str], tmp_path: Path
) -> None:
    """Each is read by its table, or, where there is none, roles are inferred; a copy is identical. What is called something
    else besides keeps its name, and a vision tower beside a text tower is a component."""
    alone(name).save_pretrained(tmp_path)
    opened = open_model(tmp_path)
    anatomy = opened.anatomy
    assert (anatomy.family, anatomy.guessed, anatomy.facts["positions"]) == (family, family == "inferred", positions)
    assert {what: found.anatomy.family for what, found in opened.components.items()} == (
        {"vision tower": "clip_vision"} if family == "clip_text" else {}
    )
    assert anatomy.at[1, "q", None].tensor.endswith(query)
    assert beside <= set(anatomy.others.values())
    assert compare(tmp_path, tmp_path, methods=[]).verdict == "identical"


@pytest.mark.parametrize(
    ("name", "reason"), [("swin", "does not fit 24 channels"), ("resnet", "nothing in it looks like the layers")]
)
def test_what_has_no_stream_is_refused(name: str, reason: str, tmp_path: Path) -> None:
    """A pyramid of widths, and convolutions."""
    alone(name).save_pretrained(tmp_path)
    with pytest.raises(ArchitectureError, match=reason):
        recognise(open_checkpoint(tmp_path))


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("model.vision_tower.vision_model.encoder.layers.0.mlp.fc1.weight", "vision tower"),
        ("vision_model.embeddings.patch_embedding.weight", "vision tower"),
        ("model.visual.blocks.3.attn.qkv.weight", "vision tower"),
        ("vpm.encoder.layers.0.mlp.fc1.weight", "vision tower"),
        ("model.video_tower.encoder.layers.0.mlp.fc1.weight", "vision tower"),
        ("model.high_res_vision_model.neck.conv1.weight", "vision tower"),
        ("v.blk.0.attn_q.weight", "vision tower"),
        ("model.visual.merger.mlp.0.weight", "projector"),
        ("model.visual.deepstack_merger_list.0.linear_fc1.weight", "projector"),
        ("language_projection.weight", "projector"),
        ("model.projector.linear_1.weight", "projector"),
        ("mlp1.1.weight", "projector"),
        ("model.sam_model.blocks.0.attn.qkv.weight", "vision tower"),
        ("model.mm_projector.0.weight", "projector"),
        ("qformer.encoder.layer.0.attention.attention.query.weight", "projector"),
        ("model.vqmodel.encoder.conv_in.weight", "image decoder"),
        ("model.generation_head.proj_out.weight", "image decoder"),
        ("thinker.audio_tower.layers.0.fc1.weight", "audio encoder"),
        ("wav2vec2.encoder.layers.0.attention.q_proj.weight", "audio encoder"),
        ("model.acoustic_tokenizer_encoder.conv_layers.0.weight", "audio encoder"),
        ("speech_encoder.encoder.layers.0.ffn1.output_dense.weight", "audio encoder"),
        ("talker.model.layers.0.mlp.up_proj.weight", "speech decoder"),
        ("t2u_model.model.encoder.layers.0.fc1.weight", "speech decoder"),
        ("cls.predictions.transform.dense.weight", "head for masked words"),
        ("discriminator_predictions.dense.weight", "head for masked words"),
        ("lm_head.dense.weight", "output head"),
        ("bert.pooler.dense.weight", "pooler"),
        ("model.layers.0.self_attn.q_proj.weight", ""),
        ("model.decoder.layers.0.fc1.weight", ""),
        ("model.embed_tokens.weight", ""),
    ],
)
def test_words_for_what_stands_beside(name: str, what: str) -> None:
    """Names as models of the real library and files on hubs have them."""
    assert companion(name) == what


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
