"""Time stamps (RFC 3161): an authority signs that a file with this digest was there at this time.

The token says no more than that the file was there by then; nothing says that it was not there before.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinprint.checkpoints.files import read_bounded
from kinprint.errors import CheckpointError, MissingExtraError, printable

if TYPE_CHECKING:
    from cryptography.x509 import Certificate
    from rfc3161_client import TimeStampResponse

MAX_BYTES = 1_000_000
"""Of a token, and of a file of certificates."""

DIGESTS = {"2.16.840.1.101.3.4.2.1": "sha256", "2.16.840.1.101.3.4.2.2": "sha384", "2.16.840.1.101.3.4.2.3": "sha512"}
"""Object identifier -> the digest that it names."""

CERTIFICATES = 0xA0
"""The tag of the certificates in signed data (RFC 5652, section 5.1)."""

AGAIN = "ask the authority for the token again"


@dataclass(frozen=True)
class Stamp:
    """What a token says.

    Attributes:
        path: of the token.
        when: the time that it states.
        accuracy: how far that may be off; nothing where the token does not say.
        authority: who signed it, as the certificate in the token calls itself; made printable.
        covers: whether it is about the document that it was read for.
        trusted: whether its signature is one that the given certificates vouch for; None where none were given.
        problem: why it is not trusted, for people.
    """

    path: Path
    when: datetime
    accuracy: timedelta
    authority: str
    covers: bool
    trusted: bool | None = None
    problem: str = ""

    @property
    def latest(self) -> datetime:
        """The document was there by then."""
        return self.when + self.accuracy

    @property
    def earliest(self) -> datetime:
        """The stamp was made no earlier."""
        return self.when - self.accuracy

    def to_json(self) -> dict[str, Any]:
        """As `kinprint verify --statement --json` prints it."""
        return {
            "at": self.when.isoformat(),
            "accuracy": self.accuracy.total_seconds(),
            "authority": self.authority,
            "signature": "not checked" if self.trusted is None else "checked" if self.trusted else "not trusted",
        }


def require_rfc3161() -> None:
    """To be called before anything is measured.

    Raises:
        MissingExtraError: rfc3161-client is not installed.
    """
    try:
        import rfc3161_client  # noqa: F401
    except ImportError as error:
        problem = "reading time stamps takes rfc3161-client"
        raise MissingExtraError("--timestamp", problem, "pip install 'kinprint[supply-chain]'") from error


def read_stamp(path: Path, document: bytes, certificates: Path | None = None) -> Stamp:
    """A token, read for a document.

    Args:
        path: the response of an authority (TimeStampResp, DER).
        document: the bytes of the file that it shall be about.
        certificates: those that are trusted (PEM): the root of the authority, and others between it and the token.

    Raises:
        CheckpointError: the token or the certificates cannot be read.
        MissingExtraError: rfc3161-client is not installed.
    """
    require_rfc3161()
    from rfc3161_client import decode_timestamp_response

    data = read_bounded(path, MAX_BYTES)
    roots = None if certificates is None else _certificates(certificates)
    try:
        response = decode_timestamp_response(_in_order(data))
    except Exception as error:  # strangers' bytes: the two parsers raise many kinds, and promise none
        raise CheckpointError(path, "no response of a time-stamp authority (RFC 3161), or a damaged one", AGAIN) from error
    if response.status not in (0, 1):
        raise CheckpointError(path, "the authority refused to stamp it", AGAIN)
    try:
        info, authority = response.tst_info, _authority(response)
        accuracy = _accuracy(info.accuracy)
        algorithm = info.message_imprint.hash_algorithm.dotted_string
        imprint, when = info.message_imprint.message, info.gen_time.astimezone(UTC)
        _ = when - accuracy, when + accuracy  # an OverflowError where there are no such dates
    except Exception as error:
        raise CheckpointError(path, "a time stamp with a damaged token", AGAIN) from error
    if algorithm not in DIGESTS:
        raise CheckpointError(path, f"a time stamp over the digest {algorithm}", "ask for one over SHA-256")
    covers = hashlib.new(DIGESTS[algorithm], document).digest() == imprint
    problem = "" if roots is None else _problem(response, imprint, roots)
    return Stamp(path, when, accuracy, authority, covers, None if roots is None else not problem, problem)


def _in_order(response: bytes) -> bytes:
    """The response with its certificates in the order that DER asks for, and the parser too. OpenSSL writes them as they come,
    and no signature is over their order. What is no such response stays as it is."""
    start, stop = 0, len(response)
    try:
        for number in (0, 1, 1, 0):  # the response, its token, the content of that, which is signed data
            _, start, stop = _values(response, start, stop)[number]
        _, start, stop = next(value for value in _values(response, start, stop) if response[value[0]] == CERTIFICATES)
        certificates = sorted(response[first:end] for first, _, end in _values(response, start, stop))
    except (IndexError, StopIteration):
        return response
    return response[:start] + b"".join(certificates) + response[stop:]


def _values(data: bytes, start: int, stop: int) -> list[tuple[int, int, int]]:
    """Of each value in DER that begins before `stop`: where it starts, where its content does, where both end."""
    found = []
    while start < stop:
        length, content = data[start + 1], start + 2
        if length > 0x7F:  # that many bytes hold the length
            content += length & 0x7F
            length = int.from_bytes(data[start + 2 : content], "big")
        found.append((start, content, content + length))
        start = content + length
    return found


def _certificates(path: Path) -> list[Certificate]:
    from cryptography.x509 import load_pem_x509_certificates

    data = read_bounded(path, MAX_BYTES)
    try:
        return load_pem_x509_certificates(data)
    except Exception as error:
        remedy = "give the root certificate that the authority publishes"
        raise CheckpointError(path, "no certificates in PEM", remedy) from error


def _problem(response: TimeStampResponse, imprint: bytes, roots: list[Certificate]) -> str:
    """Why the certificates do not vouch for a token, for the time that it states; "" if they do."""
    from rfc3161_client import VerifierBuilder

    try:
        VerifierBuilder(roots=roots).build().verify(response, imprint)
    except Exception as error:  # whatever it is, nobody vouches for the token
        said = re.search(r'Verify error: ([^"]+)"', str(error)) or re.search(r'reason: "([^"]+)"', str(error))
        return printable(said[1] if said else error, 100)
    return ""


def _authority(response: TimeStampResponse) -> str:
    """The name in the certificate that signed, where the token holds it."""
    from cryptography.x509 import load_der_x509_certificate

    signers = [(signer.issuer, signer.serial_number) for signer in response.signed_data.signer_infos]
    for certificate in map(load_der_x509_certificate, response.signed_data.certificates):
        if (certificate.issuer, certificate.serial_number) in signers:
            return printable(certificate.subject.rfc4514_string(), 200)
    return "an authority that the token does not name"


def _accuracy(stated: Any) -> timedelta:
    if stated is None:
        return timedelta()
    return timedelta(seconds=stated.seconds or 0, milliseconds=stated.millis or 0, microseconds=stated.micros or 0)
