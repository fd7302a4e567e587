"""What is kept with a fingerprint: computed once, forgotten with it, and of a bounded size."""

from __future__ import annotations

import gc
import pickle

import numpy as np
import pytest

from kinprint import Fingerprint
from kinprint.fingerprints import kept as module
from kinprint.fingerprints.kept import bytes_of, kept


def model(name: str = "mine") -> Fingerprint:
    return Fingerprint(name, {"gains.final": np.ones(8)})


@pytest.fixture(autouse=True)
def nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_everything", module._Everything())


def test_computed_once_for_each_model_and_key() -> None:
    calls: list[str] = []
    one, other = model("one"), model("other")
    for fingerprint in (one, one, other):
        for key in ("a", "b"):
            assert kept(fingerprint, key, lambda f=fingerprint, k=key: calls.append(f.name + k) or f.name + k) == (
                fingerprint.name + key
            )
    assert calls == ["onea", "oneb", "othera", "otherb"]


def test_the_longest_unused_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 2500)
    fingerprint = model()
    for key in ("a", "b", "a", "c"):
        kept(fingerprint, key, lambda: np.zeros(1000, np.uint8))
    assert set(fingerprint.kept) == {"a", "c"}
    assert module._everything.total == 2000


def test_what_is_larger_than_all_is_kept_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 10)
    fingerprint = model()
    for key in ("a", "b"):
        kept(fingerprint, key, lambda: np.zeros(1000, np.uint8))
    assert set(fingerprint.kept) == {"b"}


def test_a_fingerprint_that_is_gone_holds_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 1500)
    gone = model()
    kept(gone, "a", lambda: np.zeros(1000, np.uint8))
    del gone
    gc.collect()
    alive = model()
    kept(alive, "b", lambda: np.zeros(1000, np.uint8))
    assert set(alive.kept) == {"b"}
    assert module._everything.total == 1000


def test_not_part_of_the_fingerprint() -> None:
    one, other = model(), model()
    kept(one, "a", lambda: 1)
    assert one == other
    assert one.digest == other.digest
    assert pickle.loads(pickle.dumps(one)).kept == {}


def test_size_of_arrays_in_what_is_kept() -> None:
    array = np.zeros(10)
    assert bytes_of((array, [array], {"x": array})) == 240
