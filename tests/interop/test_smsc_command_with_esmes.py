"""The command `smsgate smsc` as programs on four libraries use it; tshark judges what it answers."""

from __future__ import annotations

import pytest

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
from tests.interop.interop_peers import ESMES, an_esme_of
from tests.interop.interop_smsc import an_smsc

pytestmark = [pytest.mark.interop, pytest.mark.parametrize("peer", ESMES)]


def test_a_transceiver_submits_takes_receipts_and_answers_and_unbinds(peer: str) -> None:
    with an_smsc() as smsc, an_esme_of(peer, smsc.port) as esme:
        bind(esme, smsc)
        submit_both(esme)
        answers = esme.wait_for("submit_sm_resp", 2, status=0)
        receipts = esme.wait_for("deliver_sm", 2)
        for answer, receipt in zip(answers, receipts, strict=True):
            check_receipt(receipt, answer["message_id"])
        assert [message["text"] for message in smsc.inbox(PHONE)] == [OFFER, RUSSIAN]
        for text in ("OK", "ça m'intéresse"):
            smsc.reply(PHONE, text)
        mos = esme.wait_for("deliver_sm", 2, esm_class=0)
        assert [(mo["text"], mo["source"], mo["destination"]) for mo in mos] == [
            ("OK", PHONE, SENDER),
            ("ça m'intéresse", PHONE, SENDER),
        ]
        esme.tell("enquire_link")
        esme.wait_for("enquire_link_resp", status=0)
        unbind(esme)
        counts = smsc.stop()
        assert (counts["submits"], counts["receipts_acknowledged"], counts["mos_acknowledged"]) == (2, 2, 2)


def test_a_text_in_two_parts_is_one_text_on_the_phone(peer: str) -> None:
    with an_smsc() as smsc, an_esme_of(peer, smsc.port) as esme:
        bind(esme, smsc)
        submit_part(esme, 1, 2, "Boxman: ")
        submit_part(esme, 2, 2, "CD Madonna")
        answers = esme.wait_for("submit_sm_resp", 2, status=0)
        receipts = esme.wait_for("deliver_sm", 2, esm_class=RECEIPT)
        ids = [answer["message_id"] for answer in answers]
        assert [receipt["receipted_message_id"] for receipt in receipts] == ids
        assert [message["text"] for message in smsc.inbox(PHONE)] == ["Boxman: CD Madonna"]
        unbind(esme)


def test_a_receiver_gets_what_concerns_a_transmitters_messages(peer: str) -> None:
    with (
        an_smsc() as smsc,
        an_esme_of(peer, smsc.port) as sending,
        an_esme_of(peer, smsc.port) as receiving,
    ):
        bind(sending, smsc, "transmitter")
        bind(receiving, smsc, "receiver")
        submit(sending, short_message=OFFER)
        (answer,) = sending.wait_for("submit_sm_resp", status=0)
        (receipt,) = receiving.wait_for("deliver_sm")
        check_receipt(receipt, answer["message_id"])
        submit(receiving, short_message=OFFER)
        receiving.wait_for("submit_sm_resp", status=NOT_FOR_THIS_BIND)
        unbind(sending)
        unbind(receiving)
        assert not sending.seen("deliver_sm")


def test_a_wrong_password_is_refused(peer: str) -> None:
    with an_smsc() as smsc, an_esme_of(peer, smsc.port) as esme:
        esme.tell("bind_transceiver", system_id=smsc.system_id, password="wrong")
        esme.wait_for("bind_transceiver_resp", status=WRONG_PASSWORD)
        esme.wait_for("closed")


def test_sigterm_unbinds_the_esme(peer: str) -> None:
    with an_smsc() as smsc, an_esme_of(peer, smsc.port) as esme:
        bind(esme, smsc)
        assert smsc.process.terminate() == 0
        esme.wait_for("unbind")
        esme.wait_for("closed")
