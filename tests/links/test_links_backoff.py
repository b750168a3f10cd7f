"""When a link tries again, and where: pure arithmetic, simulated time."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from smsgate.links.backoff import Backoff, Setback
from smsgate.links.hosts import HostBook
from smsgate.links.profile_session import RebindDelays
from smsgate.links.profile_values import Host

A, B, C = (Host(name, 2775) for name in "abc")


def a_backoff(jitter: float = 0.0, **delays: tuple[float, float]) -> Backoff:
    return Backoff(RebindDelays(**delays), lambda: jitter)


def test_delays_double_up_to_their_limit_with_jitter_and_each_kind_has_its_own() -> None:
    backoff = a_backoff(lost_s=(1, 10), credentials_s=(60, 900))
    assert [backoff.delay_s(Setback.LOST, 0.0) for _ in range(6)] == [1, 2, 4, 8, 10, 10]
    assert [backoff.delay_s(Setback.CREDENTIALS, 0.0) for _ in range(2)] == [60, 120]
    halved = a_backoff(1.0, lost_s=(1, 10))
    assert [halved.delay_s(Setback.LOST, 0.0) for _ in range(2)] == [0.5, 1]


@pytest.mark.parametrize(("held_s", "delay_s"), [(0.0, 4), (1_000.0, 1)])
def test_only_a_bind_that_held_starts_from_the_first_delay(held_s: float, delay_s: float) -> None:
    backoff = a_backoff(lost_s=(1, 10))
    for _ in range(2):
        backoff.delay_s(Setback.LOST, 0.0)
    backoff.bound(held_s)
    assert backoff.delay_s(Setback.LOST, 0.0) == delay_s


@pytest.mark.parametrize(
    ("setback", "quiet_s", "loud_s"),
    [
        (Setback.CREDENTIALS, None, 0.0),
        (Setback.ALREADY_BOUND, 120.0, 150.0),
        (Setback.REFUSED_TCP, 59.0, 60.0),
        (Setback.LOST, 59.0, 60.0),
    ],
)
def test_each_kind_of_setback_has_its_own_alarm_and_rings_once(
    setback: Setback, quiet_s: float | None, loud_s: float
) -> None:
    backoff = a_backoff()
    backoff.delay_s(setback, 100.0)
    if quiet_s is not None:
        assert not backoff.alarm_is_due(100.0 + quiet_s)
    backoff.delay_s(setback, 100.0 + loud_s)
    assert backoff.alarm_is_due(100.0 + loud_s)
    assert not backoff.alarm_is_due(1_000.0)


@pytest.mark.parametrize("setback", [Setback.LOST, Setback.ALREADY_BOUND])
def test_fifty_binds_lost_together_do_not_come_back_together(setback: Setback) -> None:
    """An SMSC is away for a minute: no tenth of a second sees a third of the binds."""
    seeded = random.Random(7)
    tries: Counter[int] = Counter()
    for _ in range(50):
        backoff = Backoff(RebindDelays(), seeded.random)
        now = 0.0
        while now < 60.0:
            now += backoff.delay_s(setback, now)
            tries[int(now * 10)] += 1
    assert max(tries.values()) <= 16
    late = [count for tenth, count in tries.items() if tenth > 100]
    assert max(late) <= 5  # the longer it is away, the more they spread
    assert sum(tries.values()) < 50 * 12  # and the less they knock


def test_the_first_host_in_service_is_chosen_and_a_failed_one_comes_back_later_each_time() -> None:
    book = HostBook([A, B], "priority", (2.0, 60.0))
    assert book.choose(5, 0.0) == A
    book.failed(A, 0.0)
    book.failed(A, 1.0)  # another link, the same outage
    assert (book.choose(0, 1.9), book.choose(0, 2.0)) == (B, A)
    book.failed(A, 2.0)
    assert (book.choose(0, 5.9), book.choose(0, 6.0)) == (B, A)
    book.bound(A)
    book.failed(A, 10.0)
    assert book.choose(0, 12.0) == A


def test_when_every_host_is_out_the_first_to_come_back_is_awaited() -> None:
    book = HostBook([A, B], "priority", (2.0, 60.0))
    book.failed(A, 0.0)
    book.failed(B, 0.5)
    assert book.choose(0, 1.0) is None
    assert book.back_at() == 2.0
    assert not book.others(A, 1.0)
    assert book.others(B, 2.1)


def test_binds_spread_over_the_hosts_and_each_knows_what_it_prefers() -> None:
    book = HostBook([A, B, C], "spread", (2.0, 60.0))
    assert [book.choose(place, 0.0) for place in range(4)] == [A, B, C, A]
    book.failed(B, 0.0)
    assert book.choose(1, 1.0) == C
    assert book.better(1, C, 1.0) is None
    assert book.better(1, C, 2.0) == B
    assert book.better(1, B, 2.0) is None
