"""Every format reads through the source that it is given: the bytes of a file that lies elsewhere are there only on demand.

The examples are the seeds of the fuzzer, `fuzz/corpus/SUFFIX/`, so that a new format is tested without being named here.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import pytest

from kinprint.checkpoints.checkpoint import Tensor, read_rows
from kinprint.checkpoints.formats import formats
from kinprint.checkpoints.formats._format import Format
from kinprint.checkpoints.formats.safetensors import FORMAT as SAFETENSORS
from kinprint.checkpoints.mapped import MappedTensor
from kinprint.checkpoints.source import ByteSource, LocalFile, Span
from kinprint.errors import CheckpointError

sys.path.insert(0, str(Path(__file__).parents[3] / "fuzz"))
from targets import of_format


class OnDemand(ByteSource):
    """A file of 0xFF, into which each byte comes when it is asked for."""

    def __init__(self, content: bytes, path: Path) -> None:
        self.content, self.path = content, path
        self.forget()

    def forget(self) -> None:
        """Make all bytes absent again: what a format has read before, it may not count on."""
        self.path.write_bytes(b"\xff" * len(self.content))

    def __str__(self) -> str:
        return self.path.name

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def size(self) -> int:
        return len(self.content)

    def identity(self) -> bytes:
        return self.content

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        with open(self.path, "rb", buffering=0) as file:
            yield cast(BinaryIO, io.BufferedReader(_Reading(file, self), 1))

    def ensure(self, descriptor: int, *spans: Span) -> None:
        with open(self.path, "r+b") as file:
            for start, stop in spans:
                file.seek(start)
                file.write(self.content[start:stop])


class _Reading(io.RawIOBase):
    """Not a byte more than is read is brought."""

    def __init__(self, file: io.FileIO, source: OnDemand) -> None:
        self.file, self.source = file, source

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        start = self.file.tell()
        self.source.ensure(-1, (start, start + len(buffer)))
        return self.file.readinto(buffer) or 0

    def seek(self, offset: int, whence: int = 0) -> int:
        return self.file.seek(offset, whence)

    def fileno(self) -> int:
        return self.file.fileno()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


def check(form: Format, content: bytes, folder: Path) -> None:
    """A file whose bytes come on demand holds what the same file on disk holds, whatever is read of it first."""
    whole = folder / f"whole{form.suffixes[0]}"
    whole.write_bytes(content)
    source = OnDemand(content, folder / f"model{form.suffixes[0]}")
    expected, tensors = form.open_file(LocalFile(whole)), form.open_file(source)
    assert tensors.keys() == expected.keys() != set()
    for name, tensor in tensors.items():
        assert (tensor.shape, tensor.dtype) == (expected[name].shape, expected[name].dtype)
        values = expected[name].read()
        if tensor.shape:
            source.forget()
            np.testing.assert_array_equal(bits(read_rows(tensor, 0, 1)), bits(values[:1]))
        source.forget()
        np.testing.assert_array_equal(bits(tensor.read()), bits(values))
    if form.inside is not None:
        source.forget()
        assert form.inside([source]) == form.inside([LocalFile(whole)])


def bits(array: np.ndarray) -> bytes:
    return array.tobytes()


@pytest.mark.parametrize("form", formats(), ids=lambda form: form.name)
def test_every_format_reads_a_file_whose_bytes_come_on_demand(form: Format, tmp_path: Path) -> None:
    """Header, tensors, rows and what is inside besides: each is asked for before it is read."""
    target = of_format(form)
    assert target.folder.is_dir(), f"put a small file of the format {form.name} into {target.folder}"
    for content in target.seeds().values():
        check(form, content, tmp_path)


# --- formats that read around their source


def around_the_source(source: ByteSource) -> dict[str, Tensor]:
    """Opens the copy by its path, as a format could before formats were given sources."""
    return SAFETENSORS.open_file(LocalFile(source.path))  # type: ignore[attr-defined]


class Unasked(MappedTensor):
    """Reads the file without asking for its bytes."""

    __slots__ = ()

    def read(self) -> np.ndarray:
        with self.source.open() as file:
            data = os.pread(file.fileno(), self.nbytes, self.offset)
        return np.frombuffer(data, self.dtype).reshape(self.shape)

    def read_rows(self, start: int, stop: int) -> np.ndarray:
        return self.read()[start:stop]


def unasked_tensors(source: ByteSource) -> dict[str, Tensor]:
    """Reads its header as it should, and the tensors as they lie on disk."""
    tensors = cast("dict[str, MappedTensor]", SAFETENSORS.open_file(source))
    return {n: Unasked(t.name, t.dtype, t.shape, t.source, t.file_size, t.offset, t.strides) for n, t in tensors.items()}


@pytest.mark.parametrize("open_file", [around_the_source, unasked_tensors])
def test_a_format_that_reads_around_its_source_is_caught(open_file: Callable[..., dict[str, Tensor]], tmp_path: Path) -> None:
    """The test above is one that such formats fail, by an error or by other values."""
    bad = Format("bad", (".bad",), open_file)
    with pytest.raises((AssertionError, CheckpointError)):
        check(bad, next(iter(of_format(SAFETENSORS).seeds().values())), tmp_path)
