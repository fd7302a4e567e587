"""AWM: the similarity of queries and keys, by the published code's own entry point.

    PYTHON benchmarks/peer_workers/awm_worker.py CHECKOUT

The code prints percentages with two decimals, so its score has four. Its z-score sets that beside 90 unrelated pairs of its
authors' (mean 0.00375, standard deviation 0.0028).
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from pathlib import Path

from protocol import Answer, NoAnswerError, commit, serve

SCORE = re.compile(r"Average Wq_Wk_weights +Similarity\(%\) = (-?[\d.]+|nan)")


def main() -> None:
    checkout = str(Path(sys.argv[1]).resolve())
    sys.path.insert(0, checkout)
    here = Path.cwd()
    import main as published

    os.chdir(here)  # the module goes to its own folder when it is imported

    def answer(reference: str, suspect: str) -> Answer:
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            published.run_experiment(model1_path=reference, model2_path=suspect, device="cpu")
        found = SCORE.search(said.getvalue())
        if found is None or found[1] == "nan":
            raise NoAnswerError("no similarity printed" if found is None else "the similarity is not a number")
        return {"similarity": float(found[1]) / 100}

    serve(commit(checkout), answer)


if __name__ == "__main__":
    main()
