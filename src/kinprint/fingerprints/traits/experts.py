"""What tells the experts of a layer apart, in folded form."""

from __future__ import annotations

import numpy as np

from kinprint.architectures.folding import centred, degree, folded
from kinprint.arrays import Array
from kinprint.fingerprints.folded import gain_before
from kinprint.fingerprints.kernels import widened
from kinprint.fingerprints.layer import Layer
from kinprint.fingerprints.traits.neurons import inner_products, invariants

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def rows(layer: Layer) -> dict[str, Array]:
    """experts.norms (experts, 2), experts.profile (experts, 25); nothing if dense."""
    router, gated = layer.roles.get("router", []), "gate" in layer.roles
    if not router or "up" not in layer.roles or layer.roles["up"][0].part.expert is None:
        return {}
    inner = inner_products(layer)
    if not inner:
        return {}
    norms = router_norms(router[0].part.read(), gain_before(layer, "router"), centred(layer.facts))
    if len(norms) != len(inner):
        layer.notes.append(f"experts.*: a router for {len(norms)} of {len(inner)} experts")
        return {}
    homogeneous = degree(layer.facts)
    sizes = np.full(len(inner), np.nan)
    if homogeneous is None:
        sizes = np.sqrt([each[:, 0 if gated else 1].sum() for each in inner])
    profile = [_profile(invariants(each, gated=gated, degree=homogeneous)) for each in inner]
    return {"experts.norms": np.stack([norms, sizes], axis=1), "experts.profile": np.stack(profile)}


def router_norms(router: Array, gain: Array | None, centre: bool) -> Array:
    """(experts,) L2 norms of the router's rows (experts, hidden) in folded form, around their mean over experts, which the
    softmax does not see."""
    with np.errstate(all="ignore"):
        lines = folded(widened(router, np.float64), gain, centre=centre)
        return np.asarray(np.linalg.norm(lines - lines.mean(axis=0), axis=1))


def _profile(values: Array) -> Array:
    """(25,) quantiles over neurons (neurons, 5) of the invariants, of angles whose sign is free of their size."""
    values = values.copy()
    values[:, 2:4] = np.abs(values[:, 2:4])
    found = np.full((values.shape[1], len(QUANTILES)), np.nan)
    for column, row in zip(values.T, found, strict=True):
        known = column[np.isfinite(column)]
        if known.size:
            row[:] = np.quantile(known, QUANTILES)
    return found.ravel()
