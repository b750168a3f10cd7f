"""The SMSC as aiosmpplib's ESME sees it: a second peer that we did not write."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
from aiosmpplib import ESME, NPI, TON, AbstractHook, DeliverSm, PhoneNumber, SubmitSm, SubmitSmResp

from tests.simulator.smsc_peers import eventually, running


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
async def test_it_binds_submits_and_takes_a_receipt_and_an_mo() -> None:
    async with running() as simulator:
        seen = Seen()
        port = simulator.smpp_port
        esme = ESME("127.0.0.1", port, "smsgate", "secret", hook=seen, log_level="WARNING")
        task = asyncio.create_task(esme.start())
        await esme.broker.enqueue(
            SubmitSm(
                short_message="Répondez OK",
                source=PhoneNumber("36111", TON.NETWORK_SPECIFIC, NPI.ISDN),
                destination=PhoneNumber("33639980001"),
                log_id="1",
            )
        )
        await eventually(lambda: simulator.smsc.log.receipts_acknowledged == 1)
        simulator.reply_by_hand(33639980001, "ça m'intéresse, OK")
        await eventually(lambda: simulator.smsc.log.mos_acknowledged == 1)
        await esme.stop()
        await task
    (answer,) = [message for message in seen.messages if isinstance(message, SubmitSmResp)]
    receipt, mo = [message for message in seen.messages if isinstance(message, DeliverSm)]
    assert receipt.short_message.startswith(f"id:{answer.message_id} ")
    assert (mo.short_message, mo.source.number) == ("ça m'intéresse, OK", "33639980001")
    del esme, task
    gc.collect()
