"""Weights stored as codes and scales: one file a scheme, found here, named nowhere else.

A module of this package, or an object under the entry-point group `kinprint.quantizations`, declares its `Quantization`.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from typing import Any

from kinprint import discovery
from kinprint.checkpoints.checkpoint import Tensor
from kinprint.checkpoints.quantizations._parts import method
from kinprint.checkpoints.quantizations._quantization import Quantization
from kinprint.checkpoints.quantizations._unread import refuse_unread
from kinprint.errors import CheckpointError


@functools.cache
def quantizations() -> tuple[Quantization, ...]:
    """Every scheme there is."""
    ours = [module.QUANTIZATION for module in discovery.modules(sys.modules[__name__])]
    return tuple(sorted([*ours, *discovery.installed("quantizations")], key=lambda scheme: scheme.name))


def decoded(tensors: Mapping[str, Tensor], config: Mapping[str, Any], source: object) -> tuple[dict[str, Tensor], str]:
    """The tensors that the stored ones stand for, and what they are stored as ("" if as they are).

    Args:
        tensors: as the files hold them.
        config: of the model; its quantization_config says which scheme, where it is there.
        source: of the model, for errors.

    Raises:
        CheckpointError: the parts of a weight do not fit together, or the configuration names a method that no scheme reads
            and there are matrices of integers.
    """
    for scheme in quantizations():
        if scheme.applies(tensors, config):
            found, label = scheme.decode(tensors, config, source)
            return {name: found[name] for name in sorted(found)}, label
    refuse_unread(tensors, source)
    named = method(config)
    for name, tensor in tensors.items():
        if named and tensor.dtype.kind in "iu" and len(tensor.shape) == 2 and min(tensor.shape) > 1:
            raise CheckpointError(
                source, f"quantised by {named}, a form that is not read (tensor {name})", "use the unquantised original"
            )
    return dict(tensors), ""
