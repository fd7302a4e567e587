"""What models are asked: short texts to read, questions to answer, follow-up questions to say yes or no to."""

from __future__ import annotations

import json
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from blake3 import blake3

from kinprint.errors import MissingExtraError, ProbeError

MAX_BYTES = 64_000_000
MAX_TEXTS = 1_000_000
MAX_CHARACTERS = 1_000_000
"""Of one text."""


@dataclass(frozen=True)
class Probe:
    """What a model is observed on.

    Attributes:
        texts: to read.
        questions: to answer.
        followups: to answer with yes or no after each answer.
    """

    texts: tuple[str, ...]
    questions: tuple[str, ...]
    followups: tuple[str, ...]

    @property
    def texts_digest(self) -> str:
        """BLAKE3 (hex) of the texts, in order: observations on other texts are not compared."""
        return _digest(self.texts)

    @property
    def questions_digest(self) -> str:
        """The same of the questions and the follow-up questions."""
        return _digest((*self.questions, "", *self.followups))


@cache
def shipped() -> Probe:
    """The probe set of this package: 240 texts, 60 questions, 24 follow-up questions, written for it (CC0-1.0)."""
    text = (resources.files(sys.modules[__package__ or __name__]) / "probe.json").read_text(encoding="utf-8")
    content = json.loads(text)
    return Probe(*(tuple(content[key]) for key in ("texts", "questions", "followups")))


def read_texts(path: Path) -> tuple[str, ...]:
    """Texts of a file: .txt has one a line, .jsonl an object with "text" a line, .parquet a column "text".

    Raises:
        ProbeError: it cannot be read or holds no texts.
        MissingExtraError: parquet, and pyarrow is not installed.
    """
    readers = {".txt": _lines, ".jsonl": _objects, ".parquet": _column}
    if path.suffix not in readers:
        raise ProbeError(path, "not a list of texts by its name", f"give a file ending in {', '.join(readers)}")
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ProbeError(path, "not a regular file", "give a file on disk")
        if status.st_size > MAX_BYTES:
            raise ProbeError(path, f"larger than the {MAX_BYTES:,} bytes allowed", "give fewer texts")
        texts = tuple(text for text in readers[path.suffix](path) if text.strip())
    except OSError as error:
        raise ProbeError(path, error.strerror or "cannot be read", "check the path") from error
    except UnicodeDecodeError as error:
        raise ProbeError(path, f"not valid UTF-8 ({error.reason})", "save it as UTF-8") from error
    if not 2 <= len(texts) <= MAX_TEXTS:
        raise ProbeError(path, f"holds {len(texts)} texts", f"give 2 to {MAX_TEXTS:,}")
    if max(map(len, texts)) > MAX_CHARACTERS:
        raise ProbeError(path, f"holds a text of more than {MAX_CHARACTERS:,} characters", "cut it into several")
    return texts


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def _objects(path: Path) -> list[str]:
    texts = []
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        try:
            text = json.loads(line)["text"]
        except (ValueError, KeyError, TypeError, RecursionError):
            text = None
        if not isinstance(text, str):
            raise ProbeError(path, f"line {number} is no object with a text", 'write {"text": "..."} in every line')
        texts.append(text)
    return texts


def _column(path: Path) -> list[str]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError(path, "reading parquet takes pyarrow", "pip install pyarrow, or give .txt or .jsonl") from error
    try:
        with pyarrow.parquet.ParquetFile(path, read_dictionary=["text"]) as file:
            _require_small(path, file.metadata)
            column = list(_texts(path, file))
    except (pyarrow.ArrowException, KeyError) as error:
        raise ProbeError(path, "no parquet file with a column called text", "name the column text") from error
    if not all(isinstance(text, str) for text in column):
        raise ProbeError(path, "its column text holds something else", "give a column of strings")
    return column


def _require_small(path: Path, metadata: Any) -> None:
    """Raise ProbeError for more texts or bytes than allowed, by what the file says of itself before it is decompressed."""
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    sizes = [
        group.column(index).total_uncompressed_size
        for group in groups
        for index in range(group.num_columns)
        if group.column(index).path_in_schema == "text"
    ]
    if metadata.num_rows > MAX_TEXTS or not all(0 <= size <= MAX_BYTES for size in sizes) or sum(sizes) > MAX_BYTES:
        raise ProbeError(path, f"more than {MAX_TEXTS:,} texts or {MAX_BYTES:,} bytes of them", "give fewer texts")


def _texts(path: Path, file: Any) -> Iterator[Any]:
    """The column `text`, a few rows at a time: one entry of a dictionary may stand for a text a million times."""
    characters = 0
    for batch in file.iter_batches(batch_size=64, columns=["text"]):
        for text in batch.column("text").to_pylist():
            characters += len(text) if isinstance(text, str) else 0
            if characters > MAX_BYTES:
                raise ProbeError(path, f"texts of more than the {MAX_BYTES:,} bytes allowed", "give fewer texts")
            yield text


def _digest(texts: tuple[str, ...]) -> str:
    content = blake3()
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        content.update(len(data).to_bytes(8, "little") + data)
    return content.hexdigest()
