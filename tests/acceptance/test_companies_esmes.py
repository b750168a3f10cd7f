"""
A company links its application to phones: it binds by SMPP, submits, gets receipts and answers, and pays.

The application is smpplib's client or aiosmpplib's, which share no code with ours; the carrier and the phones
are the simulator's.
"""

from __future__ import annotations

from tests.acceptance.esmes import COMPANY_NUMBER, PHONE, an_esme_town
from tests.acceptance.town import SELL_MICROS, Ground, eventually

TEXT = b"Rendez-vous demain 9 h, Dr Martin"


async def test_a_submit_reaches_the_phone_its_receipt_the_esme_and_its_price_the_statement(
    ground: Ground,
) -> None:
    async with an_esme_town(ground) as company:
        esme = await company.bound()
        esme.submit(str(PHONE), TEXT, COMPANY_NUMBER)
        (answer,) = await eventually(lambda: esme.responses)
        assert answer.status == 0
        await eventually(lambda: company.town.texts(PHONE) == [TEXT.decode()])
        (receipt,) = await eventually(lambda: esme.delivered)
        assert receipt.receipted_message_id == answer.message_id
        assert receipt.message_state == 2
        assert receipt.short_message.startswith(b"id:" + answer.message_id + b" sub:001 dlvrd:001 ")
        assert b" stat:DELIVRD err:000 text:" + TEXT[:20] in receipt.short_message
        assert receipt.source_addr == str(PHONE).encode()
        assert receipt.destination_addr == COMPANY_NUMBER.encode()
        assert await company.ledger() == [("mt", 1, 1, SELL_MICROS)]
        statement = await company.town.statement()
        assert [(line["messages"], line["unit_price"]) for line in statement["lines"]] == [(1, "0.045")]
        await eventually(company.nothing_waits)
        assert company.side.relay.delivered == 1
        (message,) = await company.town.merchant.all("/v1/messages")
        assert (message["id"], message["state"], message["text"]) == (
            f"msg_{answer.message_id.decode()}",
            "delivered",
            TEXT.decode(),
        )


async def test_an_answer_of_the_phone_goes_to_the_esme_octet_by_octet(ground: Ground) -> None:
    async with an_esme_town(ground) as company:
        esme = await company.bound("receiver")
        await company.town.answer(PHONE, "ça marche, à demain {OK}", COMPANY_NUMBER)
        (mo,) = await eventually(lambda: esme.delivered)
        assert (mo.source_addr, mo.destination_addr) == (str(PHONE).encode(), COMPANY_NUMBER.encode())
        assert mo.esm_class == 0
        await eventually(lambda: company.side.relay.delivered == 1)
        assert await company.town.merchant.all("/v1/orders") == []
