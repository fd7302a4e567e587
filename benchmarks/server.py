"""The server under load and under nonsense: `python benchmarks/server.py`, with --help for its options.

A library of synthetic models is made in a temporary folder and served by a process of its own on this machine. First users
search it at once, each one request after the other, with up to two seconds of reading between: words (browsing) and nearest
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

import kinprint
from kinprint.library import Library

ROOT = Path(__file__).parents[1]


def synthetic(number: int) -> list[kinprint.Fingerprint]:
    """Fingerprints with enough traits for an index vector, of random weights and made-up names."""
    rng = np.random.default_rng(0)
    families = ("llama", "qwen2", "mistral", "gemma2", "phi3")
    return [
        kinprint.Fingerprint(
            f"org{index % 997}/{families[index % 5]}-{index}-chat",
            {f"channels.{role}": rng.normal(1, 0.1, (2, 64)) for role in ("q", "k", "v", "o", "gate", "up", "down")},
            {"family": families[index % 5], "hidden_size": 64, "parameters": 1_000_000 + index},
        )
        for index in range(number)
    ]


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


def search(url: str, users: int, seconds: float) -> None:
    """`users` clients, one request after the other each."""
    taken: dict[str, list[float]] = collections.defaultdict(list)
    errors: list[str] = []
    digests = [model["digest"] for model in httpx.get(f"{url}/api/models", params={"limit": 200}, timeout=60).json()["models"]]
    end = time.monotonic() + seconds

    def user(seed: int) -> None:
        rng = random.Random(seed)
        with httpx.Client(base_url=url, timeout=60) as client:
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
                time.sleep(rng.random() * 2)  # people read

    threads = [threading.Thread(target=user, args=(seed,)) for seed in range(users)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"\n{users} users, {seconds:g} s, {len(errors)} errors {errors[:3]}\n")
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
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--port", type=int, default=8699)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        library = Library.open(Path(folder) / "library", create=True)
        library.add(synthetic(options.models))
        library.optimize()
        print(f"{options.models:,} models added in {time.perf_counter() - start:.0f} s, {os.cpu_count()} processors")
        start = time.perf_counter()
        running = serve(Path(folder) / "library", options.port)
        print(f"the server answers after {time.perf_counter() - start:.1f} s")
        try:
            search(f"http://127.0.0.1:{options.port}", options.users, options.seconds)
            nonsense(f"http://127.0.0.1:{options.port}", options.requests)
        finally:
            running.terminate()
            running.wait(30)


if __name__ == "__main__":
    main()
