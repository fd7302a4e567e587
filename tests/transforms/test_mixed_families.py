"""On models with latents, or with layers of different kinds, a disguise keeps the function or refuses; it never tears."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from families import MIXED, MIXERS, MIXTURES, SEQ2SEQ, model_type
from free_changes import DISGUISES, REFUSED, WHOLE
from shares import a_third, every

from kinprint import compare, transforms
from kinprint.errors import ArchitectureError, TransformError
from kinprint.zoo.recipes import DISGUISE


@a_third([family for family in MIXED if family not in SEQ2SEQ], DISGUISES)
def test_the_function_stays_or_nothing_is_written(
    name: str, family: str, original: Callable[[str], Path], outputs: Callable[[Path], Any], tmp_path: Path
) -> None:
    """Logits agree to 1e-4 of the largest, or the refusal names the model and leaves nothing behind."""
    options = {} if name == "fold-gains" else {"seed": 3}
    try:
        transforms.apply(name, original(family), tmp_path / "copy", **options)
    except (TransformError, ArchitectureError) as refusal:
        assert family not in WHOLE or family in REFUSED.get(name, ()), refusal  # noqa: PT017
        assert family in str(refusal) or model_type(family) in str(refusal)  # noqa: PT017
        assert not list(tmp_path.iterdir())
        return
    assert family not in REFUSED.get(name, ())
    before, after = outputs(original(family)), outputs(tmp_path / "copy")
    assert np.abs(after - before).max() <= 1e-4 * np.abs(before).max()


@pytest.mark.parametrize("family", every(2, [*MIXERS, *MIXTURES]))
def test_all_disguises_at_once(
    family: str, original: Callable[[str], Path], outputs: Callable[[Path], Any], tmp_path: Path
) -> None:
    """Those that a mixer or a mixture refuses are left out; what is written computes the same, or nothing is written."""
    try:
        transforms.apply("disguise", original(family), tmp_path / "copy", seed=3, check=False)
    except (TransformError, ArchitectureError):
        assert not list(tmp_path.iterdir())
        return
    before, after = outputs(original(family)), outputs(tmp_path / "copy")
    assert np.abs(after - before).max() <= 1e-4 * np.abs(before).max()


@pytest.mark.parametrize("family", [family for family in (*MIXED, *MIXERS, *MIXTURES) if family not in SEQ2SEQ])
def test_families_of_which_every_weight_is_known(family: str, original: Callable[[str], Path]) -> None:
    """They stand in the table of docs/transforms.md, and no others."""
    try:
        rest = transforms.read_model(original(family)).rest
    except TransformError as refusal:
        assert "stacks" in str(refusal)  # noqa: PT017
        assert family not in WHOLE
    else:
        assert (family in WHOLE) == (not rest)


@pytest.mark.parametrize("family", ["t5", "umt5"])
def test_two_stacks_are_refused(family: str, original: Callable[[str], Path], tmp_path: Path) -> None:
    with pytest.raises(TransformError, match="two stacks"):
        transforms.apply("noise", original(family), tmp_path / "copy")


@pytest.mark.parametrize("family", ["deepseek_v3", "llama4_text", "jamba"])
def test_layers_of_different_kinds_keep_their_places(family: str, original: Callable[[str], Path], tmp_path: Path) -> None:
    """Configurations say which layer is of which kind."""
    with pytest.raises(TransformError, match="kinds"):
        transforms.apply("prune", original(family), tmp_path / "copy", kind="depth", layers=[0, 1])


@pytest.mark.parametrize("family", ["deepseek_v3", "gpt_oss"])
def test_what_a_disguise_hides(family: str, original: Callable[[str], Path], tmp_path: Path) -> None:
    """Nothing: behind latents, and of neurons without a free sign, what is written is seen through every disguise."""
    transforms.apply("disguise", original(family), tmp_path / "copy", seed=3, steps=DISGUISE)
    found = compare(original(family), tmp_path / "copy", deep=True)
    assert found.verdict == "related"
    assert not found.forgeable
