"""The server under load and under nonsense: `python benchmarks/server.py`, with --help for its options.

A library of synthetic models is made in a temporary folder and served by a process of its own on this machine. First users
search it at once, each one request after the other, reading in between (--reading): words (browsing) and nearest
vectors (retrieval). Then schemathesis makes up requests from the API's description. Printed: latencies, errors,
and the answers of the second part by status.
"""

from __future__ import annotations

import argparse
import collections
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx2 as httpx
import numpy as np
import pyarrow as pa

import kinprint
from kinprint.library import Library, records
from kinprint.library.spaces import DIMENSIONS

FAMILIES = ("llama", "qwen2", "mistral", "gemma2", "phi3")
WHOLE = 200
"""Models with a fingerprint: those that are asked for by their vectors."""

BATCH = 5000


def fill(library: Library, count: int) -> list[str]:
    """Models of made-up names: some whole ones, of random weights, and for the others a row with random vectors, as a library
    stores it. Measuring and adding a hundred thousand whole ones would take the better part of an hour and change no search.

    Returns:
        the digests of the whole ones.
    """
    rng = np.random.default_rng(0)
    models = [whole(rng, number) for number in range(min(WHOLE, count))]
    library.add(models)
    first = records.row(whole(rng, 0), 1)
    table, schema = library._table("models"), records.models_schema()
    for start in range(WHOLE, count, BATCH):
        rows = []
        for number in range(start, min(start + BATCH, count)):
            vectors = {records.VECTOR + space: unit(rng, length) for space, length in DIMENSIONS.items()}
            rows.append(first | named(number) | vectors | {"digest": rng.bytes(32).hex(), "parameters": number})
        table.add(pa.Table.from_pylist(rows, schema))
    library.optimize()
    return [model.digest for model in models]


def whole(rng: np.random.Generator, number: int) -> kinprint.Fingerprint:
    """A fingerprint with enough traits for an index vector."""
    traits = {f"channels.{role}": rng.normal(1, 0.1, (2, 64)) for role in ("q", "k", "v", "o", "gate", "up", "down")}
    told = named(number)
    return kinprint.Fingerprint(told["name"], traits, {"family": told["family"], "hidden_size": 64})


def named(number: int) -> dict[str, str]:
    family = FAMILIES[number % len(FAMILIES)]
    return {"name": f"org{number % 997}/{family}-{number}-chat", "family": family, "source": f"org{number % 997}/{family}"}


def unit(rng: np.random.Generator, length: int) -> list[float]:
    drawn = rng.normal(size=length).astype(np.float32)
    return list(drawn / np.linalg.norm(drawn))


def serve(library: Path, port: int) -> subprocess.Popen[bytes]:
    command = "from kinprint.cli import main; main()"
    arguments = ["serve", "--library", str(library), "--port", str(port)]
    running = subprocess.Popen([sys.executable, "-c", command, *arguments], stderr=subprocess.DEVNULL)
    for _ in range(600):
        try:
            httpx.get(f"http://127.0.0.1:{port}/api/models", params={"limit": 1}, timeout=60)
            return running
        except httpx.TransportError:
            time.sleep(0.2)
    raise SystemExit("the server did not start")


def search(url: str, digests: list[str], users: int, seconds: float, reading: float) -> None:
    """`users` clients, one request after the other each."""
    taken: dict[str, list[float]] = collections.defaultdict(list)
    errors: list[str] = []
    end = time.monotonic() + seconds

    def user(seed: int) -> None:
        rng = random.Random(seed)
        with httpx.Client(base_url=url, timeout=60) as client:
            time.sleep(rng.random() * 2 * reading)  # not all begin in the same moment
            while time.monotonic() < end:
                words = f"{rng.choice(['llama', 'qwen2', 'phi3'])} {rng.randrange(1000)}"
                for kind, path in (
                    ("words", f"/api/models?q={words}"),
                    ("nearest", f"/api/models/{rng.choice(digests)}/neighbours"),
                ):
                    start = time.perf_counter()
                    answer = client.get(path)
                    taken[kind].append(time.perf_counter() - start)
                    if answer.status_code != 200:
                        errors.append(f"{answer.status_code} {path}")
                time.sleep(rng.random() * 2 * reading)

    threads = [threading.Thread(target=user, args=(seed,)) for seed in range(users)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"\n{users} users, {seconds:g} s, reading {reading:g} s on average, {len(errors)} errors {errors[:3]}\n")
    print("| search | requests | p50 ms | p95 ms | largest ms |\n|---|---|---|---|---|")
    for kind, values in taken.items():
        low, high = np.percentile(values, [50, 95]) * 1000
        print(f"| {kind} | {len(values)} | {low:.0f} | {high:.0f} | {max(values) * 1000:.0f} |")


def nonsense(url: str, requests: int) -> None:
    """Requests from the API's description; the server must answer each without an error of its own."""
    import schemathesis
    from hypothesis import HealthCheck, given, settings

    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    each = requests // len(operations) + 1
    statuses: collections.Counter[int] = collections.Counter()
    for operation in operations:

        @settings(max_examples=each, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def tried(case: object) -> None:
            statuses[case.call().status_code] += 1  # type: ignore[attr-defined]

        tried()
    broken = sum(count for status, count in statuses.items() if status >= 500)
    print(f"\n{sum(statuses.values()):,} made-up requests to {len(operations)} operations: {broken} errors of the server")
    print(", ".join(f"{status}: {count}" for status, count in sorted(statuses.items())))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=100_000)
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--reading", type=float, default=5, help="seconds, on average, between two pairs of searches")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--port", type=int, default=8699)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        library = Library.open(Path(folder) / "library", create=True)
        digests = fill(library, options.models)
        print(f"{options.models:,} models added in {time.perf_counter() - start:.0f} s, {os.cpu_count()} processors")
        start = time.perf_counter()
        running = serve(Path(folder) / "library", options.port)
        print(f"the server answers after {time.perf_counter() - start:.1f} s")
        try:
            search(f"http://127.0.0.1:{options.port}", digests, options.users, options.seconds, options.reading)
            nonsense(f"http://127.0.0.1:{options.port}", options.requests)
        finally:
            running.terminate()
            running.wait(30)


if __name__ == "__main__":
    main()
