"""A time-stamp authority (RFC 3161) in the test: its certificates, and the responses that it would give at any time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from asn1crypto import algos, cms, core, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

SPAN = datetime(2020, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)
"""In which the certificates are valid."""


@dataclass(frozen=True)
class Authority:
    """A root, and the certificate and key that sign time stamps."""

    root: x509.Certificate
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        """The root, as a file holds it."""
        return self.root.public_bytes(serialization.Encoding.PEM)

    def response(
        self, data: bytes, when: datetime, accuracy: int | None = None, *, digest: str = "sha256", chain: bool = False
    ) -> bytes:
        """What the authority answers to a request to stamp `data`, in DER.

        Args:
            when: the time that it states.
            accuracy: seconds that it may be off, if it says so.
            digest: of the data, by its name in `hashlib`.
            chain: whether the token holds the root too.
        """
        leaf = asn1_x509.Certificate.load(der(self.certificate))
        imprint = {"hash_algorithm": {"algorithm": digest}, "hashed_message": hashlib.new(digest, data).digest()}
        stated = {
            "version": 1, "policy": "1.2.3.4.1", "message_imprint": imprint, "serial_number": 7, "gen_time": when,
            **({} if accuracy is None else {"accuracy": {"seconds": accuracy}}),
        }  # fmt: skip
        info = tsp.TSTInfo(stated).dump()
        signing = {"certs": [{"cert_hash": hashlib.sha256(leaf.dump()).digest()}]}
        attributes = cms.CMSAttributes(
            [
                {"type": "content_type", "values": ["tst_info"]},
                {"type": "message_digest", "values": [hashlib.sha256(info).digest()]},
                {"type": "signing_certificate_v2", "values": [signing]},
            ]
        )
        signer = {
            "version": 1,
            "sid": {"issuer_and_serial_number": {"issuer": leaf.issuer, "serial_number": leaf.serial_number}},
            "digest_algorithm": {"algorithm": "sha256"},
            "signed_attrs": attributes,
            "signature_algorithm": {"algorithm": "sha256_ecdsa"},
            "signature": self.key.sign(attributes.dump(), ec.ECDSA(hashes.SHA256())),
        }
        signed = {
            "version": 3,
            "digest_algorithms": [algos.DigestAlgorithm({"algorithm": "sha256"})],
            "encap_content_info": {"content_type": "tst_info", "content": core.ParsableOctetString(info)},
            "certificates": [leaf, *([asn1_x509.Certificate.load(der(self.root))] if chain else [])],
            "signer_infos": [signer],
        }
        token = {"content_type": "signed_data", "content": cms.SignedData(signed)}
        return bytes(tsp.TimeStampResp({"status": {"status": "granted"}, "time_stamp_token": token}).dump())


def der(certificate: x509.Certificate) -> bytes:
    """A certificate as a token holds it."""
    return certificate.public_bytes(serialization.Encoding.DER)


def authority(
    name: str = "An authority of the tests", purpose: x509.ObjectIdentifier = x509.ExtendedKeyUsageOID.TIME_STAMPING
) -> Authority:
    """A new one, whose keys nobody else has; its certificate is for one purpose."""
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root_name, own_name = (x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)]) for text in (f"{name}, root", name))
    root = _certificate(root_name, root_name, root_key, root_key).add_extension(x509.BasicConstraints(True, None), True)
    stamping = x509.ExtendedKeyUsage([purpose])
    own = _certificate(own_name, root_name, key, root_key).add_extension(stamping, True)
    return Authority(root.sign(root_key, hashes.SHA256()), own.sign(root_key, hashes.SHA256()), key)


REFUSED = bytes.fromhex("30053003020102")
"""The response of an authority that gives no token: its status is "rejection"."""


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, signer: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    above = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(SPAN[0])
        .not_valid_after(SPAN[1] - timedelta(seconds=1))
        .add_extension(identifier, False)
        .add_extension(above, False)
    )
