"""Receipts and MOs: what they are taken for, and that their answers wait for the commit."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import smsgate.links.connection
from smsgate.flows.records import Ack
from smsgate.protocol.commands import CommandId, Status
from smsgate.protocol.frames import Frame
from smsgate.protocol.packing import pack
from smsgate.protocol.pdus import decode_pdu, encode_body
from smsgate.protocol.receipt_states import ReceiptState
from smsgate.protocol.tlvs import Tag
from tests.links.fake_smsc import Peer, a_profile, an_account, fake_smsc, states, until, writes_of

HEADER = bytes.fromhex("050003070201")  # part 1 of 2, with one bit of fill after it


async def settled(peer: Peer) -> None:
    """Return once everything that was under way has arrived: an enquire_link made the round."""
    before = sum(frame.command_id == CommandId.ENQUIRE_LINK_RESP for frame in peer.frames)
    peer.write_enquire_link()
    await until(
        lambda: sum(frame.command_id == CommandId.ENQUIRE_LINK_RESP for frame in peer.frames) > before
    )


async def test_receipts_go_up_as_columns_and_are_answered_after_the_commit_only() -> None:
    async with fake_smsc() as smsc, an_account(a_profile(smsc.port)) as (account, events):
        (peer,) = smsc.live
        numbers = [peer.receipt(b"id-1"), peer.receipt(b"id-2", b"UNDELIV")]
        await until(lambda: sum(len(each.smsc_ids) for each in events.receipt_columns) == 2)
        ids = [smsc_id for each in events.receipt_columns for smsc_id in each.smsc_ids]
        found = [state for each in events.receipt_columns for state in each.states]
        assert ids == [b"id-1", b"id-2"]
        assert found == [ReceiptState.DELIVRD, ReceiptState.UNDELIV]
        await settled(peer)
        assert peer.answers() == []
        account.acknowledge([each.ack for each in events.receipt_columns])
        await until(lambda: len(peer.answers()) == 2)
        assert peer.answers() == [(CommandId.DELIVER_SM_RESP, number, 0) for number in numbers]


async def test_an_mo_is_answered_after_the_commit_or_told_to_come_again() -> None:
    async with fake_smsc() as smsc, an_account(a_profile(smsc.port)) as (account, events):
        (peer,) = smsc.live
        number = peer.deliver(b"OK \x00", source_addr=b"+33612345678")
        await until(lambda: events.mos)
        (mo,) = events.mos
        assert (mo.msisdn, mo.source, mo.destination, mo.text) == (
            33612345678,
            "+33612345678",
            "38123",
            "OK @",
        )
        assert (mo.carrier_id, mo.total, mo.part, mo.raw) == (7, 1, 1, b"OK \x00")
        await settled(peer)
        assert peer.answers() == []
        assert mo.ack is not None
        account.acknowledge([mo.ack], account.mo_busy_status)
        await until(peer.answers)
        assert peer.answers() == [(CommandId.DELIVER_SM_RESP, number, Status.MSGQFUL)]


async def test_a_carrier_that_marks_gsm_as_data_coding_1_is_read_so() -> None:
    async with fake_smsc() as smsc, an_account(a_profile(smsc.port, gsm_data_coding=1)) as (_, events):
        (peer,) = smsc.live
        peer.deliver(b"O\x06 \x00", data_coding=1)
        peer.deliver(b"O\x06 \x00", data_coding=0)
        peer.deliver("Où".encode("utf-16-be"), data_coding=8)
        await until(lambda: len(events.mos) == 3)
        assert [mo.text for mo in events.mos] == ["Où @", "Où @", "Où"]


async def test_a_carrier_that_packs_septets_is_read_so_and_its_receipts_are_not() -> None:
    async with fake_smsc() as smsc, an_account(a_profile(smsc.port, packed=True)) as (_, events):
        (peer,) = smsc.live
        peer.deliver(bytes.fromhex("e8329bfd4697d9ec37"))  # hellohello
        peer.deliver("Où".encode("utf-16-be"), data_coding=8)
        peer.receipt(b"m-1")
        await until(lambda: len(events.mos) == 2 and events.receipt_columns)
        assert [mo.text for mo in events.mos] == ["hellohello", "Où"]
        assert events.receipt_columns[0].smsc_ids == [b"m-1"]


@pytest.mark.parametrize(
    ("habit", "came", "data_coding", "goes_on"),
    [
        ({"default_alphabet": "latin1"}, ("Où €é".encode("latin-1", "replace"), 0, 0), 3, b"O\xf9 ?\xe9"),
        ({"gsm_data_coding": 1}, (b"O\x06", 1, 0), 0, b"O\x06"),
        ({"packed": True}, (bytes.fromhex("e8329bfd4697d9ec37"), 0, 0), 0, b"hellohello"),
        ({"packed": True}, (HEADER + pack(b"part", 1), 0, 0x40), 0, HEADER + b"part"),
        ({"packed": True}, (b"\0O\0K", 8, 0), 8, b"\0O\0K"),
        ({}, (b"\x05\xf1", 0xF1, 0), 0xF1, b"\x05\xf1"),
    ],
)
async def test_an_esme_gets_an_mo_without_the_habits_of_the_carrier(
    habit: dict[str, Any], came: tuple[bytes, int, int], data_coding: int, goes_on: bytes
) -> None:
    octets, coding, esm_class = came
    async with fake_smsc() as smsc, an_account(a_profile(smsc.port, **habit)) as (_, events):
        smsc.live[0].deliver(octets, data_coding=coding, esm_class=esm_class)
        await until(lambda: events.mos)
        (mo,) = events.mos
        fields = decode_pdu(Frame(CommandId.DELIVER_SM, 0, 0, mo.deliver_sm)).fields
        assert (fields["data_coding"], fields["short_message"]) == (data_coding, goes_on)
        assert mo.data_coding == coding  # what is kept is as it came


async def test_a_packed_mo_that_no_short_message_holds_unpacked_goes_on_as_a_payload() -> None:
    text = b"a" * 290
    async with fake_smsc() as smsc, an_account(a_profile(smsc.port, packed=True)) as (_, events):
        smsc.live[0].deliver(pack(text))
        await until(lambda: events.mos)
        pdu = decode_pdu(Frame(CommandId.DELIVER_SM, 0, 0, events.mos[0].deliver_sm))
        assert (pdu.fields["short_message"], pdu.tlvs) == (b"", ((Tag.MESSAGE_PAYLOAD, text),))


@pytest.mark.parametrize("how", ["udh8", "udh16", "sar"])
async def test_a_part_of_a_long_mo_carries_its_place(how: str) -> None:
    async with fake_smsc() as smsc, an_account(a_profile(smsc.port)) as (_, events):
        (peer,) = smsc.live
        if how == "udh8":
            peer.deliver(b"\x05\x00\x03\x2a\x03\x02part", esm_class=0x40)
        elif how == "udh16":
            peer.deliver(b"\x06\x08\x04\x00\x2a\x03\x02part", esm_class=0x40)
        else:
            sar = (Tag.SAR_MSG_REF_NUM, Tag.SAR_TOTAL_SEGMENTS, Tag.SAR_SEGMENT_SEQNUM)
            peer.deliver(b"part", tlvs=tuple(zip(sar, (b"\0\x2a", b"\x03", b"\x02"), strict=True)))
        await until(lambda: events.mos)
        (mo,) = events.mos
        ref = 42 if how == "udh8" else 0x1_0000 + 42  # a wide reference is never a narrow one
        assert (mo.ref, mo.total, mo.part, mo.text, mo.raw) == (ref, 3, 2, "part", b"part")


async def test_a_sender_that_is_no_number_has_no_msisdn() -> None:
    async with fake_smsc() as smsc, an_account(a_profile(smsc.port)) as (_, events):
        smsc.live[0].deliver(b"hello", source_addr=b"12345", source_addr_ton=3)
        smsc.live[0].deliver(b"hello", source_addr=b"33612345678", source_addr_ton=5)
        await until(lambda: len(events.mos) == 2)
        assert [(mo.msisdn, mo.source) for mo in events.mos] == [(0, "12345"), (0, "33612345678")]


async def test_a_receipt_whose_tlv_has_an_endless_id_is_for_the_message_that_its_text_names() -> None:
    endless = (Tag.RECEIPTED_MESSAGE_ID, b"9" * 5_000)
    text = b"id:77 sub:001 dlvrd:001 submit date:2611230900 done date:2611230901 stat:DELIVRD err:000"
    async with fake_smsc() as smsc, an_account(a_profile(smsc.port)) as (_, events):
        smsc.live[0].deliver(text, esm_class=0x04, tlvs=(endless,))
        await until(lambda: events.receipt_columns)
        (receipts,) = events.receipt_columns
        assert (receipts.smsc_ids, receipts.other_ids) == ([b"77"], [b""])


async def test_a_customer_cannot_forge_a_receipt_by_text() -> None:
    async with fake_smsc() as smsc, an_account(a_profile(smsc.port)) as (_, events):
        smsc.live[0].deliver(b"id:id-1 sub:001 dlvrd:001 stat:DELIVRD err:000")
        await until(lambda: events.mos)
        assert events.receipt_columns == []


async def test_a_profile_may_say_that_its_receipts_are_marked_by_text_alone() -> None:
    profile_settings = {"receipts": "text"}
    async with fake_smsc() as smsc, an_account(a_profile(smsc.port, **profile_settings)) as (_, events):
        smsc.live[0].deliver(b"id:id-1 stat:DELIVRD err:000")
        smsc.live[0].deliver(b"id:id-2 stat:DELIVRD")  # as a customer types it: no SMSC is that terse
        await until(lambda: events.mos and events.receipt_columns)
        assert events.receipt_columns[0].smsc_ids == [b"id-1"]
        assert events.mos[0].text == "id:id-2 stat:DELIVRD"


TLVS = (
    (Tag.RECEIPTED_MESSAGE_ID, b"id-9\0"),
    (Tag.MESSAGE_STATE, b"\x05"),
    (Tag.NETWORK_ERROR_CODE, b"\3\0\7"),
)


@pytest.mark.parametrize("esm_class", [0x00, 0x04])
@pytest.mark.parametrize("command_id", [CommandId.DELIVER_SM, CommandId.DATA_SM])
async def test_a_receipt_of_tlvs_alone_is_read_and_answered_in_kind(esm_class: int, command_id: int) -> None:
    async with fake_smsc() as smsc, an_account(a_profile(smsc.port)) as (account, events):
        (peer,) = smsc.live
        number = peer.deliver(b"", tlvs=TLVS, command_id=command_id, esm_class=esm_class)
        await until(lambda: events.receipt_columns)
        (receipts,) = events.receipt_columns
        assert (receipts.smsc_ids, receipts.states, receipts.errors) == ([b"id-9"], [5], [b"007"])
        account.acknowledge([receipts.ack])
        await until(peer.answers)
        assert peer.answers() == [(command_id | 0x8000_0000, number, 0)]


async def test_a_receipt_in_another_dialect_or_in_message_payload_is_read_too() -> None:
    async with fake_smsc() as smsc, an_account(a_profile(smsc.port)) as (_, events):
        (peer,) = smsc.live
        peer.deliver(b"stat:REJECTD id:id_7 err:11", esm_class=0x04)
        peer.deliver(b"", tlvs=((Tag.MESSAGE_PAYLOAD, b"id:id-8 stat:EXPIRED"),), esm_class=0x04)
        peer.deliver(b"362d9701 2", esm_class=0x04)
        await until(lambda: sum(len(each.smsc_ids) for each in events.receipt_columns) == 3)
        ids = [smsc_id for each in events.receipt_columns for smsc_id in each.smsc_ids]
        found = [ReceiptState(state).name for each in events.receipt_columns for state in each.states]
        assert ids == [b"id_7", b"id-8", b"362d9701"]
        assert found == ["REJECTD", "EXPIRED", "DELIVRD"]


@pytest.mark.parametrize("text", [b"stat:DELIVRD", b"id: stat:DELIVRD", b""])
async def test_a_receipt_nobody_can_read_is_handed_up_as_it_came_and_counted(text: bytes) -> None:
    async with fake_smsc() as smsc, an_account(a_profile(smsc.port)) as (account, events):
        (peer,) = smsc.live
        number = peer.deliver(text, tlvs=((0x1400, b"x"),), esm_class=0x04)
        await until(lambda: events.receipt_columns)
        (receipts,) = events.receipt_columns
        assert receipts.unreadable == [text + b"\x14\x00\x00\x01x"]
        assert (receipts.smsc_ids, receipts.ack.sequence_numbers, events.mos) == ([], [number], [])
        assert account.counts.receipts_unreadable == 1
        account.acknowledge([receipts.ack])
        await until(peer.answers)
        assert peer.answers() == [(CommandId.DELIVER_SM_RESP, number, 0)]
        assert states(account) == ["bound"]


async def test_an_answer_for_a_session_that_is_gone_is_dropped() -> None:
    async with fake_smsc() as smsc, an_account(a_profile(smsc.port)) as (account, events):
        smsc.live[0].deliver(b"OK")
        await until(lambda: events.mos)
        smsc.live[0].transport.abort()
        await until(lambda: len(smsc.binds) == 2 and states(account) == ["bound"])
        ack = events.mos[0].ack
        assert ack is not None
        account.acknowledge([ack])
        account.acknowledge([Ack(7, 999_999_999, [1, 2])])
        await settled(smsc.live[0])
        assert smsc.live[0].answers() == []
        assert account.counts.acks_gone == 3


async def test_answers_of_one_commit_leave_in_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    async with fake_smsc() as smsc, an_account(a_profile(smsc.port)) as (account, events):
        (peer,) = smsc.live
        for i in range(50):
            peer.receipt(b"id-%d" % i)
        await until(lambda: sum(len(each.smsc_ids) for each in events.receipt_columns) == 50)
        writes = writes_of(account, monkeypatch)
        account.acknowledge([each.ack for each in events.receipt_columns])
        await until(lambda: len(peer.answers()) == 50)
        assert len(writes) == 1


async def test_a_flood_of_deliveries_is_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smsgate.links.connection, "UNACKNOWLEDGED_MAX", 10)
    async with fake_smsc() as smsc, an_account(a_profile(smsc.port)) as (account, events):
        (peer,) = smsc.live
        for i in range(10):
            peer.receipt(b"id-%d" % i)
        await until(lambda: sum(len(each.smsc_ids) for each in events.receipt_columns) == 10)
        late = peer.receipt(b"late")
        await until(peer.answers)
        assert peer.answers() == [(CommandId.DELIVER_SM_RESP, late, Status.MSGQFUL)]
        account.acknowledge([each.ack for each in events.receipt_columns])
        await until(lambda: len(peer.answers()) == 11)
        peer.receipt(b"again")
        await until(lambda: events.receipt_columns[-1].smsc_ids == [b"again"])


async def test_an_mo_full_of_nonsense_keeps_the_bind() -> None:
    async with fake_smsc() as smsc, an_account(a_profile(smsc.port)) as (account, events):
        (peer,) = smsc.live
        for data_coding in range(0, 256, 5):
            peer.deliver(bytes(range(200)), data_coding=data_coding, esm_class=0x40)
        await until(lambda: len(events.mos) == len(range(0, 256, 5)))
        await asyncio.sleep(0)
        assert states(account) == ["bound"]


async def test_what_stands_cut_or_beyond_the_end_of_a_pdu_is_dropped_and_counted() -> None:
    async with fake_smsc() as smsc, an_account(a_profile(smsc.port)) as (account, events):
        (peer,) = smsc.live
        fields = {"source_addr": b"33612345678", "destination_addr": b"38123", "short_message": b"OK"}
        body = encode_body(CommandId.DELIVER_SM, fields) + b"\x04\x27\x00\x41\x02"  # 65 octets, of which one
        peer.write(Frame(CommandId.DELIVER_SM, 1, 0, body))
        await until(lambda: events.mos)
        assert events.mos[0].text == "OK"
        peer.transport.abort()
        await until(lambda: len(smsc.binds) == 2 and states(account) == ["bound"])
        assert account.counts.dropped_octets == 5


async def test_a_pdu_longer_than_the_profile_allows_ends_the_session_and_one_as_long_is_read() -> None:
    profile_settings = {"command_length_max": 2_000, "rebind": {"lost_s": (0.01, 0.01)}}
    async with fake_smsc() as smsc, an_account(a_profile(smsc.port, **profile_settings)) as (_, events):
        payload = b"x" * 1_900
        smsc.live[0].deliver(b"", tlvs=((Tag.MESSAGE_PAYLOAD, payload),))
        await until(lambda: events.mos)
        assert events.mos[0].raw == payload
        smsc.live[0].deliver(b"", tlvs=((Tag.MESSAGE_PAYLOAD, payload * 2),))
        await until(lambda: len(smsc.binds) == 2)
        assert len(events.mos) == 1


async def test_deliveries_that_share_a_number_are_answered_each_in_its_own_kind() -> None:
    async with fake_smsc() as smsc, an_account(a_profile(smsc.port)) as (account, events):
        (peer,) = smsc.live
        kinds = [CommandId.DATA_SM, CommandId.DELIVER_SM, CommandId.DATA_SM, CommandId.DATA_SM]
        for place, kind in enumerate(kinds):
            peer._next_number = 7
            peer.deliver(b"text %d" % place, command_id=kind)
        await until(lambda: len(events.mos) == len(kinds))
        acks = [mo.ack for mo in events.mos if mo.ack is not None]
        account.acknowledge(acks[:1])
        account.acknowledge(acks[1:])
        await until(lambda: len(peer.answers()) == len(kinds))
        assert {(number, status) for _, number, status in peer.answers()} == {(7, 0)}
        assert [kind for kind, _, _ in peer.answers()].count(CommandId.DATA_SM_RESP) == 3
