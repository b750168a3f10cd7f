"""Several hosts behind one account, and planned rebinds: no message is lost, no gap where it is allowed."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise

import pytest
from structlog.testing import capture_logs

from smsgate.clock import SystemClock
from smsgate.flows.records import Lane
from smsgate.links import backoff
from smsgate.links.carrier import CarrierAccount
from smsgate.links.hosts import HostBook
from smsgate.links.profile_values import Host
from smsgate.protocol.commands import CommandId, Status
from tests.links.fake_smsc import Recorder, a_profile, an_account, fake_smsc, some_bodies, states, until
from tests.links.test_links_binding import an_unused_port
from tests.links.test_links_submitting import Sender

SENDING = {"trx": CommandId.BIND_TRANSCEIVER, "tx+rx": CommandId.BIND_TRANSMITTER}


async def all_answered(account: CarrierAccount, events: Recorder, sender: Sender) -> None:
    def filled() -> bool:
        sender.fill()
        return len(events.slots) + len(events.doubtful) == len(sender.slots)

    await until(filled, "not every submit was answered")


@pytest.mark.parametrize("kind", ["trx", "tx+rx"])
async def test_after_so_many_messages_a_new_session_stands_before_the_old_one_leaves(kind: str) -> None:
    async with fake_smsc() as smsc:
        smsc.answer_delay_s = 0.002
        profile = a_profile(smsc.port, max_messages_per_bind=100, interactive_share=0, bind=kind)
        async with an_account(profile, bound=1 if kind == "trx" else 2) as (account, events):
            sender = Sender(account, events, 450)
            await all_answered(account, events, sender)
            assert sorted(events.slots) == sender.slots
            assert events.doubtful == []
            counts = [sum(f.command_id == CommandId.SUBMIT_SM for f in peer.frames) for peer in smsc.peers]
            assert max(counts) <= 100
            assert account.counts.planned_rebinds >= 4
            assert account.counts.setbacks == 0
            senders = [peer for peer in smsc.peers if peer.kind != "rx"]
            await until(lambda: all(peer.gone for peer in senders[:-1]))
        for leaver, successor in pairwise(senders):
            assert smsc.heard.index((successor, SENDING[kind])) < smsc.heard.index((leaver, CommandId.UNBIND))


async def test_a_carrier_that_takes_one_session_only_is_left_first() -> None:
    async with fake_smsc() as smsc:
        smsc.sessions_max = 1
        smsc.answer_delay_s = 0.002
        profile = a_profile(smsc.port, max_messages_per_bind=50, interactive_share=0)
        async with an_account(profile) as (account, events):
            sender = Sender(account, events, 120)
            await all_answered(account, events, sender)
            assert sorted(events.slots) == sender.slots
            statuses = [pdu.fields["system_id"] for _, _, pdu in smsc.binds]
            assert len(statuses) >= 4  # the first, one refused, then one after each session
            assert smsc.refused_binds == 1
            assert account.counts.planned_rebinds >= 2


@pytest.mark.parametrize("status", [Status.BINDFAIL, Status.SYSERR, Status.INVPASWD, 0x0400, None])
async def test_a_carrier_that_refuses_a_second_session_in_other_words_is_left_first_too(
    status: int | None,
) -> None:
    async with fake_smsc() as smsc:
        smsc.sessions_max = 1
        smsc.full_status = status
        smsc.answer_delay_s = 0.002
        rebind = {"refused_tcp_s": [60, 60]}  # the host is not out of service: a session of ours stands there
        profile = a_profile(smsc.port, max_messages_per_bind=50, interactive_share=0, rebind=rebind)
        async with an_account(profile) as (account, events):
            sender = Sender(account, events, 120)
            with capture_logs() as logs:
                await all_answered(account, events, sender)
            assert sorted(events.slots) == sender.slots
            assert events.doubtful == []
            counts = [sum(f.command_id == CommandId.SUBMIT_SM for f in peer.frames) for peer in smsc.peers]
            assert [count for count in counts if count] == [50, 50, 20]  # each is used up first
            assert account.counts.planned_rebinds == 2
            assert account.counts.setbacks == 0
            assert [line["event"] for line in logs].count("bind_not_replaced") == 2


async def test_a_planned_rebind_that_nobody_takes_ends_as_a_lost_bind_does() -> None:
    async with fake_smsc() as smsc:
        smsc.answer_delay_s = 0.002
        profile = a_profile(smsc.port, max_messages_per_bind=50, interactive_share=0)
        async with an_account(profile) as (account, events):
            port = smsc.port
            smsc.stop_listening()
            sender = Sender(account, events, 120)
            await until(lambda: account.down_since() is not None, "nobody is told that nothing goes out")
            await until(lambda: account.counts.setbacks > 1)
            assert len(events.slots) == 50
            assert smsc.peers[0].heard(CommandId.UNBIND)
            async with fake_smsc(port=port):
                await all_answered(account, events, sender)
                assert sorted(events.slots) == sender.slots
                await account.stop(1.0)


async def test_a_changed_password_is_shown_once_and_then_as_its_delays_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("smsgate.links.link.REPLACE_RETRY_S", 0.01)
    async with fake_smsc() as smsc:
        rebind = {"credentials_s": [60, 60]}
        profile = a_profile(smsc.port, max_messages_per_bind=50, interactive_share=0, rebind=rebind)
        async with an_account(profile) as (account, events):
            smsc.bind_statuses = [Status.INVPASWD] * 100
            await all_answered(account, events, Sender(account, events, 45))
            await until(lambda: smsc.refused_binds)
            await asyncio.sleep(0.2)
            assert (smsc.refused_binds, states(account)) == (1, ["bound"])
            with capture_logs() as logs:
                account.submit(some_bodies(account, 5), range(45, 50), Lane.BULK)
                await until(lambda: any(line["event"] == "bind_credentials_refused" for line in logs))
            await asyncio.sleep(0.2)
            assert (smsc.refused_binds, states(account)) == (2, ["closed"])


async def test_a_lost_host_is_left_for_the_next_within_5_seconds() -> None:
    async with fake_smsc() as first, fake_smsc() as second:
        hosts = [f"127.0.0.1:{first.port}", f"127.0.0.1:{second.port}"]
        async with an_account(a_profile(0, hosts=hosts, binds=2), bound=2) as (account, _):
            assert not second.binds  # by priority
            first.stop_listening()
            began = time.monotonic()
            for peer in first.live:
                peer.transport.abort()
            await until(lambda: states(account) == ["bound"] * 2 and len(second.binds) == 2)
            assert time.monotonic() - began < 5.0


async def test_a_host_that_says_nothing_to_a_bind_is_left_for_the_next() -> None:
    async with fake_smsc() as mute, fake_smsc() as second:
        mute.silent = True
        hosts = [f"127.0.0.1:{mute.port}", f"127.0.0.1:{second.port}"]
        async with an_account(a_profile(0, hosts=hosts, bind_timeout_s=0.1)) as (account, _):
            assert account.binds()[0].host == hosts[1]


@pytest.mark.parametrize("status", [Status.SYSERR, Status.BINDFAIL])
async def test_a_host_that_cannot_bind_is_left_for_the_next(status: int) -> None:
    async with fake_smsc() as ill, fake_smsc() as second:
        ill.bind_statuses = [status] * 100
        hosts = [f"127.0.0.1:{ill.port}", f"127.0.0.1:{second.port}"]
        rebind = {"refused_tcp_s": [60, 60], "lost_s": [60, 60]}
        async with an_account(a_profile(0, hosts=hosts, rebind=rebind)) as (account, _):
            assert account.binds()[0].host == hosts[1]


async def test_wrong_credentials_are_not_tried_at_the_other_hosts() -> None:
    async with fake_smsc() as first, fake_smsc() as second:
        first.bind_statuses = [Status.INVPASWD]
        hosts = [f"127.0.0.1:{first.port}", f"127.0.0.1:{second.port}"]
        profile = a_profile(0, hosts=hosts, rebind={"credentials_s": [0.3, 60]})
        async with an_account(profile) as (account, _):
            assert account.binds()[0].host == hosts[0]
            assert not second.binds


async def test_binds_spread_over_hosts_where_the_profile_says_so() -> None:
    async with fake_smsc() as first, fake_smsc() as second:
        hosts = [f"127.0.0.1:{first.port}", f"127.0.0.1:{second.port}"]
        async with an_account(a_profile(0, hosts=hosts, binds=4, hosts_use="spread"), bound=4):
            assert (len(first.binds), len(second.binds)) == (2, 2)


async def test_the_return_to_a_preferred_host_is_planned() -> None:
    async with fake_smsc() as second:
        port = an_unused_port()
        hosts = [f"127.0.0.1:{port}", f"127.0.0.1:{second.port}"]
        profile = a_profile(0, hosts=hosts, host_return_s=0.1, window_max=10)
        async with an_account(profile) as (account, events):
            assert account.binds()[0].host == hosts[1]
            second.hold = True
            account.submit(some_bodies(account, 2), [1, 2], Lane.BULK)
            await until(lambda: second.live[0].held)
            async with fake_smsc(port=port) as first:
                await until(lambda: account.binds()[0].host == hosts[0])
                assert not second.live[0].heard(CommandId.UNBIND)  # its open answers are awaited
                second.live[0].answer_held()
                await until(lambda: not second.live)
                assert second.peers[0].heard(CommandId.UNBIND)
                assert (events.slots, events.doubtful) == ([1, 2], [])
                assert account.counts.planned_rebinds == 1
                assert len(first.binds) == 1
                await account.stop(1.0)


async def test_stopping_one_account_leaves_nothing_behind_and_the_other_one_alone() -> None:
    async with fake_smsc() as smsc:
        profile = a_profile(smsc.port, binds=3, max_messages_per_bind=100)
        before = asyncio.all_tasks()
        async with an_account(a_profile(smsc.port)) as (other, _):
            async with an_account(profile, bound=3) as (account, _):
                asking = asyncio.create_task(account.requests.query(b"1", "38123"))
                await asyncio.sleep(0)
                await account.stop(2.0)
                assert account.in_flight() == 0
                assert states(account) == ["closed"] * 3
                await asyncio.gather(asking, return_exceptions=True)
            assert len(asyncio.all_tasks() - before) == 1  # the other one's link
            assert states(other) == ["bound"]
            await until(lambda: len(smsc.live) == 1)
            assert len(other._connections) == 1


async def test_a_carrier_that_nobody_reaches_rings_an_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(backoff.ALARM_AFTER_S, backoff.Setback.REFUSED_TCP, 0.05)
    account = CarrierAccount(a_profile(an_unused_port()), 7, clock=SystemClock(), random=lambda: 0.0)
    with capture_logs() as logs:
        account.start(Recorder())
        await until(lambda: any(line["event"] == "carrier_unreachable" for line in logs))
        await account.stop(0.1)


async def test_a_link_outlives_a_fault_of_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smsgate.links.link.FAILED_WAIT_S", 0.01)
    faults = iter([RuntimeError("one of ours")])
    choose = HostBook.choose

    def faulty(book: HostBook, place: int, now: float) -> Host | None:
        for fault in faults:
            raise fault
        return choose(book, place, now)

    monkeypatch.setattr(HostBook, "choose", faulty)
    async with fake_smsc() as smsc:
        with capture_logs() as logs:
            async with an_account(a_profile(smsc.port)):
                assert [line["event"] for line in logs if line["log_level"] == "error"] == ["link_failed"]
