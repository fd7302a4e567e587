"""Models of a library in memory: found by words, filtered, sorted."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kinprint.library.records import ListedModel
from kinprint.server.catalogue import Catalogue, Order, Page, Wanted


def model(name: str, family: str = "", parameters: int | None = None, quick: float | None = None, day: int = 1) -> ListedModel:
    added = datetime(2026, 1, day, tzinfo=UTC)
    return ListedModel(
        name.encode().hex().ljust(64, "0"), name, "", "", family, "", 2, None, parameters, quick, 1, added, "", 4
    )


MODELS = (
    model("b", "llama", 7_000_000_000, day=2),
    model("A", "qwen2", 500_000_000, day=3),
    model("c", "llama", None, quick=0.01),
    model("d", "", 70_000_000_000, day=2),
)


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue(lambda: "1", lambda: MODELS)


def names(page: Page) -> str:
    return "".join(found.name for found in page.models)


@pytest.mark.parametrize(
    ("order", "up", "down"),
    [
        ("name", "Abcd", "dcbA"),
        ("family", "bcAd", "dAbc"),
        ("parameters", "Abdc", "dbAc"),  # unknown comes last, either way
        ("added", "cbdA", "Abdc"),
        ("hidden_size", "Abcd", "Abcd"),
    ],
)
def test_orders(catalogue: Catalogue, order: Order, up: str, down: str) -> None:
    """Equals stay in the order of their names."""
    assert names(catalogue.find(Wanted(), 0, 9, order)) == up
    assert names(catalogue.find(Wanted(), 0, 9, order, down=True)) == down


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(family="llama"), "bc"),
        (Wanted(family="unknown"), "d"),
        (Wanted(size="1b-8b"), "b"),
        (Wanted(size="over-40b"), "d"),
        (Wanted(size="unknown"), "c"),
        (Wanted(reading="quick"), "c"),
        (Wanted("LLAMA", reading="full"), "b"),
        (Wanted("llama", "qwen2"), ""),
    ],
)
def test_filters(catalogue: Catalogue, wanted: Wanted, found: str) -> None:
    """All that is asked for holds at once."""
    assert names(catalogue.find(wanted, 0, 9)) == found
    assert names(catalogue.find(wanted, 0, 9, "parameters", down=True)) == "".join(sorted(found, key="dbAc".index))


def test_pages_and_families(catalogue: Catalogue) -> None:
    """A page is part of the whole order; families are counted."""
    page = catalogue.find(Wanted(), 1, 2, "parameters")
    assert (names(page), page.total) == ("bd", 4)
    assert catalogue.families() == {"llama": 2, "qwen2": 1, "unknown": 1}
    assert Catalogue(lambda: "1", lambda: ()).find(Wanted("x", "y"), 0, 9, "added") == Page([], 0)
