"""Where the large products of matrices of a search through two checkpoints are worked out: by numpy, or by torch on a device.

A product in float32 that is summed in another order differs in its last digits: a neuron that is nearly as near to two others
may get another partner, so that a p-value is the same to some digits of its logarithm, not to the last one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from kinprint.arrays import Float32s
from kinprint.errors import EngineError, MissingExtraError

FEW = 1 << 26
"""Multiplications that a processor does in some milliseconds: matrices of fewer are not moved."""

_used: list[tuple[Any, str]] = []
"""torch and the device, while one is used: for all threads, since layers are worked on in several."""


@contextmanager
def on(device: str | None) -> Iterator[None]:
    """Have torch work out the products inside on a device, "cuda" or "cuda:1" or "mps", in full float32; None for numpy.

    Raises:
        MissingExtraError: torch is not installed.
        EngineError: torch cannot compute there.
    """
    if device is None:
        yield
        return
    torch = _torch(device)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    _used.append((torch, device))
    try:
        yield
    finally:
        _used.pop()
        torch.set_float32_matmul_precision(before)


def product(left: Float32s, right: Float32s, out: Float32s | None = None) -> Float32s:
    """left @ right, as numpy's matmul.

    Args:
        out: memory that numpy may fill with it.
    """
    if not _used or left.size * right.shape[-1] < FEW:
        return np.asarray(np.matmul(left, right, out=out))
    torch, device = _used[-1]
    found = torch.matmul(*(torch.from_numpy(side).to(device) for side in (left, right)))
    return np.asarray(found.cpu().numpy())


def _torch(device: str) -> Any:
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError("--device", "torch is not installed", "pip install 'kinprint[behaviour]'") from error
    try:
        torch.zeros(1, device=device).add_(1).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        problem = f"torch cannot compute there: {str(error).splitlines()[0][:120]}"
        raise EngineError(device, problem, "leave --device out, or install a torch that was built for it") from error
    return torch
