"""How many ways there are to explain one suspect."""

from __future__ import annotations

from itertools import combinations
from types import SimpleNamespace
from typing import Any

import pytest

from kinprint.library.merges import merge_kinds
from kinprint.library.merges.combination import MOST


def test_accounts_are_no_more_than_p_values_are_corrected_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a selection chose: the accounts that are tried, and the one made of layers, are at most `MANY`."""
    for name in ("varying", "slerp", "ties", "sparse_sum"):
        monkeypatch.setattr(merge_kinds, name, lambda *made_of, name=name: (name, *made_of[1:]))
    monkeypatch.setattr(merge_kinds, "copied", lambda data, among: list(among)[: merge_kinds.TIES_MOST + 1])
    nothing: Any = None
    counts = []
    for size in range(1, MOST + 1):
        for chosen in combinations(range(MOST), size):
            kept: Any = SimpleNamespace(chosen=chosen)
            forward: Any = SimpleNamespace(chosen=tuple(range(MOST)))
            counts.append(len(list(merge_kinds.accounts(nothing, kept, forward, range(MOST)))))
    assert 1 + max(counts) <= merge_kinds.MANY
