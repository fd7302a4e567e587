"""weightscope: the share of weights that did not change, its word for the lineage and its label for the change.

    PYTHON benchmarks/peer_workers/weightscope_worker.py

It lines tensors up by name and position. Where names or shapes differ it reports a change of architecture, which says nothing
about descent: no answer.
"""

from __future__ import annotations

from math import isinf

import weightscope
from protocol import Answer, NoAnswerError, serve
from weightscope.lineage import LineageCandidate


def answer(reference: str, suspect: str) -> Answer:
    found = weightscope.diff_models(reference, suspect)
    if found.only_in_a or found.only_in_b or any(isinf(tensor.max_delta) for tensor in found.tensors):
        raise NoAnswerError("architecture change: names or shapes of tensors differ")
    lineage = LineageCandidate.from_diff(reference, found)
    return {"unchanged": lineage.sparsity, "lineage": lineage.verdict, "label": weightscope.infer(found).label}


if __name__ == "__main__":
    serve(weightscope.__version__, answer)
