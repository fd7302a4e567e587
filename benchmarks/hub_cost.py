"""What it would cost to fingerprint a whole hub: bytes read, core hours and storage, from figures of single models.

    python benchmarks/hub_cost.py                  # the tables of docs/scale.md
    python benchmarks/hub_cost.py --measure        # core seconds of fingerprinting on this machine, to put into MEASURED

Sizes of fingerprints and bytes read follow from shapes. Core seconds are processor time (user and system), which other work on
the machine changes little. How many models of which size a hub holds is the assumption in HUB.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from random_models import Shape, write

from kinprint.fingerprints.readings import MOST, TOKENS, neurons_read

MODELS = 2_000_000

STORED, COUNTED = 12e15, 1_300_000
"""Bytes and models on a hub, as published in August 2024."""


@dataclass(frozen=True)
class Size:
    """A size of models: an example of it, and the share of a hub's models that are taken to be like it."""

    name: str
    shape: Shape
    share: float


HUB = (
    Size("SmolLM2-135M", Shape(576, 30, 9, 3, 64, 1536, 49152, tied=True), 0.45),
    Size("Qwen2.5-0.5B", Shape(896, 24, 14, 2, 64, 4864, 151936, tied=True), 0.20),
    Size("Llama-3.2-1B", Shape(2048, 16, 32, 8, 64, 8192, 128256, tied=True), 0.10),
    Size("Llama-3.2-3B", Shape(3072, 28, 24, 8, 128, 8192, 128256, tied=True), 0.07),
    Size("Llama-3.1-8B", Shape(4096, 32, 32, 8, 128, 14336, 128256), 0.14),
    Size("Qwen2.5-14B", Shape(5120, 48, 40, 8, 128, 13824, 152064), 0.025),
    Size("Qwen2.5-32B", Shape(5120, 64, 40, 8, 128, 27648, 152064), 0.01),
    Size("Llama-3.1-70B", Shape(8192, 80, 64, 8, 128, 28672, 128256), 0.005),
)

MEASURED = {"SmolLM2-135M": 14.7, "Llama-3.2-1B": 5.2, "Llama-3.1-8B": 5.3}
"""Core seconds a gigabyte, full fingerprint, by --measure; other sizes take the figure of the next smaller one."""

MEASURED_QUICK = 0.06
"""Core seconds a model, quick fingerprint, opening included."""

VECTORS = 4 * (128 + 128 + 256 + 256)
"""Bytes of a model's vectors in a library (`kinprint.library.vectors`)."""


def fingerprint_bytes(shape: Shape) -> int:
    """Of the traits of a full fingerprint, from their shapes (docs/fingerprint-format.md)."""
    forms = min(2048, (1 << 22) // shape.hidden, shape.neurons)
    ends = 1 if shape.tied else 2
    a_layer = {
        "moments": 7 * 6,
        "channels": 7 * shape.hidden,
        "gains": 2 * shape.hidden,
        "neurons.norms and .invariants": 8 * shape.neurons,
        "neurons.forms": 30 * forms,
        "heads": 2 * shape.heads * shape.head_dim,
        "sample": 7 * 256,
        "digests": 9 * 8,
    }
    readings = 2 * min(MOST, shape.neurons) * min(TOKENS, shape.vocabulary)
    outside = ends * (6 + shape.hidden + 16 * shape.hidden + 1024) + shape.hidden + (ends + 1) * 8
    return 4 * (shape.layers * sum(a_layer.values()) + outside + readings)


def quick_bytes(shape: Shape) -> int:
    """Read of the weights by a quick fingerprint: norm gains, one line in a hundred of gate and up, and the neurons and tokens
    of its readings."""
    read = ("gate_proj", "up_proj")
    total = 0
    for name, size in shape.tensors().items():
        if len(size) == 1:
            total += 2 * size[0]
        elif name.split(".")[-2] in read:
            total += 2 * max(1, size[0] // 100) * size[1]
    neurons = min(neurons_read(shape.nbytes // 2, shape.hidden), shape.neurons)
    return total + 2 * shape.hidden * (2 * neurons + min(TOKENS, shape.vocabulary) + 1)


def core_seconds(size: Size) -> float:
    """Of a full fingerprint."""
    known = [other.name for other in HUB[: HUB.index(size) + 1] if other.name in MEASURED]
    return MEASURED[known[-1]] * size.shape.nbytes / 1e9


def per_model() -> Iterator[str]:
    yield "| like | weights (bf16) | share of models | read, `--quick` | core seconds | fingerprint |"
    yield "|---|---|---|---|---|---|"
    for size in HUB:
        shape = size.shape
        quick = quick_bytes(shape)
        yield (
            f"| {size.name} | {shape.nbytes / 1e9:.2f} GB | {size.share:.1%} | {quick / 1e6:.1f} MB "
            f"({quick / shape.nbytes:.2%}) | {core_seconds(size):.1f} | {fingerprint_bytes(shape) / 1e6:.1f} MB |"
        )


def whole_hub() -> Iterator[str]:
    def mean(value: list[float]) -> float:
        return math.fsum(size.share * each for size, each in zip(HUB, value, strict=True))

    weights = mean([size.shape.nbytes for size in HUB])
    quick = mean([quick_bytes(size.shape) for size in HUB])
    hours = mean([core_seconds(size) for size in HUB]) / 3600
    stored = mean([fingerprint_bytes(size.shape) for size in HUB])
    more = STORED / COUNTED / weights  # published mean against the mean of the table
    quick_hours = MODELS * MEASURED_QUICK / 3600
    yield f"| {MODELS:,} models | all | `--quick` |"
    yield "|---|---|---|"
    yield f"| A: sizes as above, mean {weights / 1e9:.1f} GB | | |"
    yield from _rows(MODELS * weights, MODELS * quick, MODELS * hours, quick_hours)
    yield f"| B: mean as published, {more * weights / 1e9:.1f} GB, were all of it weights of the same shares | | |"
    yield from _rows(MODELS * weights * more, MODELS * quick * more, MODELS * hours * more, quick_hours)
    yield f"| fingerprints | {MODELS * stored / 1e12:.1f} TB | |"
    yield f"| vectors of the library, to be searched | {MODELS * VECTORS / 1e9:.1f} GB | |"


def _rows(read: float, quick: float, hours: float, quick_hours: float) -> Iterator[str]:
    yield f"| bytes read | {_bytes(read)} | {_bytes(quick)} |"
    yield f"| days at 10 Gbit/s | {read / 1.25e9 / 86400:,.1f} | {quick / 1.25e9 / 86400:,.1f} |"
    yield f"| core hours | {hours:,.0f} | {quick_hours:,.0f} |"
    yield f"| days on 100 cores | {hours / 2400:,.1f} | {quick_hours / 2400:,.2f} |"


def _bytes(count: float) -> str:
    return f"{count / 1e15:.1f} PB" if count >= 1e15 else f"{count / 1e12:.1f} TB"


MEASURE = """
import json, resource, sys
from kinprint.fingerprints import fingerprint
fingerprint(sys.argv[2], cache=False, threads=1)  # loads and compiles
def spent():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
begin = spent()
found = fingerprint(sys.argv[1], cache=False, threads=1)
full = spent()
fingerprint(sys.argv[1], cache=False, threads=1, quick=True)
print(json.dumps({"full": full - begin, "quick": spent() - full, "bytes": sum(t.nbytes for t in found.traits.values())}))
"""


def measure() -> None:
    """Core seconds of some sizes, of fewer layers where all would take long."""
    for size in HUB:
        if size.name in MEASURED:
            layers = max(2, min(size.shape.layers, int(2.5e8 / replace(size.shape, layers=1, vocabulary=1).nbytes)))
            shape = replace(size.shape, layers=layers, vocabulary=min(size.shape.vocabulary, 10000))
            with tempfile.TemporaryDirectory() as folder:
                write(Path(folder) / "model", shape)
                small = replace(shape, hidden=64, head_dim=16, neurons=64, layers=1, vocabulary=64)
                write(Path(folder) / "small", small)
                command = [sys.executable, "-c", MEASURE, f"{folder}/model", f"{folder}/small"]
                told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            found = json.loads(told.splitlines()[-1])
            rate = found["full"] / shape.nbytes * 1e9
            print(
                f"{size.name}: {layers} layers, {shape.nbytes / 1e9:.2f} GB: {rate:.2f} core s/GB, "
                f"quick {found['quick']:.2f} core s; fingerprint {found['bytes']:,} B, computed {fingerprint_bytes(shape):,} B",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", action="store_true", help="core seconds on this machine")
    if parser.parse_args().measure:
        measure()
    else:
        print("\n".join([*per_model(), "", *whole_hub()]))


if __name__ == "__main__":
    main()
