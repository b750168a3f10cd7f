"""
When a message is charged: by the carrier's response, or by the first final receipt.

Whatever comes after the charge, or a second time, changes nothing: the first final receipt by time of arrival
decides, and a refusal by the carrier is never charged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from smsgate.billing.prices import Basis, Direction
from smsgate.protocol.receipt_states import FINAL, ReceiptState

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime


class FinalReceipt(NamedTuple):
    """`state` is a `message_state` number; `recorded_at` is when we stored it, often `received_at` itself."""

    received_at: datetime
    state: int
    recorded_at: datetime


def first_final(receipts: Iterable[FinalReceipt]) -> FinalReceipt | None:
    """Return the receipt that decides; of two that arrived at one instant the lower state number does."""
    return min((receipt for receipt in receipts if receipt.state in FINAL), default=None)


def charged_at(
    direction: Direction, basis: Basis, taken_at: datetime | None, receipts: Iterable[FinalReceipt] = ()
) -> datetime | None:
    """
    Return when the charge was recorded, None when there is none (yet).

    `taken_at` is when the carrier's response took the message, None when it refused it or never answered; for
    an MO it is when it was received.
    """
    if taken_at is None or direction is Direction.MO or basis is Basis.SUBMIT:
        return taken_at
    deciding = first_final(receipts)
    if deciding is None or deciding.state != ReceiptState.DELIVRD:
        return None
    return max(taken_at, deciding.recorded_at)
