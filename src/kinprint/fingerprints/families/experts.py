"""What tells the experts of a layer apart."""

from __future__ import annotations

import numpy as np

from kinprint.fingerprints.kernels import moments
from kinprint.fingerprints.layer import Array, Layer

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def rows(layer: Layer) -> dict[str, Array]:
    """experts.norms (experts, 4), experts.moments (experts, 6), experts.profile (experts, 15); nothing if dense."""
    parts = [layer.roles.get(role, []) for role in ("gate", "up", "down")]
    router = layer.roles.get("router", [])
    if not router or any(not scans or scans[0].part.expert is None for scans in parts):
        return {}
    norms, spreads, profile = [np.sqrt(router[0].sums.row_squares)], [], []
    for scans in parts:
        shapes = np.stack([moments(item.sums.totals) for item in scans])
        units = [item.sums.column_squares if item.part.role == "down" else item.sums.row_squares for item in scans]
        norms.append(np.sqrt([item.sums.totals[2] for item in scans]))
        spreads += [shapes[:, 1], shapes[:, 3]]
        profile += list(np.stack([np.quantile(np.sqrt(squares), QUANTILES) for squares in units], axis=1))
    if len({len(column) for column in norms}) > 1:
        layer.notes.append(f"experts.*: layer {layer.index} has a router for {len(norms[0])} of {len(norms[1])} experts")
        return {}
    columns = {"experts.norms": norms, "experts.moments": spreads, "experts.profile": profile}
    return {name: np.stack(values, axis=-1) for name, values in columns.items()}
