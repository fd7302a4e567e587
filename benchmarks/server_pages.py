"""How soon a server answers its first page, and how long its pages take: `python benchmarks/server_pages.py`. For Linux.

Libraries of synthetic models (as in server.py) are made in a temporary folder. The server runs from a copy of the package whose
bytecode is kept, as an installation keeps it. The first start finds no machine code and nothing in kinprint's cache folder.
Of each kind of start the best is shown: the processor time of the server when it answers, which other work on the machine
disturbs least, and the time since the command. With `--before` another state of the code starts in turns with it.

    python benchmarks/server_pages.py
    python benchmarks/server_pages.py --models 5000 --before ../older/src
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2 as httpx
import numpy as np
from server import fill
from startup import COMMAND, ROOT, Installed, Took, best

from kinprint.library import Library

SMALL = 20

PLACES = (
    "/", "/?q=llama+42", "/?family=qwen2&order=parameters&down=1", "/?order=added&page=40", "/compare", "/find?suspect_q=phi3",
    "/upload", "/jobs", "/docs", "/metrics", "/models/DIGEST",
)  # fmt: skip


@contextmanager
def served(installed: Installed, library: Path, port: int) -> Iterator[tuple[httpx.Client, Took]]:
    """A server that has answered its first page; seconds until then."""
    start = time.perf_counter()
    arguments = ["serve", "--library", str(library), "--port", str(port)]
    running = subprocess.Popen(
        [sys.executable, "-c", COMMAND, *arguments], env=installed.environment, stderr=subprocess.DEVNULL
    )  # fmt: skip
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as client:
            while True:
                try:
                    client.get("/").raise_for_status()
                    break
                except httpx.TransportError:
                    if running.poll() is not None:
                        raise SystemExit("the server did not start") from None
                    time.sleep(0.01)
            yield client, Took(processor(running.pid), time.perf_counter() - start)
    finally:
        running.terminate()
        running.wait(60)


def processor(process: int) -> float:
    """Seconds of processor time that a process has used."""
    used = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(used[11]) + int(used[12])) / os.sysconf("SC_CLK_TCK")


def first_page(installed: Installed, library: Path, port: int) -> Took:
    with served(installed, library, port) as (_, took):
        return took


def starts(states: dict[str, Installed], libraries: dict[str, Path], repeats: int, port: int) -> None:
    """A table of seconds until the first page."""
    heads = " | ".join(f"{state}: processor, s | wall, s" for state in states)
    print(f"| library | start | {heads} |\n|---|---|{'---|---|' * len(states)}")
    for installed in states.values():
        first_page(installed, next(iter(libraries.values())), port)  # bytecode is written once
    for name, library in libraries.items():
        for start in ("first", "later"):
            taken: dict[str, list[Took]] = {state: [] for state in states}
            for _ in range(repeats):
                for state, installed in states.items():
                    if start == "first":
                        installed.forget()
                    taken[state].append(first_page(installed, library, port))
            found = [best(each) for each in taken.values()]
            print(
                f"| {name} | {start} | {' | '.join(f'{each.processor:.1f} | {each.wall:.1f}' for each in found)} |", flush=True
            )


def pages(client: httpx.Client, digest: str, times: int) -> None:
    """A table of milliseconds a page."""
    client.get("/jobs")  # waits until all is imported
    print("\n| page | bytes | p50, ms | largest, ms |\n|---|---|---|---|")
    for place in PLACES:
        taken = []
        for _ in range(times):
            start = time.perf_counter()
            answer = client.get(place.replace("DIGEST", digest))
            taken.append(1000 * (time.perf_counter() - start))
            answer.raise_for_status()
        print(f"| `{place}` | {len(answer.content):,} | {np.median(taken):.0f} | {max(taken):.0f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=5000)
    parser.add_argument("--before", type=Path, help="the src folder of another state of the code")
    parser.add_argument("--repeats", type=int, default=3, help="the best of so many")
    parser.add_argument("--times", type=int, default=50, help="that each page is asked for")
    parser.add_argument("--port", type=int, default=8699)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        libraries = {f"{count:,} models": Path(folder, str(count)) for count in (SMALL, options.models)}
        for count, library in zip((SMALL, options.models), libraries.values(), strict=True):
            digests = fill(Library.open(library, create=True), count)
        states = {"now": Installed(ROOT / "src", Path(folder, "now"))}
        if options.before is not None:
            states = {"before": Installed(options.before, Path(folder, "before")), **states}
        starts(states, libraries, options.repeats, options.port)
        with served(states["now"], library, options.port) as (client, _):
            pages(client, digests[0], options.times)


if __name__ == "__main__":
    main()
