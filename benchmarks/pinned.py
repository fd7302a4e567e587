"""Whether a change of the code changed a number: every p-value, statistic and digest, to the last bit, against a pinned file.

    python benchmarks/pinned.py check                 the shipped models, against benchmarks/pinned.json
    python benchmarks/pinned.py check --zoo FOLDER    those of a zoo too (`kinprint zoo build -o FOLDER --size tiny`)
    python benchmarks/pinned.py write [--zoo FOLDER]  after a change that is meant to change numbers

Of every model: its full and quick fingerprints, its vectors for the search, and copies by every transform with seed 1. Of every
pair: what every method says, words left out; of every fourth pair of a zoo with `--deep`. Of a zoo: families and trees. Prints
what differs and exits with 1. Numbers of another processor or BLAS may differ in their last bits, weights of a zoo that was
trained there too: a model whose weights are not the pinned ones is named, and so are pairs with it left out.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Iterable, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from blake3 import blake3

from kinprint import fingerprint
from kinprint.architectures import open_model
from kinprint.comparison import Comparison, examine
from kinprint.fingerprints import Fingerprint
from kinprint.library.trees.tree import tree
from kinprint.library.vectors import vectors
from kinprint.transforms import known, write
from kinprint.transforms import read_model as open_for_transforms

HERE = Path(__file__).parent
SHIPPED = HERE.parent / "examples" / "models"
DEEP_EVERY = 4


def digest(value: Any) -> str:
    """Of a JSON object; floats as Python writes them, which tells every bit."""
    return blake3(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:24]


def digest_of_arrays(arrays: Mapping[str, Any]) -> str:
    found = blake3()
    for name, array in sorted(arrays.items()):
        values = np.ascontiguousarray(array)
        found.update(f"{name} {values.dtype.str} {values.shape} ".encode())
        found.update(values.tobytes())
    return found.hexdigest()[:24]


def digest_of_weights(folder: Path) -> str:
    """Of the weight files of a model, by content."""
    found = blake3()
    for file in sorted(folder.glob("*.safetensors")):
        found.update(file.read_bytes())
    return found.hexdigest()[:24]


def wordless(evidence: Mapping[str, Any]) -> dict[str, Any]:
    """What a method said without its sentences."""
    kept = {key: value for key, value in evidence.items() if key not in ("note", "set_aside", "disguise")}
    return kept | {"set_aside": bool(evidence.get("set_aside")), "disguise": len(evidence.get("disguise") or ())}


def of_model(folder: Path, model: Fingerprint) -> dict[str, str]:
    quick = fingerprint(folder, quick=True, cache=False)
    return {
        "weights": digest_of_weights(folder),
        "fingerprint": digest_of_arrays(model.traits),
        "quick": digest_of_arrays(quick.traits),
        "vectors": digest_of_arrays(vectors(model)),
    }


def of_transforms(folder: Path) -> dict[str, str]:
    """Digest of the copy that every transform makes of a model, or that it declines."""
    found = {}
    for name, transform in known().items():
        with tempfile.TemporaryDirectory() as scratch:
            try:
                model = transform(open_for_transforms(folder), **({"seed": 1} if transform.draws else {}))
                write(model, Path(scratch) / "copy")
            except Exception as error:
                found[name] = type(error).__name__
            else:
                found[name] = digest_of_weights(Path(scratch) / "copy")
    return found


def of_pair(comparison: Comparison) -> dict[str, Any]:
    evidence = sorted((wordless(item.to_json()) for item in comparison.evidence), key=lambda item: item["method"])
    return {
        "verdict": comparison.verdict,
        "log10_p": comparison.log10_p,
        "unforgeable": comparison.unforgeable,
        "tests": {item["method"]: item["log10_p"] for item in evidence if item.get("log10_p") is not None},
        "evidence": digest([evidence, comparison.layer_map]),
    }


def measure(folders: Mapping[str, Path], *, deep_every: int, transformed: Iterable[str]) -> dict[str, Any]:
    prints = {name: fingerprint(folder, scores=True, cache=False) for name, folder in folders.items()}
    weights = {name: open_model(folder).weights for name, folder in folders.items()}
    models = {name: of_model(folder, prints[name]) for name, folder in folders.items()}
    pairs = {}
    for number, (a, b) in enumerate(combinations(folders, 2)):
        if sys.stderr.isatty():
            print(f"\r{number} pairs", end="", file=sys.stderr)
        pairs[f"{a} {b}"] = of_pair(examine((prints[a], prints[b])))
        if number % deep_every == 0:
            pairs[f"{a} {b} --deep"] = of_pair(examine((prints[a], prints[b]), (weights[a], weights[b]), scores=True))
    quick = {name: fingerprint(folder, quick=True, cache=False) for name, folder in folders.items()}
    for number, (a, b) in enumerate(combinations(folders, 2)):
        if number % deep_every == 0:
            pairs[f"{a} {b} --quick"] = of_pair(examine((quick[a], quick[b])))
    return {
        "models": models,
        "transforms": {name: of_transforms(folders[name]) for name in transformed},
        "pairs": pairs,
        "trees": digest(tree(list(prints.values())).to_json()) if len(prints) > 3 else None,
    }


def lines(groups: Mapping[str, Any]) -> str:
    """JSON with a line for each model and each pair."""
    text = json.dumps(groups, indent=1)
    return re.sub(r"\n {4,}(?=[^ ])|\n {3}(?=\})", " ", text)


def differences(pinned: Any, now: Any, place: str = "") -> list[str]:
    if isinstance(pinned, dict) and isinstance(now, dict):
        keys = [*pinned, *(key for key in now if key not in pinned)]
        return [
            line for key in keys for line in differences(pinned.get(key), now.get(key), f"{place} / {key}" if place else key)
        ]
    return [] if pinned == now else [f"{place}: {pinned} was pinned, now {now}"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("action", choices=("check", "write"))
    parser.add_argument("--zoo", type=Path, help="a folder with models of a zoo")
    parser.add_argument("--file", type=Path, default=HERE / "pinned.json")
    given = parser.parse_args()

    groups: dict[str, dict[str, Any]] = {}
    shipped = {folder.name: folder for folder in sorted(SHIPPED.iterdir())}
    groups["examples/models"] = measure(shipped, deep_every=1, transformed=shipped)
    if given.zoo:
        members = {folder.name: folder for folder in sorted(given.zoo.iterdir()) if (folder / "config.json").is_file()}
        bases = [name for name in members if name.endswith("-base")]
        groups["zoo"] = measure(members, deep_every=DEEP_EVERY, transformed=bases)
    if given.action == "write":
        before = json.loads(given.file.read_text()) if given.file.is_file() else {}
        given.file.write_text(lines(before | groups) + "\n")
        print(f"pinned: {', '.join(groups)}")
        return 0
    pinned = json.loads(given.file.read_text())
    found = [line for name, group in groups.items() for line in differences(pinned.get(name), group, name)]
    numbers = sum(len(group["pairs"]) + 4 * len(group["models"]) for group in groups.values())
    print("\n".join(found) or f"{numbers} models' digests and pairs' evidence are bit for bit as pinned")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
