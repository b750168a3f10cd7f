"""Who must not be written to, looked up set-wise by keyed hashes (smsgate.security.suppression)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from smsgate.flows.ports_privacy import Suppressed
from smsgate.security.suppression import EVERYBODY
from smsgate.store.catalogue import load

if TYPE_CHECKING:
    from smsgate.security.suppression import SuppressionHashes
    from smsgate.store.connection import Connection

_SQL: Final = load("suppressions")


async def suppressed_among(
    connection: Connection, hashes: SuppressionHashes, merchant_id: int, msisdns: Sequence[int]
) -> dict[int, Suppressed]:
    """Return those of the numbers that a merchant may not write to; no hash is made while none is kept."""
    if not await connection.fetchval(_SQL["is_any"]):
        return {}
    whose = {each: msisdn for msisdn in msisdns for each in hashes.both(merchant_id, msisdn)}
    rows = await connection.fetch(_SQL["known"], list(whose))
    return {whose[row["hash"]]: Suppressed(row["reason"], row["created_at"]) for row in rows}


async def insert_suppressions(
    connection: Connection, hashes: SuppressionHashes, reasons: Mapping[int, str], now: datetime
) -> None:
    """Block numbers for every merchant that may come to know them."""
    if reasons:
        all_ = [hashes.of(EVERYBODY, msisdn) for msisdn in reasons]
        await connection.execute(_SQL["suppress"], all_, list(reasons.values()), now)
