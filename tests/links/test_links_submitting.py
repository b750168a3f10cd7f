"""One window, one rate, two lanes over all binds; every slot is settled exactly once."""

from __future__ import annotations

import asyncio
import socket
from itertools import count

import pytest

import smsgate.links.connection
from smsgate.clock import SystemClock
from smsgate.errors import ConfigError
from smsgate.flows.records import Lane
from smsgate.links.carrier import CarrierAccount
from smsgate.links.connection import Connection
from smsgate.protocol.commands import CommandId, Status
from smsgate.protocol.frames import Frame
from tests.links.fake_smsc import (
    Peer,
    Recorder,
    a_profile,
    an_account,
    fake_smsc,
    some_bodies,
    states,
    until,
    writes_of,
)


class Sender:
    """Fills whatever room there is, as the flows do, until `total` slots are written."""

    def __init__(self, account: CarrierAccount, events: Recorder, total: int) -> None:
        self.account = account
        self.slots = list(range(total))
        self.written = 0
        events.fill = self.fill
        self.fill()

    def fill(self) -> None:
        while self.written < len(self.slots) and (room := self.account.room(Lane.BULK)):
            slots = self.slots[self.written : self.written + room]
            self.written += self.account.submit(some_bodies(self.account, len(slots)), slots, Lane.BULK)


async def test_the_window_is_never_exceeded_and_all_is_answered() -> None:
    async with fake_smsc() as smsc:
        smsc.answer_delay_s = 0.005
        async with an_account(a_profile(smsc.port, interactive_share=0)) as (account, events):
            sender = Sender(account, events, 200)
            await until(lambda: len(events.slots) == 200)
            assert sorted(events.slots) == sender.slots
            assert [peer.in_flight_max for peer in smsc.peers] == [10]
            assert (account.counts.submitted, account.counts.answered) == (200, 200)


async def test_a_slice_goes_over_the_fewest_binds_that_have_room_for_it() -> None:
    async with fake_smsc() as smsc:
        smsc.hold = True
        profile = a_profile(smsc.port, binds=3, interactive_share=0)
        async with an_account(profile, bound=3) as (account, _):
            assert account.submit(some_bodies(account, 10), list(range(10)), Lane.BULK) == 10
            await until(lambda: sum(len(peer.held) for peer in smsc.live) == 10)
            assert sorted(len(peer.held) for peer in smsc.live) == [0, 0, 10]
            assert account.submit(some_bodies(account, 50), list(range(10, 60)), Lane.BULK) == 20
            await until(lambda: all(len(peer.held) == 10 for peer in smsc.live))
            assert account.in_flight() == 30


async def test_what_is_submitted_in_one_turn_of_the_loop_leaves_in_one_write(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with fake_smsc() as smsc, an_account(a_profile(smsc.port)) as (account, events):
        writes = writes_of(account, monkeypatch)
        for slot in range(5):
            account.submit(some_bodies(account, 1), [slot], Lane.INTERACTIVE)
        await until(lambda: len(events.slots) == 5)
        assert len(writes) == 1


async def test_campaigns_leave_the_interactive_lane_its_share_of_the_window() -> None:
    async with fake_smsc() as smsc:
        smsc.hold = True
        profile = a_profile(smsc.port, window_max=20, interactive_share=0.2)
        async with an_account(profile) as (account, _):
            assert account.submit(some_bodies(account, 50), list(range(50)), Lane.BULK) == 16
            assert account.room(Lane.BULK) == 0
            assert account.room_at(Lane.BULK) is None
            assert account.submit(some_bodies(account, 50), list(range(50, 100)), Lane.INTERACTIVE) == 4
            assert account.room(Lane.INTERACTIVE) == 0


async def test_campaigns_leave_the_interactive_lane_its_share_of_the_rate() -> None:
    async with fake_smsc() as smsc:
        profile = a_profile(smsc.port, window_max=1_000, rate_per_s=100, interactive_share=0.2)
        async with an_account(profile) as (account, _):
            assert account.submit(some_bodies(account, 50), list(range(50)), Lane.BULK) == 8
            assert account.room_at(Lane.BULK) is not None
            assert account.submit(some_bodies(account, 2), [50, 51], Lane.INTERACTIVE) == 2


async def test_no_second_sees_more_than_rate_and_burst() -> None:
    async with fake_smsc() as smsc:
        profile = a_profile(smsc.port, window_max=500, rate_per_s=100, interactive_share=0)
        async with an_account(profile) as (account, events):
            sender = Sender(account, events, 160)
            while sender.written < 160:
                await until(lambda: account.room(Lane.BULK))
                sender.fill()
            await until(lambda: len(events.slots) == 160)
        times = [at for at, _ in smsc.submits]
        in_a_second = max(sum(1 for other in times if 0 <= other - at < 1.0) for at in times)
        slack = 3  # the fake takes its time stamps a little after the octets left
        assert in_a_second <= 100 + profile.burst + slack
        assert times[-1] - times[0] < 160 / 100 + 0.5


@pytest.mark.parametrize(("burst_s", "at_once"), [(None, 5), (0.01, 2), (0.5, 25), (1, 50)])
async def test_what_leaves_at_once_is_the_time_of_the_rate_that_the_carrier_allows(
    burst_s: float | None, at_once: int
) -> None:
    keys = {} if burst_s is None else {"burst_s": burst_s}
    async with fake_smsc() as smsc:
        profile = a_profile(smsc.port, window_max=500, rate_per_s=50, interactive_share=0, **keys)
        async with an_account(profile) as (account, _):
            assert account.submit(some_bodies(account, 100), list(range(100)), Lane.BULK) == at_once


@pytest.mark.parametrize("burst_s", [0, 1.1])
def test_no_carrier_allows_nothing_at_once_or_more_than_a_second_of_its_rate(burst_s: float) -> None:
    with pytest.raises(ConfigError, match="burst_s"):
        a_profile(2775, burst_s=burst_s)


async def test_the_sender_is_told_when_the_rate_gives_room_again() -> None:
    async with fake_smsc() as smsc:
        profile = a_profile(smsc.port, window_max=500, rate_per_s=50, interactive_share=0)
        async with an_account(profile) as (account, _):
            assert account.submit(some_bodies(account, 100), list(range(100)), Lane.BULK) == profile.burst
            at = account.room_at(Lane.BULK)
            assert at is not None
            assert 0 < at - SystemClock().monotonic() <= 1 / 50 + 0.01
            await asyncio.sleep(at - SystemClock().monotonic())  # the time is what is tested
            assert account.room(Lane.BULK) >= 1


async def test_a_throttled_answer_slows_the_whole_account_and_goes_up_for_a_retry() -> None:
    async with fake_smsc() as smsc:
        smsc.submit_status = lambda _count: Status.THROTTLED
        profile = a_profile(smsc.port, binds=2, rate_per_s=1_000)
        async with an_account(profile, bound=2) as (account, events):
            account.submit(some_bodies(account, 1), [1], Lane.BULK)
            await until(lambda: events.slots)
            assert events.statuses == [Status.THROTTLED]
            assert account.rate_now() < 600
            assert account.counts.throttled == 1
            assert Status.THROTTLED in account.retry_statuses


async def test_a_final_refusal_slows_nothing() -> None:
    async with fake_smsc() as smsc:
        smsc.submit_status = lambda _count: Status.INVDSTADR
        async with an_account(a_profile(smsc.port)) as (account, events):
            account.submit(some_bodies(account, 1), [1], Lane.BULK)
            await until(lambda: events.slots)
            assert (events.statuses, events.smsc_ids) == ([Status.INVDSTADR], [b""])
            assert account.rate_now() == account.rate_per_s


async def test_a_link_lost_in_mid_window_settles_every_slot_exactly_once() -> None:
    async with fake_smsc() as smsc:
        cuts = count(1)

        def status(submits: int) -> int:
            if submits >= 30 * (1 + len(smsc.peers)):  # in the middle of a window, again and again
                next(cuts)
                smsc.live[0].transport.abort()
            return 0

        smsc.submit_status = status
        smsc.answer_delay_s = 0.001
        async with an_account(a_profile(smsc.port, rebind={"lost_s": [0.005, 0.005]})) as (account, events):
            sender = Sender(account, events, 300)
            await until(lambda: len(events.slots) + len(events.doubtful) == 300)
            assert sorted(events.slots + events.doubtful) == sender.slots
            assert events.doubtful
            assert next(cuts) > 2
            assert account.counts.in_doubt == len(events.doubtful)
            await until(lambda: states(account) == ["bound"])


async def test_a_submit_without_an_answer_is_in_doubt_after_the_time_out_and_frees_its_place() -> None:
    async with fake_smsc() as smsc:
        smsc.hold = True
        async with an_account(a_profile(smsc.port, response_timeout_s=0.1, window_max=2)) as (
            account,
            events,
        ):
            assert account.submit(some_bodies(account, 2), [1, 2], Lane.INTERACTIVE) == 2
            await until(lambda: events.doubtful == [1, 2])
            assert account.room(Lane.INTERACTIVE) == 2
            smsc.live[0].answer_held()  # too late: it changes nothing
            await until(lambda: account_stray(account) == 2)
            assert events.slots == []


async def test_a_carrier_that_answers_enquiries_and_no_submit_is_left_after_one_window() -> None:
    async with fake_smsc() as smsc:
        smsc.hold = True
        times = {"enquire_interval_s": 0.05, "response_timeout_s": 0.3}
        profile = a_profile(
            smsc.port, window_max=20, interactive_share=0, rebind={"lost_s": [60, 60]}, **times
        )
        async with an_account(profile) as (account, events):
            sender = Sender(account, events, 1_000)
            await until(lambda: account.down_since() is not None)
            assert sender.written == len(events.doubtful) == 20
            assert smsc.peers[0].heard(CommandId.ENQUIRE_LINK)
            assert account.binds()[0].last_error == "silent submits have no answer"
            await until(lambda: account.counts.setbacks == 1 and not smsc.live)
            assert states(account) == ["closed"]


def account_stray(account: CarrierAccount) -> int:
    return sum(c.session.counts.stray_responses for c in account._connections.values())


async def test_nothing_is_submitted_before_the_bind_or_after_the_stop() -> None:
    account = CarrierAccount(a_profile(1), 7, clock=SystemClock(), random=lambda: 0.0)
    assert account.room(Lane.INTERACTIVE) == 0
    assert account.submit(some_bodies(account, 1), [1], Lane.INTERACTIVE) == 0
    async with fake_smsc() as smsc, an_account(a_profile(smsc.port)) as (bound, _):
        bound.stop_submitting()
        assert bound.room(Lane.INTERACTIVE) == 0
        assert bound.room_at(Lane.INTERACTIVE) is None
        assert bound.submit(some_bodies(bound, 1), [1], Lane.INTERACTIVE) == 0


@pytest.fixture
def small_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smsgate.links.connection, "WRITE_BUFFER_HIGH", 10_000)
    monkeypatch.setattr(smsgate.links.connection, "WRITE_BUFFER_MAX", 20_000)


def stop_reading(peer: Peer, connection: Connection) -> asyncio.Transport:
    """Let the peer read no more, and let the kernel hold little between the two; return our transport."""
    peer.transport.pause_reading()
    transport = connection._transport
    assert transport is not None
    for side, option in ((peer.transport, socket.SO_RCVBUF), (transport, socket.SO_SNDBUF)):
        side.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, option, 65_536)
    return transport


@pytest.mark.usefixtures("small_buffers")
async def test_a_carrier_that_does_not_read_gives_no_room_until_it_does() -> None:
    async with fake_smsc() as smsc:
        profile = a_profile(smsc.port, window_max=10_000, rate_per_s=100_000, interactive_share=0)
        async with an_account(profile) as (account, events):
            connection = next(iter(account._connections.values()))
            stop_reading(smsc.live[0], connection)
            body = account.bodies("38123", [33612345678], [b"x" * 254], 0)[0]
            assert account.submit([body] * 2_000, list(range(2_000)), Lane.BULK) == 2_000
            await until(lambda: account.room(Lane.BULK) == 0)
            assert connection.session.room() == 8_000
            assert account.room_at(Lane.BULK) is None
            smsc.live[0].transport.resume_reading()
            await until(lambda: len(events.slots) == 2_000)
            await until(lambda: account.room(Lane.BULK) == 10_000)


@pytest.mark.usefixtures("small_buffers")
async def test_a_carrier_that_asks_and_does_not_read_the_answers_is_not_read_either() -> None:
    async with fake_smsc() as smsc, an_account(a_profile(smsc.port)) as (account, _):
        (peer,) = smsc.live
        transport = stop_reading(peer, next(iter(account._connections.values())))
        asked = 0
        while transport.is_reading():
            peer.transport.write(Frame(CommandId.ENQUIRE_LINK, 5).encode() * 1_000)
            asked += 1_000
            await asyncio.sleep(0)
        peer.transport.resume_reading()
        await until(
            lambda: sum(frame.command_id == CommandId.ENQUIRE_LINK_RESP for frame in peer.frames) == asked
        )
        assert transport.is_reading()


async def test_answers_that_free_the_window_wake_the_sender() -> None:
    async with fake_smsc() as smsc:
        smsc.hold = True
        async with an_account(a_profile(smsc.port)) as (account, events):
            woken: list[int] = []
            account.submit(some_bodies(account, 1), [1], Lane.BULK)
            await until(lambda: smsc.live[0].held)
            events.fill = lambda: woken.append(account.room(Lane.INTERACTIVE))
            smsc.live[0].answer_held()
            await until(lambda: woken)
            assert woken == [10]
