"""TLS is checked: chain, dates and host name; a carrier that does not prove who it is gets no password."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from structlog.testing import capture_logs

from smsgate.clock import SystemClock
from smsgate.links.carrier import CarrierAccount
from smsgate.links.profile import CarrierProfile
from smsgate.links.tls import tls_context
from tests.links.fake_smsc import Recorder, a_profile, an_account, fake_smsc, until


class Issued(NamedTuple):
    cert_file: str
    key_file: str


class Authority:
    """A CA of this test, and the certificates that it signs."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._counter = 0
        cert = self._builder(self._name, self._key.public_key(), days=30)
        cert = cert.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        cert = cert.add_extension(self._key_usage(), critical=True)
        self.file = str(folder / f"{name}.pem")
        Path(self.file).write_bytes(self._sign(cert))

    def issue(self, san: x509.GeneralName, days: int = 30) -> Issued:
        key = ec.generate_private_key(ec.SECP256R1())
        self._counter += 1
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"smsc {self._counter}")])
        cert = self._builder(subject, key.public_key(), days)
        cert = cert.add_extension(x509.SubjectAlternativeName([san]), critical=False)
        stem = self._folder / f"{Path(self.file).stem}-{self._counter}"
        issued = Issued(f"{stem}.pem", f"{stem}.key")
        Path(issued.cert_file).write_bytes(self._sign(cert))
        Path(issued.key_file).write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return issued

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, days: int
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=60))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(authority, critical=False)
        )

    def _sign(self, builder: x509.CertificateBuilder) -> bytes:
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    @staticmethod
    def _key_usage() -> x509.KeyUsage:
        return x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )


LOOPBACK = x509.IPAddress(ip_address("127.0.0.1"))


def server_context(issued: Issued) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(issued.cert_file, issued.key_file)
    return context


def tls_profile(port: int, ca_file: str | None, **settings: object) -> CarrierProfile:
    return a_profile(port, tls="verify", insecure_plaintext=False, ca_file=ca_file, **settings)


@contextmanager
def expecting_refusal() -> Iterator[list[object]]:
    with capture_logs() as logs:
        yield logs  # type: ignore[misc]
    assert any(line["event"] == "certificate_refused" for line in logs)


async def test_a_carrier_with_the_right_certificate_is_bound(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with fake_smsc(server_context(authority.issue(LOOPBACK))) as smsc:
        async with an_account(tls_profile(smsc.port, authority.file)) as (account, _):
            await account.stop(2.0)  # an orderly unbind goes over TLS as well
            assert account.binds()[0].last_error == "unbound"


async def test_a_host_by_name_is_asked_for_by_sni(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    asked: list[str | None] = []
    context = server_context(authority.issue(x509.DNSName("localhost")))
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    async with fake_smsc(context) as smsc:
        profile = tls_profile(smsc.port, authority.file, hosts=[f"localhost:{smsc.port}"])
        async with an_account(profile):
            assert "localhost" in asked


async def refused(profile: CarrierProfile) -> str:
    """Start an account that must not bind, and return why it did not."""
    account = CarrierAccount(profile, 7, clock=SystemClock(), random=lambda: 0.0)
    with expecting_refusal():
        account.start(Recorder())
        await until(lambda: account.binds()[0].last_error)
        await account.stop(0.1)
    return account.binds()[0].last_error


def self_signed(folder: Path) -> Issued:
    """A certificate with the right name that no authority vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "smsc")])
    now = datetime.now(UTC)
    cert = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([LOOPBACK]), critical=False)
        .sign(key, hashes.SHA256())
    )
    issued = Issued(str(folder / "self.pem"), str(folder / "self.key"))
    Path(issued.cert_file).write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    Path(issued.key_file).write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return issued


FLAWS = ["wrong name", "expired", "another authority", "self-signed"]


@pytest.mark.parametrize("flaw", FLAWS)
async def test_a_carrier_that_proves_nothing_never_sees_the_password(flaw: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    trusted = authority.file
    if flaw == "wrong name":
        issued = authority.issue(x509.DNSName("smpp.example.net"))
    elif flaw == "expired":
        issued = authority.issue(LOOPBACK, days=-1)
    elif flaw == "self-signed":
        issued = self_signed(tmp_path)
    else:
        issued = authority.issue(LOOPBACK)
        if flaw == "another authority":
            trusted = Authority(tmp_path, "other").file
    async with fake_smsc(server_context(issued)) as smsc:
        reason = await refused(tls_profile(smsc.port, trusted))
        assert reason.startswith("certificate refused")
        assert smsc.binds == []


async def test_the_public_authorities_are_not_trusted_for_a_private_certificate(tmp_path: Path) -> None:
    async with fake_smsc(server_context(Authority(tmp_path).issue(LOOPBACK))) as smsc:
        reason = await refused(tls_profile(smsc.port, None))
        assert reason.startswith("certificate refused")
        assert smsc.binds == []


def test_tls_older_than_1_2_is_not_spoken(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = tls_context(tls_profile(2775, authority.file))
    assert context is not None
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED


async def test_a_carrier_that_wants_a_client_certificate_refuses_us_without_or_with_a_wrong_one(
    tmp_path: Path,
) -> None:
    authority, stranger = Authority(tmp_path), Authority(tmp_path, "stranger")
    context = server_context(authority.issue(LOOPBACK))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.file)
    theirs = stranger.issue(x509.DNSName("us.example.net"))
    for files in ({}, {"cert_file": theirs.cert_file, "key_file": theirs.key_file}):
        async with fake_smsc(context) as smsc:
            await never_bound(tls_profile(smsc.port, authority.file, **files))
            assert smsc.binds == []


async def never_bound(profile: CarrierProfile) -> None:
    account = CarrierAccount(profile, 7, clock=SystemClock(), random=lambda: 0.0)
    account.start(Recorder())
    await until(lambda: account.counts.setbacks >= 1)
    assert account.counts.submitted == 0
    await account.stop(0.1)


async def test_plain_octets_where_tls_is_expected_end_in_a_setback_and_no_password(tmp_path: Path) -> None:
    async with fake_smsc() as smsc:  # speaks no TLS
        profile = tls_profile(smsc.port, Authority(tmp_path).file, connect_timeout_s=0.3)
        await never_bound(profile)
        assert smsc.binds == []
        assert b"secret" not in b"".join(frame.body for peer in smsc.peers for frame in peer.frames)


async def test_a_client_certificate_is_shown_when_the_carrier_wants_one(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = server_context(authority.issue(LOOPBACK))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.file)
    ours = authority.issue(x509.DNSName("us.example.net"))
    async with fake_smsc(context) as smsc:
        profile = tls_profile(smsc.port, authority.file, cert_file=ours.cert_file, key_file=ours.key_file)
        async with an_account(profile) as (account, _):
            assert account.binds()[0].state == "bound"
