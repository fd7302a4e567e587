"""The streaming pass: the right numbers, whatever the threads, shards and formats."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from kinprint.architectures import recognise
from kinprint.checkpoints import open_checkpoint
from kinprint.fingerprints import Fingerprint, fingerprint
from kinprint.fingerprints.measure import measure
from kinprint.fingerprints.sample_positions import positions

PREFIX = "model.layers.2."


def measured(folder: Path, **options: int) -> Fingerprint:
    checkpoint = open_checkpoint(folder)
    return measure(checkpoint, recognise(checkpoint), **options)


@pytest.fixture(scope="module")
def weights(models: Path) -> dict[str, np.ndarray]:
    return {name: array.astype(np.float64) for name, array in load_file(models / "base" / "model.safetensors").items()}


@pytest.fixture(scope="module")
def base(models: Path) -> Fingerprint:
    return measured(models / "base")


def test_channels_moments_gains(base: Fingerprint, weights: dict[str, np.ndarray]) -> None:
    """Every simple trait of one layer against numpy; channels with gains folded in, weighted by the other factor."""
    gains = {norm: weights[f"{PREFIX}{norm}_layernorm.weight"] for norm in ("input", "post_attention")}
    q, k = (weights[f"{PREFIX}self_attn.{role}_proj.weight"] * gains["input"] for role in "qk")
    gate, up = (weights[f"{PREFIX}mlp.{role}_proj.weight"] * gains["post_attention"] for role in ("gate", "up"))
    down, keys = weights[f"{PREFIX}mlp.down_proj.weight"], k.reshape(4, 16, 128)
    sizes = {
        "q": np.einsum(
            "hdc,hdx,hex,hec->c", q.reshape(8, 16, 128), keys.repeat(2, 0), keys.repeat(2, 0), q.reshape(8, 16, 128)
        ),
        "gate": (gate**2).sum(0),
        "up": (up**2 * (down**2).sum(0)[:, None]).sum(0),
        "down": (down**2 * (up**2).sum(1)).sum(1),
    }
    for role, squares in sizes.items():
        np.testing.assert_allclose(base.traits[f"channels.{role}"][2], np.sqrt(squares), rtol=1e-5)
    for role, name in (
        ("q", "self_attn.q_proj"),
        ("gate", "mlp.gate_proj"),
        ("o", "self_attn.o_proj"),
        ("down", "mlp.down_proj"),
    ):
        matrix = weights[f"{PREFIX}{name}.weight"]
        np.testing.assert_allclose(base.traits[f"moments.{role}"][2][:2], [matrix.mean(), matrix.std()], rtol=1e-4, atol=1e-7)
        where = positions(role, matrix.shape, 256)
        np.testing.assert_array_equal(base.traits[f"sample.{role}"][2], matrix.ravel()[where].astype(np.float32))
    np.testing.assert_array_equal(base.traits["gains.input"][2], weights[f"{PREFIX}input_layernorm.weight"])
    embedding = weights["model.embed_tokens.weight"]
    centred = embedding - embedding.mean(0)
    np.testing.assert_allclose(base.traits["embedding.input"], np.linalg.norm(centred, axis=0), rtol=1e-4)


def test_neurons(base: Fingerprint, weights: dict[str, np.ndarray]) -> None:
    """Norms as stored; invariants with the gain in front of the neurons folded in."""
    gate, up, down = (weights[f"{PREFIX}mlp.{role}_proj.weight"] for role in ("gate", "up", "down"))
    stored = [np.linalg.norm(gate, axis=1), np.linalg.norm(up, axis=1), np.linalg.norm(down, axis=0)]
    gate, up = (matrix * weights[f"{PREFIX}post_attention_layernorm.weight"] for matrix in (gate, up))
    g, u, d = np.linalg.norm(gate, axis=1), np.linalg.norm(up, axis=1), np.linalg.norm(down, axis=0)
    columns = [
        np.log(g),
        np.log(u * d),
        (gate * up).sum(1) / g / u,
        (gate * down.T).sum(1) / g / d,
        (up * down.T).sum(1) / u / d,
    ]
    np.testing.assert_allclose(base.traits["neurons.invariants"][2], np.stack(columns, axis=1), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(base.traits["neurons.norms"][2], np.stack(stored, axis=1), rtol=1e-5)


def test_heads(base: Fingerprint, weights: dict[str, np.ndarray]) -> None:
    """W_q,h^T W_k,g(h) and W_o,h W_v,g(h), the gain in front of them folded in, head by head, by dense SVD."""
    q, k, v, o = (weights[f"{PREFIX}self_attn.{role}_proj.weight"] for role in ("q", "k", "v", "o"))
    q, k, v = (matrix * weights[f"{PREFIX}input_layernorm.weight"] for matrix in (q, k, v))
    for head in range(8):
        rows, shared = slice(head * 16, head * 16 + 16), slice(head // 2 * 16, head // 2 * 16 + 16)
        for name, product in (("qk", q[rows].T @ k[shared]), ("vo", o[:, rows] @ v[shared])):
            exact = np.linalg.svd(product, compute_uv=False)[:16]
            large = exact > 1e-3 * exact[0]
            np.testing.assert_allclose(base.traits[f"heads.{name}_spectrum"][2, head][large], exact[large], rtol=1e-5)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_change_nothing(models: Path, base: Fingerprint, threads: int) -> None:
    assert measured(models / "base", threads=threads).digest == base.digest


def test_sharding_and_format_change_nothing(models: Path, base: Fingerprint, tmp_path: Path) -> None:
    """Two shards with an index, and a PyTorch zip: bit for bit the same fingerprint."""
    torch = pytest.importorskip("torch")
    arrays = load_file(models / "base" / "model.safetensors")
    sharded, zipped = tmp_path / "sharded", tmp_path / "zipped"
    for folder in (sharded, zipped):
        folder.mkdir()
        for name in ("config.json", "tokenizer.json"):
            shutil.copy(models / "base" / name, folder)
    half = sorted(arrays)[: len(arrays) // 2]
    shards = {f"model-0000{i + 1}-of-00002.safetensors": [n for n in arrays if (n in half) == (i == 0)] for i in range(2)}
    for file, names in shards.items():
        save_file({name: arrays[name] for name in names}, sharded / file)
    weight_map = {name: file for file, names in shards.items() for name in names}
    (sharded / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    tensors = {n: torch.from_numpy(a.view(np.uint16).copy()).view(torch.bfloat16) for n, a in arrays.items()}
    torch.save(tensors, zipped / "pytorch_model.bin")
    assert measured(sharded).digest == base.digest
    assert measured(zipped).digest == base.digest


def test_fused_and_separate_forms_agree(models: Path, base: Fingerprint, tmp_path: Path) -> None:
    """The same weights under a fused layout (phi3): every digest is the same."""
    arrays = load_file(models / "base" / "model.safetensors")
    for layer in range(4):
        block = f"model.layers.{layer}."
        qkv = [arrays.pop(f"{block}self_attn.{role}_proj.weight") for role in ("q", "k", "v")]
        arrays[f"{block}self_attn.qkv_proj.weight"] = np.concatenate(qkv)
        arrays[f"{block}mlp.gate_up_proj.weight"] = np.concatenate(
            [arrays.pop(f"{block}mlp.{role}_proj.weight") for role in ("gate", "up")]
        )
    save_file(arrays, tmp_path / "model.safetensors")
    config = json.loads((models / "base" / "config.json").read_text()) | {"model_type": "phi3"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    np.testing.assert_array_equal(measured(tmp_path).traits["digests"], base.traits["digests"])


def test_weights_that_are_not_finite_are_reported(models: Path, tmp_path: Path) -> None:
    arrays = load_file(models / "base" / "model.safetensors")
    broken = arrays["model.layers.1.mlp.up_proj.weight"].astype(np.float32)
    broken[3, 5] = np.nan
    arrays["model.layers.1.mlp.up_proj.weight"] = broken.astype(ml_dtypes.bfloat16)
    save_file(arrays, tmp_path / "model.safetensors")
    shutil.copy(models / "base" / "config.json", tmp_path)
    found = measured(tmp_path)
    assert found.facts["non_finite"] == {"1.up": 1}
    assert np.isnan(found.traits["neurons.invariants"][1, 3]).any()


def test_cache(models: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A second call measures nothing; a damaged entry is measured again; an unwritable cache is no error."""
    first = fingerprint(models / "base")
    calls = []
    monkeypatch.setattr("kinprint.fingerprints.from_model.measure", lambda *a, **k: calls.append(a) or first)
    assert fingerprint(models / "base") == first
    assert not calls
    monkeypatch.setenv("KINPRINT_CACHE", str(tmp_path))
    fingerprint(models / "base")
    (entry,) = (tmp_path / "fingerprints").iterdir()
    entry.write_bytes(b"damaged")
    fingerprint(models / "base")
    assert len(calls) == 2
    monkeypatch.setenv("KINPRINT_CACHE", "/dev/null")
    assert fingerprint(models / "base") == first
