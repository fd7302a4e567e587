"""What `kinprint audit` says of chains of which it is known whether they are true, and of chains that were tampered with.

    python benchmarks/audits.py FOLDER [--rule]

Trains what is missing in FOLDER (`chains.py`): a run a seed, five families in turn, from its random start, a checkpoint every
20 steps. The whole runs are the honest chains; of the first of them every kind of broken chain is made, with the next run of
the same family as the stranger. A place is named right if it is found where it is, and nothing is found anywhere else.

The limits of `kinprint.auditing.drift` were set on the seeds RULE, which `--rule` counts; the others did not choose them.
"""

from __future__ import annotations

import argparse
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from chains import FAMILIES, STEPS, Run, made, runs
from safetensors.numpy import load_file, save_file

from kinprint import transforms
from kinprint.architectures import open_model
from kinprint.auditing import Audit, Stage, audit_chain
from kinprint.fingerprints import Fingerprint, fingerprint

RULE, REPORT = range(100), range(100, 150)
TAMPERED = 20
"""Runs of which broken chains are made."""

LAYER = ("layers.2.", "h.2.")
"""In names of tensors: the layer that is exchanged."""

WAY = (0.0, 0.25, 0.5, 0.7, 0.87, 1.0)
"""Where checkpoints stand on the way from a start to a release that was not trained from it."""

Chain = list[tuple[Path, int]]
"""Places and stated steps."""


@dataclass(frozen=True)
class Case:
    """A chain, and the places at which something may be found: a checkpoint, or two that stand side by side in it.

    Attributes:
        kind: what was done to it.
        chain: as it is stated.
        places: positions in the chain.
    """

    kind: str
    chain: Chain
    places: tuple[tuple[int, ...], ...] = ()

    def allowed(self) -> set[str]:
        steps = [f"step {step:,}" for _, step in self.chain]
        return {" to ".join(steps[each] for each in place) for place in self.places}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rule", action="store_true", help="count the runs on which limits were set")
    options = parser.parse_args()
    seeds = RULE if options.rule else REPORT
    rows: dict[str, list[tuple[Audit, bool, Audit]]] = {}
    for number, run in enumerate(runs(seeds)):
        cases = [honest(run, options.folder), *(tampered(run, options.folder) if number < TAMPERED else ())]
        for case in cases:
            full, printed = audited(case, weights=True), audited(case, weights=False)
            rows.setdefault(case.kind, []).append((full, named_right(case, full), printed))
    print(table(rows))
    smallest = min(value for full, _, _ in rows["honest"] for f in full.of("start") if (value := f.log10_p) is not None)
    print(f"\nsmallest corrected p of the start of an honest chain: {10**smallest:.2g}")


def honest(run: Run, folder: Path) -> Case:
    return Case("honest", list(zip(made(run, folder), STEPS, strict=True)))


def tampered(run: Run, folder: Path) -> Iterator[Case]:
    """Every kind of broken chain, other weights coming in at the third or the fourth checkpoint."""
    own = made(run, folder)
    other = made(Run(run.family, run.seed + len(FAMILIES)), folder)
    scratch = folder / "tampered" / run.name
    k = 2 + run.seed % 2
    link, both = ((k - 1, k),), ((k - 1, k), (k, k + 1))

    def stated(places: list[Path]) -> Chain:
        return list(zip(places, STEPS, strict=False))

    def from_k(name: str, change: Callable[[Path, Path, Path], None]) -> list[Path]:
        return own[:k] + [changed(scratch / name / own[i].name, own[i], other[i], change) for i in range(k, len(own))]

    yield Case("another random start", stated([other[0], *own[1:]]), ((0, 1),))
    yield Case("a start that was trained for 20 steps", stated(own[1:]), ((0,),))
    yield Case("the same, gains and biases reset", stated([reset(scratch / "reset", own[1]), *own[2:]]), ((0,),))
    yield Case("another run from a checkpoint on", stated([*own[:k], *other[k:]]), link)
    yield Case("one layer of a stranger from a checkpoint on", stated(from_k("layer", exchanged(LAYER))), link)
    yield Case("all FFNs of a stranger from a checkpoint on", stated(from_k("ffn", exchanged(("mlp.",)))), link)
    yield Case("one layer averaged with a stranger's", stated(from_k("average", averaged)), link)
    stranger = disguised(scratch / "stranger", other[k])
    yield Case("a disguised stranger as one checkpoint", stated([*own[:k], stranger, *own[k + 1 :]]), both)
    copy = disguised(scratch / "copy", own[k])
    yield Case("one checkpoint disguised", stated([*own[:k], copy, *own[k + 1 :]]), both)
    same_start = made(Run(run.family, run.seed, 1), folder)
    yield Case("another training of the same start from a checkpoint on", stated([*own[:k], *same_start[k:]]), link)
    yield Case("made backwards from a release", stated(backwards(scratch / "backwards", other[0], own[-1])))
    left = [pair for i, pair in enumerate(stated(own)) if i != k]
    yield Case("one checkpoint missing, true steps", left, link)
    yield Case("one checkpoint missing, steps stated anew", stated([place for place, _ in left]), link)


def audited(case: Case, *, weights: bool) -> Audit:
    stages = [Stage(str(place), place.name, step) for place, step in case.chain]
    start = open_model(case.chain[0][0]).weights if weights else None
    return audit_chain(stages, [measured(place) for place, _ in case.chain], start=start, cache=True)


@cache
def measured(place: Path) -> Fingerprint:
    return fingerprint(place)


def named_right(case: Case, audit: Audit) -> bool:
    """Whether the worst findings stand at places where something was done, and only there."""
    found = {finding.where for finding in audit.findings if finding.state == audit.conclusion != "holds"}
    return bool(found) and found <= case.allowed()


def changed(target: Path, own: Path, other: Path, change: Callable[[Path, Path, Path], None]) -> Path:
    """A checkpoint made once from one of a run and the stranger's of the same step."""
    if not target.exists():
        shutil.copytree(own, target)
        change(target, own, other)
    return target


def exchanged(names: tuple[str, ...], share: float = 1.0) -> Callable[[Path, Path, Path], None]:
    """Puts the stranger's matrices of these names in, or a share of them."""

    def change(target: Path, own: Path, other: Path) -> None:
        ours, theirs = load_file(own / "model.safetensors"), load_file(other / "model.safetensors")
        for name, tensor in ours.items():
            if any(each in name for each in names):
                ours[name] = (tensor * (1 - share) + theirs[name] * share).astype(tensor.dtype)
        save_file(ours, target / "model.safetensors", metadata={"format": "pt"})

    return change


averaged = exchanged(LAYER, 0.5)


def reset(target: Path, own: Path) -> Path:
    """A checkpoint whose gains are 1 again, and whose biases 0."""

    def change(target: Path, own: Path, other: Path) -> None:
        tensors = load_file(own / "model.safetensors")
        for name, tensor in tensors.items():
            if tensor.ndim == 1:
                tensors[name] = np.full_like(tensor, name.endswith("weight"))
        save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})

    return changed(target, own, own, change)


def backwards(folder: Path, start: Path, release: Path) -> list[Path]:
    """Checkpoints between any random start and any release, on the straight line: no training leads there."""
    first, last = (load_file(place / "model.safetensors") for place in (start, release))
    made = []
    for share in WAY:
        target = folder / f"{share:g}"
        if not target.exists():
            shutil.copytree(release, target)
            mixed = {name: ((1 - share) * first[name] + share * last[name]).astype(last[name].dtype) for name in last}
            save_file(mixed, target / "model.safetensors", metadata={"format": "pt"})
        made.append(target)
    return made


def disguised(target: Path, place: Path) -> Path:
    """A copy that computes the same, in the same shapes."""
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        transforms.apply("disguise", place, target, seed=7, steps="rotate,scale,flip,permute", check=False)
    return target


def table(rows: dict[str, list[tuple[Audit, bool, Audit]]]) -> str:
    lines = [
        "| chain | chains | holds | not testable | broken | place named right | broken, from fingerprints alone |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for kind, found in rows.items():
        counts = Counter(full.conclusion for full, _, _ in found)
        right = "" if kind == "honest" else str(sum(right for _, right, _ in found))
        printed = sum(each.conclusion == "broken" for _, _, each in found)
        cells = [len(found), counts["holds"], counts["not-testable"], counts["broken"], right, printed]
        lines.append(f"| {kind} | {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
