"""A public start is drawn as nanoGPT draws it, recognised in what was trained from it, and in nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import kstest

from kinprint.architectures import Weights, open_model
from kinprint.comparison.origin import origin
from kinprint.comparison.public_start import SIZE, Shape, compared, public_start

torch = pytest.importorskip("torch")

SHAPE = Shape(layers=2, hidden=32, vocabulary=80, positions=24)


def modules(shape: Shape, seed: int) -> dict[str, Any]:
    """The parameters of nanoGPT's model, made of torch's modules in the order of its `model.py`."""
    nn, width = torch.nn, shape.hidden
    torch.manual_seed(seed)

    def linear(inputs: int, outputs: int) -> Any:
        return nn.Linear(inputs, outputs, bias=shape.biases)

    found: dict[str, Any] = {"wte": nn.Embedding(shape.vocabulary, width), "wpe": nn.Embedding(shape.positions, width)}
    for layer in range(shape.layers):
        found[f"{layer}.qkv"], found[f"{layer}.o"] = linear(width, 3 * width), linear(width, width)
        found[f"{layer}.up"], found[f"{layer}.down"] = linear(width, 4 * width), linear(4 * width, width)
    found["head"] = nn.Linear(width, shape.vocabulary, bias=False)
    found["wte"].weight = found["head"].weight
    for module in found.values():
        nn.init.normal_(module.weight, mean=0.0, std=SIZE)
    for layer in range(shape.layers):
        for name in ("o", "down"):
            nn.init.normal_(found[f"{layer}.{name}"].weight, mean=0.0, std=SIZE / math.sqrt(2 * shape.layers))
    return {name: module.weight.detach().numpy() for name, module in found.items()}


@pytest.mark.parametrize("biases", [False, True])
def test_it_is_drawn_as_nanogpt_draws_it(biases: bool) -> None:
    shape = Shape(2, 32, 80, 24, biases)
    expected = modules(shape, 1337)
    drawn = {(layer, role): values for layer, role, values in shape.drawn(1337)}
    assert np.allclose(drawn[None, "embedding"] * SIZE, expected["wte"])
    assert np.allclose(drawn[None, "position"] * SIZE, expected["wpe"])
    for layer in range(shape.layers):
        together = np.concatenate([drawn[layer, role] for role in "qkv"])
        assert np.allclose(together * SIZE, expected[f"{layer}.qkv"])
        assert np.allclose(drawn[layer, "up"] * SIZE, expected[f"{layer}.up"])
        for role in ("o", "down"):
            assert np.allclose(drawn[layer, role] * SIZE / math.sqrt(2 * shape.layers), expected[f"{layer}.{role}"])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weights]:
    """A model in nanoGPT's file, of whose start a fifth is left beside what is heavy-tailed and has a mean."""
    rng = np.random.default_rng(0)
    weights = {
        name: torch.from_numpy(SIZE * (rng.standard_t(3, w.shape) + 0.3) + 0.2 * w) for name, w in modules(SHAPE, 1337).items()
    }
    names = {"qkv": "attn.c_attn", "o": "attn.c_proj", "up": "mlp.c_fc", "down": "mlp.c_proj"}
    stored = {f"transformer.{name}.weight": weights[name] for name in ("wte", "wpe")}
    stored |= {
        f"transformer.h.{i}.{new}.weight": weights[f"{i}.{old}"] for i in range(SHAPE.layers) for old, new in names.items()
    }
    for norm in ("ln_f", *(f"h.{layer}.ln_{number}" for layer in range(SHAPE.layers) for number in (1, 2))):
        stored[f"transformer.{norm}.weight"] = torch.ones(SHAPE.hidden)
    described = {
        "n_layer": SHAPE.layers,
        "n_head": 4,
        "n_embd": SHAPE.hidden,
        "block_size": SHAPE.positions,
        "vocab_size": SHAPE.vocabulary,
    }
    path = tmp_path_factory.mktemp("nanogpt") / "ckpt.pt"
    torch.save({"model": stored, "model_args": described | {"bias": False}}, path)
    return open_model(path).weights


def test_a_fifth_of_the_start_is_recognised(trained: Weights) -> None:
    found = public_start(trained)
    assert found is not None
    assert (found.name, found.seed) == ("nanoGPT", 1337)
    assert found.log10_p < -20
    assert found.left == pytest.approx(0.2, abs=0.05)


def test_the_sentence_about_two_models_of_it_says_so(trained: Weights) -> None:
    found = origin(trained, trained)
    assert found is not None
    assert found.public is not None
    assert found.public.seed == 1337
    assert "Both started from numbers that anybody can draw: nanoGPT's, from seed 1337" in found.sentence()


def test_p_values_of_other_seeds_are_uniform(trained: Weights) -> None:
    """H0: the weights were made without the numbers of the seed."""
    p_values = [10 ** compared(trained, SHAPE, seed).log10_p for seed in range(300)]
    assert kstest(p_values, "uniform").pvalue > 0.01


def test_a_model_that_is_not_built_so_has_no_public_start(models: Path) -> None:
    assert public_start(open_model(models / "base").weights) is None
