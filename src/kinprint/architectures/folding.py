"""The folded form of weights: what does not depend on where a model keeps what its function fixes only in products.

The gain of a norm may stand in the norm or in the matrices that read it: it is folded into them. A LayerNorm subtracts the mean
over channels, so what readers say of that mean, and what writers add to all channels alike, counts for nothing: it is taken
out. Two models that compute the same up to a rotation of the residual stream then differ by that rotation alone (METHODS:
disguised models). Traits, deep methods and transforms all take the form from here.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from numpy.typing import NDArray

from kinprint.architectures.roles import READERS, norms_before

GAINS = tuple(f"gains.{norm}" for norm in READERS)
"""Roles of the gains of the norms whose output matrices read."""

DEGREES = {"relu": 1, "leaky_relu": 1, "linear": 1, "identity": 1, "relu2": 2, "relu_squared": 2, "squared_relu": 2}
"""Activations f with f(s x) = s^degree f(x) for every s > 0."""


def degree(facts: Mapping[str, Any]) -> int | None:
    """Of a homogeneous activation; None where multiplying its input changes more than the size of its output."""
    name = facts.get("activation")
    return DEGREES.get(name.lower()) if isinstance(name, str) else None


def gain_before(role: str, facts: Mapping[str, Any], roles: Container[str]) -> str | None:
    """The role of the norm gain in front of a matrix.

    Args:
        role: of the matrix.
        facts: of its anatomy.
        roles: that its layer has.

    Returns:
        "gains.input" or the like; None where the matrix reads no norm, or the norms stand behind the blocks, on the residual
        stream.
    """
    if not facts.get("norm_first", True):
        return None
    return next((f"gains.{norm}" for norm in norms_before(role) if f"gains.{norm}" in roles), None)


def centred(facts: Mapping[str, Any]) -> bool:
    """Whether the norms on the residual stream take the mean over channels out."""
    return facts.get("norm") == "layer"


def folded(lines: NDArray[Any], gain: NDArray[Any] | None, *, centre: bool, axis: int = 1) -> NDArray[Any]:
    """A matrix, or some lines of it, in folded form.

    Args:
        lines: with the residual stream along `axis`.
        gain: (hidden,) of the norm in front of it, where `axis` is the last; None if there is none.
        centre: whether the mean over channels is taken out.
    """
    if gain is not None:
        lines = lines * gain.astype(lines.dtype, copy=False)
    return lines - lines.mean(axis=axis, keepdims=True) if centre else lines
