"""Fingerprints survive whatever stops the process that writes them."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "fuzz"))
from interrupts import trials


def test_an_interrupted_fingerprint_is_never_half_written(models: Path, tmp_path: Path) -> None:
    """Six moments of SIGINT and SIGKILL: the final file is absent, the old one or complete, and the next run finishes."""
    seen = trials(models / "base", 6, 0, tmp_path)
    assert seen.total() == 6
    stopped = [outcome for outcome in seen if not outcome.endswith("complete")]
    assert {outcome.partition(",")[0] for outcome in stopped} == {"SIGINT", "SIGKILL"}
