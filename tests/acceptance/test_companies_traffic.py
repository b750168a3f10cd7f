"""
What a company sends comes out as it went in, and what is meant for it waits for it.

Binary messages, WAP Push and parts of long texts keep their octets; receipts and answers survive a lost
connection, a deaf session and a restart; STOP is heard whoever takes the number's messages.
"""

from __future__ import annotations

import asyncio
import gc
import re
from typing import Any

import pytest
from aiosmpplib import ESME, NPI, TON, AbstractHook, DeliverSm, PhoneNumber, SubmitSm, SubmitSmResp

from smsgate.flows.esme_records import EsmeDelivery
from smsgate.flows.records import Lane
from smsgate.protocol.commands import CommandId, Status
from smsgate.protocol.frames import Frame
from smsgate.protocol.pdus import Pdu, decode_pdu, encode_body
from smsgate.protocol.tlvs import Tag
from tests.acceptance.esmes import COMPANY_NUMBER, PHONE, a_submit, an_esme_town, bind_octets, statuses
from tests.acceptance.town import SELL_MICROS, Ground, eventually
from tests.simulator.smsc_peers import RawEsme

WAP_PUSH = bytes.fromhex("0605040b8423f0" + "01060603ae81ea8dca" + "02056a0045c60c03") + b"bxm.fr\0"
TEXT = b"Rendez-vous demain 9 h"


async def the_receipt(esme: RawEsme) -> Pdu:
    """Take the next deliver_sm without answering it."""
    while (pdu := await esme.read()).command_id != CommandId.DELIVER_SM:
        pass
    return decode_pdu(Frame(pdu.command_id, pdu.number, pdu.status, pdu.body))


def answer(esme: RawEsme, pdu: Pdu, status: int = 0) -> None:
    esme.send(CommandId.DELIVER_SM_RESP, pdu.sequence_number, b"\0", status)


async def test_wap_push_binary_and_parts_pass_octet_by_octet(ground: Ground) -> None:
    long_text = "Été à la plage ".encode("utf-16-be") * 10
    tlvs = ((Tag.USER_MESSAGE_REFERENCE, b"\x12\x34"), (Tag.SOURCE_PORT, b"\x23\xf0"), (0x1400, b"ours"))
    cases: list[tuple[dict[str, Any], Any]] = [
        ({"esm_class": 0x40, "data_coding": 4, "short_message": WAP_PUSH}, ()),
        ({"data_coding": 0xF5, "short_message": bytes(range(256))[1:141]}, ()),
        ({"esm_class": 0x40, "short_message": b"\x05\x00\x03\x2a\x02\x01" + b"a" * 153}, ()),
        ({"esm_class": 0x40, "short_message": b"\x06\x08\x04\x00\x2a\x02\x02" + b"end"}, ()),
        ({"data_coding": 8, "short_message": b""}, ((Tag.MESSAGE_PAYLOAD, long_text),)),
        ({"priority_flag": 2, "protocol_id": 0x20}, tlvs),
    ]
    async with an_esme_town(ground, account={"allow_binary": True}) as company:
        esme = await company.raw()
        submits = [a_submit(n, tlvs, **fields) for n, (fields, tlvs) in enumerate(cases, start=1)]
        assert await statuses(esme, *submits) == [0] * len(cases)
        await eventually(lambda: len(company.written()) == len(cases))
        for (fields, tlvs), octets, written in zip(cases, submits, company.written(), strict=True):
            given = decode_pdu(Frame(CommandId.SUBMIT_SM, 0, 0, octets[16:]))
            for name in ("esm_class", "protocol_id", "priority_flag", "data_coding", "short_message"):
                assert written.fields[name] == given.fields[name], (fields, name)
            assert written.tlvs == tuple(tlv for tlv in tlvs if tlv[0] != 0x1400)
            assert written.fields["source_addr"] == COMPANY_NUMBER.encode()
            assert written.fields["registered_delivery"] == 1
        # The UCS-2 text of 300 octets makes three segments of the price; the others one each.
        await eventually(lambda: company.town.simulator.smsc.log.submits == len(cases))

        async def booked() -> bool:
            return await company.ledger() == [("mt", 6, 8, 8 * SELL_MICROS)]

        await eventually(booked)
        shown = await company.town.merchant.all("/v1/messages")
        assert sorted(message["segments"] for message in shown) == [1, 1, 1, 1, 1, 3]


async def test_a_message_of_several_segments_takes_as_much_of_the_carriers_rate(ground: Ground) -> None:
    async with an_esme_town(ground, carrier={"rate_per_s": 2}) as company:
        esme = await company.raw()
        payload = ((Tag.MESSAGE_PAYLOAD, b"x" * 612),)  # four segments of 153
        assert await statuses(esme, a_submit(1, payload, short_message=b"")) == [0]
        await eventually(company.written)
        gateway = company.town.process.gateway
        assert gateway is not None
        (carrier,) = gateway.switchboard
        at = carrier.room_at(Lane.INTERACTIVE)
        assert at is not None
        assert at - company.town.clock.monotonic() > 0.5  # a message of one would leave room at once


async def test_registered_delivery_says_which_receipts_come(ground: Ground) -> None:
    async with an_esme_town(ground) as company:
        esme = await company.raw()
        submits = [
            a_submit(n, short_message=b"%d" % n, registered_delivery=wanted)
            for n, wanted in enumerate((0, 1, 2, 3), start=1)
        ]
        assert await statuses(esme, *submits) == [0] * 4
        texts = []
        for _ in range(2):
            pdu = await the_receipt(esme)
            answer(esme, pdu)
            texts.append(pdu.fields["short_message"][-1:])
        assert sorted(texts) == [b"2", b"4"]
        await eventually(company.nothing_waits)
        assert company.side.relay.delivered == 2


async def test_a_receipt_waits_for_its_esme_and_comes_until_it_is_taken(ground: Ground) -> None:
    async with an_esme_town(ground) as company:
        esme = await company.raw(command_id=CommandId.BIND_TRANSMITTER)
        assert await statuses(esme, a_submit(1)) == [0]

        async def waits() -> bool:
            return await company.count("esme_delivery") == 1

        await eventually(waits)
        first = await company.raw(command_id=CommandId.BIND_RECEIVER)
        receipt = await the_receipt(first)
        assert dict(receipt.tlvs)[Tag.MESSAGE_STATE] == b"\x02"
        first.writer.close()  # without an answer: another session gets it at once
        second = await company.raw(command_id=CommandId.BIND_RECEIVER)
        again = await the_receipt(second)
        assert again.fields["short_message"] == receipt.fields["short_message"]
        answer(second, again, Status.MSGQFUL)
        await eventually(lambda: company.side.relay.refused == 1 and company.side.relay.settled())
        assert await waits()
        company.town.clock.skip(5)
        last = await the_receipt(second)
        answer(second, last)
        await eventually(company.nothing_waits)
        assert company.side.relay.delivered == 1


async def test_what_is_due_goes_to_the_sessions_that_have_room_as_much_as_they_have_together(
    ground: Ground,
) -> None:
    """A transmitter, or a session whose window is full, had its part, which went back to the queue."""
    async with an_esme_town(ground, account={"window_max": 10}) as company:
        await company.raw(command_id=CommandId.BIND_TRANSMITTER)
        await company.raw(command_id=CommandId.BIND_RECEIVER)
        (account,) = company.side.desk._by_account
        now = company.town.clock.now()
        mo = encode_body(CommandId.DELIVER_SM, {"short_message": b"OK"})

        def delivered(count: int) -> int:
            due = [EsmeDelivery(1, n, account, None, 0, b"", mo, now, 0) for n in range(count)]
            return company.side.desk.deliver(account, due)

        assert delivered(6) == 6
        await company.raw(command_id=CommandId.BIND_RECEIVER)
        assert delivered(1) == 1
        in_flight = sorted(bind.connection.session.in_flight() for bind in company.side.desk.binds())
        assert in_flight == [0, 1, 6]  # of two, the one with more room
        assert delivered(13) == 13
        assert delivered(1) == 0


async def test_an_esme_of_smpp_33_gets_no_optional_parameter(ground: Ground) -> None:
    async with an_esme_town(ground) as company:
        esme = await RawEsme.connect(company.port)
        company.stack.callback(esme.writer.close)
        esme.send(CommandId.BIND_TRANSCEIVER, 1, bind_octets(company.account, version=0x33))
        assert (await esme.read()).body == b"smsgate\0"
        assert await statuses(esme, a_submit(2)) == [0]
        receipt = await the_receipt(esme)
        assert receipt.tlvs == ()
        assert b" stat:DELIVRD " in receipt.fields["short_message"]
        answer(esme, receipt)


async def test_a_long_answer_comes_part_by_part_or_joined_as_the_account_has_it(ground: Ground) -> None:
    text = "Je ne peux pas venir demain, mais vendredi me va très bien. " * 4
    async with an_esme_town(ground) as company:
        esme = await company.raw()
        await company.town.answer(PHONE, text, COMPANY_NUMBER)
        parts = []
        for _ in range(2):
            pdu = await the_receipt(esme)
            answer(esme, pdu)
            parts.append(pdu)
        assert [pdu.fields["esm_class"] for pdu in parts] == [0x40, 0x40]
        assert [pdu.fields["short_message"][:3] for pdu in parts] == [b"\x05\x00\x03"] * 2
        assert [pdu.fields["short_message"][4:6] for pdu in parts] == [b"\x02\x01", b"\x02\x02"]
        await eventually(lambda: company.side.relay.delivered == 2)


async def test_a_long_answer_is_joined_for_an_account_that_wants_it_whole(ground: Ground) -> None:
    text = "Vendredi me va bien. " * 20
    async with an_esme_town(ground, account={"join_mo": True}) as company:
        esme = await company.raw()
        await company.town.answer(PHONE, text, COMPANY_NUMBER)
        await company.town.answer(PHONE, "court", COMPANY_NUMBER)
        found = []
        for _ in range(2):
            pdu = await the_receipt(esme)
            answer(esme, pdu)
            found.append(dict(pdu.tlvs).get(Tag.MESSAGE_PAYLOAD) or pdu.fields["short_message"])
            assert pdu.fields["esm_class"] == 0
        assert sorted(found) == sorted([text.encode("ascii"), b"court"])
        await eventually(lambda: company.side.relay.delivered == 2)


async def test_stop_to_a_companys_number_is_recorded_and_handed_on(ground: Ground) -> None:
    async with an_esme_town(ground, account={"purpose": "marketing"}) as company:
        (subscriber,) = company.town.msisdns
        esme = await company.raw()
        offer = str(subscriber).encode()
        # A subscriber who agreed gets marketing, a stranger does not.
        assert await statuses(esme, a_submit(1, destination_addr=offer), a_submit(2)) == [0, 0x402]
        answer(esme, await the_receipt(esme))
        await company.town.answer(subscriber, "STOP", COMPANY_NUMBER)
        mo = await the_receipt(esme)
        answer(esme, mo)
        assert (mo.fields["source_addr"], mo.fields["short_message"]) == (offer, b"STOP")
        assert await statuses(esme, a_submit(3, destination_addr=offer)) == [0x402]
        assert (await company.town.subscriber(subscriber))["offers_state"] == "unsubscribed"
        assert await company.count("sender_stop", f"msisdn = {subscriber}") == 1
        # What is no marketing still comes: an appointment, a code.
        clinic = await company.raw(await company.another_account("clinic"))
        assert await statuses(clinic, a_submit(1, destination_addr=offer)) == [0]


async def test_marketing_that_waits_is_not_sent_after_a_stop(ground: Ground) -> None:
    async with an_esme_town(ground, account={"purpose": "marketing"}) as company:
        (subscriber,) = company.town.msisdns
        company.town.simulator.smsc.drop_connections()
        company.wire.cut()
        await eventually(lambda: not company.town.bound())
        esme = await company.raw()
        assert await statuses(esme, a_submit(1, destination_addr=str(subscriber).encode())) == [0]
        person = await company.town.subscriber(subscriber)
        now = company.town.clock.now().isoformat()
        word = {"event": "revoked", "source": "letter", "occurred_at": now}
        await company.town.merchant.post("/v1/consents", {"subscriber": person["id"], **word})
        company.wire.mend()
        receipt = await the_receipt(esme)
        answer(esme, receipt)
        assert b" stat:REJECTD " in receipt.fields["short_message"]
        assert company.town.texts(subscriber) == []
        assert await company.ledger() == []


@pytest.mark.parametrize(
    ("smsc", "carrier", "said"),
    [
        ({"undelivered_share": 1.0}, {}, rb" stat:UNDELIV err:\d+ "),
        ({"expired_share": 1.0}, {}, rb" stat:EXPIRED err:\d+ "),
        ({"refuse_share": 1.0, "refuse_status": 0x0B}, {}, rb" stat:REJECTD err:011 "),
        ({"answers_submits": False}, {"response_timeout_s": 0.3}, rb" stat:UNKNOWN err:000 "),
    ],
)
async def test_the_receipt_says_what_came_of_a_message_that_did_not_arrive(
    ground: Ground, smsc: dict[str, Any], carrier: dict[str, Any], said: bytes
) -> None:
    async with an_esme_town(ground, smsc=smsc, carrier=carrier) as company:
        esme = await company.raw()
        assert await statuses(esme, a_submit(1, registered_delivery=2)) == [0]
        receipt = await the_receipt(esme)
        answer(esme, receipt)
        assert re.search(said, receipt.fields["short_message"])


async def test_a_stop_of_the_gateway_unbinds_and_loses_no_submit_that_was_answered(ground: Ground) -> None:
    async with an_esme_town(ground, carrier={"rate_per_s": 20}, account={"rate_per_s": 500}) as company:
        town = company.town
        esme = await company.raw(command_id=CommandId.BIND_TRANSMITTER)
        submits = [a_submit(n, short_message=b"n%d" % n) for n in range(1, 41)]
        assert await statuses(esme, *submits) == [0] * 40
        await company.side.drain(1.0)
        assert (await esme.read()).command_id == CommandId.UNBIND
        await eventually(lambda: len(town.texts(PHONE)) == 40)
        assert sorted(town.texts(PHONE)) == sorted(f"n{n}" for n in range(1, 41))


class Seen(AbstractHook):  # type: ignore[misc]
    def __init__(self) -> None:
        self.messages: list[Any] = []

    async def sending(self, smpp_message: Any, pdu: bytes, client_id: str) -> None:
        pass

    async def received(self, smpp_message: Any, pdu: bytes, client_id: str) -> None:
        self.messages.append(smpp_message)

    async def send_error(self, smpp_message: Any, error: Exception, client_id: str) -> None:
        raise error


# aiosmpplib lets go of its StreamWriter without waiting for it to close.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
async def test_aiosmpplib_submits_and_takes_its_receipt_and_an_answer(ground: Ground) -> None:
    async with an_esme_town(ground) as company:
        seen = Seen()
        account = company.account
        who = (account["system_id"], account["password"])
        esme = ESME("127.0.0.1", company.port, *who, hook=seen, log_level="WARNING")
        task = asyncio.create_task(esme.start())
        await esme.broker.enqueue(
            SubmitSm(
                short_message="Répondez OK",
                source=PhoneNumber(COMPANY_NUMBER, TON.NETWORK_SPECIFIC, NPI.ISDN),
                destination=PhoneNumber(str(PHONE)),
                log_id="1",
            )
        )
        await eventually(lambda: company.side.relay.delivered == 1)
        await company.town.answer(PHONE, "ça m'intéresse, OK", COMPANY_NUMBER)
        await eventually(lambda: company.side.relay.delivered == 2)
        await esme.stop()
        await task
        assert company.town.texts(PHONE) == ["Répondez OK"]
    (response,) = [message for message in seen.messages if isinstance(message, SubmitSmResp)]
    receipt, mo = [message for message in seen.messages if isinstance(message, DeliverSm)]
    assert receipt.short_message.startswith(f"id:{response.message_id} ")
    assert (mo.short_message, mo.source.number) == ("ça m'intéresse, OK", str(PHONE))
    del esme, task
    gc.collect()


async def test_another_accounts_session_hears_nothing_of_ones_messages(ground: Ground) -> None:
    async with an_esme_town(ground) as company:
        other = await company.raw(await company.another_account("other"))
        esme = await company.raw()
        assert await statuses(esme, a_submit(1)) == [0]
        answer(esme, await the_receipt(esme))
        await company.town.answer(PHONE, "merci", COMPANY_NUMBER)
        answer(esme, await the_receipt(esme))
        other.send(CommandId.ENQUIRE_LINK, 7)
        assert (await other.read()).command_id == CommandId.ENQUIRE_LINK_RESP
