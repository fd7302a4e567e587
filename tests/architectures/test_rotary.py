"""Which dimensions of a head positions rotate, where kinds of layers have rotary parameters of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from families import FAMILIES, random_model

from kinprint import transforms
from kinprint.architectures import recognise
from kinprint.architectures.given import tables_of
from kinprint.architectures.rotary import rotary
from kinprint.architectures.table import known
from kinprint.checkpoints import open_checkpoint
from kinprint.errors import ArchitectureError, TransformError

TABLE = next(table for table in known() if table.family == "laguna")
FACTS = {"positions": "rope", "head_dim": 16, "num_hidden_layers": 3}
HALF, WHOLE = {"rope_theta": 1e4, "partial_rotary_factor": 0.5}, {"rope_theta": 1e4}
LAYERS = ["full", "window", "window"]


@pytest.mark.parametrize("name", ["laguna", "mimo_v2_flash", "zaya", "gemma4_text", "gemma3_text"])
def test_as_many_as_the_library_rotates(name: str, tmp_path: Path) -> None:
    """In every layer twice as many as it has frequencies."""
    model = random_model(name)
    model.save_pretrained(tmp_path)
    facts = recognise(open_checkpoint(tmp_path)).facts
    buffers = {key.rpartition(".")[2]: buffer for key, buffer in model.named_buffers()}
    kinds = model.config.layer_types
    true = [2 * len(buffers[f"{kind}_inv_freq"]) for kind in kinds]
    assert facts.get("by_layer", {}).get("rotary_dim", [facts["rotary_dim"]] * len(kinds)) == true


@pytest.mark.parametrize(
    ("parameters", "layers", "expected"),
    [
        ({"full": HALF, "window": HALF}, LAYERS, {"rotary_dim": 8}),
        ({"full": HALF, "window": HALF}, None, {"rotary_dim": 8}),
        ({"full": HALF, "window": WHOLE}, ["full"] * 3, {"rotary_dim": 8}),
        ({"full": HALF, "window": WHOLE}, LAYERS, {"rotary_dim": 16, "by_layer": {"rotary_dim": [8, 16, 16]}}),
        (
            {"full": HALF, "window": WHOLE},
            ["full", "mixer", "window"],
            {"rotary_dim": 8, "by_layer": {"rotary_dim": [8, 0, 16]}},
        ),
        ({"full": {**HALF, "rope_type": "proportional"}, "window": WHOLE}, LAYERS, {"rotary_dim": 16}),
        ({"full": HALF, "window": WHOLE}, None, {}),
        ({"full": HALF, "window": WHOLE}, LAYERS[:2], {}),
        (HALF, LAYERS, {"rotary_dim": 8}),
        (None, None, {"rotary_dim": 16}),
    ],
)
def test_kinds_of_layers(parameters: Any, layers: Any, expected: dict[str, Any]) -> None:
    """One number where all layers in use agree, else one for each layer; nothing where it is not said which layer is which."""
    found = rotary(TABLE, {"rope_parameters": parameters, "layer_types": layers}, FACTS, "m")
    assert found == {**expected, "rotary_pairs": "halves"}


@pytest.mark.parametrize(
    ("config", "pairs"),
    [({}, "interleaved"), ({"rope_interleave": True}, "interleaved"), ({"rope_interleave": False}, "halves")],
)
def test_pairs_that_the_configuration_chooses(config: dict[str, Any], pairs: str) -> None:
    """DeepSeek-V3's relatives turn neighbours, unless `rope_interleave` is off."""
    (table,) = tables_of("mistral4")
    assert rotary(table, config, {**FACTS, "rotary_dim": 8}, "m") == {"rotary_dim": 8, "rotary_pairs": pairs}


def test_a_share_of_some_layers_that_is_none() -> None:
    config = {"rope_parameters": {"full": HALF, "window": {"partial_rotary_factor": 2}}, "layer_types": LAYERS}
    with pytest.raises(ArchitectureError, match="rotates 2 of each head"):
        rotary(TABLE, config, FACTS, "m")


def test_heads_that_turn_differently_are_not_mixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mixing keeps to the pairs that turn, which differ by layer; permuting heads keeps the function all the same."""
    by_kind = {"full_attention": {**HALF, "rope_type": "default"}, "sliding_attention": {**WHOLE, "rope_type": "default"}}
    said = {"rope_parameters": by_kind, "layer_types": ["full_attention", "sliding_attention"], "sliding_window": 2}
    monkeypatch.setitem(FAMILIES, "cohere_compass_text", {**FAMILIES["cohere_compass_text"], **said})
    random_model("cohere_compass_text").save_pretrained(tmp_path / "model")
    with pytest.raises(TransformError, match="different shares of a head"):
        transforms.apply("mix", tmp_path / "model", tmp_path / "copy", seed=1)
    assert transforms.apply("permute", tmp_path / "model", tmp_path / "copy", seed=1).check
