"""Eight processes write into one library at once, one of them is killed, others read."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from writers import write_together

from kinprint import Library

pytest.importorskip("lancedb")


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_nothing_is_lost_and_nothing_doubled(tmp_path: Path) -> None:
    """What `add` acknowledged is there at every later read, also what a killed process had acknowledged; at the end every model
    is there once, in the table itself too, can be loaded, and has its bytes once."""
    Library.open(tmp_path / "library", create=True)
    (tmp_path / "scratch").mkdir()
    seen = write_together(tmp_path / "library", tmp_path / "scratch", rounds=2, victims=1)
    assert seen["killed"] == 1
    assert seen["reads"] > 0
    assert seen["wrong"] == []
    library = Library.open(tmp_path / "library")
    digests = {found.digest for found in library.models()}
    assert digests >= set(seen["acknowledged"])
    rows = [library._table(table).count_rows() for table in ("models", "fingerprints")]
    assert rows == [seen["expected"]] * 2
    assert all(library.get(digest).digest == digest for digest in digests)
