"""Who guesses passwords waits ever longer, and locks nobody else out."""

from __future__ import annotations

from smsgate.flows.esme_guard import ACCOUNT_FREE, ALARM_SOURCES, ENTRIES_MAX, FREE, FREE_WINDOW_S, Guard


def test_an_address_waits_twice_as_long_after_each_failure_above_the_free_ones() -> None:
    guard, now = Guard(), 100.0
    for _ in range(FREE):
        assert not guard.is_blocked("a", "company", now)
        guard.failed("a", "company", now)
    assert not guard.is_blocked("a", "company", now)
    waits = []
    for _ in range(9):
        guard.failed("a", "company", now)
        wait = 0.0
        while guard.is_blocked("a", "company", now + wait):
            wait += 0.5
        waits.append(wait)
        now += wait
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]
    assert not guard.is_blocked("b", "company", now)


def test_failures_are_forgotten_a_while_after_the_last_wait() -> None:
    guard = Guard()
    for _ in range(FREE + 1):
        guard.failed("a", "company", 0.0)
    later = 1.0 + FREE_WINDOW_S
    for _ in range(FREE):
        guard.failed("a", "company", later)
    assert not guard.is_blocked("a", "company", later)


def test_a_bind_clears_its_address() -> None:
    guard = Guard()
    for _ in range(FREE):
        guard.failed("a", "company", 0.0)
    guard.bound("a", "company")
    guard.failed("a", "company", 1.0)
    assert not guard.is_blocked("a", "company", 1.0)


def test_guessing_from_many_addresses_shuts_out_strangers_and_not_who_has_bound_before() -> None:
    guard = Guard()
    guard.bound("office", "company")
    alarms = [guard.failed(f"bot-{n}", "company", 1.0) for n in range(ACCOUNT_FREE)]
    assert guard.is_blocked("bot-99", "company", 1.0)
    assert not guard.is_blocked("office", "company", 1.0)
    assert not guard.is_blocked("bot-99", "another", 1.0)
    assert not guard.is_blocked("bot-99", "company", 1.0 + FREE_WINDOW_S)
    assert alarms.count(True) == 1
    assert alarms.index(True) == ALARM_SOURCES


def test_the_books_are_bounded() -> None:
    guard = Guard()
    for n in range(ENTRIES_MAX + 100):
        guard.failed(f"bot-{n}", f"name-{n}", 1.0)
        guard.bound(f"bot-{n}", f"name-{n}")
    assert len(guard._by_source) <= ENTRIES_MAX
    assert len(guard._by_account) <= ENTRIES_MAX
    assert len(guard._known) <= ENTRIES_MAX
