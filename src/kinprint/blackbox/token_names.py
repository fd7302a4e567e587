"""Which token of a tokenizer a server means by the name it gives: an id, a token string, or the text it stands for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

NUMBERED = re.compile(r"token_id:(\d{1,9})")
"""How vLLM names tokens on demand (`return_tokens_as_token_ids`)."""


class TokenNames:
    """A tokenizer's tokens by every name.

    Args:
        tokens: token string -> id.
    """

    def __init__(self, tokens: Mapping[str, int]) -> None:
        self._ids, self._names = dict(tokens), {index: token for token, index in tokens.items()}

    def id(self, name: str) -> int | None:
        """The id of a token, None where no token or more than one can be meant."""
        if (numbered := NUMBERED.fullmatch(name)) is not None:
            index = int(numbered[1])
            return index if index in self._names else None
        found = {self._ids[form] for form in (name, *_stored_forms(name)) if form in self._ids}
        return found.pop() if len(found) == 1 else None

    def plain(self) -> list[int]:
        """Ids of the tokens that any server names so that they are known again: printable ASCII."""
        return [i for i, token in sorted(self._names.items()) if self.id(_text(token)) == i == self.id(token) and _ascii(token)]


def _stored_forms(text: str) -> tuple[str, str]:
    """A text as byte-level tokenizers and as sentencepiece keep it."""
    return "".join(_byte_letters()[byte] for byte in text.encode("utf-8", "surrogatepass")), text.replace(" ", "▁")


def _text(token: str) -> str:
    """What a token of ASCII characters, with its mark of a space in front, stands for."""
    return " " + token[1:] if token[:1] in ("Ġ", "▁") else token


def _ascii(token: str) -> bool:
    text = _text(token)
    return bool(text.strip()) and text.isascii() and text.isprintable()


@cache
def _byte_letters() -> tuple[str, ...]:
    """The letter that stands for each byte in byte-level tokenizers: itself if it is printable, else one from 256 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = iter(range(256, 512))
    return tuple(chr(byte) if byte in printable else chr(next(others)) for byte in range(256))
