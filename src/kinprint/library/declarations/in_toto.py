"""in-toto statements of strangers, opened: bare, in a DSSE envelope or in a Sigstore bundle; and the files that they name."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kinprint.checkpoints.files import read_bounded
from kinprint.checkpoints.json_text import parse_object
from kinprint.errors import CheckpointError, UnfitError, printable

NAMESPACE = "821f3ca3-fece-4faf-8557-4a3d17c583e4"
"""Of what kinprint names: an arbitrary UUID, which needs no domain that somebody may own tomorrow."""

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
CYCLONEDX = "CycloneDX document"
"""The kind of a document that is no statement but says the same."""

PAYLOAD_TYPE = "application/vnd.in-toto+json"
MAX_BYTES = 64_000_000
MAX_FILES = 10_000
MAX_FILE_NAME = 255

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Document:
    """A document, out of its envelope.

    Attributes:
        content: the statement, or a CycloneDX document.
        kind: what the document is, for people.
        signed: it carries a signature, which nobody has checked.
        data: the bytes of the file, envelope included.
    """

    content: Mapping[str, Any]
    kind: str
    signed: bool
    data: bytes


def predicate_type(path: Path, remedy: str) -> object:
    """What a document states, by the type of its predicate; None of one that is no statement.

    Args:
        remedy: what to do where it cannot be read.

    Raises:
        CheckpointError: it cannot be read.
    """
    try:
        return opened(path).content.get("predicateType")
    except UnfitError as unfit:
        raise CheckpointError(path, str(unfit), remedy) from None


def opened(path: Path) -> Document:
    """A document as it lies in a file.

    Raises:
        CheckpointError: it cannot be read, or is no JSON object.
        UnfitError: it lies in an envelope of something else.
    """
    data = read_bounded(path, MAX_BYTES)
    document = parse_object(data, path, strict=True)
    if document.get("bomFormat") == "CycloneDX":
        return Document(document, CYCLONEDX, "signature" in document, data)
    envelope = document.get("dsseEnvelope", document)
    if isinstance(envelope, dict) and "payload" in envelope:
        kind = "Sigstore bundle" if envelope is not document else "DSSE envelope"
        return Document(_payload(envelope, path), kind, True, data)
    return Document(document, "in-toto statement", False, data)


def _payload(envelope: Mapping[str, Any], path: Path) -> dict[str, Any]:
    if envelope.get("payloadType") != PAYLOAD_TYPE:
        raise UnfitError(f"an envelope of {printable(envelope.get('payloadType'), 100)}, not of {PAYLOAD_TYPE}")
    return parse_object(_base64(envelope["payload"]), path, strict=True)


def _base64(text: object) -> bytes:
    try:
        return base64.b64decode(str(text), validate=True)
    except ValueError as error:
        raise UnfitError("damaged base64") from error


def resources(listed: object) -> frozenset[tuple[str, str]]:
    """in-toto's ResourceDescriptors."""
    return named(
        [(file.get("name"), table(file.get("digest"), "digest").get("sha256")) for file in tables(listed, "list of files")]
    )


def named(files: Sequence[tuple[object, object]]) -> frozenset[tuple[str, str]]:
    """Names and digests of files, as a stranger wrote them."""
    for name, digest in files:
        if not isinstance(name, str) or not name or not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            raise UnfitError(f"{printable(name, 100)}: a file with a name and a SHA-256 in lower-case hex is expected")
    return frozenset((printable(name, MAX_FILE_NAME), str(digest)) for name, digest in files)


def table(value: object, what: str) -> dict[str, Any]:
    """A value that has to be an object."""
    if not isinstance(value, dict):
        raise UnfitError(f"its {what} is no object")
    return value


def tables(value: object, what: str) -> list[dict[str, Any]]:
    """A list of objects; what is not there is empty."""
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise UnfitError(f"its {what} is no list of objects")
    if len(value) > MAX_FILES:
        raise UnfitError(f"its {what} has {len(value):,} items, more than the {MAX_FILES:,} allowed")
    return value
