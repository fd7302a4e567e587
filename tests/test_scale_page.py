"""docs/scale.md shows what benchmarks/hub_cost.py prints, and that computes sizes as they are."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from kinprint import fingerprint

ROOT = Path(__file__).parents[1]


@pytest.fixture
def hub_cost(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import hub_cost

    return hub_cost


def test_the_page_shows_what_the_script_prints(
    hub_cost: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["hub_cost.py"])
    hub_cost.main()
    page = (ROOT / "docs" / "scale.md").read_text()
    shown = page.partition("<!-- printed: hub-cost -->\n")[2].partition("<!-- end -->")[0]
    assert shown == capsys.readouterr().out


@pytest.mark.parametrize("tied", [True, False])
def test_sizes_are_those_of_real_fingerprints(hub_cost: ModuleType, tmp_path: Path, tied: bool) -> None:
    """Computed from shapes: the bytes of a fingerprint's traits, and the bytes that a quick one reads."""
    from random_models import Shape, write

    shape = Shape(hidden=64, layers=3, heads=4, kv_heads=2, head_dim=16, neurons=256, vocabulary=512, tied=tied)
    write(tmp_path / "model", shape)
    full = fingerprint(tmp_path / "model", cache=False)
    assert sum(trait.nbytes for trait in full.traits.values()) == hub_cost.fingerprint_bytes(shape)
    quick = fingerprint(tmp_path / "model", cache=False, quick=True)
    assert quick.quick == pytest.approx(hub_cost.quick_bytes(shape) / shape.nbytes, rel=2e-2)  # and some gains


def test_the_shares_are_all_models(hub_cost: ModuleType) -> None:
    assert sum(size.share for size in hub_cost.HUB) == pytest.approx(1)


def test_quick_reads_one_percent(hub_cost: ModuleType) -> None:
    """Of models of 135 million parameters and more."""
    assert [size.name for size in hub_cost.HUB if hub_cost.quick_bytes(size.shape) > 0.01 * size.shape.nbytes] == []
