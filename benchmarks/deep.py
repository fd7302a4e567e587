"""What `compare --deep` costs on a pair of 7B-shaped checkpoints: seconds, products and peak memory of each deep method.

    python benchmarks/deep.py                              # the shape of Llama-7B, 13.5 GB each, under the temporary folder
    python benchmarks/deep.py --layers 12 --kept 8         # 12 layers against 8 of them
    python benchmarks/deep.py --layers 12 --awm CHECKOUT   # the published code of AWM on the same pair
    python benchmarks/deep.py --layers 4 --width 2048      # a pair that makes little work
    python benchmarks/deep.py --layers 12 --methods matched-neurons --device cuda   # products by torch, beside numpy

The suspect is the reference with noise of 5 %, its channels, heads and neurons permuted; with --kept it has fewer layers,
evenly chosen; with --strangers it is nothing but noise. Every method runs in a process of its own. A product is one of two
float32 matrices of width 4096 (whatever --width), timed in the same run on the same processors: what a method costs in products
says more than seconds do. `matched-neurons` looks at 12 layers of whatever depth, the others look at all. Weights are random,
which costs what trained ones cost; what is found in trained ones is for the zoo to say.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import throughput
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from kinprint import transforms
from kinprint.matching.layers import evenly
from kinprint.methods import known

RUN = """
import json, resource, sys, time
from kinprint.methods import known
from kinprint.architectures import open_model
from kinprint.matching.device import on

method = next(method for method in known() if method.name == sys.argv[1])
start, worked = time.perf_counter(), time.process_time()
with on(sys.argv[4] if len(sys.argv) > 4 else None):
    evidence = method(open_model(sys.argv[2]).weights, open_model(sys.argv[3]).weights)
seconds, processor = time.perf_counter() - start, time.process_time() - worked
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps({"seconds": seconds, "processor": processor, "peak": peak, "statistic": evidence.statistic,
                  "log10_p": evidence.log10_p}))
"""

PUBLISHED = """
import json, resource, sys, time
sys.path.insert(0, sys.argv[4])
from pathlib import Path
from peers import published
score = published(Path(sys.argv[1]))
start, worked = time.perf_counter(), time.process_time()
value = score(sys.argv[2], sys.argv[3])
seconds, processor = time.perf_counter() - start, time.process_time() - worked
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps({"seconds": seconds, "processor": processor, "peak": peak, "statistic": value, "log10_p": None}))
"""

PRODUCT = """
import json, time
import numpy as np

x = np.random.default_rng(0).normal(size=(4096, 4096)).astype(np.float32)
found = []
for _ in range(3):
    start, worked = time.perf_counter(), time.process_time()
    x @ x
    found.append((time.perf_counter() - start, time.process_time() - worked))
print(json.dumps({"seconds": min(a for a, _ in found), "processor": min(b for _, b in found)}))
"""

MEMORY = 2.0
"""GiB that `matched-neurons` may take on a pair of this width."""


def ran(program: str, *arguments: object) -> dict[str, Any]:
    """What a program of its own process prints last, as JSON."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return dict(json.loads(said.splitlines()[-1]))


def pair(folder: Path, layers: int, kept: int | None, *, strangers: bool) -> tuple[Path, Path]:
    """The two checkpoints, made where they are not there yet."""
    reference = folder / f"reference-{throughput.HIDDEN}-{layers}"
    kind = "stranger" if strangers else "suspect"
    suspect = folder / f"{kind}-{throughput.HIDDEN}-{layers}-{kept or layers}"
    if not (reference / "config.json").exists():
        reference.mkdir(parents=True, exist_ok=True)
        throughput.write_checkpoint(reference, layers)
        write_tokenizer(reference)
    if not suspect.exists():
        model = transforms.read_model(reference)
        if kept is not None:
            model = transforms.known()["prune"](model, kind="depth", layers=evenly(layers, kept).tolist())
        model = transforms.known()["noise"](model, amount=100 if strangers else 0.05, seed=0)
        transforms.write(transforms.known()["permute"](model, seed=0), suspect)
        write_tokenizer(suspect)
    return reference, suspect


def write_tokenizer(folder: Path) -> None:
    """Tokens that both have, which AWM aligns channels by."""
    tokenizer = Tokenizer(WordLevel({f"token{i}": i for i in range(throughput.VOCABULARY)}, unk_token="token0"))
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=32)
    parser.add_argument("--kept", type=int, help="layers that the suspect has; all by default")
    parser.add_argument("--width", type=int, default=throughput.HIDDEN, help="of the stream, a multiple of 128")
    parser.add_argument("--strangers", action="store_true", help="the suspect has other weights")
    parser.add_argument("--folder", type=Path, help="where the checkpoints are kept; a temporary one by default")
    parser.add_argument("--methods", default="", help="separated by commas; every deep method by default")
    parser.add_argument("--device", help="once more with products by torch there")
    parser.add_argument("--awm", type=Path, help="a checkout of AWM's published code")
    arguments = parser.parse_args()
    throughput.NEURONS = throughput.NEURONS * arguments.width // throughput.HIDDEN
    throughput.HEADS = throughput.HEADS * arguments.width // throughput.HIDDEN
    throughput.HIDDEN = arguments.width
    names = arguments.methods.split(",") if arguments.methods else [method.name for method in known() if method.deep]
    with tempfile.TemporaryDirectory(prefix="kinprint-deep-") as temporary:
        start = time.perf_counter()
        folder = arguments.folder or Path(temporary)
        places = pair(folder, arguments.layers, arguments.kept, strangers=arguments.strangers)
        product = ran(PRODUCT)
        print(f"two checkpoints made in {time.perf_counter() - start:.0f} s")
        print(f"a product takes {product['seconds']:.2f} s, and {product['processor']:.2f} s of processor time\n")
        columns = ("method", "seconds", "products", "of processor time", "peak GiB", "statistic", "log10 p")
        print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)
        for name in names:
            found = ran(RUN, name, *places)
            show(name, found, product)
            if name == "matched-neurons" and found["peak"] > MEMORY * 2**30:
                print(f"{name} takes more than {MEMORY} GiB", file=sys.stderr)
            if arguments.device:
                show(f"{name}, {arguments.device}", ran(RUN, name, *places, arguments.device), product)
        if arguments.awm:
            show("AWM, published code", ran(PUBLISHED, arguments.awm, *places, Path(__file__).parent), product)


def show(name: str, found: dict[str, Any], product: dict[str, float]) -> None:
    ratios = (found[clock] / product[clock] for clock in ("seconds", "processor"))
    figures = (f"{found['seconds']:.0f}", *(f"{r:.1f}" for r in ratios), f"{found['peak'] / 2**30:.2f}", found["statistic"])
    print(f"| {name} | {' | '.join(map(str, (*figures, found['log10_p'])))} |", flush=True)


if __name__ == "__main__":
    main()
