"""PhyloLM's similarity of what two models write: a score, which decides nothing.

Prompts are genes and the first characters of what is written are alleles. Nei's similarity is the product of both models'
frequencies of alleles, summed over alleles and genes, over the geometric mean of the same sum of each with itself.

Source: Yax, Oudeyer, Palminteri, PhyloLM: Inferring the Phylogeny of Large Language Models, ICLR 2025 (arXiv 2404.04671),
section 2. They take 128 genes, 32 texts of each, and 4 characters.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

CHARACTERS = 4


def similarity(ours: Sequence[Sequence[str]], theirs: Sequence[Sequence[str]]) -> float:
    """Nei's similarity, between 0 and 1; NaN where there are no texts. The distance is its negative logarithm.

    Args:
        ours, theirs: for each prompt, in one order, the texts of either model.
    """
    both = [(_frequencies(one), _frequencies(other)) for one, other in zip(ours, theirs, strict=True) if one and other]
    between = sum(sum(share * other[allele] for allele, share in one.items()) for one, other in both)
    within = [sum(sum(share**2 for share in model.values()) for model in side) for side in zip(*both, strict=True)]
    return between / math.sqrt(within[0] * within[1]) if both else math.nan


def _frequencies(texts: Sequence[str]) -> Counter[str]:
    """Share of each allele; a Counter says 0 of any other."""
    counts = Counter(text[:CHARACTERS] for text in texts)
    shares: Counter[str] = Counter()
    for allele, count in counts.items():
        shares[allele] = count / len(texts)  # type: ignore[assignment]  # a Counter holds any number
    return shares
