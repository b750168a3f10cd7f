"""A link wants to be bound: how it gets there, what throws it back, how it leaves."""

from __future__ import annotations

import asyncio
import socket

from structlog.testing import capture_logs

from smsgate.clock import SystemClock
from smsgate.flows.records import Lane
from smsgate.links.carrier import CarrierAccount
from smsgate.protocol.commands import CommandId, Status
from tests.links.fake_smsc import Recorder, a_profile, an_account, fake_smsc, some_bodies, states, until


def an_unused_port() -> int:
    """A port that refuses: bound by nobody a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_a_transceiver_binds_with_what_the_profile_says() -> None:
    async with fake_smsc() as smsc:
        profile = a_profile(smsc.port, password="sixteen-octets-x", password_max=16, system_type="shop")
        async with an_account(profile) as (account, _):
            (_, kind, pdu), *others = smsc.binds
            assert not others
            assert kind == "trx"
            assert pdu.fields["system_id"] == b"smsgate"
            assert pdu.fields["password"] == b"sixteen-octets-x"
            assert (pdu.fields["system_type"], pdu.fields["interface_version"]) == (b"shop", 0x34)
            (bind,) = account.binds()
            assert (bind.carrier, bind.bind, bind.host) == ("fake", "trx-1", f"127.0.0.1:{smsc.port}")
            assert (bind.window_used, bind.window_max) == (0, 10)


async def test_a_pair_submits_on_its_transmitter_and_hears_on_its_receiver() -> None:
    async with fake_smsc() as smsc:
        async with an_account(a_profile(smsc.port, bind="tx+rx"), bound=2) as (account, events):
            assert [bind.bind for bind in account.binds()] == ["tx-1", "rx-1"]
            assert account.room(Lane.INTERACTIVE) == 10  # the receiver has no window
            assert account.submit(some_bodies(account, 3), [1, 2, 3], Lane.BULK) == 3
            smsc.of_kind("rx").receipt(b"id-1")
            await until(lambda: sorted(events.slots) == [1, 2, 3] and events.receipt_columns)
            assert smsc.of_kind("tx").heard(CommandId.SUBMIT_SM)
            assert not smsc.of_kind("rx").heard(CommandId.SUBMIT_SM)


async def test_a_lost_link_binds_again() -> None:
    async with fake_smsc() as smsc:
        async with an_account(a_profile(smsc.port)) as (account, _):
            smsc.live[0].transport.abort()
            await until(lambda: len(smsc.binds) == 2 and states(account) == ["bound"])
            assert account.binds()[0].last_error.startswith("lost")


async def test_a_silent_carrier_is_noticed_and_bound_again() -> None:
    async with fake_smsc() as smsc:
        profile = a_profile(smsc.port, enquire_interval_s=0.1, response_timeout_s=0.1)
        async with an_account(profile) as (account, events):
            smsc.silent = True
            account.submit(some_bodies(account, 2), [5, 6], Lane.BULK)
            await until(lambda: smsc.peers[0].gone)
            smsc.silent = False
            await until(lambda: states(account) == ["bound"])
            assert sorted(events.doubtful) == [5, 6]
            assert smsc.peers[0].heard(CommandId.ENQUIRE_LINK)


async def test_a_refused_bind_comes_back_later_and_says_why() -> None:
    async with fake_smsc() as smsc:
        smsc.bind_statuses = [Status.ALYBND, Status.ALYBND]
        async with an_account(a_profile(smsc.port, rebind={"already_bound_s": [0.1, 0.2]})) as (account, _):
            first, second, third = (at for at, _, _ in smsc.binds)
            assert second - first >= 0.1
            assert third - second >= 0.2
            assert (
                account.binds()[0].last_error
                == "bind refused: ESME_RALYBND (0x05): ESME Already in Bound State"
            )


async def test_a_wrong_password_raises_an_alarm_and_is_not_hammered() -> None:
    async with fake_smsc() as smsc:
        smsc.bind_statuses = [Status.INVPASWD] * 100
        account = CarrierAccount(
            a_profile(smsc.port, rebind={"credentials_s": [30, 60], "lost_s": [0.01, 0.01]}),
            7,
            clock=SystemClock(),
            random=lambda: 0.0,
        )
        with capture_logs() as logs:
            account.start(Recorder())
            await until(lambda: any(line["event"] == "bind_credentials_refused" for line in logs))
            await until(lambda: not smsc.live)
            await account.stop(0.1)
        assert len(smsc.binds) == 1
        assert "secret" not in repr(logs)


async def test_the_next_host_is_tried_at_once_when_one_refuses() -> None:
    async with fake_smsc() as smsc:
        hosts = [f"127.0.0.1:{an_unused_port()}", f"127.0.0.1:{smsc.port}"]
        profile = a_profile(smsc.port, hosts=hosts, rebind={"refused_tcp_s": [60, 60]})
        async with an_account(profile) as (account, _):
            assert account.binds()[0].host == hosts[1]


async def test_leaving_waits_for_open_responses_then_unbinds() -> None:
    async with fake_smsc() as smsc:
        smsc.hold = True
        async with an_account(a_profile(smsc.port)) as (account, events):
            account.submit(some_bodies(account, 2), [1, 2], Lane.BULK)
            (peer,) = smsc.live
            await until(lambda: len(peer.held) == 2)
            leaving = asyncio.create_task(account.stop(3.0))
            await until(lambda: states(account) == ["unbinding"])
            assert account.room(Lane.INTERACTIVE) == 0
            assert not peer.heard(CommandId.UNBIND)
            peer.answer_held()
            await leaving
            assert events.slots == [1, 2]
            assert events.doubtful == []
            assert peer.heard(CommandId.UNBIND)
            assert states(account) == ["closed"]
        assert len(smsc.binds) == 1


async def test_leaving_ends_in_time_when_the_carrier_does_not_answer() -> None:
    async with fake_smsc() as smsc:
        smsc.hold = True
        async with an_account(a_profile(smsc.port)) as (account, events):
            account.submit(some_bodies(account, 2), [1, 2], Lane.BULK)
            await account.stop(0.1)
            assert events.doubtful == [1, 2]
            assert account.in_flight() == 0


async def test_an_unbind_of_the_carrier_is_answered_after_open_responses_and_bound_again() -> None:
    async with fake_smsc() as smsc:
        smsc.hold = True
        async with an_account(a_profile(smsc.port)) as (account, events):
            account.submit(some_bodies(account, 2), [1, 2], Lane.BULK)
            (peer,) = smsc.live
            await until(lambda: len(peer.held) == 2)
            peer.unbind()
            await until(lambda: states(account) == ["unbinding"])
            assert account.room(Lane.INTERACTIVE) == 0
            peer.answer_held()
            await until(lambda: len(smsc.binds) == 2 and states(account) == ["bound"])
            assert peer.heard(CommandId.UNBIND_RESP)
            assert (events.slots, events.doubtful) == ([1, 2], [])


async def test_stopping_while_nobody_listens_ends_at_once() -> None:
    account = CarrierAccount(a_profile(an_unused_port()), 7, clock=SystemClock(), random=lambda: 0.0)
    account.start(Recorder())
    await until(lambda: account.binds()[0].last_error.startswith("no connection"))
    await account.stop(5.0)
    assert states(account) == ["closed"]
