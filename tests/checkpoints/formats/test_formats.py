"""What every format must do, whoever wrote it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from kinprint import discovery
from kinprint.checkpoints import formats as package
from kinprint.checkpoints import open_checkpoint
from kinprint.checkpoints.checkpoint import Tensor
from kinprint.checkpoints.formats import format_of, formats, open_file
from kinprint.checkpoints.formats._format import Format
from kinprint.checkpoints.source import ByteSource, LocalFile
from kinprint.errors import CheckpointError


def test_formats_are_told_by_their_endings() -> None:
    assert [form.name for form in formats()][:2] == ["safetensors", "PyTorch zip"]
    for form in formats():
        for suffix in form.suffixes:
            assert suffix == suffix.lower()
            assert format_of("x" + suffix) is format_of("X" + suffix.upper()) is form


@pytest.mark.parametrize("form", formats(), ids=lambda form: form.name)
@pytest.mark.parametrize("content", [b"", b"x", bytes(1000), b"\xff" * 1000, b"PK\x03\x04", b"{}", b"\x80\x02."])
def test_what_is_not_of_the_format_is_a_clear_error(tmp_path: Path, form: Format, content: bytes) -> None:
    path = tmp_path / ("model" + form.suffixes[0])
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=path.name):
        form.open_file(LocalFile(path))


@pytest.mark.parametrize("form", formats(), ids=lambda form: form.name)
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_pipe_does_not_block(tmp_path: Path, form: Format) -> None:
    path = tmp_path / ("model" + form.suffixes[0])
    os.mkfifo(path)
    with pytest.raises(CheckpointError, match="not a regular file"):
        form.open_file(LocalFile(path))


@pytest.mark.parametrize("name", ["model.txt", "model", "config.json"])
def test_other_endings_are_refused_with_a_list_of_those_known(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(CheckpointError, match=r"not a weights file by its name; .*\.safetensors, \.bin"):
        open_file(LocalFile(tmp_path / name))


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_a_git_lfs_pointer_says_what_to_do(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(CheckpointError, match="git lfs pull"):
        open_checkpoint(tmp_path)


class Ones:
    name = "ones"
    dtype = np.dtype("f4")
    shape = (2,)

    def read(self) -> np.ndarray:
        return np.ones(2, "f4")


@pytest.fixture
def third_party(monkeypatch) -> Iterator[None]:
    def read_ones(source: ByteSource) -> dict[str, Tensor]:
        return {"ones": Ones()}

    def installed(group: str) -> list[Format]:
        return [Format("ones", (".ones",), read_ones)] if group == "formats" else []

    monkeypatch.setattr(discovery, "installed", installed)
    package.formats.cache_clear()
    yield
    package.formats.cache_clear()


@pytest.mark.usefixtures("third_party")
def test_an_installed_format_is_found_in_folders_and_by_file(tmp_path: Path) -> None:
    for name in ("m-00001-of-00001.ones", "model.ones"):
        (tmp_path / name).touch()
        for model in (tmp_path, tmp_path / name):
            assert open_checkpoint(model).tensors["ones"].read().tolist() == [1, 1]
        (tmp_path / name).unlink()
