"""What every form of storing a model does to its fingerprint, and what is concluded about a copy in that form.

    python benchmarks/formats.py                      # all forms, of the model that is shipped
    python benchmarks/formats.py --only GPTQ          # those whose name says so
    python benchmarks/formats.py --model DIR          # of another Llama-like model

The copies are written by the real libraries (compressed-tensors, bitsandbytes, transformers, gguf) or packed as these publish
it (tests/quantised.py, tests/gguf_files.py); they have to be installed: `pip install -e '.[dev]'`.

First table: how the copy is stored, the verdict against the original, log10 of the p-value. Second table: for every trait the
largest deviation of any entry, as a share of the trait's largest magnitude in the original.

A further form is one pair more in FORMS: its name, and a function that takes the folder of the model and the one to write.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import os
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import gguf_files  # noqa: E402
import quantised  # noqa: E402

from kinprint import Fingerprint, compare, fingerprint  # noqa: E402

FORMS: list[tuple[str, quantised.Writer]] = [
    *quantised.FORMS.items(),
    *gguf_files.FORMS.items(),
]


def deviations(original: Fingerprint, copy: Fingerprint) -> dict[str, float]:
    """Trait -> largest deviation as a share of its largest magnitude; NaN where it is missing or of another shape."""
    found = {}
    for name, values in sorted(original.traits.items()):
        if values.dtype.kind != "f":
            continue
        other = copy.traits.get(name)
        if other is None or other.shape != values.shape:
            found[name] = np.nan
            continue
        largest = np.nanmax(np.abs(values), initial=0)
        found[name] = float(np.nanmax(np.abs(other - values), initial=0) / largest) if largest else 0.0
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=ROOT / "examples" / "models" / "base", help="a Llama-like model")
    parser.add_argument("--only", default="", help="only forms with this in their name")
    arguments = parser.parse_args()
    os.environ.setdefault("TQDM_DISABLE", "1")
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    original = fingerprint(arguments.model, scores=True)
    forms = [(name, write) for name, write in FORMS if arguments.only.lower() in name.lower()]
    columns = []
    print("| | form | stored as | verdict | log10 p |\n|" + "---|" * 5)
    with tempfile.TemporaryDirectory() as scratch:
        for number, (name, write) in enumerate(forms, 1):
            folder = Path(scratch) / str(number)
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                write(arguments.model, folder)
            copy = fingerprint(folder, scores=True)
            found = compare(original, copy)
            columns.append(deviations(original, copy))
            stored = copy.facts.get("quantization") or "–"
            log10_p = "–" if found.log10_p is None else f"{found.log10_p:.0f}"
            print(f"| {number} | {name} | {stored} | {found.verdict} | {log10_p} |", flush=True)
    print(
        "\n| trait | "
        + " | ".join(str(number) for number in range(1, len(columns) + 1))
        + " |\n|"
        + "---|" * (len(columns) + 1)
    )
    for trait in sorted(columns[0]) if columns else []:
        print(f"| {trait} | " + " | ".join(f"{column[trait]:.1g}" for column in columns) + " |")


if __name__ == "__main__":
    main()
