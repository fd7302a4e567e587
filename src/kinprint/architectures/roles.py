"""The roles a tensor can play, and the space of each axis of its canonical form."""

from __future__ import annotations

MATRICES: dict[str, tuple[str, str]] = {
    "q": ("heads", "residual"),
    "k": ("kv_heads", "residual"),
    "v": ("kv_heads", "residual"),
    "o": ("residual", "heads"),
    "gate": ("neurons", "residual"),
    "up": ("neurons", "residual"),
    "down": ("residual", "neurons"),
    "shared_gate": ("shared_neurons", "residual"),
    "shared_up": ("shared_neurons", "residual"),
    "shared_down": ("residual", "shared_neurons"),
    "shared_router": ("free", "residual"),
    "router": ("experts", "residual"),
    "embedding": ("vocabulary", "residual"),
    "head": ("vocabulary", "residual"),
    "position": ("positions", "residual"),
}
"""Matrices as (output, input) of y = W x; embeddings as (token, channel)."""

ESSENTIAL = ("q", "k", "v", "o", "up", "down")
"""Roles that every layer of a known family has; a table fits a checkpoint only if all of them are found."""

READERS = {
    "input": ("q", "k", "v"),
    "post_attention": ("gate", "up", "router", "shared_gate", "shared_up", "shared_router"),
    "final": ("head",),
}
"""Which matrices read the output of which norm; without a norm of its own the FFN reads that of attention."""


def axes(role: str) -> tuple[str, ...]:
    """The spaces of the axes of a role; a vector lives on the output of the matrix it belongs to."""
    kind, _, name = role.partition(".")
    if role in MATRICES:
        return MATRICES[role]
    if kind == "biases" and name in MATRICES:
        return MATRICES[name][:1]
    if kind in ("gains", "norm_biases"):
        return ("free",) if name in ("q", "k") else ("residual",)
    raise KeyError(role)


def norms_before(role: str) -> tuple[str, ...]:
    """The norms whose output a matrix reads, the first that a layer has; none for matrices that read no norm."""
    own = next((norm for norm, readers in READERS.items() if role in readers), None)
    if own is None:
        return ()
    return (own, "input") if own == "post_attention" else (own,)
