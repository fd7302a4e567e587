"""Which units an architecture names: what table, configuration and tensors say of positions, and what becomes of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import ml_dtypes
import numpy as np
import pytest
from families import random_model
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from kinprint import compare, fingerprint
from kinprint.architectures import known, recognise
from kinprint.architectures.named import POSITIONS, SPACES, problem, why_named
from kinprint.architectures.positions import ROWS, are_sinusoids, stated
from kinprint.architectures.table import parse
from kinprint.checkpoints import open_checkpoint
from kinprint.checkpoints.formats.gguf import _config
from kinprint.errors import ArchitectureError

BOTH = {"heads", "channels"}
ROPE = ("rope_theta", "rope_parameters", "rope_scaling")
Saved = Callable[..., Path]


def sines(positions: int, channels: int, order: str = "halves") -> np.ndarray:
    """(positions, channels) the table of Vaswani et al., 2017, in Marian's order (halves) or theirs (neighbours)."""
    frequencies = 10_000.0 ** (-np.arange(channels // 2) / max(channels // 2, 1))
    angles = np.arange(positions)[:, None] * frequencies
    pairs = [np.sin(angles), np.cos(angles)]
    table = np.concatenate(pairs, axis=1) if order == "halves" else np.stack(pairs, axis=2).reshape(positions, -1)
    return np.concatenate([table, np.zeros((positions, channels % 2))], axis=1)


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """A random model of a family on disk, with another configuration (None takes a key away) and other tensors."""
    pytest.importorskip("torch")
    folder, originals = tmp_path_factory.mktemp("originals"), dict[str, Path]()

    def of(family: str, config: dict[str, Any] | None = None, tensors: dict[str, np.ndarray | None] | None = None) -> Path:
        if family not in originals:
            originals[family] = folder / family
            random_model(family).save_pretrained(originals[family])
        original, copy = originals[family], tmp_path_factory.mktemp(family)
        said = {**json.loads((original / "config.json").read_text()), **(config or {})}
        copy.joinpath("config.json").write_text(json.dumps({key: value for key, value in said.items() if value is not None}))
        arrays = {**load_file(original / "model.safetensors"), **(tensors or {})}
        save_file({name: array for name, array in arrays.items() if array is not None}, copy / "model.safetensors")
        return copy

    return of


def positions(folder: Path) -> tuple[str, set[str]]:
    """The positions of a model, and the spaces that have names in it."""
    facts = recognise(open_checkpoint(folder)).facts
    assert json.loads(json.dumps(facts["named_spaces"])) == facts["named_spaces"]
    assert {space for space in SPACES if why_named(facts, space)} == set(facts["named_spaces"])
    return facts["positions"], set(facts["named_spaces"])


WITHOUT_ROPE: dict[str, Any] = dict.fromkeys(ROPE)
NEW = {"model_type": "something-new"}
MATRIX = "model.decoder.embed_positions.weight"
SINES = sines(18, 48).astype(np.float32)
WAVES = np.ones((1, 6), np.float32)


@pytest.mark.parametrize(
    ("family", "config", "tensors", "expected"),
    [
        # tables
        ("llama", {}, {}, ("rope", set())),
        ("gpt2", {}, {}, ("learned", set())),
        ("bert", {}, {}, ("learned", set())),
        ("bloom", {}, {}, ("alibi", {"heads"})),
        ("falcon", {}, {}, ("rope", set())),
        ("falcon", {"alibi": True}, {}, ("alibi", {"heads"})),
        ("bert", {"position_embedding_type": "alibi"}, {}, ("alibi", {"heads"})),
        ("granitemoehybrid", {"position_embedding_type": "rope"}, {}, ("rope", set())),
        ("granitemoehybrid", {"position_embedding_type": "nope"}, {}, ("none", set())),
        ("granitemoehybrid-dense", {"position_embedding_type": "nope"}, {}, ("none", set())),
        ("opt", {}, {MATRIX: SINES}, ("sinusoidal", {"channels"})),
        ("gpt2", {}, {"transformer.wpe.weight": SINES[:16]}, ("sinusoidal", {"channels"})),
        # guessed: the configuration says it
        ("llama", NEW, {}, ("rope", set())),
        ("llama", {**NEW, **WITHOUT_ROPE, "rope_theta": 1e6}, {}, ("rope", set())),
        ("llama", {**NEW, **WITHOUT_ROPE, "partial_rotary_factor": 0.5}, {}, ("rope", set())),
        ("llama", {**NEW, **WITHOUT_ROPE}, {}, ("unknown", BOTH)),
        ("llama", {**NEW, "alibi": False}, {}, ("rope", set())),
        ("llama", {**NEW, "alibi": True}, {}, ("alibi", {"heads"})),
        ("llama", {**NEW, "position_embedding_type": "nope", **WITHOUT_ROPE}, {}, ("unknown", BOTH)),
        ("llama", {**NEW, "position_embedding_type": "nope"}, {}, ("unknown", BOTH)),
        ("bloom", NEW, {}, ("unknown", BOTH)),
        ("bloom", {**NEW, "alibi": True}, {}, ("alibi", {"heads"})),
        ("bloom", {**NEW, "position_embedding_type": "alibi"}, {}, ("alibi", {"heads"})),
        ("bloom", {**NEW, "attn_config": {"alibi": True}}, {}, ("alibi", {"heads"})),
        ("opt", {**NEW, "static_position_embeddings": True}, {MATRIX: None}, ("sinusoidal", {"channels"})),
        ("opt", {**NEW, "sinusoidal_pos_embds": True}, {}, ("sinusoidal", {"channels"})),
        # guessed: the tensors show it
        ("opt", NEW, {}, ("learned", set())),
        ("opt", NEW, {MATRIX: None}, ("unknown", BOTH)),
        ("opt", NEW, {MATRIX: SINES}, ("sinusoidal", {"channels"})),
        ("opt", NEW, {"model.encoder.embed_positions.weight": SINES}, ("sinusoidal", {"channels"})),
        ("llama", {**NEW, **WITHOUT_ROPE}, {"model.layers.0.self_attn.rotary_emb.inv_freq": WAVES}, ("rope", set())),
        ("llama", NEW, {"model.layers.0.self_attn.slope_rate": WAVES}, ("decay", {"heads"})),
        ("llama", NEW, {"model.alibi_slopes": WAVES}, ("alibi", {"heads"})),
    ],
)
def test_positions(
    family: str, config: dict[str, Any], tensors: dict[str, Any], expected: tuple[str, set[str]], saved: Saved
) -> None:
    """Tables say it of their types; of other types configuration and tensors do, what names units first, or it is unknown."""
    assert positions(saved(family, config, tensors)) == expected


def test_a_bare_file(saved: Saved, tmp_path: Path) -> None:
    """Without a configuration positions are unknown, and the reason says what to do; `inv_freq` shows rotary ones."""
    arrays = load_file(saved("llama") / "model.safetensors")
    save_file(arrays, tmp_path / "bare.safetensors")
    save_file(arrays | {"model.layers.0.self_attn.rotary_emb.inv_freq": WAVES}, tmp_path / "old.safetensors")
    assert positions(tmp_path / "bare.safetensors") == ("unknown", BOTH)
    assert positions(tmp_path / "old.safetensors") == ("rope", set())
    facts = recognise(open_checkpoint(tmp_path / "bare.safetensors")).facts
    assert all("config.json" in facts["named_spaces"][space] for space in BOTH)


def test_a_rebranded_copy_keeps_its_tests(models: Path, tmp_path: Path) -> None:
    """The shipped fine-tune under another type: heads and channels still decide. As a bare file, whose heads cannot be told
    apart anyway, of the tests by index neurons alone do."""
    arrays, config = (load_file(models / "finetune" / "model.safetensors"), (models / "finetune" / "config.json").read_text())
    for name, said in (("rebranded", config.replace('"llama"', '"other"')), ("bare", None)):
        tmp_path.joinpath(name).mkdir()
        save_file(arrays, tmp_path / name / "model.safetensors")
        if said:
            (tmp_path / name / "config.json").write_text(said)
    found = {name: compare(models / "base", tmp_path / name) for name in ("rebranded", "bare")}
    by_index = {name: {test.method: test for test in found[name].tests} for name in found}
    assert found["rebranded"].verdict == found["bare"].verdict == "related"
    assert all(by_index["rebranded"][name].applies for name in ("heads", "channels", "neurons"))
    assert by_index["bare"]["neurons"].applies
    assert not by_index["bare"]["heads"].applies
    assert not by_index["bare"]["channels"].applies
    assert "config.json" in by_index["bare"]["channels"].note
    assert compare(models / "finetune", tmp_path / "bare").verdict == "identical"


SMALL = {"d_model": 64, "vocab_size": 128, "pad_token_id": 1, "max_position_embeddings": 64}
SMALL |= {f"{side}_{key}": n for side in ("encoder", "decoder") for key, n in (("layers", 2), ("attention_heads", 4))}
SMALL |= {"encoder_ffn_dim": 96, "decoder_ffn_dim": 96, "decoder_start_token_id": 1}
SPEECH = {"max_target_positions": 64, "max_source_positions": 50, "num_mel_bins": 16, "bos_token_id": 2, "eos_token_id": 3}


@pytest.mark.parametrize(
    ("model_type", "more", "expected"),
    [
        ("marian", {}, "sinusoidal"),
        ("marian", {"model_type": "renamed"}, "unknown"),
        ("marian", {"model_type": "renamed", "static_position_embeddings": True}, "sinusoidal"),
        ("m2m_100", {}, "sinusoidal"),
        ("m2m_100", {"model_type": "renamed"}, "unknown"),
        ("pegasus", {}, "sinusoidal"),
        ("whisper", {**SPEECH, "suppress_tokens": None, "begin_suppress_tokens": None}, "sinusoidal"),
        ("bart", {}, "learned"),
    ],
)
def test_positions_of_encoder_decoders(model_type: str, more: dict[str, Any], expected: str, tmp_path: Path) -> None:
    """Two unrelated models of the real library, or of it under another type: channels that have names are not tested."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    kind = transformers.AutoModelForSpeechSeq2Seq if model_type == "whisper" else transformers.AutoModelForSeq2SeqLM
    for seed in range(2):
        torch.manual_seed(seed)
        config = transformers.AutoConfig.for_model(
            model_type, **SMALL, **{key: more[key] for key in more if key != "model_type"}
        )
        kind.from_config(config).save_pretrained(tmp_path / str(seed))
        file = tmp_path / str(seed) / "config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **more}))
    assert positions(tmp_path / "0")[0] == expected
    found = compare(tmp_path / "0", tmp_path / "1")
    channels = next(test for test in found.tests if test.method == "channels")
    assert channels.applies == (expected == "learned")
    assert channels.applies or "index" in channels.note
    assert found.verdict == "no-evidence"


# --- matrices of positions


@pytest.mark.parametrize("order", ["halves", "neighbours"])
@pytest.mark.parametrize("channels", [16, 48, 512, 1025])
def test_a_table_of_sines_is_seen(order: str, channels: int) -> None:
    """In both orders of channels, from any row on, at any scale, rounded to bf16 or fp16, with noise of a twentieth."""
    rng = np.random.default_rng(0)
    for first in (0, 2, 500):
        table = sines(first + ROWS, channels, order)[first:]
        for changed in (
            table,
            table[:3],
            0.02 * table,
            table.astype(ml_dtypes.bfloat16),
            table.astype(np.float16),
            table + 0.05 * rng.normal(size=table.shape),
        ):
            assert are_sinusoids(changed)


def learned(rng: np.random.Generator, kind: str, channels: int) -> np.ndarray:
    """(ROWS, channels) as nobody computes them: random, equal, or smooth along positions like trained ones."""
    if kind == "normal":
        return rng.normal(size=(ROWS, channels))
    if kind == "uniform":
        return rng.uniform(-1, 1, size=(ROWS, channels))
    if kind == "signs":
        return rng.choice([-1.0, 1.0], size=(ROWS, channels))
    if kind == "equal":
        return np.tile(rng.choice([-1.0, 1.0], size=channels), (ROWS, 1))
    if kind == "ones":
        return np.ones((ROWS, channels))
    if kind == "one row":
        return sines(1, channels)
    if kind == "zeros":
        return np.zeros((ROWS, channels))
    if kind == "not finite":
        return np.where(rng.random((ROWS, channels)) < 0.1, np.nan, sines(ROWS, channels))
    waves = np.arange(ROWS)[:, None, None] * rng.uniform(0, 1, channels)[:, None] + rng.uniform(0, 6.3, (channels, 4))
    return (rng.normal(size=(channels, 4)) * np.cos(waves)).sum(axis=-1)


KINDS = ["normal", "uniform", "signs", "equal", "ones", "one row", "zeros", "not finite", "smooth"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels", [2, 16, 48, 768])
def test_a_learned_matrix_is_not_mistaken(kind: str, channels: int) -> None:
    rng = np.random.default_rng(1)
    assert not any(are_sinusoids(learned(rng, kind, channels)) for _ in range(20))


def test_channels_in_another_order_have_no_names(saved: Saved) -> None:
    """Where somebody has relabelled the channels of a table of sines, and of all the model, frequencies follow no index."""
    order = np.random.default_rng(0).permutation(48)
    assert positions(saved("opt", {}, {MATRIX: SINES[:, order]})) == ("learned", set())


# --- what is said is not trusted


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["alibi", "rope", "sinusoidal", ""]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["alibi", "rope_theta"]), inner, max_size=2),
    max_leaves=4,
)
SAID = ["alibi", "use_alibi", "attn_config", "position_embedding_type", "static_position_embeddings", *ROPE]


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(SAID), JSON))
def test_configurations_may_say_anything(config: dict[str, Any]) -> None:
    assert stated(config) in (None, "alibi", "sinusoidal", "rope")


def test_a_gguf_says_what_its_metadata_say() -> None:
    """Of architectures without a table; the dimensions that rotate are written for ALiBi too and say nothing."""
    said = {"general.architecture": b"new", "new.rope.dimension_count": 64}
    assert stated(_config(said)) is None
    assert stated(_config(said | {"new.rope.freq_base": 1e4})) == "rope"
    assert stated(_config(said | {"new.rope.freq_base": 1e4, "new.attention.max_alibi_bias": 8.0})) == "alibi"
    assert stated(_config(said | {"new.attention.max_alibi_bias": float("nan"), "new.rope.freq_base": b"x"})) is None


def test_a_gguf_of_an_unknown_architecture(models: Path, tmp_path: Path) -> None:
    """Written and read again: numbers of the file's own type."""
    arrays = load_file(models / "base" / "model.safetensors")
    for name, base in (("plain", None), ("turned", 10_000.0)):
        writer = gguf.GGUFWriter(tmp_path / f"{name}.gguf", "new")
        if base:
            writer.add_rope_freq_base(base)
        for tensor, array in arrays.items():
            writer.add_tensor(tensor, array.astype(np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    assert positions(tmp_path / "plain.gguf") == ("unknown", BOTH)
    assert positions(tmp_path / "turned.gguf") == ("rope", set())


# --- tables


def test_every_table_says_positions_that_are_known() -> None:
    assert all(problem({"positions": table.positions, "named": table.named}) is None for table in known())
    assert all(set(named) <= set(SPACES) for named in POSITIONS.values())


RAW = {"model_types": ["x"], "norm": "rms", "positions": [{"value": "rope"}], "prefixes": [""], "tensors": {}}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"positions": [{"value": "nonsense"}]}, "unknown positions 'nonsense'"),
        ({"named": {"tails": "has tails"}}, "the unknown space 'tails'"),
    ],
)
def test_a_table_with_unknown_words_is_refused(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ArchitectureError, match=reason):
        parse("x", {**RAW, **change})


def test_a_table_names_units_besides_positions(saved: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reason, or alternatives by keys of the configuration; the test by index of that space gives it."""
    ours = next(table for table in known() if table.family == "llama")
    when = [{"when": "sorted_neurons", "value": "sorts its neurons"}]
    read = parse("x", {**RAW, "named": {"channels": "sets decays by index", "neurons": when}})
    monkeypatch.setattr(sys.modules["kinprint.architectures.choice"], "known", lambda: (replace(ours, named=read.named),))
    assert positions(saved("llama")) == ("rope", {"channels"})
    assert positions(saved("llama", {"sorted_neurons": True})) == ("rope", {"channels", "neurons"})
    one = fingerprint(saved("llama", {"sorted_neurons": True}), cache=False)
    notes = {test.method: test.note for test in compare(one, one).tests}
    assert "sorts its neurons" in notes["neurons"]
    assert "sets decays by index" in notes["channels"]
