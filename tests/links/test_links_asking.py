"""A system message without a receipt is asked about, where the profile says so; an offer never is."""

from __future__ import annotations

from collections.abc import Sequence

from smsgate.clock import SystemClock
from smsgate.flows.records import Lane
from smsgate.links.asking import ASKED_PER_ROUND_MAX, TRIES_MAX, Asking
from smsgate.links.carrier import CarrierAccount
from smsgate.protocol.commands import RESPONSE_BIT, CommandId, Status
from smsgate.protocol.frames import Frame
from smsgate.protocol.pdus import Pdu, decode_pdu, encode_pdu
from smsgate.protocol.receipt_states import ReceiptState
from tests.links.fake_smsc import FakeSmsc, Recorder, a_profile, an_account, fake_smsc, some_bodies, until


def answer_queries(smsc: FakeSmsc, states: Sequence[int], status: int = 0) -> list[Pdu]:
    """Answer the queries with these states in turn, the last one for ever."""
    seen: list[Pdu] = []

    def answer(frame: Frame) -> Frame:
        seen.append(decode_pdu(frame))
        state = states[min(len(seen), len(states)) - 1]
        fields = {"message_id": b"x", "final_date": b"", "message_state": state, "error_code": 27}
        body = encode_pdu(Pdu(CommandId.QUERY_SM_RESP, status, 1, fields))[16:]
        return Frame(CommandId.QUERY_SM | RESPONSE_BIT, frame.sequence_number, status, body)

    smsc.answers[CommandId.QUERY_SM] = answer
    return seen


def asking_of(account: CarrierAccount) -> Asking:
    assert account._asking is not None
    return account._asking


async def sent(account: CarrierAccount, events: Recorder, count: int = 1) -> None:
    account.submit(some_bodies(account, count), list(range(count)), Lane.INTERACTIVE)
    await until(lambda: len(events.slots) >= count)


async def test_the_answer_is_recorded_as_a_receipt() -> None:
    async with fake_smsc() as smsc:
        seen = answer_queries(smsc, [ReceiptState.UNDELIV])
        async with an_account(a_profile(smsc.port, query=True, query_after_s=1e-9)) as (account, events):
            account.submit(some_bodies(account, 1), [99], Lane.BULK)
            await sent(account, events)
            await until(lambda: len(events.slots) == 2)
            await asking_of(account).round()
            (receipt,) = events.receipt_columns
            assert receipt.smsc_ids == [b"id-2"]  # the offer, id-1, is not asked about
            assert (receipt.states, receipt.errors) == ([ReceiptState.UNDELIV], [b"027"])
            assert receipt.ack.sequence_numbers == []
            assert seen[0].fields["source_addr"] == b"38123"
            await asking_of(account).round()
            assert len(seen) == 1


async def test_a_message_with_its_receipt_is_not_asked_about() -> None:
    async with fake_smsc() as smsc:
        seen = answer_queries(smsc, [ReceiptState.DELIVRD])
        async with an_account(a_profile(smsc.port, query=True, query_after_s=1e-9)) as (account, events):
            await sent(account, events)
            smsc.live[0].receipt(b"id-1")
            await until(lambda: events.receipt_columns)
            await asking_of(account).round()
            assert seen == []


async def test_a_receipt_that_comes_while_another_message_is_asked_about_ends_nothing_else() -> None:
    """The second message of the round was gone when its turn came: nothing was asked ever after."""
    async with fake_smsc() as smsc:
        seen = answer_queries(smsc, [ReceiptState.DELIVRD])
        answer = smsc.answers[CommandId.QUERY_SM]

        def after_a_receipt(frame: Frame) -> Frame | None:
            smsc.live[0].receipt(b"id-2")
            return answer(frame)

        smsc.answers[CommandId.QUERY_SM] = after_a_receipt
        profile = a_profile(smsc.port, query=True, query_after_s=1e-9, window_max=10)
        async with an_account(profile) as (account, events):
            await sent(account, events, 3)
            await asking_of(account).round()
            assert [pdu.fields["message_id"] for pdu in seen] == [b"id-1", b"id-3"]
            assert len(asking_of(account)) == 0


async def test_a_message_that_the_carrier_says_nothing_of_is_not_asked_about_for_ever() -> None:
    """It came first in each round, and the round ended with it: of the others nobody asked."""
    async with fake_smsc() as smsc:
        seen = answer_queries(smsc, [ReceiptState.DELIVRD])
        asked: list[bytes] = []
        answer = smsc.answers[CommandId.QUERY_SM]

        def silent_of_the_first(frame: Frame) -> Frame | None:
            message_id = decode_pdu(frame).fields["message_id"]
            asked.append(message_id)
            return None if message_id == b"id-1" else answer(frame)

        smsc.answers[CommandId.QUERY_SM] = silent_of_the_first
        profile = a_profile(smsc.port, query=True, query_after_s=1e-9, window_max=10, response_timeout_s=0.1)
        async with an_account(profile) as (account, events):
            await sent(account, events, 2)
            for _ in range(TRIES_MAX + 1):
                await asking_of(account).round()
            assert asked.count(b"id-1") == TRIES_MAX
            assert [pdu.fields["message_id"] for pdu in seen] == [b"id-2"]
            assert len(asking_of(account)) == 0


async def test_a_receipt_that_spells_the_id_in_another_way_ends_the_asking_too() -> None:
    """Hexadecimal in the response, decimal in the receipt (jasmin issue 20)."""
    async with fake_smsc() as smsc:
        seen = answer_queries(smsc, [ReceiptState.DELIVRD])
        profile = a_profile(smsc.port, query=True, query_after_s=1e-9, id_receipt="dec_to_hex")
        async with an_account(profile) as (account, events):
            asking = asking_of(account)
            asking.sent(some_bodies(account, 3), [1, 2, 3])
            asking.answered([1, 2, 3], [0, 0, 0], [b"00A3F2C1", b"A3F2C2", b"a3f2c3"])
            smsc.live[0].receipt(b"%d" % 0xA3F2C1)
            await until(lambda: events.receipt_columns)
            assert asking.exact(b"00A3F2C1") is None
            assert len(asking) == 2
            await asking.round()
            assert [pdu.fields["message_id"] for pdu in seen] == [b"A3F2C2", b"a3f2c3"]


async def test_a_message_still_on_its_way_is_asked_about_again_and_not_for_ever() -> None:
    async with fake_smsc() as smsc:
        seen = answer_queries(smsc, [ReceiptState.ENROUTE])
        async with an_account(a_profile(smsc.port, query=True, query_after_s=1e-9)) as (account, events):
            await sent(account, events)
            while len(asking_of(account)):
                await asking_of(account).round()
            assert len(seen) == TRIES_MAX
            assert events.receipt_columns == []


async def test_queries_leave_the_rate_to_the_messages() -> None:
    async with fake_smsc() as smsc:
        seen = answer_queries(smsc, [ReceiptState.DELIVRD])
        profile = a_profile(smsc.port, query=True, query_after_s=1e-9, window_max=50)
        async with an_account(profile) as (account, events):
            await sent(account, events, 30)
            await asking_of(account).round()
            assert len(seen) == ASKED_PER_ROUND_MAX


async def test_a_carrier_that_refuses_queries_is_not_asked_again_about_that_message() -> None:
    async with fake_smsc() as smsc:
        seen = answer_queries(smsc, [0], status=Status.QUERYFAIL)
        async with an_account(a_profile(smsc.port, query=True, query_after_s=1e-9)) as (account, events):
            await sent(account, events)
            for _ in range(3):
                await asking_of(account).round()
            assert len(seen) == 1


def test_by_default_nothing_is_asked() -> None:
    account = CarrierAccount(a_profile(1), 7, clock=SystemClock(), random=lambda: 0.0)
    assert account._asking is None


async def test_a_submit_in_doubt_has_no_id_to_ask_by_and_is_forgotten() -> None:
    async with fake_smsc() as smsc:
        smsc.hold = True
        async with an_account(a_profile(smsc.port, query=True)) as (account, events):
            account.submit(some_bodies(account, 2), [1, 2], Lane.INTERACTIVE)
            await until(lambda: len(smsc.live[0].held) == 2)
            smsc.live[0].transport.abort()
            await until(lambda: events.doubtful == [1, 2])
            assert asking_of(account)._sent == {}
