"""Signs on terminals and in pipes that do not know them: each becomes ASCII, and nothing ends in a traceback."""

from __future__ import annotations

import codecs
import sys
import unicodedata

NAME = "kinprint.ascii"

ASCII = {
    "→": "->", "≤": "<=", "≥": ">=", "–": "-", "—": "-", "±": "+-", "…": "...", "·": ".", "×": "x", "✓": "yes", "✗": "no",
    "‘": "'", "’": "'", "“": '"', "”": '"', "−": "-",
    **dict(zip("▁▂▃▄▅▆▇█", "12345678", strict=True)),
}  # fmt: skip
"""Of the bars, a row of which shows layers, their heights."""


def degrade_signs() -> None:
    """Let stdout and stderr write what their encoding lacks in ASCII."""
    codecs.register_error(NAME, _ascii)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors=NAME)


def _ascii(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_sign, error.object[error.start : error.end])), error.end


def _sign(character: str) -> str:
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return ASCII.get(character) or plain or "?"
