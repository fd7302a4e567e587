"""How the units of a layer may be relabelled: in groups, and inside each group.

The tests do not need the whole group of relabellings: given which unit sits in which block of neighbours
(`neighbourhoods.blocks`), the pairing inside each block is still uniformly random under the null hypothesis. Small blocks are
what makes the exact distribution computable (a permanent of eight by eight costs a microsecond); they keep all but one
eighth of the evidence; and blocks of neighbours forgive labels that mean something.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from kinprint.statistics.neighbourhoods import blocks


@dataclass(frozen=True)
class RelabellingGroup:
    """Units that may be exchanged: `groups` whole groups with each other, and the `members` of a group among themselves.

    Flat spaces (channels, neurons, experts) have one member a group. Query heads under grouped attention have several:
    heads of a group share their key and value head, so they may not be exchanged across groups.
    """

    groups: int
    members: int = 1

    @property
    def units(self) -> int:
        return self.groups * self.members

    def outer(self) -> NDArray[np.int64]:
        """(blocks, BLOCK or fewer) indices of groups; -1 pads the shorter blocks."""
        return blocks(self.groups)

    def inner(self) -> NDArray[np.int64]:
        """(blocks, BLOCK or fewer) indices of members inside a group; -1 pads."""
        return blocks(self.members)

    def log10_relabellings(self) -> float:
        """log10 of the number of relabellings of one layer that the test draws from: no p-value can be below its inverse."""
        outer = gammaln((self.outer() >= 0).sum(1) + 1).sum()
        inner = gammaln((self.inner() >= 0).sum(1) + 1).sum()
        return float((outer + self.groups * inner) / np.log(10))
