"""A transform of a GGUF writes a folder that transformers opens and that computes what the original computes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf_files
import numpy as np
import pytest
from families import random_model

from kinprint import transforms
from kinprint.errors import TransformError


@pytest.mark.parametrize("name", gguf_files.ARCHITECTURES)
def test_the_function_stays(name: str, tmp_path: Path, outputs: Callable[[Path], Any]) -> None:
    """permute of the GGUF, opened by transformers without a missing or an unknown tensor: the logits of the original; or the
    transform refuses, because the GGUF does not say all that the configuration needs."""
    model = random_model(name)
    model.save_pretrained(tmp_path / "original")
    path = gguf_files.write(tmp_path / "model.gguf", gguf_files.weights_of(model), model.config)
    try:
        made = transforms.apply("permute", path, tmp_path / "made", seed=3)
    except TransformError as error:
        pytest.xfail(str(error))
    assert any("rebuilt" in note for note in made.notes)
    np.testing.assert_allclose(outputs(tmp_path / "made"), outputs(tmp_path / "original"), atol=2e-3)
