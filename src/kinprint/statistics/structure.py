"""How the units of a layer may be relabelled: in groups, and inside each group.

The tests do not need the whole group of relabellings: given which unit sits in which block, the pairing inside each block
is still uniformly random under the null hypothesis. Small blocks are what makes the exact distribution computable (a
permanent of eight by eight costs a microsecond), and they keep all but one eighth of the evidence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

BLOCK = 8
"""Most units of a block: 8! = 40 320 relabellings each, the exact sum over them in 2^8 steps."""


@dataclass(frozen=True)
class Structure:
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
        return _strided_blocks(self.groups)

    def inner(self) -> NDArray[np.int64]:
        """(blocks, BLOCK or fewer) indices of members inside a group; -1 pads."""
        return _strided_blocks(self.members)

    def log10_relabellings(self) -> float:
        """log10 of the number of relabellings of one layer that the test draws from: no p-value can be below its inverse."""
        outer = gammaln((self.outer() >= 0).sum(1) + 1).sum()
        inner = gammaln((self.inner() >= 0).sum(1) + 1).sum()
        return float((outer + self.groups * inner) / np.log(10))


def _strided_blocks(count: int) -> NDArray[np.int64]:
    """Split range(count) into blocks of at most BLOCK indices that lie far apart, of sizes that differ by one at most."""
    blocks = -(-count // BLOCK)
    grid = np.arange(blocks * -(-count // blocks)).reshape(-1, blocks).T
    return np.where(grid < count, grid, -1)
