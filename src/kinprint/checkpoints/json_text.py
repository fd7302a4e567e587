"""JSON from untrusted files: bounded, and with one clear error for whatever is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kinprint.errors import CheckpointError

MAX_ITEMS = 4_000_000  # objects, arrays and their elements; parsed they cost up to a hundred bytes each


def parse_object(data: bytes, path: str | Path, *, strict: bool = False) -> dict[str, Any]:
    """The JSON object in `data`, read from `path` (named in errors).

    With `strict`, duplicate keys and the infinities that Python's json writes are refused too; some configurations
    in the wild hold them (`"time_step_limit": [0.0, Infinity]`). NaN and lone surrogates never pass.

    Raises:
        CheckpointError: if it is not JSON, not an object, or larger or deeper than any real file.
    """
    if sum(map(data.count, (b",", b"[", b"{"))) > MAX_ITEMS:
        raise CheckpointError(path, f"JSON of more than {MAX_ITEMS:,} items", "check that it is the right file")

    def constant(text: str) -> float:
        if strict or text == "NaN":
            raise ValueError(f"{text} is not JSON")
        return float(text)

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            seen: set[str] = set()
            twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            raise ValueError(f"the key {twice!r} appears twice")
        return result

    try:
        text = data.decode("utf-8")
        value = json.loads(text, parse_constant=constant, object_pairs_hook=unique if strict else None)
        if "\\ud" in text or "\\uD" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")  # fails on half a surrogate pair
    except RecursionError:
        raise CheckpointError(path, "JSON nested too deeply", "check that it is the right file") from None
    except ValueError as error:
        raise CheckpointError(path, f"not valid JSON ({error})", "download or write the file again") from error
    if not isinstance(value, dict):
        raise CheckpointError(path, f"a JSON object is expected, not {type(value).__name__}", "check the file")
    return value
