"""What is written is complete or absent, streams, and reads back as it was."""

from __future__ import annotations

import json
import os
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from families import FAMILIES
from quantised import awq

from kinprint import fingerprint, open_checkpoint, transforms
from kinprint.errors import CheckpointError, TransformError
from kinprint.transforms import read_model, write


@pytest.mark.parametrize("family", FAMILIES)
def test_taking_apart_and_joining_are_inverse(family: str, original: Callable[[str], Path], tmp_path: Path) -> None:
    """Writing a model as it was opened gives the same tensors, bit for bit, and the same configuration."""
    write(read_model(original(family)), tmp_path / "copy")
    added = any(entry.add for entry in read_model(original(family)).table.tensors.values())
    before, after = (open_checkpoint(folder) for folder in (original(family), tmp_path / "copy"))
    assert before.config == after.config
    assert list(before.tensors) == list(after.tensors)
    for name, tensor in before.tensors.items():
        exact = "norm" not in name or not added  # a gain may be stored as its distance from 1
        np.testing.assert_allclose(
            tensor.read(), after.tensors[name].read(), rtol=0 if exact else 1e-6, atol=0 if exact else 1e-7
        )


def test_shards_and_one_file_hold_the_same(models: Path, tmp_path: Path) -> None:
    write(read_model(models / "base"), tmp_path / "one")
    write(read_model(models / "base"), tmp_path / "many", shard_bytes=300_000)
    assert len(list((tmp_path / "many").glob("model-*.safetensors"))) > 2
    assert fingerprint(tmp_path / "one").digest == fingerprint(tmp_path / "many").digest


def test_tokenizer_goes_along_and_the_card_does_not(models: Path, tmp_path: Path) -> None:
    """The card of the source speaks of another model."""
    write(read_model(models / "base"), tmp_path / "copy")
    assert (tmp_path / "copy" / "tokenizer.json").read_bytes() == (models / "base" / "tokenizer.json").read_bytes()
    assert not (tmp_path / "copy" / "README.md").exists()


def test_progress_ends_at_all_bytes(models: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    transforms.apply("permute", models / "base", tmp_path / "copy", progress=lambda *pair: told.append(pair))
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1] == sum(t.read().nbytes for t in open_checkpoint(tmp_path / "copy").tensors.values())


def test_memory_is_that_of_the_largest_tensor(models: Path, tmp_path: Path) -> None:
    """A model of 24 equal layers takes the memory of one tensor, a few times over, not that of the model."""
    folder = tmp_path / "model"
    folder.mkdir()
    from safetensors.numpy import save_file

    width, layers = 256, 24
    rng = np.random.default_rng(0)
    tensors = {"model.embed_tokens.weight": rng.normal(size=(64, width)), "model.norm.weight": np.ones(width)}
    for layer in range(layers):
        block = f"model.layers.{layer}."
        tensors |= {f"{block}{norm}_layernorm.weight": np.ones(width) for norm in ("input", "post_attention")}
        tensors |= {f"{block}self_attn.{m}_proj.weight": rng.normal(size=(width, width)) for m in "qkvo"}
        tensors |= {f"{block}mlp.{m}_proj.weight": rng.normal(size=(2 * width, width)) for m in ("gate", "up")}
        tensors[f"{block}mlp.down_proj.weight"] = rng.normal(size=(width, 2 * width))
    save_file({name: array.astype(np.float32) for name, array in tensors.items()}, folder / "model.safetensors")
    numbers = {"hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": 4, "intermediate_size": 2 * width}
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", **numbers}))
    transforms.apply("disguise", models / "base", tmp_path / "warm")  # imports are not the model's memory
    model = transforms.known()["disguise"](read_model(folder))
    tracemalloc.start()
    write(model, tmp_path / "copy")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    largest, whole = 2 * width * width * 4, sum(a.size for a in tensors.values()) * 4
    assert peak < 12 * largest < whole / 4


@pytest.mark.parametrize("there", ["file", "full"])
def test_what_is_there_is_not_touched(there: str, models: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    if there == "file":
        target.write_text("mine")
    else:
        target.mkdir()
        (target / "mine").write_text("mine")
    with pytest.raises(TransformError, match="exists already"):
        transforms.apply("cast", models / "base", target)
    assert (target if there == "file" else target / "mine").read_text() == "mine"


def test_an_empty_folder_is_filled(models: Path, tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    transforms.apply("cast", models / "base", tmp_path / "target")
    assert fingerprint(tmp_path / "target").layers == 4


def test_nothing_is_left_of_a_failure(models: Path, tmp_path: Path) -> None:
    """A source that is cut short while it is read leaves no folder behind, not even a temporary one."""
    shutil.copytree(models / "base", tmp_path / "source")
    model = read_model(tmp_path / "source")
    os.truncate(tmp_path / "source" / "model.safetensors", 1000)
    (tmp_path / "out").mkdir()
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        write(model, tmp_path / "out" / "copy")
    assert not list((tmp_path / "out").iterdir())


def test_without_configuration_nothing_is_written(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "base", tmp_path / "source")
    (tmp_path / "source" / "config.json").unlink()
    with pytest.raises(TransformError, match=r"config\.json"):
        transforms.apply("cast", tmp_path / "source", tmp_path / "copy")


def test_a_folder_that_cannot_be_written(models: Path, tmp_path: Path) -> None:
    """Root may write anywhere but inside a file."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(TransformError, match="cannot be written"):
        transforms.apply("cast", models / "base", tmp_path / "file" / "copy")


def test_a_model_from_a_hub(hub: Callable[..., object], models: Path, tmp_path: Path) -> None:
    """A hub id works where a folder does, its tokenizer included."""
    hub({"org/base": models / "base"})
    transforms.apply("permute", "org/base", tmp_path / "copy")
    assert (tmp_path / "copy" / "tokenizer.json").exists()
    assert fingerprint(tmp_path / "copy").layers == 4


def test_the_language_part_of_a_larger_model(models: Path, tmp_path: Path) -> None:
    """Numbers change inside text_config, other parts stay bit for bit; what would tear them apart is refused by name."""
    from safetensors.numpy import save_file

    folder = tmp_path / "both"
    folder.mkdir()
    parts = {f"language_model.{name}": t.read() for name, t in open_checkpoint(models / "base").tensors.items()}
    eye = np.arange(6, dtype=np.float32).reshape(2, 3)
    save_file({**parts, "vision_tower.patch.weight": eye}, folder / "model.safetensors")
    inner = json.loads((models / "base" / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({"model_type": "both", "vision": 1, "text_config": inner}))
    transforms.apply("prune", folder, tmp_path / "new", kind="depth", layers=[0, 3])
    made = open_checkpoint(tmp_path / "new")
    assert made.config["vision"] == 1
    assert made.config["text_config"]["num_hidden_layers"] == 2
    np.testing.assert_array_equal(made.tensors["vision_tower.patch.weight"].read(), eye)
    with pytest.raises(TransformError, match=r"vision_tower\.patch"):
        transforms.apply("rotate", folder, tmp_path / "turned")


def test_quantised_models_are_written_as_they_decode(models: Path, tmp_path: Path) -> None:
    """The copy holds floating-point weights, equal to the decoded ones, and its configuration says nothing else."""
    awq(models / "base", tmp_path / "quantised")
    write(read_model(tmp_path / "quantised"), tmp_path / "copy")
    before, after = (open_checkpoint(tmp_path / name) for name in ("quantised", "copy"))
    assert before.quantization
    assert not after.quantization
    assert "quantization_config" not in after.config
    for name, tensor in before.tensors.items():
        np.testing.assert_array_equal(tensor.read(), after.tensors[name].read())
