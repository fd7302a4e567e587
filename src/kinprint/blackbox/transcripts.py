"""Transcripts of training runs: which text was read when. JSON lines with `text` and `position`."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from blake3 import blake3

from kinprint.arrays import Float64s, Int64s
from kinprint.checkpoints.files import read_bounded
from kinprint.errors import CheckpointError, ProbeError

MAX_BYTES = 2_000_000_000
MAX_TEXTS = 1_000_000
MAX_CHARACTERS = 1_000_000
"""Of one text."""

FEWEST = 20
"""Different texts that a transcript must hold."""

ABOUT = ("source", "date")
"""Fields of a line that say where a text is from; the order must have nothing to do with them."""

_REMEDY = 'write {"text": "...", "position": 17} in every line'


@dataclass(frozen=True)
class Transcript:
    """Different texts and where they stood in the order of training, in an order of their own that has nothing to do with it.

    Attributes:
        name: of the file.
        sha256: of its bytes, hex: what a commitment or a time stamp is about.
        texts: (n,).
        positions: (n,) when each was read; equal numbers were read together.
        about: "source" or "date" -> (n,) what the lines say, where every line says it.
        repeated: lines left out because their text stands in another line.
    """

    name: str
    sha256: str
    texts: tuple[str, ...]
    positions: Float64s
    about: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    repeated: int = 0

    def first(self, count: int) -> Transcript:
        """The first so many texts: a random choice that does not look at positions."""
        about = {name: values[:count] for name, values in self.about.items()}
        return Transcript(self.name, self.sha256, self.texts[:count], self.positions[:count], about, self.repeated)

    def chosen(self, places: Int64s) -> Transcript:
        """The texts at some places, whose choice must not look at positions."""
        about = {name: tuple(values[i] for i in places) for name, values in self.about.items()}
        texts = tuple(self.texts[i] for i in places)
        return Transcript(self.name, self.sha256, texts, self.positions[places], about, self.repeated)


def read_transcript(path: Path) -> Transcript:
    """The transcript in a file.

    Texts are put into the order of their hashes. Of a text that stands in several lines one is kept, by chance: a text that
    was read often is likely whatever was read when, so to keep its last line would make strangers follow the order.

    Raises:
        ProbeError: it cannot be read, a line is no text with a position, or there are too few or too many.
    """
    try:
        data = read_bounded(path, MAX_BYTES)
    except CheckpointError as error:
        raise ProbeError(path, error.problem, error.remedy) from None
    try:
        lines = data.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise ProbeError(path, f"not valid UTF-8 ({error.reason})", "save it as UTF-8") from error
    rows = [_row(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if len(rows) > MAX_TEXTS:
        raise ProbeError(path, f"holds {len(rows):,} texts", f"give at most {MAX_TEXTS:,}")
    sha256 = hashlib.sha256(data).hexdigest()
    chance = np.random.default_rng(int(sha256[:16], 16)).permutation(len(rows))
    kept: dict[str, int] = {}
    for i in chance:
        kept.setdefault(rows[i][0], int(i))
    order = [kept[text] for text in sorted(kept, key=lambda text: _hash(sha256, text))]
    if len(order) < FEWEST:
        raise ProbeError(path, f"holds {len(order)} different texts", f"give {FEWEST} or more; thousands see more")
    about = {name: tuple(str(rows[i][2][name]) for i in order) for name in ABOUT if all(name in row[2] for row in rows)}
    positions = np.array([rows[i][1] for i in order], dtype=np.float64)
    return Transcript(path.name, sha256, tuple(rows[i][0] for i in order), positions, about, len(rows) - len(order))


def _row(path: Path, number: int, line: str) -> tuple[str, float, dict[str, str | float]]:
    """Text, position and what the line says of where the text is from."""
    try:
        row = json.loads(line)
        text, position = row["text"], row["position"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ProbeError(path, f"line {number} is no object with text and position", _REMEDY) from None
    if not isinstance(text, str) or not text.strip() or len(text) > MAX_CHARACTERS:
        raise ProbeError(path, f"line {number} holds no text of at most {MAX_CHARACTERS:,} characters", _REMEDY)
    if isinstance(position, bool) or not isinstance(position, int | float) or not math.isfinite(position):
        raise ProbeError(path, f"line {number} has no number as its position", _REMEDY)
    said = {name: row[name] for name in ABOUT if isinstance(row.get(name), str | int | float)}
    return text, float(position), said


def _hash(sha256: str, text: str) -> bytes:
    return bytes(blake3(sha256.encode() + text.encode("utf-8", "surrogatepass")).digest(length=16))
