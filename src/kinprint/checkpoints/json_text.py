"""JSON from untrusted files: bounded, and with one clear error for whatever is wrong with it."""

from __future__ import annotations

import json
import re
from typing import Any

from kinprint.errors import CheckpointError

MAX_ITEMS = 4_000_000  # objects, arrays and their elements; parsed they cost up to a hundred bytes each
MAX_NESTING = 64
MAX_NOT_ASCII = 64_000_000  # bytes; one character beyond the basic plane makes Python hold four bytes for each of a text

_LONE = re.compile(r"\\(?:u[dD](?:[89abAB]..\\u[dD][c-fC-F]..|(?P<lone>[89a-fA-F]))|.)", re.DOTALL)
"""An escape: a pair of surrogates, a lone one, or any other."""


def parse_object(data: bytes, source: object, *, strict: bool = False) -> dict[str, Any]:
    """The JSON object in `data`, read from `source` (named in errors).

    With `strict`, duplicate keys and the infinities that Python's json writes are refused too; some configurations
    in the wild hold them (`"time_step_limit": [0.0, Infinity]`). NaN and lone surrogates never pass.

    Raises:
        CheckpointError: if it is not JSON, not an object, or larger or deeper than any real file.
    """
    value = parse(data, source, strict=strict)
    if not isinstance(value, dict):
        raise CheckpointError(source, f"a JSON object is expected, not {type(value).__name__}", "check the file")
    return value


def parse(data: bytes, source: object, *, strict: bool = False) -> Any:
    """The same for JSON of any kind."""
    if sum(map(data.count, (b",", b"[", b"{"))) > MAX_ITEMS:
        raise CheckpointError(source, f"JSON of more than {MAX_ITEMS:,} items", "check that it is the right file")
    if len(data) > MAX_NOT_ASCII and not data.isascii():
        problem = f"JSON of {len(data):,} bytes that is not ASCII, more than the {MAX_NOT_ASCII:,} allowed"
        raise CheckpointError(source, problem, "check that it is the right file")

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
        text = data.decode("utf-8" if strict else "utf-8-sig")  # editors of some systems put a byte-order mark in front
        value = json.loads(text, parse_constant=constant, object_pairs_hook=unique if strict else None)
        if ("\\ud" in text or "\\uD" in text) and any(escape["lone"] for escape in _LONE.finditer(text)):
            raise ValueError("half a surrogate pair")
    except RecursionError:
        raise CheckpointError(source, "JSON nested too deeply", "check that it is the right file") from None
    except ValueError as error:
        raise CheckpointError(source, f"not valid JSON ({error})", "download or write the file again") from error
    if _too_deep(value):
        raise CheckpointError(source, "JSON nested too deeply", "check that it is the right file")
    return value


def _too_deep(value: Any) -> bool:
    """Whether arrays and objects lie within each other more than MAX_NESTING deep: whoever writes it again would recurse."""
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(MAX_NESTING):
        inside = (item.values() if isinstance(item, dict) else item for item in level)
        level = [item for items in inside for item in items if isinstance(item, (dict, list))]
        if not level:
            return False
    return True
