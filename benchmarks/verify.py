"""What `kinprint verify` says about true and about false declarations, on models whose lineage is known.

    python benchmarks/verify.py zoo-small

Every pair of a zoo becomes a card: the descendant declares the ancestor as its base (true), and of two unrelated models one
declares the other (false). Each card is verified in a mirror of links. Two kinds of pairs are neither: relatives that do not
descend from each other (siblings), and models that share only the random weights that they began with. Both share weights, and
`confirmed` says no more than that.

First table: from fingerprints alone (`--no-deep`). Second: the declarations that these contradict, again with both checkpoints,
as `verify` does where it has both.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path

from kinprint.fingerprints import Fingerprint, fingerprint
from kinprint.library.declarations.verify import Options, verify
from kinprint.zoo import Lineage
from kinprint.zoo.lineage import Relation

STATUSES = ("confirmed", "contradicted", "not-testable", "not-found")
KINDS = ("true", "true, disguised", "false", "relatives", "relatives, disguised", "shared initialisation")


def kind(pair: Relation) -> str:
    """Which row of the tables a pair belongs to."""
    if pair.truth == "shared-initialisation":
        return "shared initialisation"
    if pair.truth == "unrelated":
        return "false"
    return ("relatives" if pair.kind == "relatives" else "true") + (", disguised" if pair.disguised else "")


def mirror_of(zoo: Path, folder: Path, names: list[str]) -> None:
    """Folders of links, without cards."""
    for name in names:
        (folder / "zoo" / name).mkdir(parents=True)
        for file in (zoo / name).iterdir():
            if file.name != "README.md":
                (folder / "zoo" / name / file.name).symlink_to(file.resolve())


def status(mirror: Path, pair: Relation, deep: bool) -> tuple[str, str]:
    """Status and reason of the one declaration that a card makes."""
    model = mirror / "zoo" / pair.suspect
    card = {"base_model": f"zoo/{pair.reference}", "base_model_relation": "finetune"}
    (model / "README.md").write_text(f"---\n{json.dumps(card)}\n---\n")
    try:
        found = verify(str(model), Options(models=mirror, offline=True, deep=deep), open_model=measured)
    finally:
        (model / "README.md").unlink()
    return found.findings[0].status, found.findings[0].reason


@cache
def measured(place: str, quick: bool) -> Fingerprint:
    """Each model is measured once; its card plays no part in that."""
    return fingerprint(place, quick=quick)


def show(title: str, found: dict[Relation, tuple[str, str]], seconds: float) -> None:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for pair, (word, _) in found.items():
        counts[kind(pair)][word] += 1
    print(f"\n{title}: {len(found)} declarations, {seconds:.0f} s\n")
    print("| declaration | number |" + "".join(f" {word} |" for word in STATUSES) + "\n|---|" + "---:|" * (len(STATUSES) + 1))
    for row in KINDS:
        if row in counts:
            print(f"| {row} | {counts[row].total()} |" + "".join(f" {counts[row][word]} |" for word in STATUSES))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("zoo", type=Path)
    parser.add_argument("--no-deep", action="store_true", help="leave the second table out")
    arguments = parser.parse_args()
    lineage = Lineage.read(arguments.zoo)
    pairs = list(lineage.pairs())
    with tempfile.TemporaryDirectory() as scratch:
        mirror = Path(scratch)
        mirror_of(arguments.zoo, mirror, list(lineage.members))
        start = time.perf_counter()
        found: dict[Relation, tuple[str, str]] = {}
        for number, pair in enumerate(pairs, 1):
            found[pair] = status(mirror, pair, deep=False)
            print(f"\r{number}/{len(pairs)}", end="", file=sys.stderr, flush=True)
        show("From fingerprints alone", found, time.perf_counter() - start)
        reasons = Counter(reason.partition(":")[0] for word, reason in found.values() if word == "not-testable")
        print("\nNot testable, by reason:\n")
        for reason, count in reasons.most_common():
            print(f"- {count}: {reason}")
        if arguments.no_deep:
            return
        again = [pair for pair in pairs if found[pair][0] == "contradicted"]
        start = time.perf_counter()
        deep: dict[Relation, tuple[str, str]] = {}
        for number, pair in enumerate(again, 1):
            deep[pair] = status(mirror, pair, deep=True)
            print(f"\r{number}/{len(again)}", end="", file=sys.stderr, flush=True)
        show("Those that were contradicted, from both checkpoints", deep, time.perf_counter() - start)


if __name__ == "__main__":
    main()
