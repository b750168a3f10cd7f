"""ESMEs bind over TLS, and with `client_ca_file` only who shows a certificate of that authority."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import closing
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509

from smsgate.config import settings_of
from smsgate.errors import ConfigError
from smsgate.protocol.commands import CommandId
from tests.acceptance.esmes import EsmeTown, an_esme_town, bind_octets
from tests.acceptance.town import Ground
from tests.links.test_links_tls import Authority
from tests.simulator.smsc_peers import RawEsme

HERE = x509.IPAddress(ip_address("127.0.0.1"))


async def bind_status(company: EsmeTown, context: ssl.SSLContext) -> int:
    port = company.side.listener.tls_port
    streams = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="127.0.0.1")
    esme = RawEsme(*streams)
    with closing(esme.writer):
        esme.send(CommandId.BIND_TRANSCEIVER, 1, bind_octets(company.account))
        return (await esme.read()).status


async def test_a_bind_over_tls_needs_the_certificate_that_the_operator_asks_for(
    ground: Ground, tmp_path: Path
) -> None:
    ours, theirs = Authority(tmp_path), Authority(tmp_path, "esmes")
    server, client = ours.issue(HERE), theirs.issue(HERE)
    esmes = {
        "tls_port": 0,
        "cert_file": server.cert_file,
        "key_file": server.key_file,
        "client_ca_file": theirs.file,
    }
    async with an_esme_town(ground, esmes=esmes) as company:
        context = ssl.create_default_context(cafile=ours.file)
        with pytest.raises((OSError, asyncio.IncompleteReadError)):
            await bind_status(company, context)
        context.load_cert_chain(client.cert_file, client.key_file)
        assert await bind_status(company, context) == 0
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        assert await bind_status(company, context) == 0


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"plain_port": 2775}, "plain_port needs insecure_plaintext = true"),
        ({"tls_port": 3550}, "tls_port needs cert_file and key_file"),
    ],
)
def test_a_port_that_would_show_passwords_needs_to_be_said(table: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        settings_of({"esmes": table})
