"""Neighbour joining with bootstrap support: distances -> branches.

Saitou and Nei, *The neighbor-joining method*, 1987 (scikit-bio's); Felsenstein, *Confidence limits on phylogenies*, 1985.
"""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kinprint.arrays import Float64s
from kinprint.errors import MissingExtraError

MAJORITY = 0.5
"""Share of replicates from which a branch between unnamed nodes is kept (majority rule; Margush and McMorris, 1981)."""

AT_A_NODE = 0.1
"""A leaf becomes the branching point if its branch is at most this share of its distance to the nearest other leaf."""


@dataclass(frozen=True)
class Branch:
    """Two nodes and what lies between: items are numbers from 0, unnamed nodes negative.

    Attributes:
        support: share of the replicates in which this branch divides the items alike; None where it leads to a leaf.
    """

    a: int
    b: int
    length: float
    support: float | None = None


def neighbour_joining(distances: Float64s, replicates: Iterable[Float64s] = ()) -> list[Branch]:
    """The tree of some items: weak branches are collapsed, and items that lie on a branching point become it.

    Args:
        distances: (items, items) symmetric, zero diagonal.
        replicates: the same from resampled data.

    Raises:
        MissingExtraError: scikit-bio is not installed.
    """
    if len(distances) < 2:
        return []
    if len(distances) == 2:
        return [Branch(0, 1, float(distances[0, 1]))]
    tree = joined(distances)
    counts: Counter[frozenset[int]] = Counter()
    total = 0
    if len(distances) > 3:
        for replicate in replicates:
            total += 1
            counts.update(split for _, split in splits(joined(replicate), len(distances)))
    return _leaves_at_nodes(_collapsed(tree, len(distances), counts, total), distances)


def joined(distances: Float64s) -> Any:
    """scikit-bio's tree; tips are called by their numbers."""
    require_scikit_bio()
    from skbio import DistanceMatrix
    from skbio.tree import nj

    return nj(DistanceMatrix(distances, [str(number) for number in range(len(distances))]))


def splits(tree: Any, items: int) -> Iterator[tuple[Any, frozenset[int]]]:
    """Inner nodes and the items on that side of the branch above them on which item 0 is not."""
    everything = frozenset(range(items))
    below: dict[Any, frozenset[int]] = {}
    for node in tree.postorder(include_self=False):
        below[node] = frozenset([int(node.name)]) if node.is_tip() else frozenset().union(*(below[c] for c in node.children))
        if not node.is_tip():
            yield node, everything - below[node] if 0 in below[node] else below[node]


def _collapsed(tree: Any, items: int, counts: Counter[frozenset[int]], total: int) -> list[Branch]:
    """The branches of a tree, without those between unnamed nodes that have no length or less than half of the replicates."""
    support = {node: counts[split] / total if total else None for node, split in splits(tree, items)}
    place: dict[Any, int] = {tree: -1}
    branches = []
    for node in tree.preorder(include_self=False):
        share = support.get(node)
        inside = not node.is_tip()
        if inside and (not node.length or node.length <= 0 or (share is not None and share < MAJORITY)):
            place[node] = place[node.parent]
            continue
        place[node] = int(node.name) if node.is_tip() else -1 - len(place)
        branches.append(Branch(place[node.parent], place[node], max(float(node.length or 0.0), 0.0), share))
    return branches


def _leaves_at_nodes(branches: list[Branch], distances: Float64s) -> list[Branch]:
    """Items whose own branch is next to nothing take the place of the unnamed node it ends at, one item a node."""
    nearest = np.min(distances + np.diag(np.full(len(distances), np.inf)), axis=1)
    best: dict[int, tuple[float, int]] = {}
    for branch in branches:
        hidden, item = min(branch.a, branch.b), max(branch.a, branch.b)
        if hidden < 0 <= item and branch.length <= AT_A_NODE * nearest[item]:
            share = branch.length / nearest[item] if nearest[item] else 0.0
            best[hidden] = min(best.get(hidden, (np.inf, item)), (share, item))
    place = {hidden: item for hidden, (_, item) in best.items()}
    moved = [replace(branch, a=place.get(branch.a, branch.a), b=place.get(branch.b, branch.b)) for branch in branches]
    return [branch for branch in moved if branch.a != branch.b]


def require_scikit_bio() -> None:
    """Raise MissingExtraError early, before anything is measured."""
    if importlib.util.find_spec("skbio") is None:
        raise MissingExtraError("kinprint tree", "scikit-bio is not installed", "pip install 'kinprint[library]'")
