"""cast: another floating type."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import ml_dtypes
import numpy as np

from kinprint.errors import TransformError
from kinprint.transforms._model import Model
from kinprint.transforms._transform import Transform

DTYPES = {
    "f32": (np.dtype(np.float32), "float32"),
    "f16": (np.dtype(np.float16), "float16"),
    "bf16": (np.dtype(ml_dtypes.bfloat16), "bfloat16"),
}


def cast(model: Model, *, dtype: Literal["f32", "f16", "bf16"] = "bf16") -> Model:
    """Store the weights in another floating type, each rounded once.

    Args:
        dtype: f32, f16 or bf16.
    """
    if dtype not in DTYPES:
        raise TransformError(dtype, "no type that weights are cast to", f"choose from {', '.join(DTYPES)}")
    stored, name = DTYPES[dtype]
    config = {**model.config, **{key: name for key in ("dtype", "torch_dtype") if key in model.config}}
    return replace(model, config=config).each(lambda place, part: replace(part, dtype=stored))


TRANSFORM = Transform("cast", "derivation", cast, "kinprint transform cast examples/models/base -o half --dtype f16")
