"""Units that an architecture names keep their places: another order would change what the model computes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from kinprint import open_checkpoint, transforms
from kinprint.architectures.given import tables_of
from kinprint.errors import TransformError

MATRIX = "model.decoder.embed_positions.weight"


def changed(source: Path, target: Path, config: dict[str, Any], tensors: dict[str, Any]) -> Path:
    """A copy with another configuration and other tensors; None takes one away."""
    target.mkdir()
    said = {**json.loads((source / "config.json").read_text()), **config}
    (target / "config.json").write_text(json.dumps({key: value for key, value in said.items() if value is not None}))
    arrays = {**load_file(source / "model.safetensors"), **tensors}
    save_file({name: array for name, array in arrays.items() if array is not None}, target / "model.safetensors")
    return target


def moved(before: Path, after: Path) -> set[str]:
    """Kinds of tensors whose entries are not where they were."""
    tensors = open_checkpoint(before).tensors, open_checkpoint(after).tensors
    return {name.rsplit(".", 2)[-2] for name in tensors[0] if not np.array_equal(*(t[name].read() for t in tensors))}


@pytest.mark.parametrize("name", ["permute", "rotate", "disguise"])
def test_a_stored_table_of_sines_goes_along(
    name: str, original: Callable[[str], Path], outputs: Callable[[Path], Any], tmp_path: Path
) -> None:
    """Channels have names, and keep them where the matrix of positions is relabelled too: logits agree."""
    angles = np.arange(18)[:, None] * 10_000.0 ** (-np.arange(24) / 24)
    sines = np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)
    model = changed(original("opt"), tmp_path / "model", {}, {MATRIX: sines})
    assert set(transforms.read_model(model).facts["named_spaces"]) == {"channels"}
    transforms.apply(name, model, tmp_path / "copy", seed=3)
    assert "embed_positions" in moved(model, tmp_path / "copy")
    before, after = outputs(model), outputs(tmp_path / "copy")
    assert np.abs(after - before).max() <= 1e-4 * np.abs(before).max()


@pytest.mark.parametrize(
    ("family", "config", "kept"),
    [
        ("opt", {"static_position_embeddings": True}, {"channels"}),
        ("llama", {"alibi": True}, {"heads"}),
        ("bloom", {}, {"heads"}),
    ],
)
def test_named_units_keep_their_places(
    family: str, config: dict[str, Any], kept: set[str], original: Callable[[str], Path], tmp_path: Path
) -> None:
    """`permute` notes what it leaves out and why, and relabels neurons; `rotate` refuses where channels have names."""
    model = changed(original(family), tmp_path / "model", config, {MATRIX: None} if family == "opt" else {})
    made = transforms.apply("permute", model, tmp_path / "permuted", seed=3)
    assert {note.split(" kept: the model ")[0] for note in made.notes} == kept
    there = moved(model, tmp_path / "permuted")
    assert there & {"fc1", "up_proj", "dense_h_to_4h"}
    assert ("embed_tokens" in there or "word_embeddings" in there) == ("channels" not in kept)
    if "channels" in kept:
        with pytest.raises(TransformError, match="have names"):
            transforms.apply("rotate", model, tmp_path / "turned", seed=3)
        notes = transforms.apply("disguise", model, tmp_path / "disguised", seed=3).notes
        assert any(note.startswith("without rotate: its channels have names") for note in notes)


def test_a_guess_changes_nothing(original: Callable[[str], Path], tmp_path: Path) -> None:
    """A model of an unknown type is not transformed, until the user says what it is."""
    model = changed(original("llama"), tmp_path / "model", {"model_type": "new"}, {})
    with pytest.raises(TransformError, match="say its model type with --as"):
        transforms.apply("rotate", model, tmp_path / "copy", seed=3)
    transforms.apply("rotate", model, tmp_path / "copy", seed=3, given=tables_of("llama"))
    assert moved(model, tmp_path / "copy")
