"""What the guard of campaigns reads and writes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import orjson

from smsgate.campaigns.guard import GuardCounts, GuardLimits, GuardReason, percent
from smsgate.flows.commerce_records import EventColumns
from smsgate.flows.records import GuardedCampaign
from smsgate.store import catalogue
from smsgate.store.events import insert_events
from smsgate.store.pool import Database

SQL = catalogue.load("sending")


async def guarded(database: Database, limits: GuardLimits) -> list[GuardedCampaign]:
    """Return the campaigns that send, are guarded and have stops or failures, with what they came to."""
    async with database.bulk() as connection:
        rows = await connection.fetch(
            SQL["guarded"], limits.first_sends, limits.stop_share, limits.failure_share
        )
    return [
        GuardedCampaign(row[0], row[1], GuardLimits(row[2], row[3], row[4]), GuardCounts(*row[5:]))
        for row in rows
    ]


async def pause(
    database: Database,
    campaign: GuardedCampaign,
    reason: GuardReason,
    now: datetime,
    *,
    event_id: int,
    public_campaign: Callable[[int], str],
) -> bool:
    """Pause it and tell the shop, in one transaction; False: it sends no more, or is guarded no more."""
    limits, counts = campaign.limits, campaign.counts
    public_id = public_campaign(campaign.campaign_id)
    share = limits.stop_share if reason is GuardReason.STOPS else limits.failure_share
    data = {
        "campaign": public_id,
        "reason": str(reason),
        "limit_percent": percent(share),
        "first_sends": limits.first_sends,
        **counts._asdict(),
    }
    async with database.bulk_transaction() as connection:
        found = await connection.fetchval(
            SQL["pause_guarded"], campaign.merchant_id, campaign.campaign_id, str(reason)
        )
        if found is None:
            return False
        events = EventColumns()
        events.merchant_ids.append(campaign.merchant_id)
        events.event_ids.append(event_id)
        events.types.append("campaign.paused")
        events.subjects.append(public_id)
        events.data.append(orjson.dumps(data).decode())
        events.created_at.append(now)
        await insert_events(connection, events)
    return True
