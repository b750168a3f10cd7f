"""Campaigns of one person, as webhooks make them: many share a claim, and each keeps its own fate."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from smsgate.flows.gates import ALWAYS_OPEN, Gates
from smsgate.flows.records import ChunkClaim
from smsgate.ids import IdMaker
from smsgate.store.pool import Database
from smsgate.store.sending import StoredSending
from tests.flows.world import FIRST_MSISDN, MERCHANT, PUBLIC_IDS, SENDER, World, a_world, eventually

OWNER = 5
_IDS = IdMaker(3, lambda: int(time.time() * 1000))


async def a_small_campaign(world: World, *people: int, **changes: object) -> int:
    """Start a campaign to some people by name."""
    campaign_id = await world.campaign(tags=["nobody"], **changes)  # type: ignore[arg-type]
    ids = [10_000 + number for number in people]
    await world.execute(
        "UPDATE campaign SET audience_tags = NULL, audience_ids = $2, recipients = $3 WHERE campaign_id = $1",
        *(campaign_id, ids, len(ids)),
    )
    await world.execute(
        "INSERT INTO campaign_chunk (merchant_id, campaign_id, no, msisdn_lo, msisdn_hi, size) "
        "VALUES ($1, $2, 0, $3, $4, $5)",
        *(MERCHANT, campaign_id, FIRST_MSISDN + min(people), FIRST_MSISDN + max(people), len(ids)),
    )
    return campaign_id


def a_store(world: World) -> StoredSending:
    return StoredSending(world.database, _IDS, PUBLIC_IDS)


async def claimed(
    world: World, campaigns: Sequence[int], *, step: int = 1_000, gates: Gates = ALWAYS_OPEN
) -> list[ChunkClaim]:
    return await a_store(world).claim_chunks(
        MERCHANT, campaigns, owner=OWNER, allowance_step=step, now=datetime.now(UTC), gates=gates,
        senders=[SENDER],
    )  # fmt: skip


async def test_campaigns_that_share_a_claim_get_a_chunk_each_with_their_own_people_and_texts(
    database: Database,
) -> None:
    async with a_world(database, subscribers=9) as world:
        one = [await a_small_campaign(world, n, text="Hello {first_name}, STOP 36111") for n in range(6)]
        plain = await a_small_campaign(world, 6, 7, 8)
        claims = {claim.campaign_id: claim for claim in await claimed(world, [*one, plain])}
        assert [claims[each].msisdns for each in one] == [[FIRST_MSISDN + n] for n in range(6)]
        assert [claims[each].fields for each in one] == [[[f"P{n}"]] for n in range(6)]
        assert (claims[plain].msisdns, claims[plain].fields) == ([FIRST_MSISDN + n for n in (6, 7, 8)], None)
        assert {claims[each].offer.offer_id - each for each in one} == {500_000}
        rows = await world.rows(
            "SELECT campaign_id, state, owner, fence, message_count, allowance FROM campaign_chunk ORDER BY 1"
        )
        assert [tuple(row) for row in rows] == [
            *((each, "claimed", OWNER, 1, 1, 1) for each in one),
            (plain, "claimed", OWNER, 1, 3, 3),
        ]
        messages = await world.rows("SELECT campaign_id, message_id, msisdn FROM message")
        assert {tuple(row) for row in messages} == {
            (claim.campaign_id, message_id, msisdn)
            for claim in claims.values()
            for message_id, msisdn in zip(claim.message_ids, claim.msisdns, strict=True)
        }
        offers = await world.rows("SELECT msisdn, campaign_id FROM open_offer WHERE answered_at IS NULL")
        assert {tuple(row) for row in offers} == {
            (msisdn, claim.campaign_id) for claim in claims.values() for msisdn in claim.msisdns
        }
        assert await world.counters(plain) == {"recipients": 3}
        assert await claimed(world, [*one, plain]) == []


async def test_who_is_in_two_campaigns_of_a_claim_gets_one_offer_and_waits_with_the_other(
    database: Database,
) -> None:
    async with a_world(database, subscribers=2) as world:
        campaigns = [await a_small_campaign(world, 0), await a_small_campaign(world, 0, 1)]
        first, second = await claimed(world, campaigns)
        assert first.msisdns == [FIRST_MSISDN]
        assert second.msisdns == [FIRST_MSISDN + 1]
        waiting = await world.rows("SELECT campaign_id, hold FROM campaign_chunk WHERE state = 'ready'")
        assert [tuple(row) for row in waiting] == [(campaigns[1], "open_offer")]


async def test_places_that_were_answered_are_taken_for_each_campaign_of_a_claim(database: Database) -> None:
    async with a_world(database, subscribers=4) as world:
        await claimed(world, [await a_small_campaign(world, n) for n in range(3)])
        await world.execute("UPDATE open_offer SET answered_at = now() WHERE msisdn <> $1", FIRST_MSISDN)
        again = [await a_small_campaign(world, n, expires_in=timedelta(hours=5)) for n in range(4)]
        claims = {claim.campaign_id: claim.msisdns for claim in await claimed(world, again)}
        assert claims == {each: [FIRST_MSISDN + n] if n else [] for n, each in enumerate(again)}
        rows = await world.rows("SELECT campaign_id, offer_id, expires_at FROM open_offer ORDER BY msisdn")
        assert [row["campaign_id"] for row in rows[1:]] == again[1:]
        assert [row["offer_id"] for row in rows[1:]] == [each + 500_000 for each in again[1:]]
        assert all(row["expires_at"] > rows[0]["expires_at"] for row in rows[1:])


async def test_a_claim_leaves_out_campaigns_that_were_paused_or_cancelled(database: Database) -> None:
    async with a_world(database, subscribers=4) as world:
        states = ("sending", "paused", "cancelled", "sending")
        campaigns = [await a_small_campaign(world, n, state=state) for n, state in enumerate(states)]
        claims = await claimed(world, campaigns)
        assert [claim.campaign_id for claim in claims] == [campaigns[0], campaigns[3]]
        assert await world.value("SELECT count(*) FROM campaign_chunk WHERE state = 'ready'") == 2


async def test_what_campaigns_of_a_claim_may_write_at_once_is_bounded_for_all_of_them(
    database: Database,
) -> None:
    async with a_world(database, subscribers=6) as world:
        campaigns = [await a_small_campaign(world, 2 * n, 2 * n + 1) for n in range(3)]
        assert [claim.allowance for claim in await claimed(world, campaigns, step=3)] == [2, 1, 0]


async def test_a_chunk_that_was_given_back_is_claimed_beside_new_ones(database: Database) -> None:
    async with a_world(database, subscribers=3) as world:
        old = await a_small_campaign(world, 0)
        (before,) = await claimed(world, [old])
        await world.execute("UPDATE campaign_chunk SET state = 'ready', owner = NULL")
        new = [await a_small_campaign(world, n) for n in (1, 2)]
        claims = {claim.campaign_id: claim for claim in await claimed(world, [old, *new])}
        assert claims[old].message_ids == before.message_ids
        assert claims[old].fence == before.fence + 1
        assert [claims[each].msisdns for each in new] == [[FIRST_MSISDN + 1], [FIRST_MSISDN + 2]]


class _Counting(StoredSending):
    """Counts claims; the campaign `broken` meets what nobody thought of."""

    claims = 0
    broken = 0
    tries = 0

    async def claim_chunks(self, merchant_id, campaign_ids, **kwargs):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN003, ANN202
        _Counting.claims += 1
        made = await super().claim_chunks(merchant_id, campaign_ids, **kwargs)
        if _Counting.broken in campaign_ids:
            _Counting.tries += 1
            raise AssertionError("a row that cannot be")
        return made


async def test_a_hundred_campaigns_of_one_person_take_a_few_claims_and_all_finish(database: Database) -> None:
    async with a_world(database, subscribers=100) as world:
        campaigns = [await a_small_campaign(world, n, state="paused") for n in range(100)]
        async with world.gateway() as gateway:
            gateway.claiming._store.__class__ = _Counting
            _Counting.claims, _Counting.broken = 0, 0
            await world.execute("UPDATE campaign SET state = 'sending'")
            await eventually(
                lambda: world.value("SELECT count(*) = 100 FROM campaign WHERE state = 'finished'")
            )
        assert _Counting.claims <= 5
        assert Counter(world.log.by_destination.values()) == {1: 100}
        assert await world.value("SELECT count(*) FROM event WHERE type = 'campaign.finished'") == 100
        assert await world.counters(campaigns[41]) == {"recipients": 1, "accepted": 1, "delivered": 1}


async def test_a_campaign_whose_claim_fails_does_not_stop_those_that_would_share_it(
    database: Database,
) -> None:
    async with a_world(database, subscribers=10) as world:
        campaigns = [await a_small_campaign(world, n, state="paused") for n in range(10)]
        async with world.gateway() as gateway:  # leaving checks that its loops live
            gateway.claiming._store.__class__ = _Counting
            _Counting.broken, _Counting.tries = campaigns[4], 0
            await world.execute("UPDATE campaign SET state = 'sending'")
            await eventually(
                lambda: world.value("SELECT count(*) = 9 FROM campaign WHERE state = 'finished'")
            )
            await eventually(
                lambda: world.value("SELECT count(*) = 0 FROM campaign_chunk WHERE state = 'claimed'")
            )
        assert _Counting.tries == 2  # with the others, and alone
        assert Counter(world.log.by_destination.values()) == {1: 9}


class _Watched(StoredSending):
    """Has somebody wait for a turn of the loop as a claim comes, and notes what was written by then."""

    written: int | None = None

    async def claim_chunks(self, *args, **kwargs):  # type: ignore[no-untyped-def]  # noqa: ANN002, ANN003, ANN202
        found = await super().claim_chunks(*args, **kwargs)
        if found and _Watched.written is None:
            asyncio.get_running_loop().call_soon(_Watched.note)
        return found

    @classmethod
    def note(cls) -> None:
        cls.written = cls.submitted()

    submitted: Callable[[], int]


async def test_who_waits_for_a_turn_has_it_between_a_claim_and_its_writing(database: Database) -> None:
    """A customer's order is some thirty statements, and each would wait for three thousand texts."""
    async with a_world(database, subscribers=50) as world, world.gateway() as gateway:
        await eventually(
            lambda: all(bind.state == "bound" for carrier in gateway.switchboard for bind in carrier.binds())
        )
        _Watched.written, _Watched.submitted = None, lambda: gateway.pump.submitted
        gateway.claiming._store.__class__ = _Watched
        campaign_id = await world.campaign()
        await eventually(lambda: world.finished(campaign_id))
        assert gateway.pump.submitted == 50
        assert _Watched.written == 0
