"""Time stamps read: what they say, whom they are believed, and one clear error for every damaged one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from sys import modules

import pytest
from cryptography import x509
from time_stamping import REFUSED, SPAN, Authority, authority, der

from kinprint.errors import CheckpointError, MissingExtraError
from kinprint.library.declarations.time_stamps import MAX_BYTES, Stamp, read_stamp

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DOCUMENT = b"what is stamped"


@cache
def ours() -> Authority:
    return authority("Ours")


def read(
    folder: Path, response: bytes, document: bytes = DOCUMENT, certificates: bytes | None = None, name: str = "token.tsr"
) -> Stamp:
    token, trusted = folder / name, folder / "trusted.pem"
    token.write_bytes(response)
    if certificates is not None:
        trusted.write_bytes(certificates)
    return read_stamp(token, document, None if certificates is None else trusted)


@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
def test_what_a_token_says(digest: str, tmp_path: Path) -> None:
    """Its time, how far that may be off, who signed it, and whether it is about this document."""
    response = ours().response(DOCUMENT, WHEN, 2, digest=digest)
    stamp = read(tmp_path, response, certificates=ours().pem)
    assert (stamp.when, stamp.accuracy, stamp.authority) == (WHEN, timedelta(seconds=2), "CN=Ours")
    assert (stamp.earliest, stamp.latest) == (WHEN - timedelta(seconds=2), WHEN + timedelta(seconds=2))
    assert stamp.covers
    assert stamp.trusted
    assert not read(tmp_path, response, DOCUMENT + b"\n", ours().pem).covers


def test_nobody_is_believed_without_a_certificate(tmp_path: Path) -> None:
    """Then the signature is not checked, and that is said."""
    stamp = read(tmp_path, ours().response(DOCUMENT, WHEN))
    assert stamp.trusted is None
    assert (stamp.accuracy, stamp.to_json()["signature"]) == (timedelta(), "not checked")


def test_whom_it_is_believed(tmp_path: Path) -> None:
    """The authority of the root that is given, one of several too; no other of the same name; not outside its certificate's
    years; not after any change to what is signed."""
    response = ours().response(DOCUMENT, WHEN)
    assert read(tmp_path, response, certificates=authority("Theirs").pem + ours().pem).trusted
    other = read(tmp_path, response, certificates=authority("Ours").pem)
    assert other.trusted is False
    assert other.problem
    assert other.problem.isprintable()
    early = ours().response(DOCUMENT, SPAN[0] - timedelta(days=1))
    assert read(tmp_path, early, certificates=ours().pem).trusted is False
    at = response.index(b"20260102030405Z")
    later = response[:at] + b"20250102030405Z" + response[at + 15 :]
    changed = read(tmp_path, later, certificates=ours().pem)
    assert (changed.when.year, changed.trusted) == (2025, False)


def test_certificates_in_any_order(tmp_path: Path) -> None:
    """DER sorts the certificates of a token, and authorities that run OpenSSL do not: both are read."""
    response, pair = ours().response(DOCUMENT, WHEN, chain=True), (der(ours().root), der(ours().certificate))
    one, other = pair[0] + pair[1], pair[1] + pair[0]
    assert (one in response) != (other in response)
    for certificates in (one, other):
        written = response.replace(one, certificates).replace(other, certificates)
        assert certificates in written
        stamp = read(tmp_path, written, certificates=ours().pem)
        assert (stamp.when, stamp.authority, stamp.trusted) == (WHEN, "CN=Ours", True)


def test_only_certificates_for_time_stamps(tmp_path: Path) -> None:
    """A key that its authority certified for something else stamps nothing, though the chain leads to the root."""
    of_servers = authority("Servers", purpose=x509.ExtendedKeyUsageOID.SERVER_AUTH)
    assert read(tmp_path, of_servers.response(DOCUMENT, WHEN), certificates=of_servers.pem).trusted is False


DAMAGED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda _: b"", "damaged"),
    "something else": (lambda _: b"x" * 100, "damaged"),
    "cut short": (lambda response: response[:-20], "damaged"),
    "cut in the middle": (lambda response: response[:200], "damaged"),
    "refused": (lambda _: REFUSED, "refused"),
    "huge": (lambda _: bytes(MAX_BYTES + 1), "larger"),
    "beyond all dates": (lambda _: ours().response(DOCUMENT, datetime(9999, 12, 31, tzinfo=UTC), 10**6), "damaged"),
    "as accurate as an age": (lambda _: ours().response(DOCUMENT, WHEN, 2**62), "damaged"),
    "of a weak digest": (lambda _: ours().response(DOCUMENT, WHEN, digest="md5"), "over the digest"),
}


@pytest.mark.parametrize("how", DAMAGED)
def test_damaged_tokens(how: str, tmp_path: Path) -> None:
    """One clear error that names the file and the remedy."""
    change, problem = DAMAGED[how]
    with pytest.raises(CheckpointError, match=rf"token\.tsr: .*{problem}.*; (ask|check)"):
        read(tmp_path, change(ours().response(DOCUMENT, WHEN)))


def test_what_is_not_there(tmp_path: Path) -> None:
    """No token, no certificates, or a file that holds none."""
    with pytest.raises(CheckpointError, match=r"none\.tsr: no such file"):
        read_stamp(tmp_path / "none.tsr", DOCUMENT)
    response = ours().response(DOCUMENT, WHEN)
    for certificates in (b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        with pytest.raises(CheckpointError, match=r"trusted\.pem: no certificates in PEM; give"):
            read(tmp_path, response, certificates=certificates)
    (tmp_path / "trusted.pem").unlink()
    with pytest.raises(CheckpointError, match=r"trusted\.pem: no such file"):
        read_stamp(tmp_path / "token.tsr", DOCUMENT, tmp_path / "trusted.pem")


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(modules, "rfc3161_client", None)
    with pytest.raises(MissingExtraError, match=r"kinprint\[supply-chain\]"):
        read(tmp_path, ours().response(DOCUMENT, WHEN))
