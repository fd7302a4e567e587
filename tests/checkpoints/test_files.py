from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kinprint.checkpoints.files import mode_of, open_regular, read_bounded, replacing, replacing_folder
from kinprint.errors import CheckpointError

NOBODY = 65534
"""The user who owns nothing."""


def test_reads_up_to_its_limit_and_not_a_byte_more(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"12345")
    assert read_bounded(file, 5) == b"12345"
    with pytest.raises(CheckpointError, match="larger than the 4 bytes"):
        read_bounded(file, 4)


def test_follows_the_links_of_the_users_own_disk(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(b"x")
    (tmp_path / "link").symlink_to("blob")
    assert read_bounded(tmp_path / "link", 1) == b"x"


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.mkdir(), "a folder where a file is expected"),
        (lambda path: path.symlink_to(path.name), "loop"),
        (lambda path: path.symlink_to("nowhere"), "no such file"),
        (lambda path: os.mkfifo(path), "not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
    ],
    ids=["missing", "folder", "loop", "dangling", "fifo", "device"],
)
def test_only_regular_files_are_opened(tmp_path: Path, make, problem: str) -> None:
    path = tmp_path / "file"
    make(path)
    with pytest.raises(CheckpointError, match=problem) as caught, open_regular(path):
        pass
    assert caught.value.subject == str(path)


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b", "x" * 5000], ids=["nul", "surrogate", "long"])
def test_impossible_names_are_clear_errors(name: str) -> None:
    with pytest.raises(CheckpointError):
        mode_of(name)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.EMFILE, errno.ESTALE])
def test_what_the_system_says_becomes_a_clear_error(tmp_path: Path, monkeypatch, number: int) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x")

    def fail(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(CheckpointError, match=str(file)):
        read_bounded(file, 1)


@contextmanager
def unprivileged() -> Iterator[None]:
    """Root, who may read everything, is nobody for a while."""
    user = os.geteuid()
    os.seteuid(user or NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs a system with users' permissions")
def test_permission_denied_is_a_clear_error(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x")
    file.chmod(0)
    with unprivileged(), pytest.raises(CheckpointError, match="permission denied"):
        read_bounded(file, 1)


# --- writing


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def stop(done: object, error: type[BaseException]) -> None:
    raise error("stop")


@pytest.mark.parametrize("there", [False, True])
def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, there: bool) -> None:
    """On an error, an interruption too, the old file stays as it was; the temporary one is never left."""
    target = tmp_path / "file"
    if there:
        target.write_bytes(b"old")
    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error, match="stop"), replacing(target) as file:
            stop(file.write(b"half"), error)
        assert names(tmp_path) == ["file"] * there
    with replacing(target, durable=True) as file:
        file.write(b"new")
    assert (target.read_bytes(), names(tmp_path)) == (b"new", ["file"])


def test_who_may_read_what_is_written(tmp_path: Path) -> None:
    """As the user's mask says, or the owner alone."""
    for private, mode in ((False, 0o644), (True, 0o600)):
        before = os.umask(0o022)
        with replacing(tmp_path / "file", private=private):
            pass
        os.umask(before)
        assert (tmp_path / "file").stat().st_mode & 0o777 == mode


def test_what_cannot_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError), replacing(tmp_path / "folder"):
        pass
    assert names(tmp_path) == ["folder"]


def test_what_a_killed_writer_left_is_removed_when_it_is_old(tmp_path: Path) -> None:
    for name, age in (("0" * 16, 4000), ("1" * 16, 10)):
        left = tmp_path / f".file.{name}.tmp"
        left.touch()
        os.utime(left, (time.time() - age,) * 2)
    with replacing(tmp_path / "file"):
        pass
    assert names(tmp_path) == [f".file.{'1' * 16}.tmp", "file"]


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "folder"
    with pytest.raises(ValueError, match="stop"), replacing_folder(target) as folder:
        stop((folder / "x").touch(), ValueError)
    assert names(tmp_path / "deep") == []
    with replacing_folder(target) as folder:
        (folder / "x").touch()
    assert (names(tmp_path / "deep"), names(target)) == (["folder"], ["x"])
