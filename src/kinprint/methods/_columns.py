"""What the tests of a matrix of tokens share: the size of each of its columns, compared channel by channel.

Tokens have names, so only the channels are exchangeable there. They are the channels of the whole residual stream: if the
layers of two models are kin, so are the labels of their channels, and a matrix that was trained anew beside the layers follows
them. Such a test therefore speaks of its matrix alone only where nothing else is shared (`kinprint.comparison.parts`).
"""

from __future__ import annotations

from functools import partial

import numpy as np

from kinprint.errors import NotApplicable
from kinprint.fingerprints import Fingerprint
from kinprint.methods._by_index import Labels, as_finding, positive, require_attainable, scores_of
from kinprint.methods._method import Finding, Test
from kinprint.methods._named import require_unnamed
from kinprint.methods._shares import share
from kinprint.statistics import RelabellingGroup, exchangeability_test


def columns_test(name: str, trait: str, role: str, what: str) -> Test:
    """The test of one matrix.

    Args:
        name: of the method.
        trait: (hidden,) the size of each column.
        role: of the matrix.
        what: it is called in sentences.
    """
    return Test(
        name=name,
        summary=f"size of each column of the {what}, compared channel by channel",
        needs=(trait,),
        source="kinprint; null as in Zhu et al., Independence Tests for Language Models, ICML 2025",
        null="The suspect's residual channels were labelled independently of the reference's: neighbouring channels are in "
        "uniformly random order.",
        run=partial(_run, trait, what),
        share=lambda model: share(model, [role]),
        part=what,
        of=what,
    )


def _run(trait: str, what: str, reference: Fingerprint, suspect: Fingerprint) -> Finding:
    """H0: given the reference, and which channels of the suspect are neighbours, their labels are uniformly random."""
    require_unnamed("channels", reference, suspect)
    ours, theirs = (np.asarray(model.traits[trait], dtype=np.float64) for model in (reference, suspect))
    if ours.shape != theirs.shape:
        raise NotApplicable(
            f"{len(ours)} against {len(theirs)} channels: the size of a column alone does not tell which is which"
        )
    ours, theirs = positive(ours), positive(theirs)
    both = np.isfinite(ours) & np.isfinite(theirs)
    x, y = (scores_of(values[both][None, :, None]) for values in (ours, theirs))
    require_attainable(RelabellingGroup(int(both.sum())), 1, "channels")
    result = exchangeability_test(x, y, RelabellingGroup(int(both.sum())))
    labels = Labels.of("channels", (reference, suspect), (x, y))
    return as_finding(result, f"Columns of the {what}, compared by channel: {int(both.sum())} channels.", labels)
