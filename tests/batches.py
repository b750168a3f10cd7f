"""Batches of messages as the pump has them, for tests that look at what becomes of one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from smsgate.flows.batches import Batch, Chunk
from smsgate.flows.records import Lane


def batch_of(message_ids: Sequence[int], *, chunk: Chunk | None = None, **others: Any) -> Batch:
    """
    Return a batch of these messages; what does not matter to a test is left out.

    With a chunk they are offers of its campaign. Each costs 30,000 micros by item 21, and is sold for 45,000
    by item 11.
    """
    size = len(message_ids)
    fields: dict[str, Any] = {
        "handle": 1,
        "lane": Lane.BULK if chunk else Lane.INTERACTIVE,
        "carrier_id": 1,
        "merchant_id": chunk.key.merchant_id if chunk else 1,
        "campaign_id": chunk.key.campaign_id if chunk else None,
        "sender": "36111",
        "expires_at": datetime.now(UTC) + timedelta(hours=1),
        "msisdns": [33612345678] * size,
        "texts": [b"x"] * size,
        "sell_item_ids": [11] * size,
        "sell_micros": [45_000] * size,
        "cost_item_ids": [21] * size,
        "cost_micros": [30_000] * size,
        "currency": "EUR",
        "cost_currency": "EUR",
    }
    return Batch(message_ids=message_ids, chunk=chunk, **fields | others)
