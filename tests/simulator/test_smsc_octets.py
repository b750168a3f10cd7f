"""The SMSC against octets written by hand: order, limits, rate, broken peers."""

from __future__ import annotations

import asyncio

import pytest

from smsgate.simulator.serve import SimulatorSettings
from smsgate.simulator.smsc_settings import SmscAccount, SmscSettings
from tests.simulator.smsc_peers import RawEsme, bind_body, eventually, raw, running, submit_body

SUBMIT, SUBMIT_RESP, DELIVER, DELIVER_RESP = 0x04, 0x8000_0004, 0x05, 0x8000_0005
UNBIND, UNBIND_RESP, ENQUIRE, ENQUIRE_RESP = 0x06, 0x8000_0006, 0x15, 0x8000_0015
NACK = 0x8000_0000


async def test_above_the_rate_submits_are_throttled_and_below_it_they_are_not() -> None:
    settings = SmscSettings((SmscAccount("smsgate", "secret", rate_per_s=20),), receipts=False)
    async with running(SimulatorSettings(smsc=settings)) as simulator:
        esme = await RawEsme.bind(simulator.smpp_port)
        esme.writer.write(b"".join(raw(SUBMIT, n, submit_body(b"33639980001", b"x")) for n in range(2, 102)))
        statuses = [(await esme.read()).status for _ in range(100)]
        assert set(statuses) == {0, 0x58}
        assert statuses[:20] == [0] * 20
        accepted = statuses.count(0)
        assert accepted < 60  # one second's worth at once, and what a slow machine adds
        assert simulator.smsc.log.accepted == accepted
        assert simulator.smsc.log.throttled == 100 - accepted
        await esme.close()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (submit_body(b"33639980001", b"x" * 161), 0x01),
        (submit_body(b"33639980001", b"x" * 141, coding=8), 0x01),
        (submit_body(b"33639980001", b"x" * 160), 0),
        (submit_body(b"0612345678", b"x"), 0x0B),
        (submit_body(b"", b"x"), 0x0B),
        (submit_body(b"33639980001", b"hello")[:-1], 0x01),
        (submit_body(b"33639980001", b"")[:9], 0x02),
        (b"", 0x02),
        (submit_body(b"33639980001", b"") + b"\x04\x24\x00\x03abc", 0),
    ],
)
async def test_a_submit_is_judged_by_its_form(body: bytes, status: int) -> None:
    async with running() as simulator:
        esme = await RawEsme.bind(simulator.smpp_port)
        esme.send(SUBMIT, 2, body)
        answer = await esme.read()
        assert (answer.command_id, answer.status, answer.number) == (SUBMIT_RESP, status, 2)
        assert bool(answer.body) == (status == 0)
        await esme.close()


async def test_a_stream_cut_into_single_octets_gives_the_same_answers() -> None:
    async with running(SimulatorSettings(smsc=SmscSettings(receipts=False))) as simulator:
        esme = await RawEsme.connect(simulator.smpp_port)
        stream = (
            raw(9, 1, bind_body()) + raw(SUBMIT, 2, submit_body(b"33639980001", b"hello")) + raw(ENQUIRE, 3)
        )
        for octet in stream:
            esme.writer.write(bytes((octet,)))
            await esme.writer.drain()
        answers = [await esme.read() for _ in range(3)]
        assert [a.command_id for a in answers] == [0x8000_0009, SUBMIT_RESP, ENQUIRE_RESP]
        assert [a.number for a in answers] == [1, 2, 3]
        await esme.close()


async def test_what_the_state_forbids_is_refused() -> None:
    async with running() as simulator:
        esme = await RawEsme.connect(simulator.smpp_port)
        esme.send(SUBMIT, 1, submit_body(b"33639980001", b"x"))
        assert (await esme.read())[:3] == (SUBMIT_RESP, 0x04, 1)
        esme.send(1, 2, bind_body())
        assert (await esme.read()).status == 0
        esme.send(SUBMIT, 3, submit_body(b"33639980001", b"x"))  # a receiver
        assert (await esme.read())[:3] == (SUBMIT_RESP, 0x04, 3)
        esme.send(9, 4, bind_body())
        assert (await esme.read())[:3] == (0x8000_0009, 0x05, 4)
        esme.send(0x0DEF, 5)
        assert (await esme.read())[:3] == (NACK, 0x03, 5)
        assert simulator.smsc.log.submits == 0
        await esme.close()


async def test_an_unknown_response_gets_no_answer_and_the_session_lives() -> None:
    async with running() as simulator:
        esme = await RawEsme.bind(simulator.smpp_port)
        esme.send(0x8000_0DEF, 0xFFFF_FFFF)
        esme.send(ENQUIRE, 0xFFFF_FFFF)
        assert (await esme.read())[:3] == (ENQUIRE_RESP, 0, 0xFFFF_FFFF)
        await esme.close()


async def test_more_binds_than_the_account_may_have_are_refused() -> None:
    settings = SmscSettings((SmscAccount("smsgate", "secret", binds_max=1),))
    async with running(SimulatorSettings(smsc=settings)) as simulator:
        first = await RawEsme.bind(simulator.smpp_port)
        second = await RawEsme.connect(simulator.smpp_port)
        second.send(9, 1, bind_body())
        assert (await second.read()).status == 0x0D
        assert await second.read_until_closed() == b""
        await first.close()
        await second.close()


async def test_another_protocol_is_told_and_dropped() -> None:
    async with running() as simulator:
        esme = await RawEsme.bind(simulator.smpp_port)
        esme.writer.write(raw(ENQUIRE, 2) + b"GET / HTTP/1.1\r\n\r\n")
        assert (await esme.read())[:3] == (ENQUIRE_RESP, 0, 2)
        assert (await esme.read())[:2] == (NACK, 0x02)
        assert await esme.read_until_closed() == b""
        await esme.close()


async def test_answers_wait_for_the_latency_and_leave_before_unbind_resp() -> None:
    settings = SmscSettings(response_latency_s=0.2, receipts=False)
    async with running(SimulatorSettings(smsc=settings)) as simulator:
        esme = await RawEsme.bind(simulator.smpp_port)
        loop = asyncio.get_running_loop()
        started_at = loop.time()
        esme.writer.write(raw(SUBMIT, 2, submit_body(b"33639980001", b"x")) + raw(UNBIND, 3))
        assert (await esme.read()).command_id == SUBMIT_RESP
        assert loop.time() - started_at >= 0.2
        assert (await esme.read())[:3] == (UNBIND_RESP, 0, 3)
        assert await esme.read_until_closed() == b""
        await esme.close()


async def test_receipts_come_after_their_delay() -> None:
    settings = SmscSettings(receipt_delay_s=(0.2, 0.3))
    async with running(SimulatorSettings(smsc=settings)) as simulator:
        esme = await RawEsme.bind(simulator.smpp_port)
        loop = asyncio.get_running_loop()
        started_at = loop.time()
        esme.send(SUBMIT, 2, submit_body(b"33639980001", b"x"))
        assert (await esme.read()).command_id == SUBMIT_RESP
        assert (await esme.read()).command_id == DELIVER
        assert loop.time() - started_at >= 0.2
        await esme.close()


async def test_a_stopping_smsc_unbinds_and_waits_for_the_answer() -> None:
    async with running() as simulator:
        esme = await RawEsme.bind(simulator.smpp_port)
        stopping = asyncio.create_task(simulator.stop(10.0))
        request = await esme.read()
        assert request.command_id == UNBIND
        esme.send(SUBMIT, 2, submit_body(b"33639980001", b"x"))
        assert (await esme.read()).status == 0
        esme.send(UNBIND_RESP, request.number)
        assert await esme.read_until_closed() == b""
        await asyncio.wait_for(stopping, 5.0)
        await esme.close()


async def test_never_more_deliver_sm_wait_for_answers_than_the_window_holds() -> None:
    settings = SmscSettings(deliver_window=3)
    async with running(SimulatorSettings(smsc=settings)) as simulator:
        esme = await RawEsme.bind(simulator.smpp_port)
        esme.writer.write(b"".join(raw(SUBMIT, n, submit_body(b"33639980001", b"x")) for n in range(2, 12)))
        first = [pdu for pdu in [await esme.read() for _ in range(13)] if pdu.command_id == DELIVER]
        assert len(first) == 3
        account = simulator.smsc._accounts[b"smsgate"]
        assert account.waiting == 7
        esme.send(DELIVER_RESP, first[0].number, b"\0")
        assert (await esme.read()).command_id == DELIVER
        assert account.waiting == 6
        await esme.close()


async def test_an_esme_that_answers_no_deliver_sm_is_cut_off() -> None:
    settings = SmscSettings(deliver_timeout_s=0.1)
    async with running(SimulatorSettings(smsc=settings)) as simulator:
        esme = await RawEsme.bind(simulator.smpp_port)
        esme.send(SUBMIT, 2, submit_body(b"33639980001", b"x"))
        await eventually(lambda: simulator.smsc.connections == 0)
        assert simulator.smsc._accounts[b"smsgate"].waiting == 1
        esme.writer.close()


async def test_thousands_of_messages_are_answered_and_counted_exactly() -> None:
    total = 5_000
    async with running() as simulator:
        esme = await RawEsme.bind(simulator.smpp_port)
        for n in range(total):
            esme.send(SUBMIT, n + 2, submit_body(b"336399%05d" % (n % 2_500), b"x"))
        ids, receipts = set(), 0
        for _ in range(2 * total):
            pdu = await esme.read()
            if pdu.command_id == SUBMIT_RESP:
                ids.add(pdu.body)
            else:
                receipts += 1
                esme.send(DELIVER_RESP, pdu.number, b"\0")
        assert (len(ids), receipts) == (total, total)
        log = simulator.smsc.log
        await eventually(lambda: log.receipts_acknowledged == total)
        assert len(log.by_destination) == 2_500
        assert set(log.by_destination.values()) == {2}
        await esme.close()
