"""kinprint: fingerprints of both models, then every test on them; nothing is kept.

python benchmarks/peer_workers/kinprint_worker.py
"""

from __future__ import annotations

import sys
from pathlib import Path

from protocol import Answer, NoAnswerError, commit, serve

from kinprint import __version__, fingerprint
from kinprint.comparison import examine
from kinprint.methods import tests


def answer(reference: str, suspect: str) -> Answer:
    found = examine((fingerprint(reference, cache=False), fingerprint(suspect, cache=False)), methods=tests())
    if found.verdict == "untestable":
        raise NoAnswerError("untestable")
    same = found.verdict == "identical"  # then there is no p-value: more than any
    evidence = sys.float_info.max if same else None if found.log10_p is None else -found.log10_p
    return {"evidence": evidence, "verdict": found.verdict}


if __name__ == "__main__":
    serve(f"{__version__} ({commit(Path(__file__).parents[2], 'src')})", answer)
