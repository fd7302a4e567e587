"""Damage: what becomes of a valid file after one to four edits."""

from __future__ import annotations

import random

TOKENS = [b"0", b"-1", b"9223372036854775807", b"1e999", b"[", b"]", b"{", b"}", b'"', b",", b":", b"null", b"true", b"NaN"]
TOKENS += [b"\x00", b"\xff" * 8, b"\\ud800", b"../", b"\xff\xff\xff\x7f", b"PK\x01\x02", b"PK\x05\x06", b"\x80\x02", b"(", b"u"]
TOKENS += [b"R", b"Q", b"cos\nsystem\n", b"\x85", b"h\x00", b"2", b"]", b"}", b")", b"e", b"a", b"s", b"t", b"b", b"&a", b"*a"]


def mutate(data: bytes, rng: random.Random) -> bytes:
    """One to four edits: bits, bytes, tokens, copied, removed and moved slices."""
    result = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at, length = rng.randrange(len(result) + 1), min(rng.randrange(1, 40), rng.randrange(1, 40))
        match rng.randrange(6):
            case 0 if at < len(result):
                result[at] ^= 1 << rng.randrange(8)
            case 1:
                result[at : at + 1] = rng.randbytes(1)
            case 2:
                result[at : at + rng.choice((0, length))] = rng.choice(TOKENS)
            case 3:
                del result[at : at + length]
            case 4:
                source = rng.randrange(len(result) + 1)
                result[at:at] = result[source : source + length] * rng.choice((1, 1, 1, 50))
            case 5:
                result[at : at + 8] = rng.choice((0, 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1)).to_bytes(8, "little")
    return bytes(result)
