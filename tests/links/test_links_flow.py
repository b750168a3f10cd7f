"""Window and rate of a whole account against the simulated SMSC, minutes of traffic in virtual time."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from smsgate.simulator.faults import Faults
from smsgate.simulator.smsc_settings import SmscAccount, SmscSettings
from tests.links.virtual import MemoryLoop, Run, run_virtually


def nothing_lost_nothing_doubled(run: Run) -> None:
    """Every message that was sent was accepted once, but those that still wait to go again at the end."""
    counts = run.smsc.log.by_destination
    assert set(counts.values()) <= {1}
    assert run.demand.doubtful == run.demand.refused == 0
    assert len(counts) == len(run.demand.accepted) == run.demand.next_slot - len(run.demand.again)


@pytest.mark.parametrize(("window", "least"), [(10, 190), (100, 1_800)])
def test_a_window_carries_many_messages_under_way_at_once(window: int, least: int) -> None:
    """M14: answers take 50 ms; who waits for each sends 20 a second."""
    settings = SmscSettings(response_latency_s=0.05, receipts=False)
    run = run_virtually(settings, 5.0, window_max=window, rate_per_s=10_000)
    assert run.accepted_between(1.0, 5.0) >= 4 * least
    nothing_lost_nothing_doubled(run)


@pytest.mark.parametrize("binds", [1, 4])
def test_no_second_sees_more_than_rate_and_burst_and_the_whole_rate_is_used(binds: int) -> None:
    """M15: the rate is the account's, over all its binds."""
    settings = SmscSettings(response_latency_s=0.02, receipts=False)
    run = run_virtually(settings, 30.0, window_max=10, binds=binds, rate_per_s=100)
    assert run.most_in_a_second() <= 100 + run.account.profile.burst
    assert run.accepted_between(0.0, 30.0) >= 0.98 * 100 * 30
    nothing_lost_nothing_doubled(run)


@pytest.mark.parametrize(("configured", "binds"), [(31, 1), (45, 1), (60, 3), (300, 3)])
def test_a_carrier_that_takes_30_a_second_is_soon_refused_nothing(configured: int, binds: int) -> None:
    """M16: below 2 % throttled after 5 s, nothing lost or doubled, 90 % of the limit used."""
    settings = SmscSettings(response_latency_s=0.02, receipts=False, faults=Faults(account_rate_per_s=30))
    run = run_virtually(settings, 65.0, window_max=10, binds=binds, rate_per_s=configured)
    accepted, throttled = run.accepted_between(5.0, 65.0), run.throttled_between(5.0, 65.0)
    assert throttled < 0.02 * (accepted + throttled)
    assert accepted >= 0.9 * 30 * 60
    nothing_lost_nothing_doubled(run)


@pytest.mark.parametrize("limit", [25, 100])
def test_an_adaptive_rate_finds_a_limit_that_nobody_told(limit: int) -> None:
    """B8: at least 95 % of it within a minute."""
    faults = Faults(account_rate_per_s=limit)
    settings = SmscSettings(response_latency_s=0.02, receipts=False, faults=faults)
    run = run_virtually(settings, 90.0, window_max=100, rate_per_s=5_000, rate_control="adaptive")
    accepted, throttled = run.accepted_between(60.0, 90.0), run.throttled_between(60.0, 90.0)
    assert accepted >= 0.95 * limit * 30
    assert throttled < 0.02 * accepted
    nothing_lost_nothing_doubled(run)


@pytest.mark.parametrize("version", [0x34, 0x50])
def test_congestion_state_steers_the_rate_and_nothing_is_refused(version: int) -> None:
    """S2: 85 stands for 40 a second, and far above it the SMSC throttles; it never has to."""
    faults = Faults(capacity_per_s=40, sc_interface_version=version)
    settings = SmscSettings(response_latency_s=0.02, receipts=False, faults=faults)
    run = run_virtually(settings, 60.0, rate_per_s=1_000, rate_control="adaptive", interface_version=version)
    assert run.demand.throttled == []
    assert run.accepted_between(20.0, 60.0) >= 0.85 * 40 * 40
    nothing_lost_nothing_doubled(run)


def test_a_limit_of_messages_per_bind_costs_no_refusal_and_no_gap() -> None:
    """S5: the SMSC takes 200 messages a bind, and refuses what comes after them."""
    settings = SmscSettings(response_latency_s=0.02, receipts=False, faults=Faults(submits_per_bind_max=200))
    run = run_virtually(settings, 30.0, rate_per_s=100, max_messages_per_bind=200)
    nothing_lost_nothing_doubled(run)
    assert run.accepted_between(0.0, 30.0) >= 0.98 * 100 * 30
    assert run.account.counts.planned_rebinds >= 15


@pytest.mark.parametrize("already_bound_s", [0.0, 20.0])
def test_fifty_binds_that_are_lost_together_do_not_come_back_together(already_bound_s: float) -> None:
    """M9: nor while the SMSC says "already bound" for 20 s; and all of them come back."""

    async def cut_all(loop: MemoryLoop) -> None:
        await asyncio.sleep(40.0)  # longer than a bind must hold to count as stable
        assert loop.smsc is not None
        if already_bound_s:
            loop.smsc.keep_bound(already_bound_s)
        for pipe in loop.pipes:
            pipe.abort()

    accounts = (SmscAccount("smsgate", "secret", binds_max=50),)
    settings = SmscSettings(accounts=accounts, receipts=False)
    rebind = {"lost_s": [1, 60], "already_bound_s": [5, 60]}
    run = run_virtually(settings, 140.0, change=cut_all, binds=50, rate_per_s=10, rebind=rebind)
    again = [at for at in run.connected_at if at >= 40.0]
    tenths = Counter(int(at * 10) for at in again)
    assert max(tenths.values()) <= 16
    assert run.smsc.log.binds == 100
    assert len(again) - 50 == run.smsc.log.binds_refused
    if already_bound_s:
        assert 50 <= len(again) - 50 <= 50 * 5  # it is not hammered meanwhile
