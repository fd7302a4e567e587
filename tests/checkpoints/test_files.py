from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from kinprint.checkpoints.files import mode_of, open_regular, read_bounded
from kinprint.errors import CheckpointError


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


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_permission_denied_is_a_clear_error(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x")
    file.chmod(0)
    with pytest.raises(CheckpointError, match="permission denied"):
        read_bounded(file, 1)
