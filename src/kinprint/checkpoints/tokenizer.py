"""The vocabulary of the tokenizer beside a checkpoint: a fact about a model, never needed to compare weights."""

from __future__ import annotations

from typing import Any

from kinprint.checkpoints.folders import ModelFolder
from kinprint.checkpoints.json_text import parse_object
from kinprint.checkpoints.source import ByteSource
from kinprint.errors import CheckpointError

MAX_BYTES = 64_000_000
MAX_LINES = 1_000_000  # of a vocab.txt
FORMS = (("tokenizer.json",), ("vocab.json", "added_tokens.json"), ("vocab.txt",))
"""The files of each form, the preferred first; a form is there if its first file is."""


def tokenizer_files(folder: ModelFolder) -> tuple[ByteSource, ...]:
    """The files that `read_vocabulary` reads: of the forms known, the first that is there."""
    there = folder.there(name for form in FORMS for name in form)
    chosen = next((form for form in FORMS if form[0] in there), ())
    return folder.sources(name for name in chosen if name in there)


def read_vocabulary(files: tuple[ByteSource, ...]) -> dict[str, int]:
    """Token -> id, from what `tokenizer_files` found; CheckpointError if it is damaged."""
    vocabulary: dict[str, int] = {}
    for source in files:
        data = source.read(MAX_BYTES)
        if source.name.endswith(".txt"):
            vocabulary |= _lines(source, data)
        elif source.name == "tokenizer.json":
            vocabulary |= _tokenizer(source, parse_object(data, source))
        else:
            vocabulary |= _table(source, parse_object(data, source))
    return vocabulary


def _tokenizer(source: ByteSource, content: dict[str, Any]) -> dict[str, int]:
    """The vocabulary of a `tokenizer.json`: a table (BPE, WordPiece, WordLevel) or pieces in order (Unigram)."""
    model = content.get("model")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    if isinstance(vocabulary, list):
        pieces = [p[0] for p in vocabulary if isinstance(p, list) and p]
        if len(pieces) != len(vocabulary):
            raise CheckpointError(source, "its vocabulary is not a list of pieces and scores")
        vocabulary = {piece: index for index, piece in enumerate(pieces) if isinstance(piece, str)}
    added = content.get("added_tokens") or []
    if not isinstance(added, list) or not all(isinstance(t, dict) and isinstance(t.get("content"), str) for t in added):
        raise CheckpointError(source, "its added tokens are not a list of tokens")
    return _table(source, vocabulary) | _table(source, {t["content"]: t.get("id") for t in added})


def _table(source: ByteSource, table: Any) -> dict[str, int]:
    if not isinstance(table, dict) or not all(
        isinstance(token, str) and type(index) is int and 0 <= index < 2**31 for token, index in table.items()
    ):
        raise CheckpointError(source, "its vocabulary is not a table of tokens and ids")
    return table


def _lines(source: ByteSource, data: bytes) -> dict[str, int]:
    if data.count(b"\n") > MAX_LINES:
        raise CheckpointError(source, f"more than the {MAX_LINES:,} lines allowed", "check that it is a vocabulary")
    try:
        lines = data.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise CheckpointError(source, f"not valid UTF-8 ({error})") from error
    if lines[-1] == "":
        del lines[-1]
    return {token.removesuffix("\r"): index for index, token in enumerate(lines)}
