"""Opt-outs that a carrier tells of, by the status of a refusal or the error of a receipt."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from smsgate.ids import IdMaker
from smsgate.store.consent_ageing import PgConsentAgeing
from smsgate.store.pool import Database
from tests.flows.inbound_world import events
from tests.flows.test_consent_by_sms import agreed_to, state
from tests.flows.world import FIRST_MSISDN, MERCHANT, World, a_world, eventually

OPTED_OUT = 0x0400  # what the carrier's manual calls it


async def unsubscribed(world: World) -> bool:
    sql = "SELECT count(*) FROM subscriber WHERE offers_state = 'unsubscribed'"
    return bool(await world.value(sql) == 3)


async def test_a_refusal_that_says_opted_out_ends_every_purpose_without_a_text(database: Database) -> None:
    async with a_world(database, subscribers=3, refuse_share=1.0, refuse_status=OPTED_OUT) as world:
        world.profile_changes = {"opted_out_statuses": (OPTED_OUT,)}
        await agreed_to(world, 1, "polls")
        async with world.gateway():
            campaign_id = await world.campaign()
            await eventually(lambda: world.finished(campaign_id))
            await eventually(lambda: unsubscribed(world))
            log = await world.rows("SELECT event, source, count(*) AS n FROM consent_event GROUP BY 1, 2")
            assert [tuple(row) for row in log] == [("carrier_stop", "carrier", 12)]
            told = await events(world, "consent.revoked")
            assert sorted(each["purpose"] for each in told) == ["offers", "offers", "offers", "polls"]
            assert await state(world, 2, "location") == "unsubscribed"  # nothing older opens it
            assert await world.value("SELECT count(*) FROM message WHERE campaign_id IS NULL") == 0
            # What orders need does not get through either.
            assert await world.value("SELECT count(*) FROM subscriber WHERE silent_at IS NOT NULL") == 3


async def test_another_refusal_is_no_opt_out(database: Database) -> None:
    async with a_world(database, subscribers=3, refuse_share=1.0, refuse_status=0x0B) as world:
        world.profile_changes = {"opted_out_statuses": (OPTED_OUT,)}
        async with world.gateway() as gateway:
            campaign_id = await world.campaign()
            await eventually(lambda: world.finished(campaign_id))
            assert not await gateway._opt_outs.step()
            assert await world.value("SELECT count(*) FROM consent_event") == 0


@pytest.mark.parametrize(("carrier_id", "error", "state_after"), [
    (1, b"610", "unsubscribed"), (2, b"610", "subscribed"), (1, b"000", "subscribed"),
])  # fmt: skip
async def test_a_receipts_error_counts_by_the_carrier_that_it_came_from(
    database: Database, carrier_id: int, error: bytes, state_after: str
) -> None:
    async with a_world(database, subscribers=2) as world:
        now = datetime.now(UTC)
        ids = IdMaker(44, lambda: int(now.timestamp() * 1000))
        message_id = ids.next()
        await world.execute(
            "INSERT INTO message (merchant_id, message_id, subscriber_id, msisdn, kind, sender) "
            "VALUES ($1, $2, 10001, $3, 'offer', '36111')",
            MERCHANT, message_id, FIRST_MSISDN + 1,
        )  # fmt: skip
        await world.execute(
            "INSERT INTO sent (merchant_id, message_id, segment, carrier_id, status, segments, sell_item_id, "
            "sell_micros, cost_item_id, cost_micros, sent_at) VALUES ($1, $2, 1, $3, 0, 1, 0, 0, 0, 0, $4)",
            MERCHANT, message_id, carrier_id, now,
        )  # fmt: skip
        await world.execute(
            "INSERT INTO receipt VALUES ($1, $2, 1, 5, $3, $4)", MERCHANT, message_id, error, now
        )
        store = PgConsentAgeing(database, ids, str)
        for _ in range(2):  # the second time there is nothing left to end
            await store.carrier_stops([(MERCHANT, message_id)], [], [(1, b"610")], now)
        assert await state(world, 1) == state_after
        assert await state(world, 0) == "subscribed"
        count = await world.value("SELECT count(*) FROM consent_event")
        assert count == (4 if state_after == "unsubscribed" else 0)
