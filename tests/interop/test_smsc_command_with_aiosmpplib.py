"""The command `smsgate smsc` as aiosmpplib's ESME uses it."""

from __future__ import annotations

import asyncio
import gc
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiosmpplib import ESME, NPI, TON, AbstractHook, DeliverSm, PhoneNumber, SubmitSm, SubmitSmResp
from aiosmpplib.protocol import EnquireLinkResp
from aiosmpplib.state import BindMode, SmppCommandStatus

from tests.interop.interop_processes import DEADLINE_S
from tests.interop.interop_smsc import PASSWORD, PHONE, SENDER, SYSTEM_ID, Smsc, an_smsc

# aiosmpplib lets go of its StreamWriter without waiting for it to close.
LEAKS = ("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
pytestmark = [pytest.mark.interop, pytest.mark.filterwarnings(*LEAKS)]

ENQUIRE_LINK_S = 0.2
OFFER = "Boxman: CD Madonna 19,90€. Répondez OK = commande"


class Seen(AbstractHook):  # type: ignore[misc]
    """What came, by kind."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.pdus: list[bytes] = []

    def of(self, kind: type) -> list[Any]:
        return [message for message in self.messages if isinstance(message, kind)]

    async def sending(self, smpp_message: Any, pdu: bytes, client_id: str) -> None:
        pass

    async def received(self, smpp_message: Any, pdu: bytes, client_id: str) -> None:
        self.messages.append(smpp_message)
        self.pdus.append(pdu)

    async def send_error(self, smpp_message: Any, error: Exception, client_id: str) -> None:
        raise error


def an_esme(smsc: Smsc, seen: Seen, mode: BindMode = BindMode.TRANSCEIVER, password: str = PASSWORD) -> ESME:
    return ESME(
        "127.0.0.1",
        smsc.port,
        SYSTEM_ID,
        password,
        bind_mode=mode,
        hook=seen,
        enquire_link_interval=ENQUIRE_LINK_S,
        log_level="CRITICAL",
    )


@asynccontextmanager
async def bound(smsc: Smsc, seen: Seen, mode: BindMode = BindMode.TRANSCEIVER) -> AsyncIterator[ESME]:
    esme = an_esme(smsc, seen, mode)
    task = asyncio.create_task(esme.start())
    try:
        await eventually(lambda: esme.session_state == mode.session_state, "bound")
        yield esme
        await asyncio.wait_for(esme.stop(), DEADLINE_S)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """What aiosmpplib leaks is found in its own test and in no other."""
    yield
    gc.collect()


async def eventually(condition: Callable[[], object], what: str) -> None:
    try:
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"never came: {what}") from None


def a_submit(destination: str = PHONE) -> SubmitSm:
    return SubmitSm(
        short_message=OFFER,
        source=PhoneNumber(SENDER, TON.NETWORK_SPECIFIC, NPI.ISDN),
        destination=PhoneNumber(destination),
        log_id=destination,
    )


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
