"""Many models by several processes and machines, some of which die. Needs the extras `library` and `cluster`.

    python benchmarks/scale.py kills      # a Ray cluster of two nodes; workers and the driver are killed; all models once?
    python benchmarks/scale.py workers    # models a second with one worker and with two, in turns

Only processes that it started are killed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from random_models import Shape, write

SMALL = Shape(hidden=64, layers=4, heads=4, kv_heads=2, head_dim=16, neurons=256, vocabulary=512)
MEDIUM = Shape(hidden=512, layers=8, heads=8, kv_heads=4, head_dim=64, neurons=2048, vocabulary=8192)


def models(folder: Path, count: int, shape: Shape) -> list[str]:
    for seed in range(count):
        write(folder / f"model-{seed:03}", shape, seed)
    return [str(folder / f"model-{seed:03}") for seed in range(count)]


@contextmanager
def killing(victims: Callable[[], list[int]], seconds: float) -> Iterator[list[int]]:
    """Every so many seconds one of the processes that `victims` names is killed (SIGKILL); yields who was."""
    killed: list[int] = []
    over, chance = threading.Event(), random.Random(0)

    def kill() -> None:
        while not over.wait(seconds):
            found = victims()
            with suppress(IndexError, ProcessLookupError):  # nobody is there, or not any more
                os.kill(victim := chance.choice(found), signal.SIGKILL)
                killed.append(victim)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()


def kills(count: int, seconds: float) -> dict[str, Any]:
    """Models into a library on two nodes; workers are killed, and the driver once; then the same command again."""
    import psutil
    from ray._common.network_utils import find_free_port
    from ray.cluster_utils import Cluster

    from kinprint.library import Library

    def node() -> dict[str, Any]:
        ports = ("metrics_agent_port", "metrics_export_port", "runtime_env_agent_port", "dashboard_agent_listen_port")
        return {"num_cpus": 1, "object_store_memory": 80 << 20} | {port: find_free_port() for port in ports}

    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0"}
    os.environ.pop("OMP_NUM_THREADS", None)
    with tempfile.TemporaryDirectory() as temporary:
        library = str(Path(temporary) / "library")
        wanted = models(Path(temporary) / "models", count, SMALL)
        cluster = Cluster(initialize_head=True, head_node_args=node() | {"include_dashboard": False})
        cluster.add_node(**node())
        raylets = [each.all_processes["raylet"][0].process.pid for each in cluster.list_all_nodes()]

        def busy() -> list[int]:
            found = [child for raylet in raylets for child in psutil.Process(raylet).children()]
            return [child.pid for child in found if _name(child).startswith("ray::kinprint")]

        command = [sys.executable, "-c", "from kinprint.cli import main; main()", "library", "add", *wanted]
        command += ["--library", library, "--engine", "ray", "--no-cache", "--json"]
        environment = os.environ | {"RAY_ADDRESS": cluster.address}
        try:
            with killing(busy, seconds) as killed:
                start = time.perf_counter()
                driver = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
                while driver.poll() is None and _count(library) < count // 3:
                    time.sleep(0.5)
                driver.kill()
                driver.wait()
                before = _count(library)
                done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
                took = time.perf_counter() - start
        finally:
            cluster.shutdown()
        if not done.stdout:
            raise SystemExit(done.stderr)
        told = json.loads(done.stdout)
        names = Counter(model.name for model in Library.open(library).models())
        return {
            "models": count,
            "workers killed": len(killed),
            "in the library when the driver was killed": before,
            "measured by the second run": len(told["added"]),
            "failed": len(told["failed"]),
            "in the library at the end": len(names),
            "more than once": sum(number > 1 for number in names.values()),
            "seconds": round(took, 1),
        }


def _name(process: Any) -> str:
    try:
        return str(process.name())
    except Exception:  # it has ended meanwhile
        return ""


def _count(library: str) -> int:
    from kinprint.errors import LibraryError
    from kinprint.library import Library

    try:
        return len(Library.open(library))
    except LibraryError:  # not made yet
        return 0


def workers(count: int, repeats: int, engine: str) -> dict[str, Any]:
    """Seconds for so many models with one worker and with two, each computing on one thread, in turns."""
    from kinprint import fingerprint
    from kinprint.engines import named

    took: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as temporary:
        wanted = models(Path(temporary), count, MEDIUM)
        function = partial(_size, partial(fingerprint, cache=False, threads=1))
        for _ in range(repeats):
            for number in (1, 2):
                outcomes = named(engine).run(function, [*wanted[:number], *wanted], number)
                for _ in range(number):  # workers have started and compiled
                    next(outcomes)
                start = time.perf_counter()
                assert all(outcome.error is None for outcome in outcomes)
                took[number].append(time.perf_counter() - start)
    ratios = [one / two for one, two in zip(took[1], took[2], strict=True)]
    return {
        "engine": engine, "models": count, "seconds with 1": [round(each, 1) for each in took[1]],
        "seconds with 2": [round(each, 1) for each in took[2]], "speed-up, median": round(statistics.median(ratios), 2),
        "speed-ups": [round(each, 2) for each in ratios], "load of the machine": os.getloadavg()[0],
    }  # fmt: skip


def _size(fingerprint: Callable[[str], Any], model: str) -> int:
    return len(fingerprint(model).traits)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["kills", "workers"])
    parser.add_argument("--models", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=3, help="between two kills")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--engine", default="processes")
    options = parser.parse_args()
    if options.what == "kills":
        found = kills(options.models, options.seconds)
    else:
        found = workers(options.models, options.repeats, options.engine)
    for name, value in found.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
