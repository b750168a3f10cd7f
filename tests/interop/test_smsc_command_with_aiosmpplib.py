"""The command `smsgate smsc` as aiosmpplib's ESME uses it."""

from __future__ import annotations

import asyncio
import gc
import struct
from collections.abc import Iterator

import pytest
from aiosmpplib import DeliverSm, SubmitSmResp
from aiosmpplib.protocol import EnquireLinkResp
from aiosmpplib.state import BindMode, SmppCommandStatus

from tests.interop.interop_aiosmpplib import LEAKS, OFFER, Seen, a_submit, an_esme, bound, eventually
from tests.interop.interop_esme import PHONE
from tests.interop.interop_smsc import Smsc, an_smsc

pytestmark = [pytest.mark.interop, pytest.mark.filterwarnings(*LEAKS)]


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """What aiosmpplib leaks is found in its own test and in no other."""
    yield
    gc.collect()


async def reply(smsc: Smsc, text: str) -> None:
    await asyncio.to_thread(smsc.reply, PHONE, text)


async def test_a_transceiver_submits_and_takes_receipt_answer_and_enquiry_and_unbinds() -> None:
    with an_smsc() as smsc:
        seen = Seen()
        async with bound(smsc, seen) as esme:
            await esme.broker.enqueue(a_submit())
            await eventually(lambda: seen.of(DeliverSm), "receipt")
            await reply(smsc, "ça m'intéresse, OK")
            await eventually(lambda: len(seen.of(DeliverSm)) == 2, "MO")
            await eventually(lambda: seen.of(EnquireLinkResp), "enquire_link_resp")
        (answer,) = seen.of(SubmitSmResp)
        receipt, mo = seen.of(DeliverSm)
        assert receipt.is_receipt()
        assert receipt.parse_receipt()["id"] == answer.message_id
        assert receipt.parse_receipt()["stat"] == "DELIVRD"
        assert receipt.log_id == PHONE  # it found its submit_sm by the id
        assert (mo.short_message, mo.source.number) == ("ça m'intéresse, OK", PHONE)
        assert smsc.inbox(PHONE)[0]["text"] == OFFER
        counts = smsc.stop()
        assert (counts["submits"], counts["receipts_acknowledged"], counts["mos_acknowledged"]) == (1, 1, 1)


async def test_a_receiver_gets_what_concerns_a_transmitters_messages() -> None:
    with an_smsc() as smsc:
        sent, came = Seen(), Seen()
        async with bound(smsc, sent, BindMode.TRANSMITTER) as esme, bound(smsc, came, BindMode.RECEIVER):
            await esme.broker.enqueue(a_submit())
            await eventually(lambda: came.of(DeliverSm), "receipt")
            await reply(smsc, "STOP")
            await eventually(lambda: len(came.of(DeliverSm)) == 2, "MO")
        receipt, mo = came.of(DeliverSm)
        assert receipt.parse_receipt()["id"] == sent.of(SubmitSmResp)[0].message_id
        assert mo.short_message == "STOP"
        assert not sent.of(DeliverSm)
        assert smsc.stop()["connections"] == 0


async def test_a_wrong_password_is_refused() -> None:
    with an_smsc() as smsc:
        seen = Seen()
        esme = an_esme(smsc, seen, password="wrong")
        # A refusal has no body (SMPP 3.4, 4.1.6); aiosmpplib gives up on it and shows the octets to its hook.
        with pytest.raises(ValueError, match="not found"):
            await esme.connect()
        (refusal,) = seen.pdus
        assert struct.unpack(">IIII", refusal)[:3] == (16, 0x8000_0009, SmppCommandStatus.ESME_RINVPASWD)
        assert smsc.stop()["binds_refused"] == 1


async def test_beyond_the_rate_submits_are_throttled() -> None:
    with an_smsc("--rate", "10") as smsc:
        seen = Seen()
        async with bound(smsc, seen) as esme:
            for last in range(40):
                await esme.broker.enqueue(a_submit(f"336399800{last:02}"))
            await eventually(lambda: len(seen.of(SubmitSmResp)) == 40, "answers")
            statuses = [answer.command_status for answer in seen.of(SubmitSmResp)]
            accepted = statuses.count(SmppCommandStatus.ESME_ROK)
            assert 10 <= accepted < 40
            assert statuses.count(SmppCommandStatus.ESME_RTHROTTLED) == 40 - accepted
            await eventually(lambda: len(seen.of(DeliverSm)) == accepted, "receipts")
        counts = smsc.stop()
        assert (counts["accepted"], counts["throttled"]) == (accepted, 40 - accepted)
