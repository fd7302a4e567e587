"""The large products of the deep search on a device of torch: numbers as of numpy, and one clear error where there is none.

Where torch sees no GPU, its own processor stands for the device: the same code moves the same matrices.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command_line import kinprint

from kinprint import compare, transforms
from kinprint.errors import EngineError, MissingExtraError
from kinprint.matching import device

torch = pytest.importorskip("torch")


@pytest.fixture
def everything_moves(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Matrices of any size are moved; the shapes of those that were."""
    moved: list[tuple[int, ...]] = []
    plain = torch.matmul

    def counting(left: object, right: object) -> object:
        moved.append(tuple(left.shape))  # type: ignore[attr-defined]
        return plain(left, right)

    monkeypatch.setattr(device, "FEW", 0)
    monkeypatch.setattr(torch, "matmul", counting)
    return moved


@pytest.mark.parametrize("shapes", [((5, 3), (3, 4)), ((2, 5, 3), (2, 3, 4)), ((2, 5, 3), (3, 4))])
def test_a_product_is_that_of_numpy(shapes: tuple[tuple[int, ...], ...], everything_moves: list[tuple[int, ...]]) -> None:
    rng = np.random.default_rng(0)
    left, right = (rng.normal(size=shape).astype(np.float32) for shape in shapes)
    with device.on("cpu"):
        found = device.product(left, right)
        turned = device.product(right.swapaxes(-1, -2), left.swapaxes(-1, -2)) if left.ndim == right.ndim else None
    assert len(everything_moves) == 1 + (turned is not None)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, left @ right, rtol=1e-5, atol=1e-5)
    if turned is not None:
        np.testing.assert_allclose(turned.swapaxes(-1, -2), found, rtol=1e-5, atol=1e-5)


def test_outside_nothing_moves(everything_moves: list[tuple[int, ...]]) -> None:
    one = np.eye(3, dtype=np.float32)
    with device.on(None):
        device.product(one, one)
    with device.on("cpu"):
        pass
    device.product(one, one)
    assert not everything_moves


def test_what_is_precise_stays_so_and_is_put_back() -> None:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with device.on("cpu"):
            assert torch.get_float32_matmul_precision() == "highest"
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


def test_a_disguised_copy_is_found_there_too(models: Path, tmp_path: Path, everything_moves: list[tuple[int, ...]]) -> None:
    """The verdict, and log10 p of the deep test to one in a thousand."""
    transforms.apply("disguise", models / "finetune", tmp_path / "copy", seed=0)
    here = compare(models / "base", tmp_path / "copy", deep=True)
    assert not everything_moves
    there = compare(models / "base", tmp_path / "copy", deep=True, device="cpu")
    assert everything_moves
    assert there.verdict == here.verdict == "related"
    deep = [next(one.log10_p for one in found.evidence if one.method == "matched-neurons") for found in (here, there)]
    assert deep[1] == pytest.approx(deep[0], rel=1e-3)


def test_a_device_that_is_not_there(models: Path) -> None:
    """Told before anything is read."""
    for name in ("nonsense", "cuda:77"):
        with pytest.raises(EngineError, match=f"^{name}: torch cannot compute there: .* leave --device out"):
            compare(models / "base", models / "no such model", deep=True, device=name)


def test_without_torch(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(MissingExtraError, match="torch is not installed"), device.on("cuda"):
        pass


def test_the_command_line_says_what_it_is_for(models: Path) -> None:
    alone = kinprint("compare", models / "base", models / "finetune", "--device", "cuda")
    assert alone.returncode == 2
    assert "only --deep computes there" in alone.stderr
    missing = kinprint("compare", models / "base", models / "twin", "--deep", "--device", "cuda:77")
    assert missing.returncode != 0
    assert "torch cannot compute there" in missing.stderr
