"""How much an ESME's account takes in, whatever its messages weigh."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast

import pytest

from smsgate.clock import ManualClock
from smsgate.flows.esme_limits import EsmeLimits
from smsgate.flows.esme_records import EsmeAccount, Purpose
from smsgate.flows.ports_esmes import EsmeTrafficStore
from smsgate.protocol.commands import Status

NOON = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
RATE = 30
ACCOUNT = EsmeAccount(
    merchant_id=1, account_id=2, system_id="company", purpose=Purpose.TRANSACTIONAL, active=True,
    password_mac=b"", senders=("38123",), numbers=(), binds_max=1, window_max=10, rate_per_s=RATE,
    queue_max=1_000_000, daily_max=None, allow_binary=False, join_mo=False, slug="company", created_at=NOON,
)  # fmt: skip


@pytest.mark.parametrize("segments", [1, 7, 31, 255])
def test_a_message_of_more_segments_than_a_second_gives_is_waited_for(segments: int) -> None:
    clock = ManualClock(NOON)
    limits = EsmeLimits(cast("EsmeTrafficStore", None), clock)  # it is asked by `refresh` alone
    taken = 0
    for _ in range(600):
        while (status := limits.take(ACCOUNT, segments)) == Status.OK:
            limits.settle(ACCOUNT, segments, accepted=True)
            taken += segments
        assert status == Status.THROTTLED
        clock.advance(0.1)
    assert 0.9 * RATE * 60 - segments <= taken <= RATE * 60 + RATE + segments
