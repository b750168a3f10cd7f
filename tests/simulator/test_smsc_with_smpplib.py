"""The SMSC as smpplib's client sees it: a peer that we did not write."""

from __future__ import annotations

import re

import pytest
import smpplib.exceptions

from smsgate.simulator.serve import SimulatorSettings
from smsgate.simulator.smsc_settings import SmscAccount, SmscSettings
from tests.simulator.smsc_peers import OFFER, SmpplibEsme, bound, eventually, running

TEXT = b"hello"


async def test_wrong_credentials_are_refused_with_the_status_that_says_which() -> None:
    async with running() as simulator:
        for system_id, password, status in (("nobody", "secret", 0x0F), ("smsgate", "wrong", 0x0E)):
            esme = SmpplibEsme(simulator.smpp_port, "transceiver")
            with pytest.raises(smpplib.exceptions.PDUError) as refusal:
                await esme.bind(system_id, password)
            assert refusal.value.args[1] == status
        assert simulator.smsc.log.binds_refused == 2


async def test_a_submit_is_answered_with_an_id_and_its_receipt_names_it_in_text_and_tlv() -> None:
    async with running() as simulator, bound(simulator) as esme:
        esme.submit("33639980001", TEXT)
        await eventually(lambda: esme.delivered)
        message_id = esme.responses[0].message_id
        receipt = esme.delivered[0]
        assert re.fullmatch(
            rb"id:%b sub:001 dlvrd:001 submit date:\d{10} done date:\d{10} stat:DELIVRD err:000 text:hello"
            % message_id,
            receipt.short_message,
        )
        assert receipt.receipted_message_id.rstrip(b"\0") == message_id
        assert receipt.message_state == 2
        assert receipt.esm_class == 4
        assert (receipt.source_addr, receipt.destination_addr) == (b"33639980001", b"36111")
        await eventually(lambda: simulator.smsc.log.receipts_acknowledged == 1)


async def test_no_receipt_comes_where_none_was_asked_for() -> None:
    async with running() as simulator, bound(simulator) as esme:
        esme.submit("33639980001", TEXT, registered_delivery=0)
        esme.submit("33639980002", TEXT)
        await eventually(lambda: esme.delivered)
        assert esme.delivered[0].source_addr == b"33639980002"
        assert simulator.smsc.log.delivered == 2


async def test_receipts_go_to_the_receiver_and_never_to_the_transmitter() -> None:
    async with running() as simulator:
        async with bound(simulator, "transmitter") as sending, bound(simulator, "receiver") as receiving:
            sending.submit("33639980001", TEXT)
            await eventually(lambda: receiving.delivered and sending.responses)
            assert len(sending.responses) == 1
            assert not sending.delivered


async def test_each_account_gets_its_own_receipts() -> None:
    accounts = (SmscAccount("one", "secret"), SmscAccount("two", "secret"))
    async with running(SimulatorSettings(smsc=SmscSettings(accounts))) as simulator:
        one = await SmpplibEsme(simulator.smpp_port, "transceiver").bind("one")
        two = await SmpplibEsme(simulator.smpp_port, "transceiver").bind("two")
        two.submit("33639980001", TEXT)
        await eventually(lambda: two.delivered)
        assert not one.delivered
        await one.unbind()
        await two.unbind()
        await eventually(lambda: simulator.smsc.connections == 0)


async def test_ids_can_be_hexadecimal_in_the_answer_and_decimal_in_the_receipt() -> None:
    settings = SmscSettings(message_id_form="hex", receipt_id_form="decimal", first_message_id=0xABCDEF)
    async with running(SimulatorSettings(smsc=settings)) as simulator, bound(simulator) as esme:
        esme.submit("33639980001", TEXT)
        await eventually(lambda: esme.delivered)
        assert esme.responses[0].message_id == b"abcdef"
        assert esme.delivered[0].short_message.startswith(b"id:11259375 ")


async def test_outcomes_follow_their_shares_and_receipts_say_so() -> None:
    settings = SmscSettings(undelivered_share=0.3, expired_share=0.2)
    async with running(SimulatorSettings(smsc=settings, seed=7)) as simulator, bound(simulator) as esme:
        for i in range(200):
            esme.submit(f"3363998{i:04}", TEXT)
        await eventually(lambda: len(esme.delivered) == 200)
        words = [re.search(rb"stat:(\w+)", pdu.short_message)[1] for pdu in esme.delivered]  # type: ignore[index]
        log = simulator.smsc.log
        assert (log.delivered, log.undelivered, log.expired) == tuple(
            map(words.count, (b"DELIVRD", b"UNDELIV", b"EXPIRED"))
        )
        assert 40 <= log.undelivered <= 80
        assert 20 <= log.expired <= 60
        assert {pdu.message_state for pdu in esme.delivered} == {2, 3, 5}
        assert simulator.phones.received == log.delivered


async def test_a_share_of_submits_is_refused_with_the_given_status() -> None:
    async with running() as simulator, bound(simulator) as esme:
        simulator.smsc.settings.refuse_share = 1.0
        simulator.smsc.settings.refuse_status = 0x14
        esme.submit("33639980001", TEXT)
        await eventually(lambda: esme.responses)
        simulator.smsc.settings.refuse_share = 0.0
        esme.submit("33639980001", TEXT)
        await eventually(lambda: esme.delivered)
        assert [pdu.status for pdu in esme.responses] == [0x14, 0]
        assert simulator.smsc.log.refused == {0x14: 1}
        assert simulator.smsc.log.by_destination == {33639980001: 1}


async def test_what_was_left_unanswered_is_delivered_again_after_reconnect_in_order() -> None:
    async with running() as simulator:
        async with bound(simulator, answers=False) as deaf:
            for i in range(5):
                deaf.submit(f"3363998000{i}", TEXT)
            await eventually(lambda: len(deaf.delivered) == 5)
        await eventually(lambda: simulator.smsc.connections == 0)
        async with bound(simulator) as esme:
            await eventually(lambda: simulator.smsc.log.receipts_acknowledged == 5)
            again = [pdu.short_message for pdu in esme.delivered]
            assert again == [pdu.short_message for pdu in deaf.delivered]
        assert simulator.smsc.log.written_again == 5


async def test_answered_later_means_again_and_a_final_refusal_means_never() -> None:
    async with running() as simulator, bound(simulator, statuses=[0x64, 0x0C]) as esme:
        esme.submit("33639980001", TEXT)
        esme.submit("33639980002", TEXT)
        await eventually(lambda: simulator.smsc.log.receipts_acknowledged == 1)
        assert [pdu.source_addr[-1:] for pdu in esme.delivered] == [b"1", b"2", b"1"]
        assert simulator.smsc.log.deliver_refused == {0x0C: 1}


async def test_a_deaf_smsc_takes_and_delivers_but_never_answers() -> None:
    settings = SmscSettings(answers_submits=False)
    async with running(SimulatorSettings(smsc=settings)) as simulator, bound(simulator) as esme:
        esme.submit("33639980001", TEXT)
        await eventually(lambda: esme.delivered)
        assert not esme.responses
        assert simulator.smsc.log.accepted == 1


@pytest.mark.parametrize(
    ("text", "coding", "parts"), [("OK", 0, 1), ("arrêt", 8, 1), ("c'est quoi ? " * 20, 0, 2)]
)
async def test_a_text_typed_on_a_phone_comes_as_mo_from_its_number(
    text: str, coding: int, parts: int
) -> None:
    async with running() as simulator, bound(simulator) as esme:
        esme.submit("33639980001", b"bonjour", registered_delivery=0)
        await eventually(lambda: simulator.phones.received)
        simulator.reply_by_hand(33639980001, text)
        await eventually(lambda: simulator.smsc.log.mos_acknowledged == parts)
        for mo in esme.delivered:
            assert (mo.source_addr, mo.destination_addr) == (b"33639980001", b"36111")
            assert (mo.dest_addr_ton, mo.dest_addr_npi) == (3, 1)
            assert mo.data_coding == coding
            assert mo.esm_class == (0x40 if parts > 1 else 0)
        octets = b"".join(mo.short_message[6 if parts > 1 else 0 :] for mo in esme.delivered)
        assert octets.decode("utf-16-be" if coding else "ascii") == text


async def test_offers_after_a_taken_stop_are_counted_and_its_confirmation_is_not() -> None:
    offer = OFFER.encode("latin-1", "replace")[:100]
    offer = offer.replace(b"R\xe9pondez", b"R\x05pondez")
    async with running() as simulator, bound(simulator) as esme:
        esme.submit("33639980001", offer)
        await eventually(lambda: simulator.phones.received)
        simulator.reply_by_hand(33639980001, "STOP")
        await eventually(lambda: simulator.smsc.log.mos_acknowledged)
        esme.submit("33639980001", b"Boxman: vous ne recevrez plus nos offres.")
        esme.submit("33639980001", offer, source="36222")
        esme.submit("33639980002", offer)
        await eventually(lambda: len(esme.responses) == 4)
        assert simulator.smsc.judge.offers_after_stop == 0
        esme.submit("33639980001", offer)
        await eventually(lambda: len(esme.responses) == 5)
        assert simulator.smsc.judge.offers_after_stop == 1
        assert simulator.smsc.judge.violations == {(33639980001, b"36111"): 1}


async def test_an_offer_on_another_bind_counts_once_that_bind_answered_after_the_stop() -> None:
    offer = b"CD 19,90. Reply OK to order"
    async with running() as simulator:
        async with bound(simulator, "transmitter") as sending, bound(simulator, "receiver"):
            sending.submit("33639980001", offer)
            await eventually(lambda: simulator.phones.received)
            simulator.reply_by_hand(33639980001, "Stop")
            await eventually(lambda: all(c.fence == 1 for c in simulator.smsc._connections if c.sends))
            sending.submit("33639980001", offer)
            await eventually(lambda: len(sending.responses) == 2)
            assert simulator.smsc.judge.offers_after_stop == 1
            assert simulator.smsc.judge.offers_crossed == 0


async def test_an_unbinding_esme_gets_its_answers_first() -> None:
    settings = SmscSettings(response_latency_s=0.05, receipts=False)
    async with running(SimulatorSettings(smsc=settings)) as simulator:
        async with bound(simulator) as esme:
            for i in range(20):
                esme.submit(f"336399800{i:02}", TEXT)
            await eventually(lambda: len(esme.responses) == 20)
            await esme.unbind()
        await eventually(lambda: simulator.smsc.connections == 0)
