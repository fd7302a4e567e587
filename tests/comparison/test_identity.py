"""`identical` means that every tensor is the same, whatever names, containers and configurations say."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from families import random_model
from safetensors.numpy import load_file, save_file
from shares import every

from kinprint import Fingerprint, compare, fingerprint
from kinprint.comparison import Comparison

pytest.importorskip("torch")
pytest.importorskip("transformers")

NAMES = ("llama", "gpt2", "gpt_neox", "bert", "t5", "qwen3_next", "gemma", "mixtral", "phi3", "jamba")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A random model of a family, saved once."""
    made: dict[str, Path] = {}

    def save(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp(name)
            random_model(name).save_pretrained(made[name])
        return made[name]

    return save


def copy(source: Path, target: Path, tensors: dict[str, np.ndarray] | None = None, **config: Any) -> Path:
    """The model again, with other tensors or with changes of its configuration (None takes a key away)."""
    shutil.copytree(source, target)
    if tensors is not None:
        for file in target.glob("*.safetensors"):
            file.unlink()
        save_file({name: np.ascontiguousarray(array) for name, array in tensors.items()}, target / "model.safetensors")
    path = target / "config.json"
    changed = {**json.loads(path.read_text()), **config}
    path.write_text(json.dumps({key: value for key, value in changed.items() if value is not None}))
    return target


def tensors_of(folder: Path) -> dict[str, np.ndarray]:
    return load_file(folder / "model.safetensors")


def seen(a: Path | Fingerprint, b: Path | Fingerprint) -> Comparison:
    """What the content alone says: no method is run."""
    return compare(a, b, methods=[])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("model_type", ["something-new", "gpt2", None])
def test_a_copy_of_another_type_is_identical(
    saved: Callable[[str], Path], name: str, model_type: str | None, tmp_path: Path
) -> None:
    """What a configuration says of its type changes no weight."""
    again = copy(saved(name), tmp_path / "again", model_type=model_type)
    assert seen(saved(name), again).verdict == "identical"


@pytest.mark.parametrize("name", NAMES)
def test_a_copy_without_configuration_is_identical(saved: Callable[[str], Path], name: str, tmp_path: Path) -> None:
    shutil.copy(saved(name) / "model.safetensors", tmp_path / "bare.safetensors")
    assert seen(saved(name), tmp_path / "bare.safetensors").verdict == "identical"


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda name: f"_orig_mod.{name}",
        lambda name: f"module.{name}",
        lambda name: f"module._orig_mod.{name}",
        lambda name: f"base_model.model.{name}",
        lambda name: name.replace("layers.", "layers._fsdp_wrapped_module.") if "layers." in name else name,
        lambda name: name.replace(".self_attn.", "._checkpoint_wrapped_module.self_attn."),
    ],
)
def test_wrappers_change_nothing(saved: Callable[[str], Path], wrapped: Callable[[str], str], tmp_path: Path) -> None:
    """Compilers, distributed training and adapters leave steps in names; the model is read as before."""
    tensors = {wrapped(name): array for name, array in tensors_of(saved("llama")).items()}
    found = seen(saved("llama"), copy(saved("llama"), tmp_path / "wrapped", tensors))
    assert found.verdict == "identical"
    assert found.reference.facts["family"] == found.suspect.facts["family"] == "llama"


def test_old_names_of_norms_are_the_new_ones(saved: Callable[[str], Path], tmp_path: Path) -> None:
    """BERT's gamma and beta: the gains are read, and the copy is identical."""
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): array
        for name, array in tensors_of(saved("bert")).items()
    }
    found = seen(saved("bert"), copy(saved("bert"), tmp_path / "old", old))
    assert found.verdict == "identical"
    assert "gains.post_attention" in found.suspect.traits


@pytest.mark.parametrize("name", ["llama", "gpt2", "t5"])
def test_a_tied_head_may_be_stored_or_not(saved: Callable[[str], Path], name: str, tmp_path: Path) -> None:
    """The output matrix is the embedding: once in the file or twice, the model is the same, and so is its fingerprint."""
    tensors = {key: array for key, array in tensors_of(saved(name)).items() if key != "lm_head.weight"}
    embedding = next(key for key in tensors if key.endswith(("embed_tokens.weight", "wte.weight", "shared.weight")))
    once = copy(saved(name), tmp_path / "once", tensors)
    twice = copy(saved(name), tmp_path / "twice", {**tensors, "lm_head.weight": tensors[embedding]})
    found = seen(once, twice)
    assert found.verdict == "identical"
    assert found.reference.traits.keys() == found.suspect.traits.keys()


WORDS = "cls.predictions.decoder.bias"
MATRIX = np.random.default_rng(0).normal(size=(40, 48)).astype(np.float32)


@pytest.mark.parametrize(
    ("once", "again", "verdict"),
    [
        ({WORDS: MATRIX[0].repeat(2)[:72]}, {"cls.predictions.bias": WORDS}, "identical"),
        ({"embed.projection.weight": MATRIX}, {"unembed.weight": "embed.projection.weight"}, "identical"),
        ({"embed.projection.weight": MATRIX}, {"b.weight": "embed.projection.weight", "a.weight": "b.weight"}, "identical"),
        ({"scale.weight": np.ones(48, np.float32)}, {"other.weight": "scale.weight"}, "related"),
        ({"bert.encoder.layer.0.extra.weight": MATRIX}, {"bert.encoder.layer.1.extra.weight": MATRIX}, "related"),
    ],
    ids=["bias of words", "matrix", "three names", "all ones", "in a layer"],
)
def test_what_is_stored_a_second_time(
    once: dict[str, np.ndarray], again: dict[str, Any], verdict: str, saved: Callable[[str], Path], tmp_path: Path
) -> None:
    """Outside the layers a second tensor with the same entries is the first, tied, if they are no coincidence."""
    tensors = {key: array for key, array in tensors_of(saved("bert")).items() if not key.startswith("cls.predictions.")} | once
    more = dict(tensors)
    for name, source in again.items():
        more[name] = more[source] if isinstance(source, str) else source
    a, b = copy(saved("bert"), tmp_path / "a", tensors), copy(saved("bert"), tmp_path / "b", more)
    assert seen(a, b).verdict == seen(b, a).verdict == verdict
    changed = {**more, next(iter(again)): np.flip(more[next(iter(again))]) + 1}
    assert seen(a, copy(saved("bert"), tmp_path / "c", changed)).verdict != "identical"


def test_what_layers_have_in_common(saved: Callable[[str], Path], tmp_path: Path) -> None:
    """Zamba's shared block may stand in a file once, or in every layer that uses it; one that differs is another model."""
    once = tensors_of(saved("zamba"))
    layers = sorted({key.split(".")[2] for key in once if ".shared_transf." in key})
    assert len(layers) == 1
    block = {key: array for key, array in once.items() if f"layers.{layers[0]}.shared_transf." in key}
    again = {key.replace(f"layers.{layers[0]}.", "layers.4."): array for key, array in block.items()}
    assert seen(saved("zamba"), copy(saved("zamba"), tmp_path / "twice", {**once, **again})).verdict == "identical"
    other = {**once, **again, next(iter(again)): np.flip(next(iter(again.values())))}
    assert seen(saved("zamba"), copy(saved("zamba"), tmp_path / "other", other)).verdict != "identical"


def test_a_head_of_its_own_is_not_the_embedding(saved: Callable[[str], Path], tmp_path: Path) -> None:
    """Embedding and head exchanged: the same two matrices, and another model."""
    tensors = tensors_of(saved("llama"))
    tensors["lm_head.weight"], tensors["model.embed_tokens.weight"] = (
        tensors["model.embed_tokens.weight"],
        tensors["lm_head.weight"],
    )
    assert seen(saved("llama"), copy(saved("llama"), tmp_path / "turned", tensors)).verdict != "identical"


@pytest.mark.parametrize("name", NAMES)
def test_no_tensor_may_differ(saved: Callable[[str], Path], name: str, tmp_path: Path) -> None:
    """Any one tensor drawn anew, whether it has a role or not: the verdict is not `identical`."""
    reference, tensors = fingerprint(saved(name), cache=False), tensors_of(saved(name))
    kinds = {tuple(part for part in key.split(".") if not part.isdigit()): key for key in tensors}
    rng = np.random.default_rng(0)
    for number, key in enumerate(every(2, kinds.values())):
        drawn = rng.normal(size=tensors[key].shape).astype(tensors[key].dtype)
        changed = copy(saved(name), tmp_path / str(number), {**tensors, key: drawn})
        found = seen(reference, fingerprint(changed, cache=False))
        assert found.verdict != "identical", key
        assert found.content.identical is None
        shutil.rmtree(changed)


def test_what_differs_is_said_in_numbers(saved: Callable[[str], Path], tmp_path: Path) -> None:
    """The mixers of a hybrid drawn anew: the rest is the same bit for bit, the share of the mixers is told."""
    tensors = tensors_of(saved("jamba"))
    rng = np.random.default_rng(0)
    drawn = {
        name: rng.normal(size=array.shape).astype(array.dtype) if "conv1d" in name else array for name, array in tensors.items()
    }
    found = seen(saved("jamba"), copy(saved("jamba"), tmp_path / "drawn", drawn))
    assert found.verdict == "related"
    assert found.forgeable is False
    assert "holds the same language model" in found.sentence()
    assert "the mamba mixer (" in found.sentence()
    assert "% of the bytes) differs" in found.sentence()
    (difference,) = found.content.differences
    share = sum(tensors[name].nbytes for name in tensors if "conv1d" in name) / sum(a.nbytes for a in tensors.values())
    assert difference.share == pytest.approx(share)
    assert found.to_json()["content"]["differences"][0]["state"] == "differs"


def test_what_is_missing_is_said(saved: Callable[[str], Path], tmp_path: Path) -> None:
    """BERT without its pooler."""
    tensors = {name: array for name, array in tensors_of(saved("bert")).items() if "pooler" not in name}
    found = seen(saved("bert"), copy(saved("bert"), tmp_path / "without", tensors))
    assert found.verdict == "related"
    assert "the pooler" in found.sentence()
    assert "is missing in the suspect" in found.sentence()


def test_an_adapter_beside_its_base_is_no_copy(saved: Callable[[str], Path], tmp_path: Path) -> None:
    tensors = tensors_of(saved("llama"))
    name = "model.layers.0.self_attn.q_proj.lora_A.default.weight"
    found = seen(saved("llama"), copy(saved("llama"), tmp_path / "lora", {**tensors, name: np.ones((2, 48), np.float32)}))
    assert found.verdict == "related"
    assert "the adapter" in found.sentence()


def test_buffers_may_be_left_out_but_not_differ(saved: Callable[[str], Path], tmp_path: Path) -> None:
    """What a model computes itself: stored by one library and not by another. Where both have it, it counts."""
    tensors = tensors_of(saved("llama"))
    name = "model.layers.0.self_attn.rotary_emb.inv_freq"
    with_it = copy(saved("llama"), tmp_path / "with", {**tensors, name: np.ones(6, np.float32)})
    other = copy(saved("llama"), tmp_path / "other", {**tensors, name: np.full(6, 2, np.float32)})
    assert seen(saved("llama"), with_it).verdict == "identical"
    assert seen(with_it, other).verdict != "identical"


@pytest.mark.parametrize("name", ["llama", "bert", "jamba"])
def test_a_cast_copy_is_identical_up_to_rounding(saved: Callable[[str], Path], name: str, tmp_path: Path) -> None:
    """Also what has no role; a tensor without a role that differs is found by its sampled entries."""
    tensors = tensors_of(saved(name))
    cast = {key: array.astype(ml_dtypes.bfloat16) for key, array in tensors.items()}
    found = seen(saved(name), copy(saved(name), tmp_path / "cast", cast))
    assert found.verdict == "identical"
    assert "sampled" in found.sentence()
    other = next((key for key in cast if "pooler" in key or "conv1d" in key), None)
    if other is not None:
        changed = copy(saved(name), tmp_path / "changed", {**cast, other: cast[other] * ml_dtypes.bfloat16(2)})
        assert seen(saved(name), changed).verdict == "related"


def test_an_older_fingerprint_says_what_it_cannot_show(saved: Callable[[str], Path]) -> None:
    """Without the content of tensors without a role: identical where there were none, else not known."""

    def old(name: str) -> Fingerprint:
        new = fingerprint(saved(name), cache=False)
        traits = {trait: values for trait, values in new.traits.items() if not trait.startswith("others.")}
        facts = {fact: value for fact, value in new.facts.items() if fact not in ("content", "others", "stored_bytes")}
        return Fingerprint(new.name, traits, facts, new.provenance)

    assert seen(old("llama"), saved("llama")).verdict == "identical"
    found = seen(old("bert"), saved("bert"))
    assert found.verdict == "related"
    assert "not recorded in an older fingerprint" in found.sentence()
