"""One Ray cluster for all tests of engines, since it takes a while to start."""

from __future__ import annotations

import contextlib
import inspect
import os
import socket
import sys
from collections.abc import Callable, Iterator
from functools import partial
from unittest import mock

import pytest
from waiting import PATIENCE, until


@pytest.fixture(scope="package")
def cluster() -> Iterator[None]:
    """Two nodes of one processor each on this machine, and this process connected to them. Ray would give up nodes, agents and
    workers that a busy machine starts slowly; here they have PATIENCE."""
    ray = pytest.importorskip("ray", reason="needs Ray: pip install 'kinprint[cluster]'")
    from ray._private import services
    from ray.cluster_utils import Cluster

    # Ports that are given are not waited for, which on a busy machine may take too long.
    named = ("metrics_agent_port", "metrics_export_port", "runtime_env_agent_port", "dashboard_agent_listen_port")
    ports = iter(_free_ports(2 * len(named)))

    def node() -> dict[str, object]:
        return {"num_cpus": 1, "object_store_memory": 80 << 20, "wait": False} | {name: next(ports) for name in named}

    before = dict(os.environ)
    os.environ |= {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_agent_register_timeout_ms": f"{PATIENCE * 1000:.0f}",
        "RAY_health_check_timeout_ms": f"{PATIENCE * 1000:.0f}",
        "PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path if path),
    }
    os.environ.pop("OMP_NUM_THREADS", None)  # Ray sets it
    asked = mock.patch.object(services, "get_node", partial(_retried, services.get_node))
    started = mock.patch.object(services, "start_raylet", partial(_with_port, services.start_raylet))
    with asked, started:
        two = Cluster(initialize_head=True, head_node_args=node() | {"include_dashboard": False})
        two.add_node(**node())
    two.wait_for_nodes(PATIENCE)
    ray.init(two.address, log_to_driver=False)
    try:
        yield
    finally:
        ray.shutdown()
        two.shutdown()
        os.environ.clear()
        os.environ.update(before)


def _free_ports(count: int) -> list[int]:
    """So many different ports that nobody listens on, all bound at once: one that was given back may be given again."""
    with contextlib.ExitStack() as bound:
        sockets = [bound.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def _with_port(start: Callable[..., object], *arguments: object, **options: object) -> object:
    """Start a node that finds the port of its agent where the agent will write it: Ray gives it 15 seconds for that."""
    from ray._raylet import persist_port

    given = inspect.signature(start).bind(*arguments, **options).arguments
    name = "dashboard_agent_listen_port"
    persist_port(given["session_dir"], given["node_id"], name, given[name])
    return start(*arguments, **options)


def _retried(get_node: Callable[..., object], *arguments: object) -> object:
    """What Ray knows of a node, as soon as it knows of it; Ray itself asks for 30 seconds."""

    def answer() -> object:
        try:
            return get_node(*arguments)
        except RuntimeError:
            return None

    return until(answer)
