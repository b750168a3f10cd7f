"""A phone that cannot be reached now: its system messages wait for alert_notification; offers never do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import count

import pytest

from smsgate.clock import SystemClock
from smsgate.flows.batches import Batch, Chunk
from smsgate.flows.outcomes import Outcomes
from smsgate.flows.records import STATUS_NOT_SENT, ChunkKey, MobileOriginated
from smsgate.flows.sending import Pump
from smsgate.flows.sending_limits import SendingLimits
from smsgate.flows.stops import RecentStops
from smsgate.links.carrier import CarrierAccount
from smsgate.protocol.commands import CommandId
from smsgate.protocol.pdus import Pdu, encode_pdu
from tests.batches import batch_of
from tests.links.fake_smsc import FakeSmsc, a_profile, fake_smsc, states, until

ABSENT = 0x401  # a vendor's status
PHONE = 33_612_345_678


class Events(Pump):
    """A pump that takes the carrier's events; these tests have no MOs."""

    def delivered(self, mo: MobileOriginated) -> None:
        raise AssertionError(mo)


@dataclass
class Stage:
    smsc: FakeSmsc
    pump: Events
    outcomes: Outcomes
    handles: count[int]

    def send(self, *, offer: bool = False, size: int = 1, ttl_s: float = 3_600.0) -> Batch:
        batch = batch_of(
            list(range(size)),
            chunk=Chunk(ChunkKey(1, 5, 1, 1), 0, size, size) if offer else None,
            handle=next(self.handles),
            carrier_id=7,
            expires_at=SystemClock().now() + timedelta(seconds=ttl_s),
            msisdns=[PHONE] * size,
        )
        batch.consent_read = (SystemClock().monotonic(), 0)
        self.pump.add([(batch, [])])
        return batch

    def outcome(self) -> list[int]:
        return self.outcomes.flush.sent.statuses

    def alert(self, digits: bytes = b"33612345678") -> None:
        fields = {"source_addr_ton": 1, "source_addr_npi": 1, "source_addr": digits}
        self.smsc.live[0].transport.write(encode_pdu(Pdu(CommandId.ALERT_NOTIFICATION, 0, 55, fields)))


@asynccontextmanager
async def a_stage(wait_s: float = 300.0) -> AsyncIterator[Stage]:
    async with fake_smsc() as smsc:
        clock = SystemClock()
        profile = a_profile(smsc.port, unreachable_statuses=[ABSENT], unreachable_wait_s=wait_s)
        account = CarrierAccount(profile, 7, clock=clock, random=lambda: 0.0)
        outcomes = Outcomes(count(1).__next__)
        pump = Events({7: account}, outcomes, RecentStops(), clock, limits=SendingLimits())
        account.start(pump)
        await until(lambda: states(account) == ["bound"])
        smsc.submit_status = lambda submits: ABSENT if submits == 1 else 0
        try:
            yield Stage(smsc, pump, outcomes, count(1))
        finally:
            pump.drain()
            await account.stop(0.0)


async def test_an_alert_lets_the_waiting_message_go_and_gets_no_answer() -> None:
    async with a_stage() as stage:
        stage.send()
        await until(lambda: len(stage.pump.absent) == 1)
        assert stage.outcome() == []
        assert stage.pump.uncommitted == 0
        stage.alert(b"33699999999")  # another phone
        stage.alert()
        await until(lambda: stage.outcome() == [0])
        assert len(stage.smsc.submits) == 2
        assert len(stage.pump.absent) == 0
        peer = stage.smsc.live[0]
        assert not [frame for frame in peer.frames if frame.sequence_number == 55]


async def test_without_an_alert_it_goes_after_a_while_by_itself() -> None:
    async with a_stage(wait_s=0.05) as stage:
        stage.send()
        await until(lambda: len(stage.pump.absent) == 1)
        stage.pump.absent_due()
        assert len(stage.smsc.submits) == 1

        def gone() -> bool:
            stage.pump.absent_due()
            return stage.outcome() == [0]

        await until(gone)


async def test_an_offer_does_not_wait() -> None:
    async with a_stage() as stage:
        stage.send(offer=True)
        await until(lambda: stage.outcome() == [ABSENT])
        assert len(stage.pump.absent) == 0


async def test_a_message_whose_time_is_over_is_never_sent() -> None:
    async with a_stage() as stage:
        batch = stage.send()
        await until(lambda: len(stage.pump.absent) == 1)
        stage.pump.give_up(batch, "expired", SystemClock().now())
        assert stage.outcome() == [STATUS_NOT_SENT]
        stage.alert()
        stage.send()  # another message to the same phone, answered 0
        await until(lambda: stage.outcome() == [STATUS_NOT_SENT, 0])
        assert len(stage.smsc.submits) == 2


async def test_what_waits_at_the_stop_goes_back_to_the_database() -> None:
    async with a_stage() as stage:
        stage.send()
        await until(lambda: len(stage.pump.absent) == 1)
        stage.pump.drain()
        _, messages = stage.pump.forget()
        assert messages == [(1, 0)]


async def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_stage() as stage:
        stage.pump.absent._held_max = 3
        stage.smsc.submit_status = lambda _: ABSENT
        stage.send(size=5)
        await until(lambda: len(stage.outcome()) == 2)
        assert stage.outcome() == [ABSENT] * 2
        assert len(stage.pump.absent) == 3
