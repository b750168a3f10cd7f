"""An SMSC that asks us to bind: who may, what it is told before it has proved itself, and what then comes."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from structlog.testing import capture_logs

from smsgate.clock import SystemClock
from smsgate.errors import ConfigError
from smsgate.flows.records import Lane
from smsgate.links.carrier import CarrierAccount
from smsgate.links.outbinds import SESSIONS_MAX
from smsgate.protocol.commands import CommandId, Status
from smsgate.protocol.pcap import pcap_octets
from smsgate.protocol.pdu_masking import masked
from smsgate.protocol.pdus import Pdu, encode_pdu
from tests.links.fake_smsc import FakeSmsc, Peer, Recorder, a_profile, fake_smsc, states, until
from tests.links.test_links_binding import an_unused_port
from tests.links.test_links_tls import Authority

PROVES = {"outbind_system_id": "their-smsc", "outbind_password": "theirs", "outbind_from": ["127.0.0.0/8"]}
RIGHT = {"system_id": b"their-smsc", "password": b"theirs"}


@asynccontextmanager
async def listening(**settings: Any) -> AsyncIterator[tuple[CarrierAccount, Recorder, int]]:
    """Start an account whose SMSC does not listen, so that only an outbind brings a session."""
    keys = {"outbind_port": 0, **PROVES, "rebind": {"refused_tcp_s": [60, 60]}, **settings}
    account = CarrierAccount(a_profile(an_unused_port(), **keys), 7, clock=SystemClock(), random=lambda: 0.0)
    events = Recorder()
    account.start(events)
    outbinds = account._binds.outbinds
    assert outbinds is not None
    try:
        await until(lambda: outbinds.port)
        assert outbinds.port is not None
        yield account, events, outbinds.port
    finally:
        await account.stop(0.5)
        assert outbinds.port is None
        assert not outbinds.statuses()


async def connect(
    smsc: FakeSmsc, port: int, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> Peer:
    name = None if tls is None else "localhost"
    _, peer = await asyncio.get_running_loop().create_connection(
        lambda: Peer(smsc), host, port, ssl=tls, server_hostname=name
    )
    return peer


def ask(peer: Peer, fields: dict[str, bytes] | None = None) -> None:
    peer.transport.write(encode_pdu(Pdu(CommandId.OUTBIND, 0, 1, fields or RIGHT)))


async def test_an_outbind_brings_a_receiver_whose_messages_are_taken_and_answered() -> None:
    async with fake_smsc() as smsc, listening() as (account, events, port):
        peer = await connect(smsc, port)
        assert states(account) == ["closed"]
        assert not peer.frames
        ask(peer)
        await until(lambda: states(account) == ["closed", "bound"])
        (_, kind, bind), *others = smsc.binds
        assert not others
        assert (kind, bind.fields["system_id"], bind.fields["password"]) == ("rx", b"smsgate", b"secret")
        number = peer.deliver(b"Bonjour")
        receipt = peer.receipt(b"id-1")
        await until(lambda: events.mos and events.receipt_columns)
        assert account.room(Lane.INTERACTIVE) == 0  # a receiver sends nothing
        assert account.down_since() is not None
        assert events.mos[0].ack is not None
        account.acknowledge([events.mos[0].ack, events.receipt_columns[0].ack])
        await until(lambda: len(peer.answers()) == 2)
        answered = {(CommandId.DELIVER_SM_RESP, each, Status.OK) for each in (number, receipt)}
        assert set(peer.answers()) == answered
        peer.unbind()
        await until(lambda: peer.gone)
        assert peer.heard(CommandId.UNBIND_RESP)
        assert states(account) == ["closed"]  # and is not bound again by itself: the SMSC asks
        assert len(smsc.binds) == 1


async def test_leaving_unbinds_what_was_asked_for() -> None:
    async with fake_smsc() as smsc:
        async with listening() as (account, _, port):
            peer = await connect(smsc, port)
            ask(peer)
            await until(lambda: "bound" in states(account))
            waits = await connect(smsc, port)
        assert peer.heard(CommandId.UNBIND)
        assert not waits.frames
        await until(lambda: peer.gone and waits.gone)


@pytest.mark.parametrize(
    "fields",
    [
        {**RIGHT, "password": b"guess"},
        {**RIGHT, "password": b""},
        {**RIGHT, "system_id": b"other"},
        {**RIGHT, "system_id": b"\xff\xfe"},
    ],
)
async def test_who_does_not_prove_to_be_the_carrier_never_sees_our_password(fields: dict[str, bytes]) -> None:
    with capture_logs() as logs:
        async with fake_smsc() as smsc, listening() as (account, _, port):
            peer = await connect(smsc, port)
            ask(peer, fields)
            await until(lambda: peer.gone)
            assert (peer.frames, smsc.binds, states(account)) == ([], [], ["closed"])
            await until(lambda: any(line["event"] == "outbind_refused" for line in logs))
    assert [line["reason"] for line in logs if line["event"] == "outbind_refused"] == ["credentials"]
    assert not any(secret in repr(logs) for secret in ("theirs", "secret", "guess"))


async def test_another_address_is_hung_up_on_before_anything_is_read() -> None:
    with capture_logs() as logs:
        async with fake_smsc() as smsc, listening(outbind_from=["192.0.2.0/24"]) as (_, _, port):
            peers = [await connect(smsc, port) for _ in range(3)]
            for peer in peers:
                ask(peer)
            await until(lambda: all(peer.gone for peer in peers))
            assert not smsc.binds
    refused = [line for line in logs if line["event"] == "outbind_refused"]
    assert [(line["reason"], line["source"]) for line in refused] == [
        ("address", "127.0.0.1")
    ]  # one a minute


async def test_who_asks_for_nothing_in_time_is_cut_and_so_is_who_comes_on_top() -> None:
    async with fake_smsc() as smsc, listening(bind_timeout_s=0.3) as (account, _, port):
        waiting = [await connect(smsc, port) for _ in range(SESSIONS_MAX)]
        extra = await connect(smsc, port)
        await until(lambda: extra.gone)
        assert not any(peer.gone for peer in waiting)
        ask(waiting[0])
        await until(lambda: all(peer.gone for peer in waiting[1:]))
        assert not waiting[0].gone
        assert states(account) == ["closed", "bound"]
        assert account.binds()[-1].bind == "outbind-1"
        again = await connect(smsc, port)  # the places are free again
        ask(again)
        await until(lambda: states(account) == ["closed", "bound", "bound"])


async def test_other_pdus_before_the_outbind_are_answered_and_ask_for_nothing() -> None:
    async with fake_smsc() as smsc, listening() as (_, events, port):
        peer = await connect(smsc, port)
        peer.write_enquire_link()
        peer.deliver(b"Bonjour")
        await until(lambda: len(peer.frames) == 2)
        assert [(frame.command_id, frame.status) for frame in peer.frames] == [
            (CommandId.ENQUIRE_LINK_RESP, Status.OK),
            (CommandId.DELIVER_SM_RESP, Status.INVBNDSTS),
        ]
        assert not events.mos
        peer.transport.write(b"GET / HTTP/1.1\r\n\r\n")
        await until(lambda: peer.gone)
        assert not smsc.binds


async def test_an_outbind_said_twice_in_one_write_is_one() -> None:
    async with fake_smsc() as smsc, listening() as (account, _, port):
        peer = await connect(smsc, port)
        peer.transport.write(
            b"".join(encode_pdu(Pdu(CommandId.OUTBIND, 0, number, RIGHT)) for number in (1, 2))
        )
        await until(lambda: states(account) == ["closed", "bound"])
        assert len(smsc.binds) == 1
        assert not peer.gone


@pytest.mark.parametrize(
    "behind", [encode_pdu(Pdu(CommandId.UNBIND, 0, 2, {})), b"\x7f\xff\xff\xff" + bytes(12)]
)
async def test_an_outbind_with_the_end_of_the_session_behind_it_is_an_end(behind: bytes) -> None:
    errors: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
    async with fake_smsc() as smsc, listening() as (account, _, port):
        peer = await connect(smsc, port)
        peer.transport.write(encode_pdu(Pdu(CommandId.OUTBIND, 0, 1, RIGHT)) + behind)
        await until(lambda: peer.gone)
        await until(lambda: states(account) == ["closed"])
        assert not smsc.binds
    assert errors == []


async def test_who_has_not_proved_to_be_the_carrier_wakes_no_text() -> None:
    async with fake_smsc() as smsc, listening() as (_, events, port):
        peer = await connect(smsc, port)
        fields = {"source_addr_ton": 1, "source_addr_npi": 1, "source_addr": b"33612345678"}
        peer.transport.write(encode_pdu(Pdu(CommandId.ALERT_NOTIFICATION, 0, 1, fields)))
        peer.write_enquire_link()
        await until(lambda: peer.heard(CommandId.ENQUIRE_LINK_RESP))
        assert events.reached == []


async def test_a_trace_shows_the_outbind_and_no_password() -> None:
    async with fake_smsc() as smsc, listening() as (account, _, port):
        ask(await connect(smsc, port))
        await until(lambda: "bound" in states(account))
        traced = account.traced("outbind-1")
        assert traced == account.traced()
        shown = pcap_octets(
            [pdu._replace(octets=masked(pdu.octets, texts=False, numbers=False)) for pdu in traced]
        )
        assert b"their-smsc" in shown
        assert not any(secret in shown for secret in (b"theirs", b"secret"))


async def test_the_smsc_asks_by_tls_where_the_profile_wants_it(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    issued = authority.issue(x509.DNSName("localhost"))
    keys = {
        "tls": "verify",
        "insecure_plaintext": False,
        "outbind_cert_file": issued.cert_file,
        "outbind_key_file": issued.key_file,
    }
    async with fake_smsc() as smsc, listening(**keys, bind_timeout_s=0.5) as (account, _, port):
        plain = await connect(smsc, port)
        ask(plain)
        await until(lambda: plain.gone)
        assert states(account) == ["closed"]
        ask(await connect(smsc, port, ssl.create_default_context(cafile=authority.file)))
        await until(lambda: states(account) == ["closed", "bound"])


@pytest.mark.parametrize("missing", [*PROVES, "outbind_cert_file"])
def test_a_port_that_anybody_could_use_is_refused_at_the_start(missing: str) -> None:
    keys = {
        "outbind_port": 2775,
        **PROVES,
        "outbind_cert_file": "a.pem",
        "outbind_key_file": "a.key",
        "tls": "verify",
    }
    del keys[missing]
    with pytest.raises(ConfigError) as raised:
        a_profile(2775, **keys)
    assert raised.value.where == f"carriers.fake.{missing}"


def test_an_address_counts_in_both_its_forms() -> None:
    profile = a_profile(
        2775, outbind_port=0, **{**PROVES, "outbind_from": ["192.0.2.16/28", "2001:db8::/32"]}
    )
    sources = ("192.0.2.17", "::ffff:192.0.2.17", "2001:db8::1", "192.0.2.1", "::1", "fe80::1%eth0")
    assert [profile.may_outbind(source) for source in sources] == [True, True, True, False, False, False]
