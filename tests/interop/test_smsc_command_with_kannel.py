"""The command `smsgate smsc` as Kannel uses it: bearerbox, smsbox and the push gateway; tshark judges."""

from __future__ import annotations

import pytest

from smsgate.protocol.wap_push import Indication, SiAction, indication_octets
from tests.interop.interop_esme import PHONE, SENDER
from tests.interop.interop_kannel import Kannel, a_kannel
from tests.interop.interop_processes import until
from tests.interop.interop_smsc import PASSWORD, SYSTEM_ID, Smsc, an_smsc
from tests.interop.interop_wire import cut_pdus

pytestmark = pytest.mark.interop

DELIVERED, ACCEPTED = 1, 8
FRENCH = "Boxman: CD Madonna 19,90€. Répondez OK = commande"  # GSM 03.38, with one escape pair
RUSSIAN = "Ваш заказ принят"
LONG = "Boxman: " + "x" * 300
PUSH = Indication("http://www.example.com/m1", "CD Madonna 19,90", action=SiAction.MEDIUM, si_id="m1")
SI = """<?xml version="1.0"?>
<!DOCTYPE si PUBLIC "-//WAPFORUM//DTD SI 1.0//EN" "http://www.wapforum.org/DTD/si.dtd">
<si><indication href="http://www.example.com/m1" si-id="m1" action="signal-medium"
>CD Madonna 19,90</indication>
</si>
"""


def test_kannel_sends_texts_and_a_push_and_gets_receipts_and_answers() -> None:
    with an_smsc() as smsc:
        with a_kannel(smsc.port, system_id=SYSTEM_ID, password=PASSWORD, sender=SENDER) as kannel:
            check_texts(kannel, smsc)
            check_answers(kannel, smsc)
            check_push(kannel, smsc)
        counts = smsc.stop()
        # Kannel asks for the receipt of the first part of a long text alone, and for none of a push.
        assert (counts["submits"], counts["accepted"], counts["receipts_acknowledged"]) == (7, 7, 4)
        assert (counts["mos_acknowledged"], counts["deliver_refused"]) == (4, {})


def check_texts(kannel: Kannel, smsc: Smsc) -> None:
    kannel.send(PHONE, FRENCH)
    kannel.send(PHONE, LONG)
    kannel.send(PHONE, RUSSIAN, coding="2")
    kannel.send(PHONE, "flash", mclass="0")
    until(lambda: len(kannel.reports(ACCEPTED)) == 4, "4 messages are accepted")
    until(lambda: len(kannel.reports(DELIVERED)) == 4, "4 messages are delivered")
    assert {message["text"] for message in smsc.inbox(PHONE)} == {FRENCH, LONG, RUSSIAN, "flash"}
    assert all(b"stat:DELIVRD" in report["text"] for report in kannel.reports(DELIVERED))


def check_answers(kannel: Kannel, smsc: Smsc) -> None:
    texts = ["OK", "ça OK", "OK " + "y" * 200]
    for number, answer in enumerate(texts, 1):
        smsc.reply(PHONE, answer)
        until(lambda count=number: len(kannel.mos()) == count, f"Kannel hands on {answer!r}")  # type: ignore[misc]
    assert [mo["octets"] for mo in kannel.mos()] == [b"OK", "ça OK".encode("utf-16-be"), texts[2].encode()]
    assert all((mo["from"], mo["to"]) == (f"+{PHONE}".encode(), SENDER.encode()) for mo in kannel.mos())


def check_push(kannel: Kannel, smsc: Smsc) -> None:
    kannel.push(PHONE, "text/vnd.wap.si", SI)
    until(lambda: len(smsc.inbox(PHONE)) == 5, "the push has arrived")
    (sent,) = smsc.wire.sent(by_client=True).values()
    pushes = [pdu for pdu in cut_pdus(sent)[0] if indication_octets(PUSH) in pdu]
    assert len(pushes) == 1  # the same binary XML as ours
