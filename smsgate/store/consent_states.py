"""What a person's consent has come to, written in one way whoever changed it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from smsgate.campaigns.consent import ConsentState, Purpose
from smsgate.store.catalogue import load
from smsgate.store.columns import columns

if TYPE_CHECKING:
    from smsgate.store.connection import Connection

_SQL: Final = load("inbound")


class NewState(NamedTuple):
    subscriber_id: int
    purpose: Purpose
    state: ConsentState
    at: datetime
    paused_until: datetime | None = None
    silent: bool = False  # beside offers, what orders need ends too


async def set_states(connection: Connection, merchant_id: int, states: Sequence[NewState]) -> None:
    """Bring one merchant's people in line with the log; at most one state per person and purpose."""
    offers = [each for each in states if each.purpose is Purpose.OFFERS]
    others = [each for each in states if each.purpose is not Purpose.OFFERS]
    if offers:
        await connection.execute(
            _SQL["set_consent"], merchant_id,
            *columns(offers, "subscriber_id", "state.value", "at", "paused_until", "silent"),
        )  # fmt: skip
    if others:
        await connection.execute(
            _SQL["put_other_consents"], merchant_id,
            *columns(others, "subscriber_id", "purpose.value", "state.value", "at", "paused_until"),
        )  # fmt: skip
