"""Two runs of one benchmark, side by side: what a change of the tests does to every p-value.

    python benchmarks/side_by_side.py BEFORE.json AFTER.json [--every]

Both are written by `kinprint benchmark --json` on the same pairs, by two states of the code. Printed are, by truth and test,
how log10 p changed (median of the ratio, and the pair that lost most), verdicts that changed, and time; with --every a line a
pair.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

VERDICT = "verdict"


def read(path: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """Outcomes by the names of the pair."""
    outcomes = json.loads(path.read_text())["outcomes"]
    return {(outcome["pair"]["reference"], outcome["pair"]["suspect"]): outcome for outcome in outcomes}


def group(outcome: dict[str, Any]) -> str:
    return f"{outcome['pair']['truth']}{', disguised' if outcome['pair']['disguised'] else ''}"


def p_of(outcome: dict[str, Any], test: str) -> float | None:
    """log10 p of one test, or combined."""
    value = outcome["log10_p"] if test == VERDICT else outcome["readings"].get(test, {}).get("log10_p")
    return None if value is None else float(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--every", action="store_true", help="a line for every pair")
    arguments = parser.parse_args()
    before, after = read(arguments.before), read(arguments.after)
    pairs = sorted(before.keys() & after.keys())
    tests = [VERDICT, *sorted({t for o in after.values() for t, r in o["readings"].items() if r.get("log10_p") is not None})]
    print("| pairs | test | both apply | log10 p before, median | after | ratio, median | least | p <= 0.03 before | after |")
    print("|---|---|---|---|---|---|---|---|---|")
    for kind in sorted({group(before[pair]) for pair in pairs}):
        for test in tests:
            values = [(p_of(before[pair], test), p_of(after[pair], test)) for pair in pairs if group(before[pair]) == kind]
            both = np.array([value for value in values if None not in value], dtype=float)
            if not len(both):
                continue
            found = both[both[:, 0] <= -6]
            ratios = found[:, 1] / found[:, 0]
            told = f"{np.median(ratios):.3f} | {ratios.min():.2f}" if len(ratios) else " | "
            small = " | ".join(f"{share:.1%}" for share in (both <= np.log10(0.03)).mean(axis=0))
            medians = " | ".join(f"{value:.1f}" for value in np.median(both, axis=0))
            print(f"| {kind} | {test} | {len(both)} | {medians} | {told} | {small} |")
    print()
    for pair in pairs:
        if before[pair]["verdict"] != after[pair]["verdict"]:
            verdicts = f"{before[pair]['verdict']} before, {after[pair]['verdict']} after"
            print(f"{' and '.join(pair)} ({group(before[pair])}): {verdicts}")
    for name, run in (("before", before), ("after", after)):
        print(f"{name}: {np.median([run[pair]['seconds'] for pair in pairs]) * 1000:.0f} ms a pair, median")
    if arguments.every:
        for pair in pairs:
            told = [f"{test} {p_of(before[pair], test)} {p_of(after[pair], test)}" for test in tests]
            print(f"{pair[0]} {pair[1]} ({group(before[pair])}): {'; '.join(told)}")


if __name__ == "__main__":
    main()
