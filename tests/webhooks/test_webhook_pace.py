from __future__ import annotations

import pytest

from smsgate.webhooks import pace as module
from smsgate.webhooks.pace import FAILURES_FREE, HOLD_FIRST_S, HOLD_MAX_S, Pace

SHOP = (1, 10)


def a_pace(concurrency: int = 64, per_host: int = 8, per_host_per_s: int = 20) -> Pace:
    return Pace(concurrency, per_host, per_host_per_s)


def test_a_host_gets_its_rate_over_all_merchants() -> None:
    pace = a_pace()
    sent = 0
    for step in range(101):  # 10 s in tenths
        now = step / 10
        for merchant in range(1, 6):
            room = pace.room("victim.example", (merchant, merchant), now)
            pace.started("victim.example", merchant, room, now)
            for _ in range(room):
                pace.ended("victim.example", merchant)
            sent += room
    assert 200 <= sent <= 20 + 200  # one burst, then 20 a second


def test_one_merchant_never_takes_all_slots() -> None:
    pace = a_pace(concurrency=16)
    for number in range(10):
        host = f"h{number}.example"
        pace.started(host, 1, pace.room(host, (1, number), 0.0), 0.0)
    assert pace.in_flight == 4
    assert pace.room("other.example", (2, 1), 0.0) == 4


def test_all_together_stay_under_the_concurrency() -> None:
    pace = a_pace(concurrency=16)
    for merchant in range(40):
        host = f"h{merchant}.example"
        pace.started(host, merchant, pace.room(host, (merchant, 1), 0.0), 0.0)
    assert pace.in_flight == 16


def test_an_endpoint_that_fails_again_and_again_is_held_and_then_tried_by_one_request() -> None:
    pace = a_pace()
    for _ in range(FAILURES_FREE - 1):
        pace.failed(SHOP, 0.0)
        assert not pace.held(SHOP, 0.0)
    pace.failed(SHOP, 0.0)
    assert pace.held(SHOP, HOLD_FIRST_S - 0.01)
    assert not pace.held(SHOP, HOLD_FIRST_S)
    assert pace.room("shop.example", SHOP, HOLD_FIRST_S) == 1
    assert pace.room("shop.example", (2, 20), HOLD_FIRST_S) == 8
    now = 0.0
    for _ in range(50):
        now += HOLD_MAX_S
        pace.failed(SHOP, now)
    assert pace.held(SHOP, now + HOLD_MAX_S - 0.1)
    assert not pace.held(SHOP, now + HOLD_MAX_S)
    pace.succeeded(SHOP)
    assert pace.room("shop.example", SHOP, now) == 8


def test_requests_that_fail_together_hold_the_endpoint_for_the_first_time_only() -> None:
    pace = a_pace()
    for _ in range(8):
        pace.failed(SHOP, 0.0)
    assert not pace.held(SHOP, HOLD_FIRST_S)


def test_retry_after_holds_the_endpoint_at_once() -> None:
    pace = a_pace()
    pace.failed(SHOP, 100.0, retry_after_s=60)
    assert pace.held(SHOP, 159.9)
    assert not pace.held(SHOP, 160.0)


def test_what_is_remembered_is_bounded_and_busy_hosts_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ENTRIES_MAX", 10)
    pace = a_pace()
    pace.started("busy.example", 1, 1, 0.0)
    for number in range(100):
        pace.room(f"h{number}.example", (1, number), 0.0)
        pace.failed((1, number), 0.0)
    assert len(pace._hosts) <= 11
    assert len(pace._endpoints) <= 10
    pace.ended("busy.example", 1)
    assert pace.in_flight == 0
