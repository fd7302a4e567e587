"""Which parts of two models are shared: made of the shipped models, and of towers beside language models, of known truth."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from kinprint import compare
from kinprint.comparison.parts import SharedPart, State, sentence

PARTS = {"input embedding": ("embed_tokens.",), "attention": (".self_attn.",), "FFN": (".mlp.",)}


def states(reference: Path, suspect: Path) -> dict[str, str]:
    return {part.part: part.state for part in compare(reference, suspect).parts}


@pytest.fixture
def transplanted(models: Path, tmp_path: Path) -> Callable[[str], Path]:
    """The twin, a stranger of the base, with one part of the base's."""

    def made(part: str) -> Path:
        folder = tmp_path / "transplanted"
        shutil.copytree(models / "twin", folder)
        weights = next(folder.glob("*.safetensors"))
        own, other = load_file(weights), load_file(next((models / "base").glob("*.safetensors")))
        save_file({k: other[k] if any(piece in k for piece in PARTS[part]) else v for k, v in own.items()}, weights)
        return folder

    return made


@pytest.mark.parametrize("part", PARTS)
def test_both_owners_are_named(part: str, models: Path, transplanted: Callable[[str], Path]) -> None:
    """H1 for one part, H0 for the others, once for each of the two models that a transplant was made of."""
    folder = transplanted(part)
    rest = {each for each in PARTS if each != part}
    donor = states(models / "base", folder)
    assert donor[part] == "identical"
    assert {donor[each] for each in rest} == {"no-evidence"}
    body = states(models / "twin", folder)
    assert body[part] == "no-evidence"
    assert {body[each] for each in rest} == {"identical"}
    found = compare(models / "base", folder)
    assert found.verdict == "related"
    assert "By part: " in found.sentence()
    assert "no relation" in found.sentence()
    assert found.forgeable is False
    assert [each["part"] for each in found.to_json()["parts"]] == [each.part for each in found.parts]


def test_an_embedding_beside_kin_only_follows(models: Path) -> None:
    """Its columns are channels that the layers have in common: that it agrees is no sign of its own. Strangers have no
    parts."""
    found = compare(models / "base", models / "finetune")
    assert {part.part: part.state for part in found.parts} == {
        "input embedding": "follows", "attention": "shared", "FFN": "shared",
    }  # fmt: skip
    assert "By part" not in found.sentence()
    assert compare(models / "base", models / "twin").parts == ()


def test_the_sentence_counts_what_is_alike() -> None:
    def said(states: Mapping[str, State]) -> str:
        return sentence([SharedPart(part, state, -9.0, ()) for part, state in states.items()])

    assert said({"attention": "shared", "FFN": "shared"}) == ""
    assert said({"attention": "shared", "FFN": "no-evidence"}) == "By part: attention is shared; the FFN shows no relation."
    assert said({"attention": "no-evidence", "FFN": "no-evidence", "vision tower": "shared"}) == (
        "By part: the vision tower is shared; the language model shows no relation."
    )
    assert said({"vision tower": "identical"}) == "By part: the vision tower is identical."
    assert said({}) == ""


# --- a tower beside a language model


def layers(
    rng: np.random.Generator, count: int, width: int, neurons: int, heads: str, names: Mapping[str, str]
) -> dict[str, np.ndarray]:
    """Weights of a stack of layers, under the names of its family."""
    sizes = {"q": (width, width), "k": (width, width), "v": (width, width), "o": (width, width), "up": (neurons, width),
             "down": (width, neurons), "gate": (neurons, width)}  # fmt: skip
    found = {}
    for layer in range(count):
        for role, name in names.items():
            shape = sizes.get(role, (width,))
            scale = np.exp(0.4 * rng.standard_t(4, shape[0]).clip(-4, 4))
            values = rng.standard_normal(shape) * (scale[:, None] if len(shape) == 2 else 1) * 0.05
            found[f"{heads}.{layer}.{name}"] = (values if len(shape) == 2 else 1 + values).astype(np.float32)
    return found


LLAMA = {
    "norm": "input_layernorm.weight", "norm2": "post_attention_layernorm.weight", "q": "self_attn.q_proj.weight",
    "k": "self_attn.k_proj.weight", "v": "self_attn.v_proj.weight", "o": "self_attn.o_proj.weight",
    "gate": "mlp.gate_proj.weight", "up": "mlp.up_proj.weight", "down": "mlp.down_proj.weight",
}  # fmt: skip
CLIP = {
    "norm": "layer_norm1.weight", "norm2": "layer_norm2.weight", "q": "self_attn.q_proj.weight", "k": "self_attn.k_proj.weight",
    "v": "self_attn.v_proj.weight", "o": "self_attn.out_proj.weight", "up": "mlp.fc1.weight", "down": "mlp.fc2.weight",
}  # fmt: skip
SEEN = {"hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": 3, "num_attention_heads": 8}
READ = {"hidden_size": 72, "intermediate_size": 144, "num_hidden_layers": 3, "num_attention_heads": 8, "vocab_size": 80}


def written(folder: Path, text: int | None, tower: int, noise: int = 0) -> Path:
    """A language model and a tower, each drawn from its seed, or the tower alone; `noise` moves every weight a little."""
    folder.mkdir()
    seen = layers(np.random.default_rng(tower), 3, 64, 160, "vision_model.encoder.layers", CLIP)
    seen["vision_model.embeddings.patch_embedding.weight"] = np.ones((64, 3, 4, 4), np.float32)
    tensors, config = seen, {"model_type": "siglip_vision_model", **SEEN}
    if text is not None:
        rng = np.random.default_rng(1000 + text)
        tensors = {f"model.vision_tower.{name}": array for name, array in seen.items()}
        tensors |= layers(rng, 3, 72, 144, "model.language_model.layers", LLAMA)
        for name in ("model.language_model.embed_tokens.weight", "lm_head.weight"):
            tensors[name] = (rng.standard_normal((80, 72)) * np.exp(0.4 * rng.standard_normal(72))).astype(np.float32)
        tensors["model.language_model.norm.weight"] = np.ones(72, np.float32)
        config = {"model_type": "llava", "text_config": {"model_type": "llama", **READ}, "vision_config": config}
    moved = np.random.default_rng(noise)
    if noise:
        tensors = {k: (v + 0.1 * v.std() * moved.standard_normal(v.shape)).astype(np.float32) for k, v in tensors.items()}
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_a_tower_may_come_from_elsewhere(tmp_path: Path) -> None:
    """Truth by seeds: the tower is shared and the language model is not, the other way round, both, neither; and the tower
    alone is found inside the larger model."""
    one = written(tmp_path / "one", text=1, tower=1)
    alone = written(tmp_path / "alone", text=None, tower=1)
    for name, text, tower in (("tower", 2, 1), ("text", 1, 2), ("both", 1, 1), ("neither", 2, 2)):
        other = written(tmp_path / name, text, tower, noise=7)
        found = compare(one, other)
        said = {part.part: part.state for part in found.parts}
        assert found.verdict == ("no-evidence" if name == "neither" else "related")
        assert said.get("vision tower", "no-evidence") == ("shared" if tower == 1 else "no-evidence")
        assert said.get("FFN", "no-evidence") == ("shared" if text == 1 else "no-evidence")
        assert ("the language model shows no relation" in found.sentence()) == (name == "tower")
        found = compare(alone, other)
        assert found.verdict == ("related" if tower == 1 else "no-evidence")
        assert [part.part for part in found.parts] == (["vision tower"] if tower == 1 else [])
        assert not found.evidence
    assert found.to_json()["components"]["vision tower"]["evidence"]


def test_a_tower_that_cannot_be_read_is_no_error(tmp_path: Path) -> None:
    """Its tensors still count for whether two models are the same."""
    folder = written(tmp_path / "torn", text=1, tower=1)
    tensors = load_file(folder / "model.safetensors")
    tensors = {name: array for name, array in tensors.items() if ".vision_model.encoder.layers.1." not in name}
    save_file(tensors, folder / "model.safetensors")
    found = compare(written(tmp_path / "whole", text=1, tower=1), folder)
    assert found.components == {}
    assert found.verdict == "related"
    assert "vision tower" in found.sentence()
