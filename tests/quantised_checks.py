"""Whether decoded tensors are the real libraries', bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from kinprint import open_checkpoint
from kinprint.checkpoints.checkpoint import read_rows


def as_numpy(tensor: Any) -> np.ndarray:
    """A tensor of torch as an array of the same dtype; bfloat16 as that of ml_dtypes."""
    import ml_dtypes
    import torch

    if tensor.dtype == torch.bfloat16:
        return tensor.contiguous().view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return tensor.detach().numpy()


def assert_decoded(folder: Path, name: str, expected: np.ndarray, *, bits: bool = True) -> None:
    """The tensor of the checkpoint has this dtype, shape and content, read whole and by rows.

    Without `bits`, zeros may differ in their sign.
    """
    tensor = open_checkpoint(folder).tensors[name]
    assert tensor.dtype == expected.dtype
    assert tensor.shape == expected.shape
    found = tensor.read()
    assert not found.flags.writeable
    np.testing.assert_array_equal(found, expected)
    if bits:
        integer = np.dtype(f"u{expected.itemsize}")
        np.testing.assert_array_equal(found.view(integer), np.ascontiguousarray(expected).view(integer))
    for start, stop in ((0, 1), (1, len(expected)), (len(expected) // 2, len(expected) + 5), (3, 3)):
        np.testing.assert_array_equal(read_rows(tensor, start, stop), expected[start:stop])
