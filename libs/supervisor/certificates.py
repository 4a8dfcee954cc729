"""A certificate authority of an installation's own, for development: `ca.pem`, and a certificate for each holder."""

import ipaddress
import socket
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from libs.common.clock import SystemClock
from libs.common.private_files import write_private

FOLDER: Final = "tls"
"""Of a data directory."""
TOOLS: Final = "tools"
_CA_VALID: Final = timedelta(days=3_650)
_VALID: Final = timedelta(days=90)
"""Of the others, which every start makes anew."""
_SKEW: Final = timedelta(hours=1)
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


def make_certificates(directory: Path, holders: Iterable[str], host: str) -> None:
    """Makes `<holder>.pem` and `<holder>.key` for each holder, valid for this machine, for `host` and for the holder's
    own name, signed by `ca.pem`, which is made if it is missing and kept. Keys are 0600. Raises OSError."""
    now = SystemClock().now()
    directory.mkdir(mode=0o711, parents=True, exist_ok=True)
    ca_key, ca = _authority(directory, now)
    for holder in holders:
        key = ec.generate_private_key(ec.SECP256R1())
        names = dict.fromkeys((*_LOOPBACK, socket.gethostname(), holder.replace("_", "-"), host))
        certificate = _leaf(holder, names, key, now, ca).sign(ca_key, hashes.SHA256())
        write_private(directory / f"{holder}.key", _pem(key))
        write_private(
            directory / f"{holder}.pem", certificate.public_bytes(serialization.Encoding.PEM), 0o644
        )


def _authority(directory: Path, now: datetime) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key_file, file = directory / "ca.key", directory / "ca.pem"
    if file.exists() and key_file.exists():
        kept = serialization.load_pem_private_key(key_file.read_bytes(), None)
        ca = x509.load_pem_x509_certificate(file.read_bytes())
        if isinstance(kept, ec.EllipticCurvePrivateKey) and ca.not_valid_after_utc > now + _VALID:
            return kept, ca
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("omnijourney development CA")
    ca = (
        _begun(name, key, now, _CA_VALID)
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    write_private(key_file, _pem(key))
    write_private(file, ca.public_bytes(serialization.Encoding.PEM), 0o644)
    return key, ca


def _leaf(
    holder: str, names: Iterable[str], key: ec.EllipticCurvePrivateKey, now: datetime, ca: x509.Certificate
) -> x509.CertificateBuilder:
    alternatives = [_alternative(name) for name in names if name]
    issuer = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    return (
        _begun(_name(holder), key, now, _VALID)
        .issuer_name(ca.subject)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer), critical=False)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    )


def _begun(
    subject: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, valid: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + valid)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
