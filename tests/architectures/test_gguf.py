"""A GGUF and the model it was made from have the same fingerprint, whatever llama.cpp's converter changes in between."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gguf_files
import numpy as np
import pytest
from families import random_model
from gguf import GGMLQuantizationType as Kind

from kinprint.architectures import known, recognise
from kinprint.checkpoints import open_checkpoint
from kinprint.comparison import compare
from kinprint.errors import ArchitectureError
from kinprint.fingerprints import Fingerprint, fingerprint

BASE = Path(__file__).parents[2] / "examples" / "models" / "base"
WRONG_HEADS = {"num_attention_heads": 7, "num_key_value_heads": 7}
FAMILIES = [*gguf_files.ARCHITECTURES, "falcon-interleaved"]
ALLOWED = 1e-6
"""Largest difference of a trait, relative or absolute: of sums in another order, where a file holds a matrix transposed."""


@pytest.fixture(params=FAMILIES)
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Path]:
    """A small random model as safetensors and as GGUF, both of float32."""
    pytest.importorskip("torch")
    model = random_model(request.param)
    model.save_pretrained(tmp_path / "original")
    return tmp_path / "original", gguf_files.write(tmp_path / "model.gguf", gguf_files.weights_of(model), model.config)


def test_the_fingerprint_is_that_of_the_original(pair: tuple[Path, Path]) -> None:
    """Every trait is there with the same values, every tensor has a role, and the sizes agree."""
    original, converted = (fingerprint(path, cache=False) for path in pair)
    assert recognise(open_checkpoint(pair[1])).unknown == ()
    assert original.traits.keys() == converted.traits.keys()
    for trait, values in original.traits.items():
        np.testing.assert_allclose(converted.traits[trait], values, rtol=ALLOWED, atol=ALLOWED, err_msg=trait)
    differ = {name for name in original.facts if original.facts[name] != converted.facts[name]}
    assert differ <= {"family", "model_type", "activation", "content"}


def test_every_table_of_ggufs_names_is_here() -> None:
    """But for the one family that differs from another by a single name."""
    import gguf

    tried = {gguf.MODEL_ARCH_NAMES[gguf_files.ARCHITECTURES[family.partition("-")[0]]] for family in FAMILIES}
    tables = {t.family for t in known() if t.family.startswith("gguf") and not tried & set(t.model_types)}
    assert tables == {"gguf_seed_oss"}


def test_rows_are_not_put_back_by_a_wrong_head_count(tmp_path: Path) -> None:
    """The order of the original is known only together with where each head ends."""
    weights, config, _ = gguf_files.opened(BASE)
    path = gguf_files.write(tmp_path / "model.gguf", weights, config, said=SimpleNamespace(**{**vars(config), **WRONG_HEADS}))
    with pytest.raises(ArchitectureError, match=r"attn_k\.weight are not those of 7 heads"):
        recognise(open_checkpoint(path))


# --- quantised


@pytest.fixture(scope="module")
def base() -> Fingerprint:
    return fingerprint(BASE, cache=False)


@pytest.mark.parametrize(("kind", "allowed"), [(Kind.Q8_0, 0.005), (Kind.Q5_1, 0.04), (Kind.Q4_0, 0.1)])
def test_a_quantised_copy_is_related(base: Fingerprint, tmp_path: Path, kind: Kind, allowed: float) -> None:
    """The verdict, its certainty, the quantisation's name, and no weight further off than its steps are wide."""
    gguf_files.convert(kind, BASE, tmp_path)
    copy = fingerprint(tmp_path, cache=False)
    found = compare(base, copy)
    assert found.verdict == "related"
    assert found.log10_p is not None
    assert found.log10_p < -50
    assert copy.facts["quantization"] == f"GGUF, {kind.name}"
    assert found.context["token_overlap"] == 1.0
    assert found.context["different"] == {}
    for trait in (name for name in base.traits if name.startswith("sample.")):
        expected, seen = base.traits[trait], copy.traits[trait]
        assert np.max(np.abs(seen - expected)) <= allowed * np.max(np.abs(expected))


def test_shards_are_one_model(tmp_path: Path) -> None:
    """A split file, whose first part alone has the metadata, is its whole."""
    gguf_files.convert(Kind.Q8_0, BASE, tmp_path / "whole")
    gguf_files.convert(Kind.Q8_0, BASE, tmp_path / "split", split_max_tensors=15)
    assert len(list((tmp_path / "split").iterdir())) == 3
    whole, split = (fingerprint(tmp_path / name, cache=False) for name in ("whole", "split"))
    assert split.facts == whole.facts
    for trait, values in whole.traits.items():
        np.testing.assert_array_equal(split.traits[trait], values)


def test_from_a_hub(hub: Callable[..., Any], tmp_path: Path) -> None:
    """Fetched by ranges, the fingerprint is that of the file."""
    gguf_files.convert(Kind.Q8_0, BASE, tmp_path / "model")
    hub({"org/model": tmp_path / "model"})
    here, there = fingerprint(tmp_path / "model", cache=False), fingerprint("org/model", cache=False)
    assert there.facts == here.facts
    for trait, values in here.traits.items():
        np.testing.assert_array_equal(there.traits[trait], values)
