"""Certificates for the TLS profiles, made afresh at each start: a CA, and a host's with one flaw."""

from __future__ import annotations

import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from smsgate.simulator.faults import Tls

LIFE: Final = timedelta(days=30)
OTHER_NAME: Final = "smsc.elsewhere.example"


def tls_server(flaw: Tls, host: str) -> tuple[ssl.SSLContext, bytes]:
    """
    Return the server's side, and as PEM the CA that a client would have to trust.

    `host` is the name or address that clients connect to.
    """
    ca_key, ca_name = ec.generate_private_key(ec.SECP256R1()), _name("smsgate simulator CA")
    ca = _builder(ca_name, ca_name, ca_key, ca_key).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    )
    ca_pem = ca.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    key = ec.generate_private_key(ec.SECP256R1())
    name = OTHER_NAME if flaw == "wrong-name" else host
    own = _name("smsgate simulator")
    alone = flaw == "self-signed"
    leaf = _builder(own, own if alone else ca_name, key, key if alone else ca_key, expired=flaw == "expired")
    leaf = leaf.add_extension(x509.SubjectAlternativeName([_general_name(name)]), critical=False)
    certificate = leaf.sign(key if alone else ca_key, hashes.SHA256())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    # The ssl module reads files only; this one is ours alone, and gone at once.
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "smsc.pem"
        file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
        context.load_cert_chain(file)
    return context, ca_pem


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    expired: bool = False,
) -> x509.CertificateBuilder:
    begin = datetime.now(UTC) - (2 * LIFE if expired else timedelta(days=1))
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + LIFE)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(authority, critical=False)
    )
