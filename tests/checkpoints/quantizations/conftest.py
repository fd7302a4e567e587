"""Small checkpoints of quantised tensors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Store = Callable[..., Path]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Write tensors of numpy or torch and what a configuration says about quantisation (None: no configuration)."""

    def write(tensors: dict[str, Any], settings: dict[str, Any] | None = None, name: str = "model") -> Path:
        torch = pytest.importorskip("torch")
        from safetensors.torch import save_file

        folder = tmp_path / name
        folder.mkdir()
        arrays = {
            key: torch.from_numpy(np.ascontiguousarray(t)) if isinstance(t, np.ndarray) else t for key, t in tensors.items()
        }
        save_file({key: tensor.contiguous() for key, tensor in arrays.items()}, folder / "model.safetensors")
        if settings is not None:
            (folder / "config.json").write_text(json.dumps({"model_type": "llama", "quantization_config": settings}))
        return folder

    return write
