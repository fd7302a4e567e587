"""The published code of AWM beside `kinprint`'s, on the same pairs: both scores, their difference, and seconds.

    git clone https://github.com/LUMIA-Group/AWM && pip install -r AWM/requirements.txt
    python benchmarks/peers.py --awm AWM --zoo zoo --every 40

The checkout's own entry point is called in this process, so that its imports are not on the clock. It prints percentages with
two decimals: agreement shows as a difference of at most 0.00005. It splits the fused matrices of GPT-NeoX models in thirds,
where queries, keys and values lie head by head: there it differs.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kinprint.architectures import open_model
from kinprint.benchmark import from_list, from_zoo
from kinprint.methods import awm

SCORE = re.compile(r"Average Wq_Wk_weights +Similarity\(%\) = (-?[\d.]+|nan)")


def published(checkout: Path) -> Callable[[str, str], float | None]:
    """The score of the checkout's code for two folders; None where it gives none."""
    sys.path.insert(0, str(checkout.resolve()))
    here = Path.cwd()
    main: Any = importlib.import_module("main")
    os.chdir(here)  # the module goes to its own folder when it is imported

    def score(a: str, b: str) -> float | None:
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            main.run_experiment(model1_path=str(Path(a).resolve()), model2_path=str(Path(b).resolve()), device="cpu")
        found = SCORE.search(said.getvalue())
        return float(found[1]) / 100 if found else None

    return score


def ours(a: str, b: str) -> float | None:
    return awm.METHOD(open_model(a).weights, open_model(b).weights).statistic


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--awm", type=Path, required=True, help="a checkout of the published code")
    parser.add_argument("--zoo", type=Path, help="a zoo: every pair of its models")
    parser.add_argument("--pairs", type=Path, help="or a JSON list of pairs")
    parser.add_argument("--every", type=int, default=1, help="take only every n-th pair")
    arguments = parser.parse_args()
    if (arguments.zoo is None) == (arguments.pairs is None):
        parser.error("give either --zoo or --pairs")
    pairs = from_zoo(arguments.zoo) if arguments.zoo else from_list(arguments.pairs)
    ways = {"published": published(arguments.awm), "kinprint": ours}
    print("| reference | suspect | truth | published | kinprint | difference | published s | kinprint s |\n|" + "---|" * 8)
    differences = []
    for pair in pairs.pairs[:: arguments.every]:
        scores, seconds = [], []
        for way in ways.values():
            start = time.perf_counter()
            scores.append(way(pairs.models[pair.reference], pairs.models[pair.suspect]))
            seconds.append(time.perf_counter() - start)
        one, other = scores
        difference = abs(one - other) if one is not None and other is not None else None
        differences += [] if difference is None else [difference]
        figures = ["none" if value is None else f"{value:.5f}" for value in (one, other, difference)]
        row = [pair.reference, pair.suspect, pair.truth, *figures, *(f"{value:.2f}" for value in seconds)]
        print(f"| {' | '.join(row)} |", flush=True)
    if differences:
        print(f"\n{len(differences)} pairs with both scores; largest difference {max(differences):.5f}")


if __name__ == "__main__":
    main()
