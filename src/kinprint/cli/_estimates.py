"""How long work will take, said before: reading a model, and comparing two checkpoints (--deep); and how far reading is, in
bytes of the file that the user sees."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kinprint.architectures.weights import Weights

RATE = 0.4e9
"""Bytes of unpacked weights that a full fingerprint reads in a second on one thread, about (docs/speed.md)."""

DEEP_RATE = 1.1e8
"""Weights of FFNs that --deep reads and projects in a second on one thread, about; together with DEEP_LAYER some 40 s of
`OMP_NUM_THREADS=1 python benchmarks/deep.py --layers 12 --methods matched-neurons` (docs/speed.md). How the two share them was
measured by `--layers 4` with and without `--width 2048`: 19.8 and 10.0 products, four times the weights in the same layers."""

DEEP_LAYER = 1.1
"""Seconds for which --deep matches and tests the neurons of a layer, 2048 of them at most, whatever the width."""

SCORES, SCORES_LAYER = 90.0, 9.0
"""Seconds that --deep --scores takes besides, on models of width WIDTH: for maps of the whole stream, which grow with its cube,
and for each layer, which grows with it. `python benchmarks/deep.py --methods awm,csu,huref,match,mdir,mlp-spectra` took 158
products with `--layers 2`, 32 with `--layers 2 --width 2048` and 60 with `--layers 6 --width 2048`, each of 0.68 s as above."""

WIDTH = 4096

LONG = 30.0
"""Seconds from which a user is told before."""

FFN = ("gate", "up", "down")

Progress = Callable[[int, int], None]


def expectation(size: int) -> str | None:
    """How long reading so many bytes takes, where that is long: "13.5 GB to read, about 34 s"; None where it is not."""
    seconds = size / RATE
    return f"{size / 1e9:.1f} GB to read, about {_about(seconds)}" if seconds >= LONG else None


def deep_expectation(reference: Weights, suspect: Weights, *, scores: bool = False) -> str | None:
    """How long --deep takes beside the fingerprints, from the sizes of both models alone; None where that is not long.

    Args:
        scores: published scores that take whole checkpoints are measured too.
    """
    layers, entries = compared(reference, suspect)
    seconds, every = layers * DEEP_LAYER + entries / DEEP_RATE, ""
    if scores:
        width = max(reference.hidden, suspect.hidden) / WIDTH
        seconds += width**3 * SCORES + width * SCORES_LAYER * max(reference.layers, suspect.layers)
        every = ", scores all of them"
    if seconds < LONG:
        return None
    return f"--deep compares {layers} layers, {entries / 1e9:.1f} billion weights of both{every}, about {_about(seconds)}"


def compared(reference: Weights, suspect: Weights) -> tuple[int, int]:
    """How many layers of the suspect --deep looks at, and how many weights of their FFNs, and of the reference's, it reads."""
    from kinprint.matching.search import looked_at

    ours, theirs = looked_at(reference, suspect)
    return len(theirs), _entries(reference, ours) + _entries(suspect, theirs)


def _entries(model: Weights, layers: Sequence[int]) -> int:
    """Weights of the FFNs of some layers."""
    return sum(math.prod(part.shape) for (layer, role, _), part in model.parts.items() if role in FFN and layer in layers)


def _about(seconds: float) -> str:
    return (
        f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.0f} h"
    )


def told(model: str, progress: Progress, say: Callable[[str], None]) -> Progress:
    """Progress of reading a model: what is long is said at the first call, and bytes are those of the file, where a model is
    one, since what reads it counts packed weights as unpacked ones.

    Args:
        model: the place of the model.
        progress: is told of bytes done and bytes in all.
        say: is told how long it will take.
    """
    size = os.path.getsize(model) if os.path.isfile(model) else 0
    waiting = [True]

    def tell(done: int, total: int) -> None:
        if waiting and waiting.pop() and (words := expectation(total)):
            say(words)
        progress(*((done, total) if not size else (round(size * min(done / max(total, 1), 1)), size)))

    return tell
