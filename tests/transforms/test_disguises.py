"""Every disguise keeps the function and changes the weights, on every family whose architecture allows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from families import FAMILIES
from free_changes import DISGUISES, REFUSED, WHOLE
from shares import a_third

from kinprint import fingerprint, open_checkpoint, transforms
from kinprint.comparison import examine
from kinprint.errors import ArchitectureError, TransformError
from kinprint.methods import known
from kinprint.zoo import habits
from kinprint.zoo.families import SHAPES

MLP = ("gate_proj", "up_proj", "down_proj")
OUTPUT_NORMS = ("post_attention_layernorm", "post_feedforward_layernorm")


@a_third(FAMILIES, DISGUISES, always=["disguise"])
def test_the_function_stays(
    name: str, family: str, original: Callable[[str], Path], outputs: Callable[[Path], Any], tmp_path: Path
) -> None:
    """Logits of original and copy, both run by transformers in float32, agree to 1e-4 of the largest one."""
    options = {} if name == "fold-gains" else {"seed": 3}
    if family in REFUSED.get(name, ()):
        with pytest.raises((TransformError, ArchitectureError)):
            transforms.apply(name, original(family), tmp_path / "copy", **options)
        assert not list(tmp_path.iterdir())
        return
    transforms.apply(name, original(family), tmp_path / "copy", **options)
    before, after = outputs(original(family)), outputs(tmp_path / "copy")
    assert np.abs(after - before).max() <= 1e-4 * np.abs(before).max()


@pytest.mark.parametrize("family", ["llama", "qwen2", "mixtral", "gpt2", "gpt_neox"])
def test_disguise_leaves_no_matrix_as_it_was(family: str, original: Callable[[str], Path], tmp_path: Path) -> None:
    """No matrix of the copy has the original's shape and more than a few of its entries."""
    transforms.apply("disguise", original(family), tmp_path / "copy", seed=1)
    before, after = (open_checkpoint(folder).tensors for folder in (original(family), tmp_path / "copy"))
    for name, tensor in before.items():
        if len(tensor.shape) == 2 and name in after and after[name].shape == tensor.shape:
            assert np.isclose(tensor.read(), after[name].read(), rtol=1e-3).mean() < 0.05, name


@pytest.mark.parametrize("family", [*FAMILIES, *sorted(WHOLE)])
def test_what_is_free_is_told(family: str, original: Callable[[str], Path]) -> None:
    """Every disguise that refuses a family is named with the reason, before anything is computed."""
    found = transforms.free_changes(transforms.read_model(original(family)))
    assert list(found) == DISGUISES
    assert {name for name, why in found.items() if why} == {name for name, families in REFUSED.items() if family in families}


def changed_kinds(before: Path, after: Path) -> set[str]:
    """Kinds of tensors whose entries are not what they were."""
    tensors = open_checkpoint(before).tensors, open_checkpoint(after).tensors
    common = [name for name in tensors[0] if name in tensors[1] and tensors[0][name].shape == tensors[1][name].shape]
    other = [name for name in common if not np.allclose(tensors[0][name].read(), tensors[1][name].read(), rtol=1e-5)]
    return {name.removesuffix(".weight").rsplit(".", 1)[-1] for name in other}


@pytest.mark.parametrize(
    ("name", "family", "changed"),
    [
        ("shift", "mistral", {"lm_head"}),
        ("shift", "llama", {"lm_head", "bias"}),
        ("shift", "mixtral", {"lm_head", "gate"}),
        ("shift", "cohere", {*("input_layernorm", "q_proj", "k_proj", "v_proj", "o_proj", "norm", "embed_tokens"), *MLP}),
        ("scale", "mistral", {"q_proj", "k_proj", "v_proj", "o_proj", "up_proj", "down_proj"}),
        ("scale", "llama-relu", {"q_proj", "k_proj", "v_proj", "o_proj", *MLP}),
        ("scale", "arcee", {"q_proj", "k_proj", "v_proj", "o_proj", "up_proj", "down_proj"}),
        ("scale", "qwen3", {"q_proj", "k_proj", "v_proj", "o_proj", "up_proj", "down_proj"}),
        ("scale-stream", "mistral", {"embed_tokens", "o_proj", "down_proj"}),
        ("scale-stream", "gemma2", {"embed_tokens", "o_proj", "down_proj", "norm", *OUTPUT_NORMS}),
        ("scale-stream", "olmo2", {"embed_tokens", "v_proj", "o_proj", *MLP, *OUTPUT_NORMS}),
    ],
)
def test_what_is_changed(name: str, family: str, changed: set[str], original: Callable[[str], Path], tmp_path: Path) -> None:
    """Each change is made wherever the architecture leaves it free, and nowhere else."""
    transforms.apply(name, original(family), tmp_path / "copy", seed=3)
    assert changed_kinds(original(family), tmp_path / "copy") == changed


def test_a_shift_of_logits_is_one_number_a_position(original: Callable[[str], Path], tmp_path: Path) -> None:
    """Every row of the output matrix moves by one vector."""
    transforms.apply("shift", original("mistral"), tmp_path / "copy", seed=3)
    before, after = (
        open_checkpoint(folder).tensors["lm_head.weight"].read() for folder in (original("mistral"), tmp_path / "copy")
    )
    moved = after - before
    np.testing.assert_allclose(moved, np.broadcast_to(moved[0], moved.shape), atol=1e-6)
    assert np.abs(moved).max() > 0.1 * np.abs(before).max()


@pytest.mark.parametrize("groups", [0, -1])
def test_no_fewer_heads(groups: int, models: Path, tmp_path: Path) -> None:
    with pytest.raises(TransformError, match="from 1"):
        transforms.apply("split-heads", models / "base", tmp_path / "copy", groups=groups)


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_twins_and_idle_groups(
    groups: int, original: Callable[[str], Path], outputs: Callable[[Path], Any], tmp_path: Path
) -> None:
    """So many groups more, of which half are twins where there are groups enough; the outputs of the idle ones are zero."""
    transforms.apply("split-heads", original("gemma"), tmp_path / "copy", seed=3, groups=groups)
    made = open_checkpoint(tmp_path / "copy")
    assert made.config["num_key_value_heads"] == 2 + groups
    columns = made.tensors["model.layers.0.self_attn.o_proj.weight"].read().reshape(48, 2 + groups, -1)
    assert int((columns == 0).all(axis=(0, 2)).sum()) == groups - min((groups + 1) // 2, 2)
    before, after = outputs(original("gemma")), outputs(tmp_path / "copy")
    assert np.abs(after - before).max() <= 1e-4 * np.abs(before).max()


def test_seeds_differ_and_repeat(models: Path, tmp_path: Path) -> None:
    """One seed gives one copy, bit for bit; another seed another."""
    for copy, seed in (("a", 1), ("b", 1), ("c", 2)):
        transforms.apply("disguise", models / "base", tmp_path / copy, seed=seed)
    a, b, c = ((tmp_path / copy / "model.safetensors").read_bytes() for copy in "abc")
    assert a == b
    assert a != c


def test_without_a_seed_one_is_drawn(models: Path, tmp_path: Path) -> None:
    """Two who give no seed draw nothing alike, and what each drew repeats it."""
    one, other = (transforms.apply("permute", models / "base", tmp_path / name) for name in "ab")
    assert one.seed is not None
    assert one.seed != other.seed
    transforms.apply("permute", models / "base", tmp_path / "c", seed=one.seed)
    a, b, c = ((tmp_path / copy / "model.safetensors").read_bytes() for copy in "abc")
    assert a == c != b
    assert transforms.apply("cast", models / "base", tmp_path / "d").seed is None


def test_an_odd_share_of_a_head_is_rotated_in_pairs() -> None:
    """A quarter of 12 dimensions is 3, of which transformers rotates 4: every map inside a head stays invertible."""
    model = transforms.known()["mix"](habits.stranger("gpt_neox", 1, replace(SHAPES["tiny"], hidden=96, heads=8)), seed=1)
    assert (model.facts["head_dim"], model.facts["rotary_dim"]) == (12, 4)


def test_permuting_keeps_query_heads_with_their_group(original: Callable[[str], Path], tmp_path: Path) -> None:
    """Under GQA the spectra of a group's heads stay together: sorted by group they are the original's."""
    transforms.apply("permute", original("llama"), tmp_path / "copy", seed=5)
    before, after = (fingerprint(folder) for folder in (original("llama"), tmp_path / "copy"))
    for trait in ("heads.qk_spectrum", "heads.vo_spectrum"):
        groups = [model.traits[trait].reshape(2, 2, 2, -1) for model in (before, after)]  # layers, groups, heads, rank
        kept = [np.sort([np.sort(group[:, 0]) for group in layer], axis=0) for layer in groups[0]]
        moved = [np.sort([np.sort(group[:, 0]) for group in layer], axis=0) for layer in groups[1]]
        np.testing.assert_allclose(kept, moved, rtol=1e-4)


def test_chosen_spaces_only(original: Callable[[str], Path], tmp_path: Path) -> None:
    """Permuting neurons alone moves rows of gate, and neither queries nor embeddings."""
    transforms.apply("permute", original("mistral"), tmp_path / "copy", seed=5, spaces="neurons")
    before, after = (open_checkpoint(folder).tensors for folder in (original("mistral"), tmp_path / "copy"))
    for name in before:
        same = np.array_equal(before[name].read(), after[name].read())
        assert same != (".mlp." in name), name


def test_index_tests_cannot_see_a_disguise(models: Path, tmp_path: Path) -> None:
    """Tests by index find nothing in a relabelled copy, and say what they could not have seen."""
    transforms.apply("disguise", models / "base", tmp_path / "copy", seed=1)
    by_index = [method for method in known() if method.name in ("channels", "heads", "neurons")]
    for copy, verdict in ((models / "finetune", "related"), (tmp_path / "copy", "no-evidence")):
        found = examine((fingerprint(models / "base"), fingerprint(copy)), methods=by_index)
        assert found.verdict == verdict
    assert all(item.log10_p > -4 for item in found.tests if item.applies)
    least = min(item.detectable for item in found.tests if item.detectable is not None)
    assert f"With kept labels, a correlation of {least:.3f} between units would be seen" in found.sentence()


def test_rotation_fixes_the_mean_where_it_must() -> None:
    """Both kinds are orthogonal; that for LayerNorm fixes the vector of ones."""
    from kinprint.transforms.rotate import rotation

    for keep_mean in (False, True):
        turn = rotation(17, 4, keep_mean=keep_mean)
        np.testing.assert_allclose(turn @ turn.T, np.eye(17), atol=1e-12)
        assert np.allclose(turn @ np.ones(17), 1) == keep_mean


@pytest.mark.parametrize("options", [{"share": -0.1}, {"share": 2.0}, {"dead": float("nan")}])
def test_split_refuses_shares_that_make_no_sense(options: dict[str, float], models: Path, tmp_path: Path) -> None:
    with pytest.raises(TransformError):
        transforms.apply("split", models / "base", tmp_path / "copy", **options)
