"""
What a company may do, and what it may not: every refusal of docs/esmes.md, over a real socket.

An account's own messages are its own alone; what it asks about another's looks as what never was.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from smsgate.esmes.connection import UNBOUND_OCTETS_MAX, WRITE_BUFFER_HIGH
from smsgate.esmes.desk import QUERIES_AT_ONCE_MAX, QUERIES_OF_ACCOUNT_MAX
from smsgate.esmes.door import UNBOUND_MAX, UNBOUND_PER_SOURCE_MAX
from smsgate.protocol.commands import CommandId, Status
from smsgate.protocol.frames import HEADER_SIZE, Frame
from smsgate.protocol.pdus import Pdu, decode_pdu, encode_body, encode_pdu
from smsgate.protocol.receipt_states import ReceiptState
from smsgate.protocol.times import absolute_time
from smsgate.protocol.tlvs import Tag, encode_tlvs
from tests.acceptance.esmes import (
    COMPANY_NUMBER,
    PHONE,
    EsmeTown,
    a_submit,
    an_esme_town,
    bind_octets,
    statuses,
)
from tests.acceptance.town import SENDER, Ground, eventually
from tests.links.test_links_tls import Authority
from tests.simulator.smsc_peers import RawEsme, RawPdu

SUBMIT, ANSWER = CommandId.SUBMIT_SM, CommandId.SUBMIT_SM_RESP
UNROUTED: dict[str, Any] = {"rate_per_s": 1_000}


async def ask(esme: RawEsme, command_id: int, number: int, **fields: Any) -> RawPdu:
    esme.writer.write(encode_pdu(Pdu(command_id, 0, number, fields)))
    while (pdu := await esme.read()).number != number or pdu.command_id != command_id | 0x8000_0000:
        pass
    return pdu


async def bind_status(company: EsmeTown, account: dict[str, Any]) -> int:
    esme = await RawEsme.connect(company.port)
    esme.send(CommandId.BIND_TRANSCEIVER, 1, bind_octets(account))
    answer = await esme.read()
    if answer.status:
        assert await esme.read_until_closed() == b""
    company.stack.callback(esme.writer.close)
    return answer.status


async def test_each_submit_that_is_not_allowed_gets_the_status_that_says_why(ground: Ground) -> None:
    port_header = bytes.fromhex("0605040b8423f0") + b"push"
    sim = b"\x02\x70\x00text"
    async with an_esme_town(ground) as company:
        esme = await company.raw()
        now = company.town.clock.now()
        cases: list[tuple[dict[str, Any], tuple[tuple[int, bytes], ...], int]] = [
            ({}, (), Status.OK),
            ({"source_addr": b""}, (), Status.OK),
            ({"destination_addr": b"+33639980021"}, (), Status.OK),
            ({"destination_addr": b"0033639980021"}, (), Status.OK),
            ({"source_addr": b"36111"}, (), Status.INVSRCADR),
            ({"source_addr": b"Bank"}, (), Status.INVSRCADR),
            ({"destination_addr": b"0612345678"}, (), Status.INVDSTADR),
            ({"destination_addr": b"8816123456789"}, (), Status.INVDSTADR),
            ({"destination_addr": b"99900000712"}, (), Status.INVDSTADR),  # a simulated phone's
            ({"destination_addr": b""}, (), Status.INVDSTADR),
            ({"priority_flag": 4}, (), Status.INVPRTFLG),
            ({"schedule_delivery_time": b"000001000000000R"}, (), Status.INVSCHED),
            ({"validity_period": b"soon"}, (), Status.INVEXPIRY),
            ({"validity_period": absolute_time(now - timedelta(hours=1))}, (), Status.INVEXPIRY),
            ({"validity_period": absolute_time(now + timedelta(hours=1))}, (), Status.OK),
            ({"replace_if_present_flag": 1}, (), Status.INVREPFLAG),
            ({"sm_default_msg_id": 1}, (), Status.INVDFTMSGID),
            ({"esm_class": 0x02}, (), Status.INVESMCLASS),
            ({"esm_class": 0x04}, (), Status.INVESMCLASS),
            ({"esm_class": 0x40, "short_message": b"\x05\x00\x03\x01\x02\x01one"}, (), Status.OK),
            ({"esm_class": 0x40, "short_message": port_header}, (), Status.INVESMCLASS),
            ({"esm_class": 0x40, "short_message": sim}, (), Status.INVESMCLASS),
            ({"esm_class": 0x40, "short_message": b"\x09\x00"}, (), Status.INVESMCLASS),
            ({"data_coding": 4}, (), 0x104),
            ({"data_coding": 0xF6}, (), 0x104),
            ({"protocol_id": 0x40}, (), Status.SUBMITFAIL),
            ({}, ((Tag.DESTINATION_PORT, b"\x0b\x84"),), Status.OPTPARNOTALLWD),
            ({}, ((Tag.MESSAGE_PAYLOAD, b"twice"),), Status.INVMSGLEN),
            ({"short_message": b""}, ((Tag.MESSAGE_PAYLOAD, b"x" * 40_000),), Status.INVMSGLEN),
        ]
        submits = [a_submit(n, tlvs, **changes) for n, (changes, tlvs, _) in enumerate(cases, start=1)]
        assert await statuses(esme, *submits) == [status for _, _, status in cases]
        multi = await ask(esme, CommandId.SUBMIT_MULTI, 99)
        assert multi.status == Status.INVCMDID
        log = company.town.simulator.smsc.log
        await eventually(lambda: log.submits == sum(not status for _, _, status in cases))


async def test_rate_queue_and_day_bound_an_account_and_no_other(ground: Ground) -> None:
    async with an_esme_town(ground, carrier={"rate_per_s": 1}, account=UNROUTED) as company:
        slow = await company.another_account("slow", rate_per_s=3)
        short = await company.another_account("short", queue_max=4, **UNROUTED)
        poor = await company.another_account("poor", daily_max=5, **UNROUTED)
        esme = await company.raw(slow)
        found = await statuses(esme, *(a_submit(n) for n in range(1, 8)))
        assert found == [0, 0, 0, *[Status.THROTTLED] * 4]
        esme = await company.raw(short)
        found = await statuses(esme, *(a_submit(n) for n in range(1, 8)))
        assert found == [0, 0, 0, 0, *[Status.MSGQFUL] * 3]
        esme = await company.raw(poor)
        payload = ((Tag.MESSAGE_PAYLOAD, b"x" * 161),)  # two segments
        assert await statuses(esme, a_submit(1, payload, short_message=b""), a_submit(2)) == [0, 0]
        assert await statuses(esme, *(a_submit(n) for n in range(3, 7))) == [0, 0, 0x401, 0x401]
        other = await company.raw()
        assert await statuses(other, a_submit(1)) == [0]
        # And after a restart the day is not forgotten.
        assert await company.count("esme_day", "segments = 5") == 1


async def test_while_the_disk_is_full_submits_are_told_to_come_again_and_then_they_are_taken(
    ground: Ground,
) -> None:
    async with an_esme_town(ground) as company:
        esme, process = await company.raw(), company.town.process
        process._on_disk(True)
        assert await statuses(esme, a_submit(1), a_submit(2)) == [Status.MSGQFUL] * 2
        grown = await ask(esme, CommandId.REPLACE_SM, 9, message_id=b"1", short_message=b"x" * 160)
        assert grown.status == Status.MSGQFUL
        assert await company.count("esme_message") == 0
        assert company.side.intake.refused == {Status.MSGQFUL: 2}
        process._on_disk(False)
        assert await statuses(esme, a_submit(3), a_submit(4)) == [Status.OK] * 2  # on the same session
        await eventually(lambda: company.town.simulator.smsc.log.accepted == 2)


async def test_bind_refusals_take_the_same_time_and_guessing_is_slowed_down(ground: Ground) -> None:
    async with an_esme_town(ground) as company:
        account = company.account
        loop = asyncio.get_running_loop()
        wrong = {**account, "password": "wrong"}
        started = loop.time()
        assert await bind_status(company, wrong) == Status.INVPASWD
        assert await bind_status(company, {**account, "system_id": "nobody"}) == Status.INVPASWD
        assert 2.0 <= loop.time() - started < 4.0
        assert await bind_status(company, account) == 0
        found = await asyncio.gather(*(bind_status(company, wrong) for _ in range(8)))
        assert set(found) == {Status.INVPASWD}
        # Now even the right password is not looked at, from this address.
        assert await bind_status(company, account) == Status.INVPASWD
        company.town.clock.skip(61)
        assert await bind_status(company, account) == 0


async def test_sessions_are_counted_and_a_disabled_account_is_put_out(ground: Ground) -> None:
    async with an_esme_town(ground, account={"binds_max": 2}) as company:
        first, _second = await company.raw(), await company.raw()
        assert await bind_status(company, company.account) == Status.ALYBND
        shown = (await company.town.operator.get("/v1/esme_sessions"))["data"]
        assert [(each["system_id"], each["bind"]) for each in shown] == [("company", "trx")] * 2
        first.send(CommandId.UNBIND, 9)
        assert (await first.read()).command_id == CommandId.UNBIND_RESP
        assert await first.read_until_closed() == b""
        third = await company.raw()
        path = f"/v1/esmes/{company.account['id']}"
        await company.town.operator.ask("PATCH", path, {"state": "disabled"})
        assert (await third.read()).command_id == CommandId.UNBIND
        assert await bind_status(company, company.account) == Status.BINDFAIL
        await company.town.operator.ask("PATCH", path, {"state": "active"})
        assert await bind_status(company, company.account) == 0


async def test_answers_to_a_number_that_other_merchants_use_are_given_to_no_account(ground: Ground) -> None:
    """Whoever got it would read what other merchants' customers say, STOP and orders with it."""
    async with an_esme_town(ground) as company:
        _, other = await company.town.another_merchant("sweets")
        refused: list[tuple[str | None, str]] = [
            (None, SENDER),  # everybody's
            (other, COMPANY_NUMBER),  # another merchant's
            (None, "36999"),  # nobody's
        ]
        found = []
        for merchant, number in refused:
            path = f"/v1/merchants/{merchant or company.town.merchant_id}/esmes"
            body = {"system_id": "reader", "senders": [SENDER], "numbers": [number]}
            answer = await company.town.operator.ask("POST", path, body)
            (error,) = answer.body["errors"]
            found.append((answer.code, error["pointer"], error["detail"]))
        own = "is not this merchant's alone: its entry must say merchants ="
        more = "before an account gets its answers."
        assert found == [
            ("number_not_own", "/numbers", f"'{SENDER}' {own} [\"boxman\"] {more}"),
            ("number_not_own", "/numbers", f"'{COMPANY_NUMBER}' {own} [\"sweets\"] {more}"),
            ("sender_unknown", "/numbers", "'36999' is no sender number that receives."),
        ]
        assert await company.count("esme_number") == 1


async def test_messages_are_asked_about_cancelled_and_replaced_by_their_account_alone(
    ground: Ground,
) -> None:
    async with an_esme_town(ground, carrier={"rate_per_s": 1}, account=UNROUTED) as company:
        stranger = await company.raw(await company.another_account("stranger"))
        esme = await company.raw()
        esme.writer.write(b"".join(a_submit(n, short_message=b"old %d" % n) for n in range(1, 31)))
        ids: dict[int, bytes] = {}
        while len(ids) < 30:
            pdu = await esme.read()
            if pdu.command_id == ANSWER:
                ids[pdu.number] = pdu.body.rstrip(b"\0")
        last, other = ids[30], ids[29]

        async def state_of(message_id: bytes, by: RawEsme = esme) -> tuple[int, int]:
            answer = await ask(by, CommandId.QUERY_SM, 100, message_id=message_id)
            fields = decode_pdu(Frame(answer.command_id, 100, answer.status, answer.body)).fields
            return answer.status, fields.get("message_state", 0)

        assert await state_of(last) == (0, ReceiptState.ENROUTE)
        for message_id in (last, b"0000000000000000000000", b"7"):
            assert await state_of(message_id, stranger) == (Status.INVMSGID, 0)
        assert (await ask(stranger, CommandId.CANCEL_SM, 101, message_id=last)).status == Status.INVMSGID
        foreign = await ask(stranger, CommandId.REPLACE_SM, 101, message_id=last, short_message=b"new")
        assert foreign.status == Status.INVMSGID
        replaced = await ask(esme, CommandId.REPLACE_SM, 102, message_id=other, short_message=b"new text")
        assert replaced.status == 0
        assert (await company.town.merchant.get(f"/v1/messages/msg_{other.decode()}"))["text"] == "new text"
        cancelled = await ask(
            esme, CommandId.CANCEL_SM, 103, message_id=last, source_addr=COMPANY_NUMBER.encode()
        )
        assert cancelled.status == 0
        assert await state_of(last) == (0, ReceiptState.DELETED)
        again = await ask(esme, CommandId.CANCEL_SM, 104, message_id=last)
        assert again.status == Status.CANCELFAIL
        late = await ask(esme, CommandId.REPLACE_SM, 105, message_id=last, short_message=b"new")
        assert late.status == Status.REPLACEFAIL
        everything = await ask(
            esme,
            CommandId.CANCEL_SM,
            106,
            source_addr=COMPANY_NUMBER.encode(),
            destination_addr=str(PHONE).encode(),
        )
        assert everything.status == 0
        assert await state_of(other) == (0, ReceiptState.DELETED)


async def test_questions_of_one_account_that_wait_throttle_it_alone_until_all_together_are_too_many(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smsgate.esmes.desk.QUERIES_WAITING_MAX", QUERIES_OF_ACCOUNT_MAX + 1)
    over = 100
    async with an_esme_town(ground) as company:
        curious, other = await company.raw(), await company.raw(await company.another_account("other"))
        busy = company.side.desk._asking
        for _ in range(QUERIES_AT_ONCE_MAX):
            await busy.acquire()  # as while the database is slow
        asked = encode_pdu(Pdu(CommandId.QUERY_SM, 0, 7, {"message_id": b"7"}))
        curious.writer.write(asked * (QUERIES_OF_ACCOUNT_MAX + over))
        assert {(await curious.read()).status for _ in range(over)} == {Status.THROTTLED}
        for number in (1, 2):
            other.writer.write(encode_pdu(Pdu(CommandId.CANCEL_SM, 0, number, {"message_id": b"7"})))
        second = await other.read()
        assert (second.number, second.status) == (2, Status.THROTTLED)
        for _ in range(QUERIES_AT_ONCE_MAX):
            busy.release()
        first = await other.read()
        assert (first.number, first.status) == (1, Status.INVMSGID)
        assert {(await curious.read()).status for _ in range(QUERIES_OF_ACCOUNT_MAX)} == {Status.INVMSGID}


async def test_a_replaced_text_costs_the_rate_as_a_submit_and_the_day_what_it_is_longer(
    ground: Ground,
) -> None:
    account = {"rate_per_s": 1, "daily_max": 7}
    long = b"x" * 161  # two segments
    payload = ((Tag.MESSAGE_PAYLOAD, b"x" * 612),)  # four
    async with an_esme_town(ground, account=account) as company:
        company.wire.cut()
        company.town.simulator.smsc.drop_connections()
        await eventually(lambda: not company.town.bound())
        esme = await company.raw()

        async def submitted(number: int, **parts: Any) -> bytes:
            company.town.clock.skip(5)  # the rate has its two segments again
            esme.writer.write(a_submit(number, **parts))
            answer = await esme.read()
            assert (answer.command_id, answer.status) == (ANSWER, 0)
            return answer.body.rstrip(b"\0")

        async def replaced(message_id: bytes, text: bytes, after_s: float = 5, **more: Any) -> int:
            company.town.clock.skip(after_s)
            fields = {"message_id": message_id, "short_message": text, **more}
            return (await ask(esme, CommandId.REPLACE_SM, 9, **fields)).status

        first = await submitted(1, short_message=b"", tlvs=payload)
        assert await replaced(first, b"new", after_s=0) == Status.THROTTLED
        assert await replaced(first, b"new", validity_period=b"soon") == Status.INVEXPIRY
        assert await replaced(first, b"new") == Status.OK  # shorter: the day keeps its four
        assert await replaced(first, long) == Status.OK  # one more: five
        second = await submitted(2)
        assert await replaced(second, long) == Status.OK  # seven
        assert await statuses(esme, a_submit(3)) == [0x401]
        assert await replaced(second, b"short") == Status.OK
        assert await replaced(second, long) == 0x401
        assert await company.count("esme_day", "segments = 7") == 1


async def test_who_does_not_read_is_not_answered_into_memory_and_another_is_served(ground: Ground) -> None:
    async with an_esme_town(ground) as company:
        deaf_socket = socket.socket()
        deaf_socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        deaf_socket.setblocking(False)
        await asyncio.get_running_loop().sock_connect(deaf_socket, ("127.0.0.1", company.port))
        reader, writer = await asyncio.open_connection(sock=deaf_socket, limit=1_024)
        company.stack.callback(writer.close)
        writer.write(Frame(CommandId.BIND_TRANSCEIVER, 1, 0, bind_octets(company.account)).encode())
        await eventually(company.side.desk.binds)
        (bind,) = company.side.desk.binds()
        writer.write(Frame(CommandId.ENQUIRE_LINK, 2).encode() * 100_000)  # nobody reads the answers
        await eventually(lambda: bind.connection.waiting_octets() >= WRITE_BUFFER_HIGH)
        quick = await company.raw()
        assert await statuses(quick, a_submit(1)) == [0]
        assert bind.connection.waiting_octets() < 4 * WRITE_BUFFER_HIGH
        assert not reader.at_eof()


async def test_a_stranger_who_sends_on_without_binding_is_cut_and_a_bound_one_is_not(ground: Ground) -> None:
    flood = Frame(CommandId.ENQUIRE_LINK, 2).encode() * (UNBOUND_OCTETS_MAX // HEADER_SIZE)
    async with an_esme_town(ground) as company:
        stranger = await RawEsme.connect(company.port)
        stranger.writer.write(flood)
        for _ in range(UNBOUND_OCTETS_MAX // HEADER_SIZE):
            assert (await stranger.read()).status == 0
        stranger.writer.write(flood)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await stranger.read()
        stranger.writer.close()
        bound = await company.raw()
        bound.writer.write(flood * 3)
        for _ in range(3 * UNBOUND_OCTETS_MAX // HEADER_SIZE):
            assert (await bound.read()).status == 0
        assert await statuses(bound, a_submit(9)) == [0]


@pytest.mark.parametrize("kind", ["plain", "tls"])
async def test_who_never_binds_keeps_nobody_out_be_it_in_the_middle_of_tls(
    ground: Ground, tmp_path: Path, kind: str
) -> None:
    ours = Authority(tmp_path)
    server = ours.issue(x509.IPAddress(ip_address("127.0.0.1")))
    esmes = {"tls_port": 0, "cert_file": server.cert_file, "key_file": server.key_file}
    context = ssl.create_default_context(cafile=ours.file) if kind == "tls" else None
    async with an_esme_town(ground, esmes=esmes) as company:
        listener = company.side.listener
        port = listener.plain_port if context is None else listener.tls_port
        desk = company.side.desk

        async def silent(source: str) -> asyncio.StreamReader:
            """Connect and say nothing: over TLS not even a ClientHello."""
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
            company.stack.callback(writer.close)
            return reader

        first = [await silent("127.0.1.1") for _ in range(UNBOUND_PER_SOURCE_MAX)]
        assert await (await silent("127.0.1.1")).read() == b""  # one more of this address is cut at once
        for source in range(2, 2 + UNBOUND_MAX // UNBOUND_PER_SOURCE_MAX):
            for _ in range(UNBOUND_PER_SOURCE_MAX):
                await silent(f"127.0.1.{source}")
        await eventually(lambda: len(desk._door) == UNBOUND_MAX)
        assert await first[0].read() == b""  # the oldest gave its place away
        streams = await asyncio.open_connection(
            "127.0.0.1",
            port,
            local_addr=("127.0.77.1", 0),
            ssl=context,
            server_hostname=None if context is None else "127.0.0.1",
        )
        company.stack.callback(streams[1].close)
        esme = RawEsme(*streams)
        esme.send(CommandId.BIND_TRANSCEIVER, 1, bind_octets(company.account))
        assert (await esme.read()).status == 0
        # A bind frees its place.
        await eventually(lambda: len(desk._door) == UNBOUND_MAX - 1)


def a_data_sm(number: int, text: bytes) -> bytes:
    fields = {"source_addr": COMPANY_NUMBER.encode(), "destination_addr": str(PHONE).encode()}
    body = encode_body(CommandId.DATA_SM, fields) + encode_tlvs(((Tag.MESSAGE_PAYLOAD, text),))
    return Frame(CommandId.DATA_SM, number, 0, body).encode()


async def test_a_data_sm_is_a_submit_too(ground: Ground) -> None:
    async with an_esme_town(ground) as company:
        esme = await company.raw()
        esme.writer.write(a_data_sm(5, b"par data-sm"))
        answer = await esme.read()
        assert (answer.command_id, answer.status, answer.number) == (CommandId.DATA_SM_RESP, 0, 5)
        assert answer.body[:-1].isalnum()
        assert len(answer.body) == 23
        await eventually(lambda: company.town.texts(PHONE) == ["par data-sm"])


async def test_a_text_may_be_replaced_by_one_in_message_payload(ground: Ground) -> None:
    async with an_esme_town(ground) as company:
        company.wire.cut()
        company.town.simulator.smsc.drop_connections()
        await eventually(lambda: not company.town.bound())
        esme = await company.raw()
        esme.writer.write(a_submit(1, short_message=b"old text"))
        message_id = (await esme.read()).body.rstrip(b"\0")
        payload = ((Tag.MESSAGE_PAYLOAD, b"new text"),)
        fields = {"message_id": message_id, "short_message": b""}
        esme.writer.write(encode_pdu(Pdu(CommandId.REPLACE_SM, 0, 2, fields, payload)))
        assert (await esme.read()).status == Status.OK
        read = await company.town.merchant.get(f"/v1/messages/msg_{message_id.decode()}")
        assert read["text"] == "new text"


async def test_replacements_that_come_in_one_write_are_carried_out_in_their_order(ground: Ground) -> None:
    async with an_esme_town(ground) as company:
        company.wire.cut()
        company.town.simulator.smsc.drop_connections()
        await eventually(lambda: not company.town.bound())
        esme = await company.raw()
        esme.writer.write(b"".join(a_submit(number) for number in range(1, 11)))
        ids = [(await esme.read()).body.rstrip(b"\0") for _ in range(10)]
        asked = [(each, text) for each in ids for text in (b"v1", b"v2", b"v3")]
        changes = [
            encode_pdu(Pdu(CommandId.REPLACE_SM, 0, 100 + place, {"message_id": each, "short_message": text}))
            for place, (each, text) in enumerate(asked)
        ]
        esme.writer.write(b"".join(changes))
        answers = [await esme.read() for _ in changes]
        assert [(answer.number, answer.status) for answer in answers] == [(100 + n, 0) for n in range(30)]
        path = "/v1/messages/msg_"
        texts = [(await company.town.merchant.get(path + each.decode()))["text"] for each in ids]
        assert texts == ["v3"] * len(ids)
