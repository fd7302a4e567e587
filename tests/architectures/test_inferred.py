"""A reading from names and shapes, of models that no table knows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from families import FAMILIES, random_model

from kinprint import compare
from kinprint.architectures import recognise
from kinprint.architectures.inferred import inferred
from kinprint.checkpoints import Checkpoint, open_checkpoint

pytest.importorskip("torch")
pytest.importorskip("transformers")


class Zeros:
    """A tensor of which nothing but the shape is looked at."""

    def __init__(self, name: str, shape: tuple[int, ...]) -> None:
        self.name, self.shape, self.dtype = name, shape, np.dtype(np.float32)

    def read(self) -> np.ndarray:
        return np.zeros(self.shape, self.dtype)


SEPARATE = ("llama", "qwen3", "gemma2", "olmo2", "opt", "gptj", "cohere", "stablelm", "bert", "arcee")


@pytest.mark.parametrize("name", SEPARATE)
def test_inferred_roles_are_those_of_the_table(name: str, tmp_path: Path) -> None:
    """Families whose matrices are separate: where names and shapes say a role, it is the right one, the right way round."""
    random_model(name).save_pretrained(tmp_path)
    opened = open_checkpoint(tmp_path)
    known = {part.tensor: part for part in recognise(opened).parts}
    table = inferred(opened.tensors, opened.config)
    assert table is not None
    found = recognise(opened, (table,))
    matrices = [part for part in found.parts if part.layer is not None and not part.role.startswith("biases.")]
    assert {part.role for part in matrices} >= {"q", "k", "v", "o", "up", "down"}
    for part in found.parts:
        assert part.role == known[part.tensor].role
        assert part.shape == known[part.tensor].shape


@pytest.mark.parametrize("name", FAMILIES)
def test_nothing_is_said_that_the_tensors_do_not_show(name: str, tmp_path: Path) -> None:
    """No number of heads, no positions, no gain; no role that the table would give to another tensor."""
    random_model(name).save_pretrained(tmp_path)
    opened = open_checkpoint(tmp_path)
    table = inferred(opened.tensors, {})
    if table is None:
        return
    found = recognise(Checkpoint("m", "m", opened.tensors, {}), (table,))
    assert "num_attention_heads" not in found.facts
    assert not any(part.role.startswith("gains.") for part in found.parts)
    known = {part.tensor: part.role for part in recognise(opened).parts}
    wrong = {part.tensor: part.role for part in found.parts if known.get(part.tensor) not in (None, part.role)}
    assert {name for name in wrong if "gate_up" not in name} == set()


def test_an_encoder_and_its_decoder_are_found_beside_convolutions() -> None:
    """SpeechT5: "encoder" stands twice in front of the layers, and the largest stack has no matrix."""
    width, neurons = 8, 12
    matrices = {"feed_forward.intermediate_dense": (neurons, width), "feed_forward.output_dense": (width, neurons)}
    matrices |= {f"attention.{name}_proj": (width, width) for name in ("q", "k", "v", "out")}
    shapes = {
        f"m.{side}.wrapped_{side}.layers.{layer}.{name}.weight": shape
        for side in ("encoder", "decoder")
        for layer in range(2)
        for name, shape in matrices.items()
    }
    shapes |= {f"m.encoder.prenet.conv_layers.{layer}.conv.weight": (64, 64, 10) for layer in range(5)}
    found = recognise(Checkpoint("m", "m", {name: Zeros(name, shape) for name, shape in shapes.items()}, {}))
    assert (found.family, found.facts["num_hidden_layers"]) == ("inferred", 4)
    places = {(part.layer, part.role): part.tensor for part in found.parts}
    assert {role for _, role in places} == {"q", "k", "v", "o", "up", "down"}
    assert places[0, "up"].startswith("m.encoder.wrapped_encoder.layers.0.feed_forward.intermediate_dense")
    assert places[3, "down"].startswith("m.decoder.wrapped_decoder.layers.1.feed_forward.output_dense")


def test_relatives_are_found_and_strangers_are_not(tmp_path: Path) -> None:
    """Null: two random models of a type and with names that no table knows. Alternative: a copy with a little noise."""
    import torch

    names = {"self_attn": "attention_block", "mlp": "feed_forward", "layers": "stack", "q_proj": "query", "k_proj": "key"}

    def save(folder: Path, seed: int, noise: float) -> Path:
        model = random_model("llama", seed)
        torch.manual_seed(5)
        tensors = {key: value + noise * torch.randn_like(value) for key, value in model.state_dict().items()}
        from safetensors.torch import save_file

        for old, new in names.items():
            tensors = {key.replace(old, new): value.contiguous() for key, value in tensors.items()}
        folder.mkdir()
        save_file(tensors, folder / "model.safetensors")
        return folder / "model.safetensors"

    base, child, other = (save(tmp_path / n, seed, noise) for n, seed, noise in (("a", 0, 0), ("b", 0, 0.02), ("c", 1, 0)))
    assert compare(base, child, methods=None).verdict in ("related", "untestable")
    assert compare(base, other).verdict in ("no-evidence", "untestable")
    assert np.isfinite(recognise(open_checkpoint(base)).facts["hidden_size"])
