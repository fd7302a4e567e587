"""Answers kept as they come: JSON lines, one an answer, so that a run that was cut asks only what is missing."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

from kinprint.checkpoints.files import read_bounded
from kinprint.errors import CheckpointError, ObservationError
from kinprint.observation.questions import Answer, Question

FORMAT = "kinprint-answers/1"
MAX_BYTES = 2_000_000_000


class KeptAnswers:
    """The answers of one model, in a file or in memory alone.

    The first line says whose they are; every other line is one answer under the key of its question. A line is written in one
    piece; one that was cut is left out when the file is read, and overwritten.

    Args:
        path: of the file; None to keep nothing beyond this run.
        suspect: name of the model; a file of another one is refused.
        where: URL of the server, or empty.

    Raises:
        ObservationError: the file cannot be read or written, is no file of answers, or one of another model.
    """

    def __init__(self, path: Path | None, suspect: str, where: str = "") -> None:
        self.path = path
        self._header = {"format": FORMAT, "suspect": suspect, "where": where}
        self._found: dict[str, Answer] = {}
        self._lock = threading.Lock()
        if path is not None:
            self._open(path)

    def get(self, question: Question) -> Answer | None:
        return self._found.get(question.key)

    def keep(self, question: Question, answer: Answer) -> None:
        """Remember an answer; the line is on its way to the disk when this returns."""
        with self._lock:
            self._found[question.key] = answer
            if self.path is not None:
                self._append(self.path, {"question": question.key, "kind": question.kind, **answer.to_json()})

    def _open(self, path: Path) -> None:
        if not path.exists():
            self._append(path, self._header)
            return
        try:
            data = read_bounded(path, MAX_BYTES)
        except CheckpointError as error:
            raise ObservationError(path, error.problem, "give another file to --answers") from None
        whole = data[: data.rfind(b"\n") + 1]
        lines = whole.splitlines()
        header = _object(lines[0]) if lines else None
        if header is None or header.get("format") != FORMAT:
            raise ObservationError(path, "no file of answers", "give a new name to --answers")
        if header != self._header:
            problem = f"holds the answers of {header.get('suspect')} at {header.get('where') or 'no server'}"
            raise ObservationError(path, problem, "give each suspect a file of its own to --answers")
        for number, line in enumerate(lines[1:], 2):
            self._read(path, number, line)
        if len(whole) < len(data):
            os.truncate(path, len(whole))

    def _read(self, path: Path, number: int, line: bytes) -> None:
        row = _object(line)
        try:
            if row is None or not isinstance(row["question"], str):
                raise ValueError("no answer")
            self._found[row["question"]] = Answer.from_json(row)
        except (ValueError, KeyError) as error:
            raise ObservationError(path, f"line {number} is no answer", "remove the line, or give a new file") from error

    def _append(self, path: Path, row: dict[str, Any]) -> None:
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                os.write(handle, json.dumps(row, allow_nan=False).encode() + b"\n")
            finally:
                os.close(handle)
        except OSError as error:
            raise ObservationError(path, f"cannot be written: {error.strerror or error}") from error


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None
