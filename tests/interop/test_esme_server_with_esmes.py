"""
The gateway as the SMSC of companies' ESMEs, which are made of six libraries and Kannel.

One gateway serves them all, one after the other; tshark judges what it sent to them and to its carrier.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from aiosmpplib import DeliverSm, SubmitSmResp

from tests.conftest import a_reachable_dir
from tests.interop import interop_aiosmpplib, interop_smpplib
from tests.interop.interop_esme import (
    NOT_FOR_THIS_BIND,
    OFFER,
    PHONE,
    RECEIPT,
    RUSSIAN,
    SENDER,
    WRONG_PASSWORD,
    bind,
    check_receipt,
    submit,
    submit_both,
    submit_part,
    unbind,
)
from tests.interop.interop_esme_gateway import EsmeGateway, an_esme_gateway
from tests.interop.interop_kannel import a_kannel
from tests.interop.interop_peers import ESMES, an_esme_of
from tests.interop.interop_processes import LIMIT_S, until

pytestmark = [
    pytest.mark.interop,
    pytest.mark.timeout(LIMIT_S),
    pytest.mark.filterwarnings(*interop_aiosmpplib.LEAKS),
]

LONG = "Boxman: " + "x" * 300
SL = """<?xml version="1.0"?>
<!DOCTYPE sl PUBLIC "-//WAPFORUM//DTD SL 1.0//EN" "http://www.wapforum.org/DTD/sl.dtd">
<sl href="http://www.example.com/m1" action="execute-low"/>
"""
REPORT_DELIVERED = 1  # of Kannel
with_every_esme = pytest.mark.parametrize("peer", ESMES)


@pytest.fixture(scope="module")
def server() -> Iterator[EsmeGateway]:
    with a_reachable_dir() as directory, an_esme_gateway(directory) as gateway:
        yield gateway


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """What aiosmpplib leaks is found in its own test and in no other."""
    yield
    gc.collect()


def check_new_texts(server: EsmeGateway, already: int, expected: list[str]) -> None:
    def texts() -> list[str]:
        return [message["text"] for message in server.inbox(PHONE)[already:]]

    until(lambda: sorted(texts()) == sorted(expected), lambda: f"{expected} in {texts()}")


@with_every_esme
def test_a_transceiver_submits_takes_receipts_and_answers_and_unbinds(server: EsmeGateway, peer: str) -> None:
    already = len(server.inbox(PHONE))
    with an_esme_of(peer, server.port) as esme:
        bind(esme, server)
        submit_both(esme)
        submit_part(esme, 1, 2, "Boxman: ")
        submit_part(esme, 2, 2, "CD Madonna")
        answers = esme.wait_for("submit_sm_resp", 4, status=0)
        receipts = {row["receipted_message_id"]: row for row in esme.wait_for("deliver_sm", 4)}
        assert len(receipts) == 4
        for answer in answers:
            check_receipt(receipts[answer["message_id"]], answer["message_id"])
        check_new_texts(server, already, [OFFER, RUSSIAN, "Boxman: CD Madonna"])
        # A text of its own for each peer: the same one again within a minute is taken for a redelivery.
        texts = [f"OK {peer}", f"ça m'intéresse {peer}"]
        for text in texts:
            server.reply(PHONE, text)
        mos = esme.wait_for("deliver_sm", 2, esm_class=0)
        assert [(mo["text"], mo["source"], mo["destination"]) for mo in mos] == [
            (text, PHONE, SENDER) for text in texts
        ]
        esme.tell("enquire_link")
        esme.wait_for("enquire_link_resp", status=0)
        unbind(esme)


@with_every_esme
def test_a_receiver_gets_what_concerns_a_transmitters_messages(server: EsmeGateway, peer: str) -> None:
    with an_esme_of(peer, server.port) as sending, an_esme_of(peer, server.port) as receiving:
        bind(sending, server, "transmitter")
        bind(receiving, server, "receiver")
        submit(sending, short_message=OFFER)
        (answer,) = sending.wait_for("submit_sm_resp", status=0)
        (receipt,) = receiving.wait_for("deliver_sm", esm_class=RECEIPT)
        check_receipt(receipt, answer["message_id"])
        submit(receiving, short_message=OFFER)
        receiving.wait_for("submit_sm_resp", status=NOT_FOR_THIS_BIND)
        unbind(sending)
        unbind(receiving)
        assert not sending.seen("deliver_sm")


@with_every_esme
def test_a_wrong_password_is_refused(server: EsmeGateway, peer: str) -> None:
    with an_esme_of(peer, server.port) as esme:
        esme.tell("bind_transceiver", system_id=server.system_id, password="wrong")
        esme.wait_for("bind_transceiver_resp", status=WRONG_PASSWORD)
        esme.wait_for("closed")


def test_smpplib_submits_and_takes_receipt_and_answer(server: EsmeGateway) -> None:
    with interop_smpplib.bound(server) as esme:
        esme.submit()
        (answer,) = esme.wait_for(esme.answers)
        (receipt,) = esme.wait_for(esme.delivered)
        assert receipt.short_message.startswith(b"id:" + answer.message_id + b" ")
        assert receipt.receipted_message_id.rstrip(b"\0") == answer.message_id
        server.reply(PHONE, "OK smpplib")
        mo = esme.wait_for(esme.delivered, 2)[1]
        assert (mo.short_message, mo.source_addr, mo.destination_addr) == (
            b"OK smpplib",
            PHONE.encode(),
            SENDER.encode(),
        )
        assert esme.ask("unbind").command == "unbind_resp"


async def test_aiosmpplib_submits_and_takes_receipt_and_answer(server: EsmeGateway) -> None:
    seen = interop_aiosmpplib.Seen()
    async with interop_aiosmpplib.bound(server, seen) as esme:
        await esme.broker.enqueue(interop_aiosmpplib.a_submit())
        await interop_aiosmpplib.eventually(lambda: seen.of(DeliverSm), "receipt")
        server.reply(PHONE, "OK aiosmpplib")
        await interop_aiosmpplib.eventually(lambda: len(seen.of(DeliverSm)) == 2, "MO")
    (answer,) = seen.of(SubmitSmResp)
    receipt, mo = seen.of(DeliverSm)
    assert receipt.parse_receipt()["id"] == answer.message_id
    assert receipt.log_id == PHONE  # it found its submit_sm by the id
    assert (mo.short_message, mo.source.number) == ("OK aiosmpplib", PHONE)


def test_kannel_sends_texts_and_a_push_and_gets_receipts_and_answers(server: EsmeGateway) -> None:
    already = len(server.inbox(PHONE))
    account = {"system_id": server.system_id, "password": server.password, "sender": SENDER}
    with a_kannel(server.port, **account) as kannel:
        kannel.send(PHONE, OFFER)
        kannel.send(PHONE, LONG)
        kannel.send(PHONE, RUSSIAN, coding="2")
        kannel.send(PHONE, "flash", mclass="0")
        until(lambda: len(kannel.reports(REPORT_DELIVERED)) == 4, "4 messages are delivered")
        check_new_texts(server, already, [OFFER, LONG, RUSSIAN, "flash"])
        kannel.push(PHONE, "text/vnd.wap.sl", SL)
        until(lambda: len(server.inbox(PHONE)) == already + 5, "the push has arrived")
        for text in ("OK Kannel", "OK " + "y" * 200):
            server.reply(PHONE, text)
        until(lambda: len(kannel.mos()) == 2, "Kannel hands 2 answers on")
        assert sorted(mo["octets"] for mo in kannel.mos()) == [b"OK Kannel", b"OK " + b"y" * 200]
