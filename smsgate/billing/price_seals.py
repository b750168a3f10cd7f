"""The seal of a published price version: what it holds, hashed, so that a change can be proved."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from smsgate.billing.tiers import ladder_to_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from smsgate.billing.prices import PriceItem

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def sealed_text(side: str, currency: str, effective_from: datetime, items: Iterable[PriceItem]) -> str:
    """Return one line for the version and one for each item, in the order of their ids."""
    micros = (effective_from - EPOCH) // timedelta(microseconds=1)
    lines = [f"{side} {currency} {micros}\n"]
    lines += [
        f"{item.item_id} {item.direction} {item.network} {item.unit_micros} {item.basis} "
        f"{'-' if item.ladder is None else ladder_to_json(item.ladder)}\n"
        for item in sorted(items, key=lambda item: item.item_id)
    ]
    return "".join(lines)


def seal(side: str, currency: str, effective_from: datetime, items: Iterable[PriceItem]) -> bytes:
    return hashlib.sha256(sealed_text(side, currency, effective_from, items).encode()).digest()
