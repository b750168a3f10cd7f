"""The command `smsgate smsc` as a blocking script on smpplib uses it."""

from __future__ import annotations

import select

import pytest
import smpplib.exceptions
import smpplib.smpp

from tests.interop.interop_esme import PHONE, SENDER
from tests.interop.interop_processes import until
from tests.interop.interop_smpplib import OFFER, Esme, bound
from tests.interop.interop_smsc import SYSTEM_ID, an_smsc

pytestmark = pytest.mark.interop

THROTTLED = 0x58
WRONG_PASSWORD = 0x0E


def test_a_transceiver_submits_takes_receipt_and_answer_and_unbinds() -> None:
    with an_smsc() as smsc, bound(smsc) as esme:
        esme.submit()
        (answer,) = esme.wait_for(esme.answers)
        (receipt,) = esme.wait_for(esme.delivered)
        assert answer.message_id
        assert (receipt.esm_class, receipt.source_addr) == (4, PHONE.encode())
        assert receipt.short_message.startswith(b"id:" + answer.message_id + b" ")
        assert receipt.receipted_message_id.rstrip(b"\0") == answer.message_id
        (message,) = smsc.inbox(PHONE)
        assert (message["sender"], message["text"]) == (SENDER, OFFER)
        assert smsc.reply(PHONE, "OK") == SENDER
        mo = esme.wait_for(esme.delivered, 2)[1]
        assert (mo.esm_class, mo.source_addr, mo.destination_addr) == (0, PHONE.encode(), SENDER.encode())
        assert mo.short_message == b"OK"
        assert esme.ask("enquire_link").command == "enquire_link_resp"
        assert esme.ask("unbind").command == "unbind_resp"
        esme.client.disconnect()
        counts = smsc.stop()
        assert (counts["submits"], counts["receipts_acknowledged"], counts["mos_acknowledged"]) == (1, 1, 1)


def test_a_receiver_gets_what_concerns_a_transmitters_messages() -> None:
    with an_smsc() as smsc, bound(smsc, "transmitter") as sending, bound(smsc, "receiver") as receiving:
        sending.submit()
        (answer,) = sending.wait_for(sending.answers)
        (receipt,) = receiving.wait_for(receiving.delivered)
        assert receipt.receipted_message_id.rstrip(b"\0") == answer.message_id
        smsc.reply(PHONE, "STOP")
        assert receiving.wait_for(receiving.delivered, 2)[1].short_message == b"STOP"
        for esme in (sending, receiving):
            assert esme.ask("enquire_link").command == "enquire_link_resp"
            assert esme.ask("unbind").command == "unbind_resp"
        assert not sending.delivered


def test_a_wrong_password_is_refused() -> None:
    with an_smsc() as smsc:
        esme = Esme(smsc)
        esme.client.connect()
        try:
            with pytest.raises(smpplib.exceptions.PDUError) as refused:
                esme.client.bind_transceiver(system_id=SYSTEM_ID, password="wrong")
        finally:
            esme.client.disconnect()
        assert refused.value.args[1] == WRONG_PASSWORD
        assert smsc.stop()["binds_refused"] == 1


def test_beyond_the_rate_submits_are_throttled_and_those_have_no_receipt() -> None:
    with an_smsc("--rate", "10") as smsc, bound(smsc) as esme:
        for last in range(40):
            esme.submit(f"336399800{last:02}")
        statuses = [answer.status for answer in esme.wait_for(esme.answers, 40)]
        accepted = statuses.count(0)
        assert 10 <= accepted < 40
        assert statuses.count(THROTTLED) == 40 - accepted
        esme.wait_for(esme.delivered, accepted)
        esme.ask("unbind")
        esme.client.disconnect()
        counts = smsc.stop()
        assert (counts["accepted"], counts["throttled"]) == (accepted, 40 - accepted)
        assert len(esme.delivered) == accepted


def test_sigterm_unbinds_the_esme() -> None:
    with an_smsc() as smsc, bound(smsc) as esme:
        smsc.process.send_sigterm()
        until(lambda: select.select([esme.client._socket], [], [], 0)[0], "unbind")
        request = esme.client.read_pdu()
        assert request.command == "unbind"
        answer = smpplib.smpp.make_pdu("unbind_resp", client=esme.client)
        answer.sequence = request.sequence
        esme.client.send_pdu(answer)
        assert smsc.process.exit_code() == 0
