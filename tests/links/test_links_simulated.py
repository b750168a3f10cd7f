"""Simulated phones: no link makes octets for them or hears them, and their own carrier delivers at once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from smsgate.clock import ManualClock
from smsgate.errors import BodyError
from smsgate.flows.records import Lane
from smsgate.links.carrier import CarrierAccount
from smsgate.links.simulated import ROOM, SimulatedCarrier
from smsgate.protocol.receipt_states import ReceiptState
from tests.links.fake_smsc import Recorder, a_profile, an_account, fake_smsc, until

NOON = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
PHONE = 99900000712


def test_a_link_makes_no_octets_for_a_simulated_phone_however_it_got_there() -> None:
    account = CarrierAccount(a_profile(2775), 1, clock=ManualClock(NOON), random=lambda: 0.5)
    with pytest.raises(BodyError):
        account.bodies("36111", [33612345678, PHONE], [b"hello"], 0)
    with pytest.raises(BodyError):
        account.submitted_bodies("36111", [PHONE], [b""], NOON + timedelta(hours=1))


def test_the_simulated_carrier_takes_nothing_to_a_real_phone_and_no_process_ends_by_it() -> None:
    carrier = SimulatedCarrier(9, owner=3)
    with pytest.raises(BodyError):
        carrier.bodies("36111", [PHONE, 33612345678], [b"hello"] * 2, 0)
    with pytest.raises(BodyError):
        carrier.submitted_bodies("36111", [33612345678], [b""], NOON + timedelta(hours=1))


async def test_what_a_carrier_says_of_a_simulated_number_is_nobodys() -> None:
    async with fake_smsc() as smsc, an_account(a_profile(smsc.port)) as (_, events):
        smsc.live[0].deliver(b"OK", source_addr=b"%d" % PHONE)
        await until(lambda: len(events.mos) == 1)
        assert (events.mos[0].msisdn, events.mos[0].source) == (0, str(PHONE))


async def test_the_simulated_carrier_answers_after_the_submit_and_delivers() -> None:
    carrier, events = SimulatedCarrier(9, owner=3), Recorder()
    carrier.start(events)
    assert carrier.submit([b"a", b"b"], [10, 20], Lane.BULK) == 2
    assert events.slots == []  # never inside the submit
    assert (carrier.in_flight(), carrier.room(Lane.BULK)) == (2, ROOM - 2)
    await asyncio.sleep(0)
    assert (events.slots, events.statuses) == ([10, 20], [0, 0])
    (receipts,) = events.receipt_columns
    assert (receipts.carrier_id, receipts.smsc_ids) == (9, events.smsc_ids)
    assert receipts.states == [ReceiptState.DELIVRD] * 2
    assert len(set(events.smsc_ids)) == 2
    assert carrier.in_flight() == 0


async def test_a_draining_process_has_no_room_for_simulated_phones_either() -> None:
    carrier = SimulatedCarrier(9, owner=3)
    carrier.stop_submitting()
    assert carrier.submit([b"a"], [10], Lane.BULK) == 0
