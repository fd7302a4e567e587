"""The method of AWM as `kinprint compare --deep --scores` has it.

python benchmarks/peer_workers/kinprint_awm_worker.py
"""

from __future__ import annotations

from math import isfinite
from pathlib import Path

from protocol import Answer, NoAnswerError, commit, serve

from kinprint import __version__
from kinprint.architectures import open_model
from kinprint.methods import awm


def answer(reference: str, suspect: str) -> Answer:
    score = awm.METHOD(open_model(reference).weights, open_model(suspect).weights).statistic
    if score is None or not isfinite(score):
        raise NoAnswerError("does not apply")
    return {"similarity": score}


if __name__ == "__main__":
    serve(f"{__version__} ({commit(Path(__file__).parents[2], 'src')})", answer)
