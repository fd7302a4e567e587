"""Where each expert comes from: mixtures put together of the shipped models' FFNs, of known truth."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import kinprint
from kinprint.reports import comparison_words as words

Expert = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Gate, down and up of one layer, as Mixtral names them w1, w2 and w3."""

Mixture = Sequence[Sequence[Expert]]


def moved(expert: Expert, seed: int) -> Expert:
    """The same neurons a little further on, and relabelled."""
    rng = np.random.default_rng(seed)
    gate, down, up = (part * (1 + 0.05 * rng.normal(size=part.shape)) for part in expert)
    order = rng.permutation(len(gate))
    return gate[order], np.take(down, order, axis=1), up[order]


def fresh(like: Expert, seed: int) -> Expert:
    gate, down, up = (np.random.default_rng([seed, part]).normal(0, 0.02, like[part].shape) for part in range(3))
    return gate, down, up


@pytest.fixture
def mixture(models: Path, tmp_path: Path) -> Callable[[str, Mixture], Path]:
    """The base as a mixture of other experts."""

    def made(name: str, experts: Mixture) -> Path:
        folder = tmp_path / name
        shutil.copytree(models / "base", folder)
        weights = folder / "model.safetensors"
        tensors = {name: value for name, value in load_file(weights).items() if ".mlp." not in name}
        for layer, of_layer in enumerate(experts):
            place = f"model.layers.{layer}.block_sparse_moe"
            router = np.random.default_rng(layer).normal(size=(len(of_layer), 128))
            tensors[f"{place}.gate.weight"] = router.astype(ml_dtypes.bfloat16)
            for number, expert in enumerate(of_layer):
                parts = {f"{place}.experts.{number}.w{n}.weight": part for n, part in enumerate(expert, 1)}
                tensors |= {name: np.ascontiguousarray(part.astype(ml_dtypes.bfloat16)) for name, part in parts.items()}
        save_file(tensors, weights, {"format": "pt"})
        config = json.loads((folder / "config.json").read_text())
        config |= {"model_type": "mixtral", "architectures": ["MixtralForCausalLM"]}
        config |= {"num_local_experts": len(experts[0]), "num_experts_per_tok": 2}
        (folder / "config.json").write_text(json.dumps(config))
        return folder

    return made


def test_each_expert_is_asked_by_itself(models: Path, mixture: Callable[[str, Mixture], Path]) -> None:
    """H1 for experts that were moved on, relabelled and put in another order, H0 for those beside them that begin anew."""

    def ffns(name: str) -> list[Expert]:
        tensors = load_file(models / name / "model.safetensors")
        return [
            tuple(tensors[f"model.layers.{n}.mlp.{part}_proj.weight"].astype(np.float32) for part in ("gate", "down", "up"))
            for n in range(4)
        ]

    base, twin = ffns("base"), ffns("twin")
    reference = mixture("reference", [[base[n], twin[n], base[(n + 1) % 4]] for n in range(4)])
    suspect = mixture(
        "suspect",
        [[fresh(base[n], n), moved(base[(n + 1) % 4], n), moved(base[n], 9 + n), moved(twin[n], 5 + n)] for n in range(4)],
    )
    found = kinprint.compare(reference, suspect)
    assert [(item.layer, item.expert) for item in found.experts] == [(n, e) for n in range(4) for e in range(4)]
    assert [item.source for item in found.experts] == [
        place for n in range(4) for place in (None, (n, 2), (n, 0), (n, 1))
    ]  # fmt: skip
    assert {item.state for item in found.experts if item.expert == 0} == {"new"}
    assert all((item.log10_p < -20) == (item.expert > 0) for item in found.experts)
    stated = json.loads(json.dumps(found.to_json()))["experts"]
    assert stated[1]["source"] == {"layer": 0, "expert": 2}
    assert stated[0]["source"] is None
    lines = words.experts(found.experts)
    assert lines[0].startswith("By expert: of 16, 0 are the reference's of the same number, 12 are others of it (each p ≤ 1e-")
    assert lines[1].startswith("  layers (experts) 0 (0), 1 (0), 2 (0), 3 (0): none in the reference")
    assert [item.sources for item in found.layers] == [(n,) for n in range(4)]


def test_models_without_experts_have_none(models: Path) -> None:
    assert kinprint.compare(models / "base", models / "finetune").experts == ()
    assert words.experts(()) == []
