"""What is long is said before, and bytes are those that the user sees."""

from __future__ import annotations

from pathlib import Path

import pytest

from kinprint.cli._estimates import RATE, expectation, told


@pytest.mark.parametrize(
    ("size", "words"),
    [(1e9, None), (14e9, "14.0 GB to read, about 35 s"), (140e9, "140.0 GB to read, about 6 minutes"), (3e12, "about 2 h")],
)
def test_only_what_is_long_is_said(size: float, words: str | None) -> None:
    said = expectation(int(size))
    assert said is words is None or (said or "").endswith(words or "?")


def test_it_is_said_once_and_bytes_are_those_of_the_file(tmp_path: Path) -> None:
    packed = tmp_path / "model.gguf"
    packed.write_bytes(b"x" * 1000)
    seen: list[tuple[int, int]] = []
    said: list[str] = []
    tell = told(str(packed), lambda *bytes_: seen.append(bytes_), said.append)
    total = int(100 * RATE)
    for done in (0, total // 2, total):
        tell(done, total)
    assert seen == [(0, 1000), (500, 1000), (1000, 1000)]
    assert len(said) == 1
    told(str(tmp_path), lambda *bytes_: seen.append(bytes_), said.append)(3, 7)
    assert seen[-1] == (3, 7)
    assert len(said) == 1
