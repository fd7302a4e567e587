"""Builders of checkpoint files, good and bad."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

WriteRaw = Callable[..., Path]


@pytest.fixture
def write_raw(tmp_path: Path) -> WriteRaw:
    """Write a safetensors file byte by byte: a header (object, text or bytes) and data, right or wrong."""

    def write(header: Any, data: bytes = b"", *, length: int | None = None, name: str = "model.safetensors") -> Path:
        if not isinstance(header, (str, bytes)):
            header = json.dumps(header)
        text = header.encode() if isinstance(header, str) else header
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
        return path

    return write


@pytest.fixture
def write_tensors(write_raw: WriteRaw) -> Callable[..., Path]:
    """Write a valid safetensors file of float32 tensors, one number each."""

    def write(name: str = "model.safetensors", **values: float) -> Path:
        header = {key: {"dtype": "F32", "shape": [1], "data_offsets": [4 * i, 4 * i + 4]} for i, key in enumerate(values)}
        return write_raw(header, np.array(list(values.values()), "<f4").tobytes(), name=name)

    return write
