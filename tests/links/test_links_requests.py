"""query_sm, cancel_sm, replace_sm, submit_multi, data_sm: who asks gets an answer, or a reason, in time."""

from __future__ import annotations

import asyncio

import pytest

from smsgate.errors import CarrierRefused, LinkError, Unanswered
from smsgate.flows.records import Lane
from smsgate.protocol.commands import RESPONSE_BIT, CommandId, Status
from smsgate.protocol.frames import Frame
from smsgate.protocol.pdus import Address, Pdu, decode_pdu, encode_pdu
from smsgate.protocol.receipt_states import ReceiptState
from smsgate.protocol.tlvs import Tag, tlv_value
from tests.links.fake_smsc import FakeSmsc, a_profile, an_account, fake_smsc, some_bodies, until


def answers(smsc: FakeSmsc, command_id: int, status: int = 0, **fields: object) -> list[Pdu]:
    """Let the fake answer this kind of request; the list fills with what came."""
    seen: list[Pdu] = []

    def answer(frame: Frame) -> Frame:
        seen.append(decode_pdu(frame))
        whole = encode_pdu(Pdu(command_id | RESPONSE_BIT, status, frame.sequence_number, fields))
        return Frame(command_id | RESPONSE_BIT, frame.sequence_number, status, whole[16:])

    smsc.answers[command_id] = answer
    return seen


async def test_a_request_after_a_change_without_a_new_bind_names_the_sender_as_the_new_profile_does() -> None:
    async with fake_smsc() as smsc:
        seen = answers(smsc, CommandId.QUERY_SM, message_id=b"1", final_date=b"", message_state=2)
        async with an_account(a_profile(smsc.port)) as (account, _):
            account.adopt(a_profile(smsc.port, senders=[{"number": "38123", "ton": 0, "npi": 1}]))
            await account.requests.query(b"77", "38123")
            assert (seen[0].fields["source_addr_ton"], seen[0].fields["source_addr_npi"]) == (0, 1)


async def test_a_query_says_what_became_of_a_message() -> None:
    async with fake_smsc() as smsc:
        seen = answers(
            smsc,
            CommandId.QUERY_SM,
            message_id=b"77",
            final_date=b"261126120000000+",
            message_state=2,
            error_code=0,
        )
        async with an_account(a_profile(smsc.port)) as (account, _):
            answer = await account.requests.query(b"77", "38123")
            assert answer == (b"77", ReceiptState.DELIVRD, 0, b"261126120000000+")
            assert seen[0].fields == {
                "message_id": b"77",
                "source_addr_ton": 3,
                "source_addr_npi": 0,
                "source_addr": b"38123",
            }
            assert account.counts.requests == 1
            assert len(account.requests) == 0


async def test_cancel_and_replace_name_the_message_and_its_sender() -> None:
    async with fake_smsc() as smsc:
        cancelled = answers(smsc, CommandId.CANCEL_SM)
        replaced = answers(smsc, CommandId.REPLACE_SM)
        async with an_account(a_profile(smsc.port)) as (account, _):
            await account.requests.cancel(b"77", "38123", 33612345678)
            await account.requests.replace(b"77", "38123", b"Other text")
            assert cancelled[0].fields["destination_addr"] == b"33612345678"
            assert cancelled[0].fields["message_id"] == replaced[0].fields["message_id"] == b"77"
            assert replaced[0].fields["short_message"] == b"Other text"


async def test_submit_multi_tells_who_was_refused_and_counts_each_destination() -> None:
    async with fake_smsc() as smsc:

        def answer(frame: Frame) -> Frame:
            asked.append(decode_pdu(frame))
            body = b"m-1\0\x01" + b"\x01\x0133600000002\0" + (0x0B).to_bytes(4, "big")
            return Frame(CommandId.SUBMIT_MULTI_RESP, frame.sequence_number, 0, body)

        asked: list[Pdu] = []
        smsc.answers[CommandId.SUBMIT_MULTI] = answer
        async with an_account(a_profile(smsc.port, rate_per_s=100)) as (account, _):
            before = account.room(Lane.INTERACTIVE)
            found = await account.requests.submit_multi("38123", [33600000001, 33600000002], b"Bonjour")
            assert found == (b"m-1", [(33600000002, Status.INVDSTADR)])
            assert asked[0].fields["dest_address"] == (
                Address(1, 1, b"33600000001"),
                Address(1, 1, b"33600000002"),
            )
            assert before == 10


async def test_data_sm_carries_its_text_in_message_payload() -> None:
    async with fake_smsc() as smsc:
        seen = answers(smsc, CommandId.DATA_SM, message_id=b"d-1")
        async with an_account(a_profile(smsc.port)) as (account, _):
            assert await account.requests.data("38123", 33612345678, b"x" * 1_000) == b"d-1"
            assert tlv_value(seen[0].tlvs, Tag.MESSAGE_PAYLOAD) == b"x" * 1_000


async def test_a_refusal_has_its_status_and_a_throttling_one_slows_the_account() -> None:
    async with fake_smsc() as smsc:
        answers(smsc, CommandId.QUERY_SM, Status.QUERYFAIL)
        answers(smsc, CommandId.CANCEL_SM, Status.THROTTLED)
        async with an_account(a_profile(smsc.port)) as (account, _):
            with pytest.raises(CarrierRefused) as refused:
                await account.requests.query(b"77", "38123")
            assert refused.value.status == Status.QUERYFAIL
            assert account.rate_now() == account.rate_per_s
            with pytest.raises(CarrierRefused):
                await account.requests.cancel(b"77", "38123")
            assert account.rate_now() < account.rate_per_s


async def test_no_answer_and_a_lost_link_end_the_wait() -> None:
    async with fake_smsc() as smsc:
        async with an_account(a_profile(smsc.port, response_timeout_s=0.1)) as (account, _):
            with pytest.raises(Unanswered):
                await account.requests.query(b"77", "38123")
        async with an_account(a_profile(smsc.port)) as (account, _):
            asking = asyncio.create_task(account.requests.query(b"77", "38123"))
            await until(lambda: len(account.requests) == 1)
            smsc.live[0].transport.abort()
            with pytest.raises(Unanswered):
                await asking
            assert len(account.requests) == 0


async def test_without_a_bind_or_room_nothing_is_sent() -> None:
    async with fake_smsc() as smsc:
        smsc.hold = True
        profile = a_profile(smsc.port, response_timeout_s=0.2, window_max=1)
        async with an_account(profile, bound=1) as (account, _):
            assert account.submit(some_bodies(account, 1), [1], Lane.INTERACTIVE) == 1
            tight = a_profile(smsc.port, response_timeout_s=0.2)
            account.requests._profile = tight.model_copy(update={"response_timeout_s": 0.05})
            with pytest.raises(LinkError, match="no room"):
                await account.requests.query(b"77", "38123")
            await account.stop(0.1)
            with pytest.raises(LinkError, match="not bound"):
                await account.requests.query(b"77", "38123")
        assert not any(peer.heard(CommandId.QUERY_SM) for peer in smsc.peers)


async def test_requests_that_wait_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smsgate.links.requests.REQUESTS_MAX", 3)
    async with fake_smsc() as smsc, an_account(a_profile(smsc.port)) as (account, _):
        asking = [asyncio.create_task(account.requests.query(b"7", "38123")) for _ in range(3)]
        await until(lambda: len(account.requests) == 3)
        with pytest.raises(LinkError, match="wait"):
            await account.requests.query(b"77", "38123")
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        assert len(account.requests) == 0
