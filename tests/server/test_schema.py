"""Requests made up from the API's own description: none may break the server, every answer is as described."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from served import Running

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")


def test_made_up_requests(running: Running) -> None:
    """Every operation, with valid and invalid input. `benchmarks/server.py --requests 10000` makes many more."""
    from schemathesis.specs.openapi.checks import positive_data_acceptance

    schema = schemathesis.openapi.from_url(f"{running.url}/openapi.json")
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) >= 12
    for operation in operations:

        @settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def tried(case: Any) -> None:
            case.call_and_validate(excluded_checks=[positive_data_acceptance])  # bytes are no fingerprint for being bytes

        tried()
