"""How often the words of `kinprint diff` are right, and what a difference costs.

    python benchmarks/diff.py words ZOO [--other ZOO] [--write] [--json FILE]
    python benchmarks/diff.py cost [--layers 2] [--json FILE]

`words` reads every descendant of a zoo (`kinprint zoo build -o ZOO --size tiny`) beside each of its parents, and copies and
edits of models that the rules have not seen: the shipped models, and bases of the zoo. It prints a table of what was done by
what was said. The limits of the rules were set on a zoo of other seeds (`other_seeds.py`), which `--other` counts beside it.
Unrelated pairs of the zoo must end in an error. `--write` keeps the counts where reports show them.

`cost` compares layers in the shape of Llama-7B, random bf16, of which the second has noise of 1 %, in a process of its own:
processor time a weight, as a share of a product of two float32 matrices of width 4096 in the same run, and peak memory (Linux).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import throughput

from kinprint import transforms
from kinprint.architectures import OpenModel, open_model
from kinprint.difference import MEANS, between
from kinprint.difference.pairing import is_layer_matrix, paired
from kinprint.difference.units import cosine
from kinprint.errors import DifferenceError, KinprintError
from kinprint.transforms._model import Model, changed, generator
from kinprint.zoo.lineage import Lineage

ROOT = Path(__file__).parents[1]
MODELS = ROOT / "examples" / "models"
KEPT = ROOT / "src" / "kinprint" / "difference" / "measured.json"

SEED = 23

EXPECTED = {
    "fine-tune": "fine-tune",
    "continued": "continued",
    "lora": "low-rank",
    "pruned-magnitude": "pruned",
    "pruned-depth": "layers",
    "pruned-width": "width",
    "upscaled": "layers",
    "upcycled": "upcycled",
    "swapped-vocabulary": "vocabulary",
    "merged": "fine-tune",
    "merged-ties": "sparse",
    "quantised": "quantised",
    "noise": "noise",
    "split": "width",
    **dict.fromkeys(("disguise", "permute", "rotate", "scale", "mix", "flip", "fold-gains", "replace"), "another-form"),
}
"""What was done -> the word that is right. A weighted mean of fine-tunes is a smaller fine-tune to whoever sees one parent."""

COPIES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("cast", "cast", {"dtype": "f16"}),
    ("same", "cast", {"dtype": "f32"}),
    *(("quantised", "quantize", {"scheme": scheme}) for scheme in ("int8", "int4", "fp8")),
    *(("noise", "noise", {"amount": amount, "seed": SEED}) for amount in (0.02, 0.08)),
    *(("pruned", "prune", {"kind": "magnitude", "amount": amount}) for amount in (0.3, 0.6)),
    ("layers", "prune", {"kind": "depth", "amount": 0.5}),
    ("width", "prune", {"kind": "width", "amount": 0.5}),
    ("layers", "upscale", {}),
    ("upcycled", "upcycle", {"experts": 4, "seed": SEED}),
    ("vocabulary", "swap-vocabulary", {"size": 448, "seed": SEED}),
    ("another-form", "replace", {"amount": 0.4, "seed": SEED}),
    *(("another-form", name, {"seed": SEED}) for name in ("permute", "rotate", "scale", "mix", "flip", "disguise")),
    ("width", "split", {"seed": SEED}),
)
"""Right word, transform, options."""


def lora(model: Model, rank: int, roles: tuple[str, ...]) -> Model:
    """A random adapter of a rank, merged; its change is 2 % of each matrix."""

    def adapted(place: Any, part: Any) -> Any:
        if place[1] not in roles:
            return part

        def added(array: np.ndarray) -> np.ndarray:
            rng = generator(SEED, "lora", place)
            change = rng.standard_normal((array.shape[0], rank)) @ rng.standard_normal((rank, array.shape[1]))
            return (array + change * (0.02 * np.linalg.norm(array) / np.linalg.norm(change))).astype(np.float32)

        return changed(part, added)

    return model.each(adapted)


def ablated(model: Model) -> Model:
    """One random direction taken out of all that layers write (Arditi et al., 2024, section 4.1)."""
    direction = generator(SEED, "direction").standard_normal(int(model.facts["hidden_size"])).astype(np.float32)
    direction /= np.linalg.norm(direction)

    def without(array: np.ndarray) -> np.ndarray:
        return array - np.outer(direction, direction @ array)

    return model.each(lambda place, part: changed(part, without) if place[1] in ("o", "down") else part)


def only(model: Model, role: str) -> Model:
    """One role trained: its matrices moved by random numbers of 4 %."""

    def moved(place: Any, part: Any) -> Any:
        if place[1] != role:
            return part

        def added(array: np.ndarray) -> np.ndarray:
            rng = generator(SEED, "only", place)
            return array + np.float32(0.04 * array.std()) * rng.standard_normal(array.shape).astype(np.float32)

        return changed(part, added)

    return model.each(moved)


def edits(model: Model) -> Iterator[tuple[str, str, Model]]:
    """Right word, name and model of what no transform makes."""
    for rank, roles in ((1, ("q", "v")), (4, ("q", "v")), (8, ("q", "k", "v", "o", "gate", "up", "down"))):
        if min(model.parts[0, "v", None].shape) >= 4 * rank:
            yield "low-rank", f"LoRA of rank {rank}", lora(model, rank, roles)
    yield "one-direction", "abliteration", ablated(model)
    for role in ("embedding", "head", "router"):
        if any(place[1] == role for place in model.parts):
            yield "part", f"{role} only", only(model, role)


def opened(model: Model, name: str) -> OpenModel:
    """A model that was never on disk, ready to be read."""
    return OpenModel(transforms.in_memory(model, name))


Row = tuple[str, str, str, str]
"""Where from, what was done, the right word, the word that was said."""


def said(reference: OpenModel, suspect: OpenModel) -> str:
    """The word for a pair."""
    try:
        return between(reference, suspect).reading.word
    except KinprintError as error:
        return f"error: {type(error).__name__}"


def of_zoo(zoo: Path, where: str) -> Iterator[Row]:
    """Every descendant beside each of its parents."""
    for member in Lineage.read(zoo).members.values():
        ties = member.kind == "merged" and "ties" in member.name
        right = EXPECTED.get(f"{member.kind}-ties" if ties else member.kind)
        for parent in member.parents:
            if right is not None:
                pair = open_model(zoo / parent), open_model(zoo / member.name)
                yield where, member.kind, right, said(*pair)


def of_models(zoo: Path) -> Iterator[Row]:
    """Copies and edits of models that no rule was set on."""
    shipped = [MODELS / name for name in ("base", "finetune", "twin")]
    yield "shipped", "fine-tune", "fine-tune", said(open_model(shipped[0]), open_model(shipped[1]))
    for path in shipped:
        model = transforms.read_model(path)
        for right, name, options in COPIES:
            made = transforms.known()[name](model, **options)
            yield "shipped", name, right, said(open_model(path), opened(made, name))
    for method, right in (
        ("linear", "fine-tune"),
        ("slerp", "fine-tune"),
        ("task-arithmetic", "fine-tune"),
        ("ties", "sparse"),
    ):
        options: dict[str, Any] = {"base": MODELS / "base"} if method in ("ties", "task-arithmetic") else {}
        others = [MODELS / "base"] if method in ("linear", "slerp") else [MODELS / "finetune"]
        start = transforms.read_model(MODELS / "finetune")
        made = transforms.known()["merge"](start, others=others, method=method, **options)
        yield "shipped", f"merge {method}", right, said(open_model(MODELS / "base"), opened(made, method))
    for path in (*shipped, *(zoo / name for name in ("mixtral-base", "qwen2-base", "gpt_neox-base") if (zoo / name).is_dir())):
        for right, name, made in edits(transforms.read_model(path)):
            yield "shipped" if path in shipped else "zoo bases", name, right, said(open_model(path), opened(made, name))


def strangers(zoo: Path) -> dict[str, float]:
    """Unrelated pairs of the zoo, how many end in an error, and the largest cosine of two of their matrices by sampled rows."""
    lineage = Lineage.read(zoo)
    names = list(lineage.members)
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :] if lineage.relation(a, b).truth == "unrelated"]
    refused, cosines = 0, [0.0]
    for a, b in pairs:
        models = open_model(zoo / a), open_model(zoo / b)
        found = paired(*(model.weights for model in models)).pairs
        sides = [(p.reference, p.suspect) for p in found if is_layer_matrix(p.place) and p.reference.shape == p.suspect.shape]
        cosines += [abs(cosine(ours.sampled(), theirs.sampled())) for ours, theirs in sides]
        try:
            between(*models, cache=True)
        except DifferenceError:
            refused += 1
    return {"pairs": len(pairs), "refused": refused, "matrices": len(cosines) - 1, "cosine": max(cosines)}


def table(rows: list[Row]) -> str:
    """What was done, by what was said: the right word first."""
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for where, done, right, word in rows:
        counts[f"{done} ({where})", right][word] += 1
    lines = ["| done to | right | pairs | said |", "|---|---|---|---|"]
    for (done, right), words in sorted(counts.items(), key=lambda item: (item[0][1], item[0][0])):
        given = ", ".join(f"`{word}` {count}" for word, count in words.most_common())
        lines.append(f"| {done} | `{right}` | {words.total()} | {given} |")
    return "\n".join(lines)


def words(options: argparse.Namespace) -> None:
    rows = [*of_zoo(options.zoo, "zoo"), *of_models(options.zoo)]
    print(table(rows))
    hits = sum(right == word for _, _, right, word in rows)
    print(f"\n{hits} of {len(rows)} right ({hits / len(rows):.1%})")
    for where in dict.fromkeys(row[0] for row in rows):
        some = [row for row in rows if row[0] == where]
        print(f"{where}: {sum(row[2] == row[3] for row in some)} of {len(some)}")
    if options.other:
        other = list(of_zoo(options.other, "other seeds"))
        print(f"\nThe zoo of other seeds, on which limits were set:\n\n{table(other)}")
    apart = strangers(options.zoo)
    print(f"\nunrelated pairs: {apart['refused']} of {apart['pairs']} end in an error")
    print(f"largest cosine of {apart['matrices']} pairs of their matrices: {apart['cosine']:.3f}")
    right = {word: [sum(row[2] == row[3] == word for row in rows), sum(row[3] == word for row in rows)] for word in MEANS}
    found = {"pairs": len(rows), "words": {word: counts for word, counts in right.items() if counts[1]}}
    if options.write:
        KEPT.write_text(json.dumps(found) + "\n")
    if options.json:
        options.json.write_text(json.dumps({**found, "rows": rows, "unrelated": apart}, indent=1) + "\n")


RUN = """
import json, re, sys, time
from pathlib import Path
import numpy as np
import kinprint

def resident():  # the largest so far; getrusage would count what the parent process had
    return 1024 * int(re.search("VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])

kinprint.diff(sys.argv[3], sys.argv[3])  # compiled
before = resident()
start, wall = time.process_time(), time.perf_counter()
found = kinprint.diff(sys.argv[1], sys.argv[2])
took, waited = time.process_time() - start, time.perf_counter() - wall
peak = resident()
x = np.random.default_rng(0).standard_normal((4096, 4096), dtype=np.float32)
products = []
for _ in range(3):
    start = time.process_time()
    x @ x
    products.append(time.process_time() - start)
print(json.dumps({"processor": took, "wall": waited, "product": min(products), "entries": found.entries,
                  "word": found.reading.word, "peak": peak, "before": before}))
"""


def cost(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        first, second = Path(folder) / "first", Path(folder) / "second"
        first.mkdir()
        throughput.write_checkpoint(first, options.layers)
        transforms.apply("noise", first, second, amount=0.01, seed=0)
        command = [sys.executable, "-c", RUN, str(first), str(second), str(MODELS / "base")]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    products = found["processor"] / found["product"]
    whole = products * 6.74e9 / found["entries"]
    print(f"{found['entries']:,} weights a model: {found['processor']:.1f} s of processor time, {products:.1f} products")
    print(f"a 7B model: {whole:.0f} products, {whole * found['product']:.0f} s of one processor here")
    print(f"peak memory {found['peak'] / 2**30:.2f} GiB, of which {found['before'] / 2**30:.2f} GiB before the comparison")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    acts: tuple[tuple[str, Callable[[argparse.Namespace], None]], ...] = (("words", words), ("cost", cost))
    for name, act in acts:
        command = commands.add_parser(name)
        command.set_defaults(act=act)
        command.add_argument("--json", type=Path)
        if name == "words":
            command.add_argument("zoo", type=Path)
            command.add_argument("--other", type=Path)
            command.add_argument("--write", action="store_true")
        else:
            command.add_argument("--layers", type=int, default=2)
    options = parser.parse_args()
    options.act(options)


if __name__ == "__main__":
    main()
