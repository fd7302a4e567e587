"""The roles a tensor can play, and the space of each of its axes."""

from __future__ import annotations

from typing import NamedTuple

MATRICES: dict[str, tuple[str, str]] = {
    "q": ("heads", "residual"),
    "k": ("kv_heads", "residual"),
    "v": ("kv_heads", "residual"),
    "o": ("residual", "heads"),
    "attention_gate": ("heads", "residual"),
    "q_down": ("q_latent", "residual"),
    "q_up": ("heads", "q_latent"),
    "q_rotary_up": ("heads", "q_latent"),
    "q_rotary": ("heads", "residual"),
    "kv_down": ("kv_latent", "residual"),
    "k_up": ("heads", "kv_latent"),
    "v_up": ("heads", "kv_latent"),
    "k_rotary": ("rotary", "residual"),
    "gate": ("neurons", "residual"),
    "up": ("neurons", "residual"),
    "down": ("residual", "neurons"),
    "cross_q": ("cross_heads", "residual"),
    "cross_k": ("cross_kv_heads", "residual"),
    "cross_v": ("cross_kv_heads", "residual"),
    "cross_o": ("residual", "cross_heads"),
    "mixer_q": ("mixer_keys", "residual"),
    "mixer_k": ("mixer_keys", "residual"),
    "mixer_v": ("mixer", "residual"),
    "mixer_in": ("mixer", "residual"),
    "mixer_gate": ("mixer", "residual"),
    "mixer_state": ("free", "residual"),
    "mixer_out": ("residual", "mixer"),
    "shared_gate": ("shared_neurons", "residual"),
    "shared_up": ("shared_neurons", "residual"),
    "shared_down": ("residual", "shared_neurons"),
    "shared_router": ("free", "residual"),
    "router": ("experts", "residual"),
    "embedding": ("vocabulary", "residual"),
    "head": ("vocabulary", "residual"),
    "position": ("positions", "residual"),
}
"""Matrices as (output, input) of y = W x; embeddings as (token, channel). cross_* is attention to another stream, an encoder's:
its keys and values read that. mixer_* is what stands in the place of attention (linear attention, a state space): what it reads
as queries and keys, values or input, gates, and states, steps and decays; and what it writes."""

MATRIX_ROLES = (
    *("q", "k", "v", "o", "gate", "up", "down"),
    *("q_down", "q_up", "q_rotary_up", "q_rotary", "kv_down", "k_up", "v_up", "k_rotary", "attention_gate"),
    *("shared_gate", "shared_up", "shared_down"),
    *("cross_q", "cross_k", "cross_v", "cross_o"),
    *("mixer_q", "mixer_k", "mixer_v", "mixer_in", "mixer_gate", "mixer_state", "mixer_out"),
)
"""Roles of the matrices of a layer that are measured and transformed: all but routers."""

VECTORS: dict[str, tuple[str]] = {
    "biases.sinks": ("heads",),
    "biases.correction": ("experts",),
    "gains.q": ("free",),
    "gains.k": ("free",),
    "gains.q_latent": ("q_latent",),
    "gains.kv_latent": ("kv_latent",),
    "gains.o": ("heads",),
    "gains.down": ("neurons",),
    "gains.k_rotary": ("rotary",),
    "norm_biases.q": ("free",),
    "norm_biases.k": ("free",),
}
"""Vectors that do not lie on the output of the matrix they are named after, or on the residual stream: attention sinks, what is
added to an expert's score before the choice, norms on queries, keys and latents, on what all heads or all neurons write."""


class Via(NamedTuple):
    """A matrix on the residual stream that a model keeps as a product: up, gain of the norm between the two, down."""

    up: str
    gain: str
    down: str


LATENT = {
    "q": Via("q_up", "gains.q_latent", "q_down"),
    "k": Via("k_up", "gains.kv_latent", "kv_down"),
    "v": Via("v_up", "gains.kv_latent", "kv_down"),
}
"""What stands for queries, keys and values where they pass through a latent (MLA)."""

ESSENTIAL = ("q", "k", "v", "o", "up", "down")
"""Roles that some layer of every transformer has, in this form or through a latent; a table that does not say what is essential
fits a checkpoint only if all of them are found."""

READERS = {
    "input": (
        *("q", "k", "v", "attention_gate", "q_down", "q_rotary", "kv_down", "k_rotary"),
        *("mixer_q", "mixer_k", "mixer_v", "mixer_in", "mixer_gate", "mixer_state"),
    ),
    "cross": ("cross_q",),
    "post_attention": ("gate", "up", "router", "shared_gate", "shared_up", "shared_router"),
    "final": ("head",),
}
"""Which matrices read the output of which norm; without a norm of its own the FFN reads that of attention."""


def axes(role: str) -> tuple[str, ...]:
    """The spaces of the axes of a role; a vector lives on the output of the matrix it belongs to."""
    kind, _, name = role.partition(".")
    if role in MATRICES:
        return MATRICES[role]
    if role in VECTORS:
        return VECTORS[role]
    if kind == "biases" and name in MATRICES:
        return MATRICES[name][:1]
    if kind in ("gains", "norm_biases"):
        return ("residual",)
    raise KeyError(role)


def norms_before(role: str) -> tuple[str, ...]:
    """The norms whose output a matrix reads, the first that a layer has; none for matrices that read no norm."""
    own = next((norm for norm, readers in READERS.items() if role in readers), None)
    if own is None:
        return ()
    return (own, "input") if own == "post_attention" else (own,)
