"""One Ray cluster for all tests of engines, since it takes a while to start."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="package")
def cluster() -> Iterator[None]:
    """Two nodes of one processor each on this machine, and this process connected to them."""
    ray = pytest.importorskip("ray", reason="needs Ray: pip install 'kinprint[cluster]'")
    from ray._common.network_utils import find_free_port
    from ray.cluster_utils import Cluster

    def node() -> dict[str, object]:  # ports that are given are not waited for, which on a busy machine may take too long
        ports = ("metrics_agent_port", "metrics_export_port", "runtime_env_agent_port", "dashboard_agent_listen_port")
        return {"num_cpus": 1, "object_store_memory": 80 << 20} | {port: find_free_port() for port in ports}

    before = dict(os.environ)
    os.environ |= {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_agent_register_timeout_ms": "120000",
        "PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path if path),
    }
    os.environ.pop("OMP_NUM_THREADS", None)  # Ray sets it
    two = Cluster(initialize_head=True, head_node_args=node() | {"include_dashboard": False})
    two.add_node(**node())
    ray.init(two.address, log_to_driver=False)
    try:
        yield
    finally:
        ray.shutdown()
        two.shutdown()
        os.environ.clear()
        os.environ.update(before)
