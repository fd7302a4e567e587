"""What scores of behaviour tell apart, beside scores of weights and the verdict: from the record of a benchmark.

    kinprint benchmark --zoo zoo --observe --questions 12 --json behaviour.json
    python benchmarks/behaviour.py behaviour.json

For every kind of pair the median of each score, and in brackets how many of its pairs lie above every unrelated one; for
unrelated kinds the median and the largest. Of the verdict how many were called related. Then what observing costs.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from statistics import median

from kinprint.benchmark import BenchmarkResult, PairOutcome

SCORES = ("quere", "logits", "reef", "activation-norms", "pcs", "ghostspec-corr", "ghostspec-mse")


def cell(score: str, outcomes: list[PairOutcome], unrelated: bool, highest: float) -> str:
    values = [value for outcome in outcomes if (value := outcome.value(score)) is not None]
    if not values:
        return "–"
    if unrelated:
        return f"{median(values):.3f}, at most {max(values):.3f}"
    return f"{median(values):.3f} ({sum(value > highest for value in values)} of {len(values)})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("record", type=Path, help="written by `kinprint benchmark --observe --json`")
    result = BenchmarkResult.from_json(json.loads(parser.parse_args().record.read_text()))
    kinds: dict[tuple[str, bool, str], list[PairOutcome]] = defaultdict(list)
    for outcome in result.compared:
        kinds[outcome.pair.truth, outcome.pair.disguised, outcome.pair.kind].append(outcome)
    strangers = [outcome for outcome in result.compared if outcome.pair.truth == "unrelated"]
    highest = {score: max((v for o in strangers if (v := o.value(score)) is not None), default=0.0) for score in SCORES}
    print(f"| pairs | kind | verdict: related | {' | '.join(SCORES)} |\n|---|---|---|{'---|' * len(SCORES)}")
    for (truth, disguised, kind), outcomes in sorted(kinds.items()):
        name = f"{truth}: {kind}{', disguised' if disguised else ''}"
        called = f"{sum(outcome.called_related for outcome in outcomes)} of {len(outcomes)}"
        cells = [cell(score, outcomes, truth == "unrelated", highest[score]) for score in SCORES]
        print(f"| {len(outcomes)} | {name} | {called} | {' | '.join(cells)} |")
    print(f"\n{result.models} models observed and measured in {result.measuring_seconds:.0f} s.")


if __name__ == "__main__":
    main()
