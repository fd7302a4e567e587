"""model-provenance-kit: its pipeline score, its score of the weights alone, its decision. No cache, no network.

PYTHON benchmarks/peer_workers/mpk_worker.py CHECKOUT
"""

from __future__ import annotations

import sys
from pathlib import Path

from protocol import Answer, commit, serve


def main() -> None:
    checkout = Path(sys.argv[1]).resolve()
    sys.path.insert(0, str(checkout / "src"))
    from provenancekit.core.scanner import ModelProvenanceScanner
    from provenancekit.services.cache import NullCache
    from provenancekit.utils.logging import configure_logging

    configure_logging(verbose=False)
    scanner = ModelProvenanceScanner(cache=NullCache())

    def answer(reference: str, suspect: str) -> Answer:
        scores = scanner.compare(reference, suspect).scores
        return {
            "pipeline": scores.pipeline_score,
            "weights": scores.identity_score,
            "decision": scores.provenance_decision,
        }

    serve(commit(checkout), answer)


if __name__ == "__main__":
    main()
