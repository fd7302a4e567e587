"""A watched folder: each model once, when all of it is there, and again when it changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kinprint.errors import LibraryError
from kinprint.library.watch import arrivals


class Clock:
    """Time passes only by sleeping; before each look the next thing happens; the watch ends when nothing is left to happen."""

    def __init__(self, *happenings: Callable[[], object]) -> None:
        self.time, self.happenings = 0.0, list(happenings)

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        if not self.happenings:
            raise KeyboardInterrupt
        self.time += seconds
        self.happenings.pop(0)()


def nothing() -> None:
    pass


def watched(folder: Path, *happenings: Callable[[], object]) -> list[tuple[str, float]]:
    """What was yielded and when, looking once a second, settled after two."""
    clock, found = Clock(*happenings), []
    try:
        for path in arrivals(folder, settled=2, interval=1, sleep=clock.sleep, now=clock.now):
            found.append((path.name, clock.time))
    except KeyboardInterrupt:
        return found
    raise AssertionError("a watch does not end by itself")


def write(path: Path, size: int) -> Callable[[], object]:
    def happening() -> None:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x" * size)

    return happening


def test_a_model_that_is_there_is_yielded_once(tmp_path: Path) -> None:
    (tmp_path / "a.kinprint").write_bytes(b"x")
    assert watched(tmp_path, *[nothing] * 6) == [("a.kinprint", 2)]


def test_a_file_that_grows_waits(tmp_path: Path) -> None:
    """Copied in four pieces, a second apart: yielded two seconds after the last one."""
    file = tmp_path / "a.safetensors"
    assert watched(tmp_path, *(write(file, size) for size in (1, 2, 3, 4)), *[nothing] * 5) == [("a.safetensors", 6)]


def test_a_model_that_goes_on_growing_is_yielded_again(tmp_path: Path) -> None:
    """Copying had stopped for longer than the patience; what was unreadable then is read when it is complete."""
    file = tmp_path / "a.safetensors"
    happenings = [write(file, 1), *[nothing] * 4, write(file, 2), *[nothing] * 4]
    assert [name for name, _ in watched(tmp_path, *happenings)] == ["a.safetensors"] * 2


def test_a_folder_settles_as_a_whole(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    happenings = [write(folder / "config.json", 5), *[nothing] * 3, write(folder / "a.safetensors", 1), nothing]
    happenings += [write(folder / "b.safetensors", 1), *[nothing] * 4]
    assert watched(tmp_path, *happenings) == [("model", 9)]


def test_a_folder_with_an_unfinished_download_waits(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "a.safetensors").write_bytes(b"x")
    part = folder / "b.safetensors.incomplete"
    part.write_bytes(b"x")
    found = watched(tmp_path, *[nothing] * 5, lambda: part.rename(folder / "b.safetensors"), *[nothing] * 4)
    assert found == [("model", 8)]


@pytest.mark.parametrize("name", [".hidden.kinprint", "notes.txt", "a.kinprint.tmp", ".cache/a.safetensors", "docs/readme.md"])
def test_what_is_no_model_is_passed_over(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, 5)()
    assert watched(tmp_path, *[nothing] * 5) == []


def test_removed_and_brought_back_is_a_new_arrival(tmp_path: Path) -> None:
    file = tmp_path / "a.gguf"
    happenings = [write(file, 1), *[nothing] * 3, file.unlink, nothing, write(file, 1), *[nothing] * 3]
    assert len(watched(tmp_path, *happenings)) == 2


def test_a_folder_that_vanishes_is_waited_for(tmp_path: Path) -> None:
    folder = tmp_path / "incoming"
    folder.mkdir()
    found = watched(folder, folder.rmdir, nothing, folder.mkdir, write(folder / "a.gguf", 1), *[nothing] * 4)
    assert [name for name, _ in found] == ["a.gguf"]


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="no such folder to watch"):
        next(arrivals(tmp_path / "none"))
