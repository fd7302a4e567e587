"""A benchmark as one JSON object: every outcome, and the tables made from them."""

from __future__ import annotations

from typing import Any

from kinprint.benchmark import Summary
from kinprint.json_numbers import finite


def benchmark_json(summary: Summary) -> dict[str, Any]:
    """`kinprint-benchmark/1`: the run as `Result.from_json` reads it, its tables under "tables", ROC curves under "roc"."""
    curves = {column.name: summary.roc(column.name) for column in summary.columns}
    plain = _plain(summary.result.to_json() | {"tables": summary.to_json(), "roc_undisguised": curves})
    assert isinstance(plain, dict)
    return plain


def _plain(value: Any) -> Any:
    """JSON has no NaN, no infinity and no tuples."""
    if isinstance(value, float):
        return finite(value)
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
