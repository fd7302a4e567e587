"""Families whose code lies beside their weights: every tensor is taken apart as that code does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from remote_code import GROUPS, HEADS, LLAMA_PARTS, REMOTE, WIDTH, llama
from safetensors.numpy import load_file, save_file

from kinprint import compare, fingerprint, transforms
from kinprint.architectures import recognise
from kinprint.architectures.facts import lookup
from kinprint.architectures.given import tables_of
from kinprint.checkpoints import open_checkpoint
from kinprint.errors import ArchitectureError, TransformError


@pytest.mark.parametrize("name", REMOTE)
def test_every_tensor_is_read_as_the_code_reads_it(name: str, tmp_path: Path) -> None:
    """No tensor is unknown, no type is guessed, and every part has the entries that the model multiplies by."""
    remote = REMOTE[name]
    anatomy = recognise(open_checkpoint(remote.save(tmp_path / "model")))
    tensors = remote.tensors()
    assert anatomy.unknown == ()
    assert not anatomy.guessed
    assert anatomy.facts["positions"] == remote.positions
    found = {(part.layer, part.role): part for part in anatomy.parts if part.expert is None}
    compared = 0
    for layer in range(int(anatomy.facts["num_hidden_layers"])):
        for role, (tensor, taken) in remote.parts.items():
            full = f"{remote.layers}{layer}.{tensor}"
            if full in tensors:
                np.testing.assert_array_equal(found[layer, role].read(), taken(tensors[full]), err_msg=f"{role} of {layer}")
                if (lines := found[layer, role].lines) is not None and lines.axis == 0:
                    np.testing.assert_array_equal(lines.read(1, 3), taken(tensors[full])[1:3])
                compared += 1
    assert compared >= len(remote.parts)


@pytest.mark.parametrize("name", REMOTE)
def test_a_copy_is_identical_and_a_stranger_is_not(name: str, tmp_path: Path) -> None:
    one, copy, other = (REMOTE[name].save(tmp_path / folder, seed) for folder, seed in (("a", 0), ("b", 0), ("c", 1)))
    assert compare(one, copy).verdict == "identical"
    assert compare(one, other).verdict in ("no-evidence", "untestable")


@pytest.mark.parametrize("name", REMOTE)
def test_what_is_written_again_is_the_same(name: str, tmp_path: Path) -> None:
    """Parts that were taken out of a tensor go back to where they were: a copy by `cast` to the same type."""
    original = REMOTE[name].save(tmp_path / "model")
    transforms.apply("cast", original, tmp_path / "copy", dtype="f32")
    before, after = (load_file(folder / "model.safetensors") for folder in (original, tmp_path / "copy"))
    for tensor, array in after.items():
        np.testing.assert_array_equal(array, before[tensor], err_msg=tensor)
    assert before.keys() - after.keys() <= {tensor for tensor in before if "inv_freq" in tensor}


@pytest.mark.parametrize(
    ("config", "positions"),
    [
        ({"hidden_size": 4096, "model_max_length": 4096}, "rope"),
        ({"hidden_size": 5120, "model_max_length": 4096, "max_position_embeddings": 4096}, "alibi"),
        ({"hidden_size": 48, "max_position_embeddings": 64}, "rope"),
        ({"hidden_size": 48, "model_max_length": 64}, "alibi"),
    ],
)
def test_positions_of_baichuan(config: dict[str, Any], positions: str) -> None:
    """The width tells the models of 7B from those of 13B, whatever tools have added to their configurations or taken away."""
    (table,) = tables_of("baichuan")
    assert lookup(table.positions, config) == positions


# --- heads and widths that differ by layer


def test_numbers_of_most_layers(tmp_path: Path) -> None:
    """Facts say what most layers have, and list what differs; a layer with other heads has none in the traits by head."""
    anatomy = recognise(open_checkpoint(REMOTE["openelm"].save(tmp_path / "elm")))
    assert anatomy.facts["num_attention_heads"] == HEADS
    assert anatomy.facts["num_key_value_heads"] == GROUPS
    assert anatomy.facts["by_layer"] == {"num_attention_heads": [4, 4, 8], "num_key_value_heads": [2, 2, 4]}
    spectra = fingerprint(tmp_path / "elm", cache=False).traits["heads.qk_spectrum"]
    assert spectra.shape == (3, HEADS, WIDTH)
    assert np.isfinite(spectra[:2]).all()
    assert np.isnan(spectra[2]).all()


def test_layers_without_attention_or_anything(tmp_path: Path) -> None:
    anatomy = recognise(open_checkpoint(REMOTE["nemotron-nas"].save(tmp_path / "nas")))
    assert anatomy.facts["num_hidden_layers"] == 5
    assert anatomy.facts["num_key_value_heads"] == GROUPS
    assert anatomy.facts["intermediate_size"] == 56
    assert anatomy.facts["by_layer"] == {"num_key_value_heads": [2, 2, 1, 0, 0]}
    whole = "attention + dense"
    assert anatomy.facts["layer_kinds"] == [
        *[whole] * 3, "nothing known", "linear layer in the place of attention + dense",
    ]  # fmt: skip
    spectra = fingerprint(tmp_path / "nas", cache=False).traits["heads.qk_spectrum"]
    assert list(np.isnan(spectra).all(axis=(1, 2))) == [False, False, True, True, True]


def test_one_number_that_some_layers_have(tmp_path: Path) -> None:
    """A configuration that says what a few layers have is right too; one that says what no layer has is not."""
    folder = REMOTE["nemotron-nas"].save(tmp_path / "nas")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_key_value_heads_per_layer": [1, 1, 1, 1, 1]}))
    assert recognise(open_checkpoint(folder)).facts["num_key_value_heads"] == GROUPS
    (folder / "config.json").write_text(json.dumps(config | {"num_key_value_heads_per_layer": 4}))
    with pytest.raises(ArchitectureError, match=r"num_key_value_heads 4, the tensors have 2"):
        recognise(open_checkpoint(folder))


@pytest.mark.parametrize("name", ["permute", "mix", "scale", "split-heads"])
def test_heads_that_differ_keep_their_places(name: str, tmp_path: Path) -> None:
    """Nothing is written that would tear heads of one layer apart by the numbers of another."""
    with pytest.raises(TransformError, match="different numbers of heads"):
        transforms.apply(name, REMOTE["openelm"].save(tmp_path / "elm"), tmp_path / "copy", seed=1)


# --- transforms of what no library can run


def turn(angles: np.ndarray) -> np.ndarray:
    """(2 n, 2 n) what `rotate_half` and cosines and sines make of a vector, for n angles."""
    c, s = np.diag(np.cos(angles)), np.diag(np.sin(angles))
    return np.block([[c, -s], [s, c]])


def test_heads_of_the_first_chatglm_turn_by_two_positions(tmp_path: Path) -> None:
    """`mix` changes queries and keys, and no score at any distance of the two positions, each of which turns one half."""
    original = REMOTE["chatglm-1"].save(tmp_path / "model")
    transforms.apply("mix", original, tmp_path / "copy", seed=1)
    before, after = (recognise(open_checkpoint(folder)) for folder in (original, tmp_path / "copy"))
    angles = np.random.default_rng(0).uniform(-3, 3, (2, 3))
    distance = np.block([[turn(angles[0]), np.zeros((6, 6))], [np.zeros((6, 6)), turn(angles[1])]])
    for head in range(HEADS):
        rows = slice(head * WIDTH, (head + 1) * WIDTH)
        q, k, q_mixed, k_mixed = (
            anatomy.at[0, role, None].read()[rows].astype(np.float64) for anatomy in (before, after) for role in "qk"
        )
        assert not np.allclose(q, q_mixed, atol=0.01)
        np.testing.assert_allclose(q_mixed.T @ distance @ k_mixed, q.T @ distance @ k, atol=1e-4)


def test_query_heads_of_plamo_stay_with_their_keys(tmp_path: Path) -> None:
    """`permute` moves whole groups: what query head i scores with the key of head i modulo their number is found again."""
    original = REMOTE["plamo"].save(tmp_path / "model")
    transforms.apply("permute", original, tmp_path / "copy", seed=3, spaces="heads")
    found = []
    for folder in (original, tmp_path / "copy"):
        tensors = load_file(folder / "model.safetensors")
        q, k, v, o = (tensors[f"model.layers.layers.1.self_attn.{role}_proj.weight"] for role in "qkvo")
        products = []
        for head in range(HEADS):
            mine, shared = (slice(n * WIDTH, (n + 1) * WIDTH) for n in (head, head % GROUPS))
            products.append((np.linalg.norm(q[mine].T @ k[shared]), np.linalg.norm(o[:, mine] @ v[shared])))
        found.append(np.array(sorted(products)))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5)
    moved = [
        load_file(folder / "model.safetensors")["model.layers.layers.1.self_attn.q_proj.weight"]
        for folder in (original, tmp_path / "copy")
    ]
    assert not np.array_equal(*moved)


@pytest.mark.parametrize("name", ["fold-gains", "rotate"])
def test_the_head_of_baichuan_is_left_alone(name: str, tmp_path: Path) -> None:
    with pytest.raises(TransformError, match="output head may be normed"):
        transforms.apply(name, REMOTE["baichuan-7B"].save(tmp_path / "model"), tmp_path / "copy")


# --- types


@pytest.mark.parametrize("model_type", ["cwm", "ministral3", "hyperclovax", "internlm", "something-new", None])
def test_names_of_llama_are_not_read_as_those_of_gemma(model_type: str | None, tmp_path: Path) -> None:
    """Gains are what the file holds, whatever the type says, or if it says nothing: also where every gain is 1."""
    for gains in ("drawn", "ones"):
        remote = llama(str(model_type))
        folder = remote.save(tmp_path / gains)
        arrays = load_file(folder / "model.safetensors")
        if gains == "ones":
            arrays |= {name: np.ones_like(array) for name, array in arrays.items() if "norm" in name}
            save_file(arrays, folder / "model.safetensors")
        if model_type is None:
            (folder / "config.json").unlink()
        anatomy = recognise(open_checkpoint(folder))
        for part in anatomy.parts:
            if part.role.startswith("gains."):
                np.testing.assert_array_equal(part.read(), arrays[part.tensor])
        assert {part.role for part in anatomy.parts if part.layer == 0} == set(LLAMA_PARTS)


def test_jais_is_no_gpt2(tmp_path: Path) -> None:
    """Its gate and its ALiBi are there, also under a type that says GPT-2."""
    remote = REMOTE["jais"]
    folder = remote.save(tmp_path / "jais")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "gpt2"}))
    anatomy = recognise(open_checkpoint(folder))
    assert anatomy.facts["positions"] == "alibi"
    assert "gate" in {part.role for part in anatomy.parts}


def test_the_activation_of_apertus_has_numbers_of_its_own(tmp_path: Path) -> None:
    """They carry weights, and no trait uses them; what would have to know them refuses."""
    remote = llama("apertus", hidden_act="xielu")
    folder = remote.save(tmp_path / "model")
    renamed = {"input_layernorm": "attention_layernorm", "post_attention_layernorm": "feedforward_layernorm"}
    arrays = {}
    for name, array in load_file(folder / "model.safetensors").items():
        old = next((old for old in renamed if f".{old}." in name), None)
        arrays[name.replace(old, renamed[old]) if old else name] = array
    arrays = {name: array for name, array in arrays.items() if "gate_proj" not in name}
    arrays |= {f"model.layers.{n}.mlp.act_fn.alpha_p": np.ones(1, np.float32) for n in range(2)}
    save_file(arrays, folder / "model.safetensors")
    anatomy = recognise(open_checkpoint(folder))
    assert not anatomy.guessed
    assert sorted(anatomy.skipped) == [f"model.layers.{n}.mlp.act_fn.alpha_p" for n in range(2)]
    with pytest.raises(TransformError, match="alpha_p"):
        transforms.apply("rotate", folder, tmp_path / "copy", seed=1)
