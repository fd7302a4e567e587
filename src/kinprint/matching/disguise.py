"""What was done to the form of the weights, as far as matched neurons tell."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kinprint.architectures.weights import Weights
from kinprint.matching.search import Correspondence

CLEAR = 0.5
"""Share from which something is said."""

SPLIT = 0.03
"""Share of neurons that are copies of others from which neurons count as split."""

FLIPPED = 0.2
"""Share of neurons with their partner's opposite sign from which signs count as flipped."""

SCALED = 0.2
"""Standard deviation of the log ratios of up norms from which neurons count as scaled, if it is also SCALED_BEYOND times
that of their products with the down norms."""

SCALED_BEYOND = 2.0


def disguise(matching: Correspondence, agreements: list[NDArray[np.float64]]) -> tuple[str, ...]:
    """What differs between two related models that no training changes so, in a few words each; nothing where unsure.

    Args:
        agreements: of `sign_agreements`; empty for neurons without a gate.
    """
    changes = []
    if _folded(matching.suspect.weights) and not _folded(matching.reference.weights):
        changes.append("norm gains folded")
    changes += _turned(matching)
    places = [(m.reference.index[m.ours], m.suspect.index[m.theirs]) for m in matching.matches]
    if np.mean(np.concatenate([ours == theirs for ours, theirs in places])) < CLEAR and _kept_width(matching):
        changes.append("neurons permuted")
    if np.mean(np.concatenate([~m.suspect.first for m in matching.matches])) > SPLIT and not _experts(matching.suspect.weights):
        changes.append("neurons split")
    if matching.suspect.gated and _scaled(matching):
        changes.append("neurons scaled, up against down")
    if agreements and _flipped(matching, agreements):
        changes.append("signs of neurons flipped")
    return tuple(changes)


def _turned(matching: Correspondence) -> list[str]:
    """What was done to channels, from the rotation in coordinates of channels.

    Of a relabelling that is known in k of d directions, a channel's own entry is about k / d and its row's norm sqrt(k / d).
    """
    before, after = matching.reference.basis, matching.suspect.basis
    if len(before) != len(after):
        return []
    rotation = np.abs(after @ matching.rotation @ before.T)
    share = rotation.max(axis=1) / np.maximum(np.linalg.norm(rotation, axis=1), 1e-30)
    if np.mean(share) < CLEAR * np.sqrt(before.shape[1] / len(before)):
        return ["residual stream rotated"]
    return ["channels permuted"] if np.mean(rotation.argmax(axis=1) == np.arange(len(rotation))) < CLEAR else []


def _folded(weights: Weights) -> bool:
    """Whether every norm gain in front of a block is the same number: folded, or never there."""
    gains = [weights.stored(layer, "gains.input") for layer in range(weights.layers)]
    return all(gain is None or np.ptp(gain) == 0 for gain in gains)


def _flipped(matching: Correspondence, agreements: list[NDArray[np.float64]]) -> bool:
    """Whether neurons that read like their partners do not have their signs: what long training has changed says nothing."""
    sure = np.concatenate([values[m.closeness > CLEAR] for values, m in zip(agreements, matching.matches, strict=True)])
    return bool(len(sure) and np.mean(sure < 0) > FLIPPED)


def _kept_width(matching: Correspondence) -> bool:
    """Whether neurons could have kept their places: none were pruned, and there are no experts."""
    ours, theirs = (model.weights.facts.get("intermediate_size") for model in (matching.reference, matching.suspect))
    return ours == theirs and not _experts(matching.suspect.weights) and not _experts(matching.reference.weights)


def _experts(weights: Weights) -> bool:
    return bool(weights.facts.get("num_experts"))


def _scaled(matching: Correspondence) -> bool:
    """Whether up norms differ by more than the products of up and down norms do: training moves both alike."""
    ups, products = [], []
    for match in matching.matches:
        ours, theirs = (np.log(layer.sizes[chosen, 1:]) for layer, chosen in (
            (match.reference, match.ours), (match.suspect, match.theirs)))  # fmt: skip
        near = match.closeness > CLEAR
        ups.append((theirs - ours)[near, 0])
        products.append((theirs - ours)[near].sum(axis=1))
    spread = [float(np.std(np.concatenate(values))) if sum(map(len, values)) else 0.0 for values in (ups, products)]
    return spread[0] > SCALED and spread[0] > SCALED_BEYOND * spread[1]
