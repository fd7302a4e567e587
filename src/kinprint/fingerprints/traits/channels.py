"""How much of each residual channel every matrix reads or writes: what the channel test compares.

Sizes in folded form. Where a matrix is fixed by the function only in a product with another one, its lines are weighted by
what the other makes of them: queries by the keys of their head and keys by its queries, values by outputs and outputs by
values, what a gated neuron reads by what it writes and the other way round.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kinprint.architectures import folding
from kinprint.architectures.folding import centred
from kinprint.architectures.roles import MATRIX_ROLES
from kinprint.arrays import Array
from kinprint.fingerprints.folded import channel_squares, gain_before
from kinprint.fingerprints.layer import Layer
from kinprint.fingerprints.traits._factors import factors
from kinprint.fingerprints.traits.heads import both_sides, heads_and_groups
from kinprint.fingerprints.traits.neurons import FFN, inner_products, neuron_squares

PLAIN = ("attention_gate", *(role for role in MATRIX_ROLES if role.startswith(("mixer_", "cross_"))))
"""Roles whose lines are taken as they are: they stand in no product, or in one that is not worked out."""


def rows(layer: Layer) -> dict[str, Array]:
    """channels.<role> (hidden,), experts pooled; embedding.input, embedding.output (hidden,) around the mean token, where
    tokens are as wide as the residual stream."""
    squares_by_role = {role: channel_squares(layer, layer.roles[role][0]) for role in PLAIN if role in layer.roles}
    squares_by_role |= {**_heads(layer, "q", "k"), **_heads(layer, "o", "v"), **_ffn(layer, ""), **_ffn(layer, "shared_")}
    sizes = {f"channels.{role}": np.sqrt(squares) for role, squares in squares_by_role.items()}
    return sizes | {
        f"embedding.{side}": around_mean(layer, role)
        for role, side in (("embedding", "input"), ("head", "output"))
        if on_the_stream(layer, role)
    }


def _heads(layer: Layer, left: str, right: str) -> Mapping[str, Array]:
    """Of the two factors of a product those that are no product themselves."""
    sides = both_sides(layer, left, right)
    divided = heads_and_groups(layer, "channels.*", sides) if sides else None
    if not sides or not divided:
        return {}
    found = factors(layer, sides, *divided)
    return {side.role: factor.squares for side, factor in zip(sides, found, strict=True) if side.down is None}


def _ffn(layer: Layer, prefix: str) -> dict[str, Array]:
    """Of what neurons read and write, experts pooled."""
    if not inner_products(layer, prefix):
        return {}
    return {
        prefix + role: np.sum(
            [neuron_squares(layer, item, number) for number, item in enumerate(layer.roles[prefix + role])], axis=0
        )
        for role in FFN
        if prefix + role in layer.roles
    }


def on_the_stream(layer: Layer, role: str) -> bool:
    """Whether this is the embedding or the head, its tokens as wide as the residual stream."""
    return role in layer.roles and layer.roles[role][0].part.shape[1] == layer.facts["hidden_size"]


def around_mean(layer: Layer, role: str) -> Array:
    """(hidden,) norms per channel around the mean over tokens."""
    item = layer.roles[role][0]
    total = folding.folded(item.sums.column_sums[None], gain_before(layer, role), centre=centred(layer.facts))[0]
    return np.asarray(np.sqrt(np.maximum(channel_squares(layer, item) - total**2 / item.part.shape[0], 0.0)))
