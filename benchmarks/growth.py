"""How the cost of a comparison grows with layers and neurons, and that of a search with the library: one picture.

    python benchmarks/growth.py [--svg docs/growth.svg] [--json FILE]

Fingerprints are of random traits (`random_fingerprints`). Every figure is processor time over that of one product of two
float32 matrices of 4096 x 4096 in the same run, the least of two.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import random_fingerprints
from pairs import product, seconds
from random_models import Shape

from kinprint import Library, identify
from kinprint.comparison import examine
from kinprint.reports import svg

BASE = Shape(1024, 16, 16, 8, 64, 4096, 32000)
SMALL = Shape(256, 4, 4, 2, 64, 512, 8192)
LAYERS, NEURONS, MODELS = (8, 16, 32, 64, 128), (2048, 4096, 8192, 16384, 32768), (16, 64, 256, 1024)
COLOURS = ("#1f6feb", "#bf5700", "#2a7a4b")
WIDTH, HEIGHT, LEFT, TOP = 720, 330, 60, 50


def compared(shape: Shape) -> float:
    """Seconds of two strangers of a shape, of which nothing is known yet."""
    models = [random_fingerprints.fingerprint(str(seed), shape, seed) for seed in (1, 2)]

    def anew() -> None:
        for model in models:
            model.kept.clear()
        examine((models[0], models[1]))

    return seconds(anew, 2)[1]


def searched(count: int) -> float:
    """Seconds to identify a model in a library of so many."""
    with tempfile.TemporaryDirectory() as folder:
        library = Library.open(Path(folder) / "library", create=True)
        library.add(random_fingerprints.fingerprint(f"stranger {seed}", SMALL, seed) for seed in range(count))
        suspect = random_fingerprints.fingerprint("suspect", SMALL, count)
        return seconds(lambda: identify(suspect, library), 2)[1]


def grown(unit: float) -> dict[str, list[tuple[int, float]]]:
    """What grows -> (size, products)."""
    measures: dict[str, tuple[tuple[int, ...], Callable[[int], float]]] = {
        "layers (4 096 neurons each)": (LAYERS, lambda n: compared(replace(BASE, layers=n))),
        "neurons a layer (16 layers)": (NEURONS, lambda n: compared(replace(BASE, neurons=n))),
        "models in the library": (MODELS, searched),
    }
    found = {}
    for name, (sizes, measure) in measures.items():
        found[name] = [(size, measure(size) / unit) for size in sizes]
        print(name, *(f"{size}: {cost:.2f}" for size, cost in found[name]), sep="  ", flush=True)
    return found


def drawn(found: dict[str, list[tuple[int, float]]]) -> str:
    """Costs over sizes as multiples of each line's smallest, both by powers of two."""
    body = [svg.text(LEFT, 24, "What grows, in multiples of its smallest, and the cost in matrix products", look="title")]
    most = math.log2(max(points[-1][0] / points[0][0] for points in found.values()))
    costs = [cost for points in found.values() for _, cost in points]
    low, high = math.floor(math.log2(min(costs))), math.ceil(math.log2(max(costs)))

    def place(times: float, cost: float) -> tuple[float, float]:
        x = LEFT + (WIDTH - LEFT - 250) * math.log2(times) / most
        return x, TOP + (HEIGHT - TOP - 50) * (high - math.log2(cost)) / max(high - low, 1)

    for power in range(low, high + 1):
        x, y = place(1, 2**power)
        body.append(svg.text(x - 8, y + 4, f"{2**power:g}", anchor="end"))
        body.append(svg.polyline([(x, y), place(2**most, 2**power)], look="grid", style="stroke:#8884;fill:none"))
    for power in range(round(most) + 1):
        body.append(svg.text(place(2**power, 2**low)[0], HEIGHT - 22, f"x {2**power}", anchor="middle"))
    for (name, points), colour in zip(found.items(), COLOURS, strict=True):
        line = [place(size / points[0][0], cost) for size, cost in points]
        body.append(svg.polyline(line, look="line", style=f"stroke:{colour};stroke-width:2;fill:none"))
        body += [svg.element("circle", hover=f"{name}: {size}, {cost:.2f} products", cx=x, cy=y, r=3.5, fill=colour)
                 for (x, y), (size, cost) in zip(line, points, strict=True)]  # fmt: skip
        body.append(svg.text(line[-1][0] + 10, line[-1][1] + 4, f"{name}, from {points[0][0]}"))
    return str(svg.picture("How costs grow", body, WIDTH, HEIGHT, svg.SHEET + svg.DARK))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--svg", type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    compared(SMALL)  # compiles what is compiled
    found = grown(product()[1])
    if arguments.svg:
        arguments.svg.write_text(drawn(found) + "\n")
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
