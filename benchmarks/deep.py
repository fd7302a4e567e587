"""What `compare --deep` costs on a pair of 7B-shaped checkpoints: seconds and peak memory of each deep method.

    python benchmarks/deep.py                              # the shape of Llama-7B, 13.5 GB each, under the temporary folder
    python benchmarks/deep.py --layers 12 --awm CHECKOUT   # fewer layers; the published code of AWM on the same pair

The suspect is the reference with noise of 5 %, its channels, heads and neurons permuted. Every method runs in a process of its
own. `matched-neurons` looks at 12 layers of whatever depth, the others look at all. Weights are random, which costs what
trained ones cost; what is found in trained ones is for the zoo to say.
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

from throughput import VOCABULARY, write_checkpoint
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from kinprint import transforms
from kinprint.methods import known

RUN = """
import json, resource, sys, time
from kinprint.methods import known
from kinprint.architectures import open_model

method = next(method for method in known() if method.name == sys.argv[1])
start = time.perf_counter()
evidence = method(open_model(sys.argv[2]).weights, open_model(sys.argv[3]).weights)
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps({"seconds": seconds, "peak": peak, "statistic": evidence.statistic, "log10_p": evidence.log10_p,
                  "note": evidence.note}))
"""

PUBLISHED = """
import json, resource, sys, time
sys.path.insert(0, sys.argv[4])
from pathlib import Path
from peers import published
score = published(Path(sys.argv[1]))
start = time.perf_counter()
value = score(sys.argv[2], sys.argv[3])
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps({"seconds": seconds, "peak": peak, "statistic": value, "log10_p": None, "note": ""}))
"""


def ran(program: str, *arguments: object) -> dict[str, Any]:
    """What a program of its own process prints last, as JSON."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return dict(json.loads(said.splitlines()[-1]))


def pair(folder: Path, layers: int) -> tuple[Path, Path]:
    """The two checkpoints, made where they are not there yet."""
    reference, suspect = folder / f"reference-{layers}", folder / f"suspect-{layers}"
    if not (reference / "config.json").exists():
        reference.mkdir(parents=True, exist_ok=True)
        write_checkpoint(reference, layers)
        write_tokenizer(reference)
    if not suspect.exists():
        model = transforms.known()["noise"](transforms.read_model(reference), amount=0.05, seed=0)
        transforms.write(transforms.known()["permute"](model, seed=0), suspect)
        write_tokenizer(suspect)
    return reference, suspect


def write_tokenizer(folder: Path) -> None:
    """Tokens that both have, which AWM aligns channels by."""
    tokenizer = Tokenizer(WordLevel({f"token{i}": i for i in range(VOCABULARY)}, unk_token="token0"))
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=32)
    parser.add_argument("--folder", type=Path, help="where the checkpoints are kept; a temporary one by default")
    parser.add_argument("--methods", default="", help="separated by commas; every deep method by default")
    parser.add_argument("--awm", type=Path, help="a checkout of AWM's published code")
    arguments = parser.parse_args()
    names = arguments.methods.split(",") if arguments.methods else [method.name for method in known() if method.deep]
    with tempfile.TemporaryDirectory(prefix="kinprint-deep-") as temporary:
        start = time.perf_counter()
        reference, suspect = pair(arguments.folder or Path(temporary), arguments.layers)
        print(f"two checkpoints of {arguments.layers} layers made in {time.perf_counter() - start:.0f} s\n", flush=True)
        print("| method | seconds | peak GiB | statistic | log10 p |\n|---|---|---|---|---|")
        for name in names:
            show(name, ran(RUN, name, reference, suspect))
        if arguments.awm:
            show("AWM, published code", ran(PUBLISHED, arguments.awm, reference, suspect, Path(__file__).parent))


def show(name: str, found: dict[str, Any]) -> None:
    figures = (f"{found['seconds']:.0f}", f"{found['peak'] / 2**30:.2f}", found["statistic"], found["log10_p"])
    print(f"| {name} | {' | '.join(map(str, figures))} |", flush=True)


if __name__ == "__main__":
    main()
