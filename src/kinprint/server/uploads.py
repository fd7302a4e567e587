"""Fingerprints that strangers send: parsed as any file from a stranger, and where it is something else, what to do instead."""

from __future__ import annotations

from kinprint.errors import FingerprintError
from kinprint.fingerprints import Fingerprint

AT_ONCE = 4
"""Files that are received at a time; each may take MAX_UPLOAD of memory, twice while it is parsed."""

PATIENCE = 300.0
"""Seconds in which a file has to arrive."""

REMEDY = "make a .kinprint first, where the model lies: kinprint fingerprint MODEL -o MODEL.kinprint; then upload that file"
"""A fingerprint is a thousandth of a large model."""

_STARTS = {
    b"GGUF": "a GGUF file",
    b"PK\x03\x04": "a zip file, as torch.save writes",
    b"\x80\x02": "a pickle",
    b"version https://git-lfs": "a pointer of Git LFS",
}
"""Beginning of a file -> what it is."""


def fingerprint_of(data: bytes) -> Fingerprint:
    """The fingerprint in the bytes of a file that was uploaded.

    Raises:
        FingerprintError: it is none; the message says what it looks like and how to make one.
    """
    try:
        return Fingerprint.parse(data, "the upload")
    except FingerprintError as error:
        what = next((name for start, name in _STARTS.items() if data.startswith(start)), "")
        if not what and data[8:9] == b"{" and "not a" in error.problem:
            what = "a safetensors file of weights"
        problem = f"{what}, not a fingerprint" if what else error.problem
        raise FingerprintError("the upload", problem, REMEDY if "not a" in problem else error.remedy) from error
