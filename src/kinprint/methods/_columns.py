"""What the tests of a matrix of tokens share: sums of each of its columns, compared channel by channel.

The sums are those of a column's direction (`kinprint.fingerprints.traits.columns`). Sizes are left out: strangers whose
channels are sorted by size, whole or inside groups, agree in them by label. Tokens have names, so only the channels are
exchangeable there. They are the channels of the whole residual stream: if the layers of two models are kin, so are the labels
of their channels, and a matrix that was trained anew beside the layers follows them. Such a test therefore speaks of its matrix
alone only where nothing else is shared (`kinprint.comparison.parts`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kinprint.errors import NotApplicable
from kinprint.fingerprints import Fingerprint
from kinprint.methods._by_index import Labels, as_finding, require_attainable, scores_of
from kinprint.methods._method import Finding, Test
from kinprint.methods._named import require_unnamed
from kinprint.methods._shares import share
from kinprint.statistics import RelabellingGroup, exchangeability_test


def columns_test(name: str, trait: str, role: str, what: str) -> Test:
    """The test of one matrix.

    Args:
        name: of the method.
        trait: (hidden, sums) of each column.
        role: of the matrix.
        what: it is called in sentences.
    """

    def run(reference: Fingerprint, suspect: Fingerprint) -> Finding:
        """H0: given the reference, and which channels of the suspect are neighbours, their labels are uniformly random."""
        return _compared(trait, what, reference, suspect)

    return Test(
        name=name,
        summary=f"sums over tokens in each column of the {what}, compared channel by channel",
        needs=(trait,),
        source="kinprint; null as in Zhu et al., Independence Tests for Language Models, ICML 2025",
        null="The suspect's residual channels were labelled independently of the reference's: neighbouring channels are in "
        "uniformly random order.",
        run=run,
        share=lambda model: share(model, [role]),
        part=what,
        of=what,
    )


def _compared(trait: str, what: str, reference: Fingerprint, suspect: Fingerprint) -> Finding:
    require_unnamed("channels", reference, suspect)
    ours, theirs = (np.asarray(model.traits[trait], dtype=np.float64) for model in (reference, suspect))
    if ours.shape != theirs.shape:
        raise NotApplicable(f"{len(ours)} against {len(theirs)} channels: columns alone do not tell which is which")
    both = np.isfinite(ours).all(axis=1) & np.isfinite(theirs).all(axis=1)
    x, y = (scores_of(values[both][None]) for values in (ours, theirs))
    require_attainable(RelabellingGroup(int(both.sum())), 1, "channels")
    result = exchangeability_test(x, y, RelabellingGroup(int(both.sum())))
    labels = Labels.of("channels", (reference, suspect), (x, y))
    found = as_finding(result, f"Columns of the {what}, compared by channel: {int(both.sum())} channels.", labels)
    return replace(found, layer_map=None, layers=None)
