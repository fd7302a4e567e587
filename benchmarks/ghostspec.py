"""How fast kinprint finds the singular values GhostSpec compares, beside torch.linalg.svdvals of the formed product.

Everything is measured in one run on one machine, on random bf16 weights, whose flat spectra are the hardest for the leading
values, and on a product whose values fall off as 1 / sqrt(i). Needs torch. The time of forming the product is not counted for
torch; that of adding up the heads is for kinprint.

    python benchmarks/ghostspec.py [--width 4096] [--heads 32] [--groups 8] [--device cuda] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import torch
from threadpoolctl import threadpool_limits

from kinprint.architectures import Part
from kinprint.fingerprints import spectra
from kinprint.fingerprints.layer import Layer, scan
from kinprint.fingerprints.traits import products, rows

LEADING = 512
TARGETS = {"gqa": 30.0, "all": 2.0, "leading": 10.0}


def timed(work: Callable[[], Any], repeats: int = 1) -> tuple[float, Any]:
    """Shortest of a few times, and the result."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - begin)
    return min(times), result


def weights(rows: int, columns: int, seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal((rows, columns), dtype=np.float32) * 0.02).astype(ml_dtypes.bfloat16)


def folded(q: np.ndarray, heads: int, groups: int) -> np.ndarray:
    """(groups * width, hidden) float64: query heads of a group added up."""
    return (
        q.astype(np.float32)
        .reshape(groups, heads // groups, -1, q.shape[1])
        .sum(axis=1, dtype=np.float64)
        .reshape(-1, q.shape[1])
    )


def dense(product: np.ndarray, device: str | None) -> dict[str, Any]:
    """torch.linalg.svdvals in float32 and in float64."""
    found: dict[str, Any] = {}
    for name, dtype in (("float32", torch.float32), ("float64", torch.float64)):
        matrix = torch.as_tensor(product, device=device or "cpu").to(dtype)
        found[name], values = timed(lambda m=matrix: torch.linalg.svdvals(m).cpu().numpy())
    found["values"] = values
    return found


def error(found: np.ndarray, exact: np.ndarray) -> float:
    """Largest relative error of the values above 1e-3 of the largest."""
    exact = exact[: len(found)]
    large = exact > 1e-3 * exact[0]
    return float(np.abs(found[large] / exact[large] - 1).max())


def grouped(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    q, k = weights(options.width, options.width, 0), weights(options.width * options.groups // options.heads, options.width, 1)

    def ours() -> np.ndarray:
        return spectra.product_values(folded(q, options.heads, options.groups), k.astype(np.float64), device=options.device)

    seconds, values = timed(ours, 3)
    left = folded(q, options.heads, options.groups)
    exact = dense(left.T @ k.astype(np.float64), options.device)
    yield figures(f"{options.heads} query heads, {options.groups} groups: all values", "gqa", seconds, values, exact)


def full_rank(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    q, k = (weights(options.width, options.width, seed).astype(np.float32) for seed in (2, 3))
    exact = dense(q.astype(np.float64).T @ k, options.device)
    every = timed(lambda: spectra.product_values(q, k, device=options.device))
    yield figures("full rank: all values", "all", *every, exact)
    falling = k / np.sqrt(np.arange(1, len(k) + 1, dtype=np.float32))[:, None]
    for name, right, values in (("", k, exact["values"]), (", values falling", falling, spectra.product_values(q, falling))):
        found = timed(lambda b=right: spectra.leading_values(q, b, LEADING, device=options.device))
        yield figures(f"full rank: leading {LEADING}, float32{name}", "leading", *found, exact | {"values": values})


def limit(options: argparse.Namespace) -> str:
    """What LAPACK takes for the eigenvalues of one Gram matrix, the least of what all values of a full-rank product need."""
    q = weights(options.width, options.width, 2).astype(np.float32)
    product = torch.as_tensor(q.T @ weights(options.width, options.width, 3).astype(np.float32))
    svd, _ = timed(lambda: torch.linalg.svdvals(product))
    gram = q.astype(np.float64) @ q.T.astype(np.float64)
    eigenvalues, _ = timed(lambda: np.linalg.eigvalsh(gram))
    return (
        f"All values of a full-rank product: LAPACK's eigenvalues of one Gram matrix (float64) take {eigenvalues:.2f} s, "
        f"svdvals of the product (float32) {svd:.2f} s. If nothing else took time, that were {svd / eigenvalues:.1f}x."
    )


def figures(name: str, target: str, seconds: float, values: np.ndarray, exact: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name, "seconds": seconds, "dense32": exact["float32"], "dense64": exact["float64"],
        "ratio32": exact["float32"] / seconds, "ratio64": exact["float64"] / seconds, "target": TARGETS[target],
        "error": error(values, exact["values"]),
    }  # fmt: skip


def in_the_pass(width: int, heads: int, groups: int, neurons: int) -> dict[str, Any]:
    """Seconds on one core of everything a fingerprint takes from one layer, without and with the spectra of the products."""
    shapes = {
        "q": (width, width),
        "k": (width * groups // heads, width),
        "v": (width * groups // heads, width),
        "o": (width, width),
    }
    shapes |= {"gate": (neurons, width), "up": (neurons, width), "down": (width, neurons)}
    arrays = {role: weights(*shape, seed) for seed, (role, shape) in enumerate(shapes.items())}
    parts = [Part(role, 0, None, ("?", "?"), a.shape, a.dtype, role, lambda a=a: a) for role, a in arrays.items()]
    facts = {"hidden_size": width, "num_attention_heads": heads, "num_key_value_heads": groups}

    def everything() -> None:
        rows(Layer(0, facts, [scan(part, lambda count: None) for part in parts]), scores=True)

    with threadpool_limits(limits=1, user_api="blas"):
        everything()
        layer = Layer(0, facts, [scan(part, lambda count: None) for part in parts])
        spent = min(timed(lambda: products.rows(layer))[0] for _ in range(3))
        whole = min(timed(everything)[0] for _ in range(3))
    return {"groups": groups, "neurons": neurons, "layer": whole, "products": spent}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=4096)
    parser.add_argument("--heads", type=int, default=32)
    parser.add_argument("--groups", type=int, default=8)
    parser.add_argument(
        "--device", help="where torch computes, for both sides; without it kinprint uses numpy, torch the processor"
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of numpy and of torch")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    threadpool_limits(limits=options.threads)
    place = f"{options.device or platform.machine()}, {options.threads} of {os.cpu_count()} processors"
    print(f"Width {options.width}, random bf16; {place}.\n", flush=True)
    print("| product of one layer | kinprint | svdvals float32 | float64 | ratios | target | largest error |\n|" + "---|" * 7)
    rows = []
    for row in (*grouped(options), *full_rank(options)):
        rows.append(row)
        print(
            f"| {row['name']} | {row['seconds']:.2f} s | {row['dense32']:.1f} s | {row['dense64']:.1f} s "
            f"| {row['ratio32']:.1f}x, {row['ratio64']:.1f}x | {row['target']:.0f}x | {row['error']:.0e} |",
            flush=True,
        )
    print(f"\n{limit(options)}" if options.device is None else "")
    print("\n| layer in the streaming pass, one core | all traits | of which QK and VO spectra |\n|---|---|---|")
    passes = [in_the_pass(options.width, options.heads, g, n) for g, n in ((options.groups, 14336), (options.heads, 11008))]
    for found in passes:
        print(f"| {found['groups']} groups, {found['neurons']} neurons | {found['layer']:.2f} s | {found['products']:.2f} s |")
    if options.json:
        options.json.write_text(json.dumps({"products": rows, "pass": passes}, indent=2) + "\n")


if __name__ == "__main__":
    main()
