"""Marketing that waits: for the hours of a place, for a cap, for the answer to another offer."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from smsgate.campaigns.caps import CapLimits
from smsgate.campaigns.hours import Place, hours
from smsgate.clock import SystemClock
from smsgate.flows.gates import ALWAYS_OPEN, Gates
from smsgate.flows.offers import LIFE_MIN
from smsgate.flows.records import ChunkClaim, ChunkKey
from smsgate.ids import IdMaker
from smsgate.store import catalogue
from smsgate.store.gates import CLAIMS_LOCK, SENDER_WAIT, rounded_up
from smsgate.store.partitions import make_ahead
from smsgate.store.pool import Database
from smsgate.store.roles import ADMIN
from smsgate.store.sending import StoredSending
from tests.flows.world import (
    FIRST_MSISDN,
    MERCHANT,
    OTHER_SENDER,
    PUBLIC_IDS,
    SENDER,
    World,
    a_world,
    eventually,
)

PARIS = ZoneInfo("Europe/Paris")
OWNER = 5
THIRD_SENDER = "36333"


def next_open(place: str, after: datetime, gates: Gates) -> datetime:
    verdict = gates.hours(place, after)
    assert verdict is not None
    return after if verdict.allowed else verdict.until


def next_night() -> datetime:
    """Return 3:00 in Paris, at most a day from now: the partitions of these days exist."""
    now = datetime.now(PARIS)
    night = now.replace(hour=3, minute=0, second=0, microsecond=0)
    return (night if night > now else night + timedelta(days=1)).astimezone(UTC)


class SetClock(SystemClock):
    """The system's clock, set to another hour."""

    def __init__(self, to: datetime) -> None:
        self.set(to)

    def set(self, to: datetime) -> None:
        self._ahead = to - super().now()

    def now(self) -> datetime:
        return super().now() + self._ahead


class Claimer:
    """One process that claims at the instants that a test says."""

    def __init__(
        self,
        world: World,
        gates: Gates,
        owner: int = OWNER,
        *,
        senders: Sequence[str] = (SENDER, OTHER_SENDER, THIRD_SENDER),
    ) -> None:
        self.ids = IdMaker(owner, lambda: int(datetime.now(UTC).timestamp() * 1000))
        self.store = StoredSending(world.database, self.ids, PUBLIC_IDS)
        self.gates = gates
        self.owner = owner
        self.senders = senders

    async def claim(self, campaign_id: int, now: datetime, merchant_id: int = MERCHANT) -> list[ChunkClaim]:
        """Take every chunk that may be taken; return the claims that have messages."""
        taken: list[ChunkClaim] = []
        while claims := await self.store.claim_chunks(
            merchant_id, [campaign_id], owner=self.owner, allowance_step=1_000, now=now, gates=self.gates,
            senders=self.senders,
        ):  # fmt: skip
            taken += claims
        return [claim for claim in taken if claim.message_ids]


async def holds(world: World) -> Counter[tuple[str, str]]:
    rows = await world.rows(
        "SELECT hold, hold_rule, coalesce(cardinality(members), message_count) AS n FROM campaign_chunk "
        "WHERE hold IS NOT NULL AND state = 'ready'"
    )
    found: Counter[tuple[str, str]] = Counter()
    for row in rows:
        found[row["hold"], row["hold_rule"]] += row["n"]
    return found


async def not_sent(world: World) -> dict[str, int]:
    rows = await world.rows("SELECT reason, count(*) AS n FROM sent WHERE status = -2 GROUP BY reason")
    return {row["reason"]: row["n"] for row in rows}


async def settle(world: World, ids: list[int]) -> None:
    """Write down that these messages were accepted."""
    await world.execute(
        "INSERT INTO sent (merchant_id, message_id, segment, carrier_id, status, segments, sell_item_id, "
        "sell_micros, cost_item_id, cost_micros, sent_at) "
        "SELECT $1, m, 1, 1, 0, 1, 0, 0, 0, 0, now() FROM unnest($2::bigint[]) AS t (m)",
        MERCHANT,
        ids,
    )


async def test_at_night_everybody_waits_and_in_the_morning_the_same_messages_go(database: Database) -> None:
    gates, night = Gates(), next_night()
    async with a_world(database, subscribers=25) as world:
        campaign_id = await world.campaign(chunk=10, expires_in=timedelta(days=7))
        claimer = Claimer(world, gates)
        assert await claimer.claim(campaign_id, night) == []
        verdict = hours(Place("FR"), night)
        assert verdict.rule is not None
        assert await holds(world) == {("quiet_hours", verdict.rule.id): 25}
        assert (
            await world.value("SELECT count(*) FROM open_offer") == 0
        )  # an OK finds nothing that never left
        written = {row["message_id"] for row in await world.rows("SELECT message_id FROM message")}
        assert await claimer.claim(campaign_id, verdict.until - timedelta(seconds=1)) == []
        claims = await claimer.claim(campaign_id, verdict.until)
        assert {message_id for claim in claims for message_id in claim.message_ids} == written
        assert all(claim.closes_at == hours(Place("FR"), verdict.until).until for claim in claims)
        assert await world.value("SELECT count(*) FROM open_offer") == 25
        assert await world.counters(campaign_id) == {"recipients": 25}
        assert await holds(world) == {}


async def test_a_chunk_of_many_countries_goes_where_it_is_day(database: Database) -> None:
    """Noon in Paris on a working day: six in the morning in New York, evening in Tokyo."""
    gates = Gates()
    noon = next_open("FR", next_night(), gates) + timedelta(hours=4)
    async with a_world(database, subscribers=40) as world:
        places = {1: ("US", "US-NY"), 2: ("US", "US-TX@America/Chicago"), 3: ("JP", "")}
        for rest, (country, place) in places.items():
            move = "UPDATE subscriber SET country = $1, place = $2 WHERE subscriber_id % 4 = $3"
            await world.execute(move, country, place, rest)
        campaign_id = await world.campaign(expires_in=timedelta(days=7))
        claimer = Claimer(world, gates)
        (claim,) = await claimer.claim(campaign_id, noon)
        assert {msisdn % 4 for msisdn in claim.msisdns} == {FIRST_MSISDN % 4}
        waiting = {"US-NY", "US-TX@America/Chicago", "JP"}
        expected = {place: next_open(place, noon, gates) for place in waiting}
        rows = await world.rows("SELECT not_before FROM campaign_chunk WHERE hold = 'quiet_hours'")
        assert {row["not_before"] for row in rows} == set(expected.values())
        assert (await holds(world)).total() == 30
        for place, opens in sorted(expected.items(), key=lambda item: item[1]):
            sent = await claimer.claim(campaign_id, opens)
            assert sum(len(each.message_ids) for each in sent) == 10, place
        every = await world.value("SELECT count(DISTINCT message_id) FROM message")
        assert (every, await world.value("SELECT count(*) FROM open_offer")) == (40, 40)


async def test_people_with_a_plus_in_their_time_zone_or_a_place_of_no_form_stop_nobodys_campaign(
    database: Database,
) -> None:
    """Of places that earlier versions kept, too: what cannot be read counts for the country alone."""
    gates = Gates()
    places = {1: "US-TX@Etc/GMT+5", 2: "FR-75@x", 3: "FR@Mars/Olympus"}
    async with a_world(database, subscribers=12) as world:
        for rest, place in places.items():
            move = "UPDATE subscriber SET country = left($1, 2), place = $1 WHERE subscriber_id % 4 = $2"
            await world.execute(move, place, rest)
        campaign_id = await world.campaign(chunk=4, expires_in=timedelta(days=7))
        claimer = Claimer(world, gates)
        now = next_night()
        opens = {place: next_open(place, now, gates) for place in ("FR", *places.values())}
        assert opens["FR-75@x"] == opens["FR@Mars/Olympus"] == opens["FR"]
        got: Counter[datetime] = Counter()
        for instant in sorted({now, *opens.values()}):
            for claim in await claimer.claim(campaign_id, instant):
                got[instant] += len(claim.message_ids)
                await settle(world, claim.message_ids)
        assert got == {opens["FR"]: 9, opens["US-TX@Etc/GMT+5"]: 3}
        assert await holds(world) == {}


async def test_who_would_be_reached_when_the_offer_is_nearly_over_gets_nothing(database: Database) -> None:
    gates, night = Gates(), next_night()
    opens = next_open("FR", night, gates)
    async with a_world(database, subscribers=10) as world:
        late = await world.campaign()
        just = await world.campaign()
        ends = "UPDATE offer_version SET expires_at = $1 WHERE offer_id = $2"
        await world.execute(ends, opens + LIFE_MIN - timedelta(seconds=1), late + 500_000)
        await world.execute(ends, opens + LIFE_MIN, just + 500_000)
        claimer = Claimer(world, gates)
        for campaign_id in (late, just):
            assert await claimer.claim(campaign_id, night) == []
        assert await not_sent(world) == {"quiet_hours": 10}
        assert await world.counters(late) == {"recipients": 10, "not_sent": 10}
        claims = await claimer.claim(just, opens)
        assert sum(len(claim.message_ids) for claim in claims) == 10


async def test_a_held_offer_whose_time_has_passed_is_dropped_and_never_sent_late(database: Database) -> None:
    gates, night = Gates(), next_night()
    opens = next_open("FR", night, gates)  # two days later before a Sunday
    async with a_world(database, subscribers=10) as world:
        campaign_id = await world.campaign(expires_in=timedelta(days=9))
        claimer = Claimer(world, gates)
        assert await claimer.claim(campaign_id, night) == []
        await world.execute("UPDATE offer_version SET expires_at = $1", opens + timedelta(hours=2))
        assert await claimer.claim(campaign_id, opens + timedelta(hours=1, minutes=31)) == []
        assert await not_sent(world) == {"expired": 10}


async def test_a_stop_while_an_offer_is_held_wins(database: Database) -> None:
    gates, night = Gates(), next_night()
    async with a_world(database, subscribers=3) as world:
        campaign_id = await world.campaign(expires_in=timedelta(days=7))
        claimer = Claimer(world, gates)
        await claimer.claim(campaign_id, night)
        await world.execute("UPDATE subscriber SET offers_state = 'unsubscribed' WHERE subscriber_id = 10001")
        (claim,) = await claimer.claim(campaign_id, next_open("FR", night, gates))
        assert claim.msisdns == [FIRST_MSISDN, FIRST_MSISDN + 2]
        assert await not_sent(world) == {"stopped": 1}


async def test_what_was_not_written_when_the_hours_ended_waits_with_its_offer_closed(
    database: Database,
) -> None:
    gates = Gates()
    opens = next_open("FR", next_night(), gates)
    async with a_world(database, subscribers=10) as world:
        campaign_id = await world.campaign(expires_in=timedelta(days=7))
        claimer = Claimer(world, gates)
        (claim,) = await claimer.claim(campaign_id, opens)
        assert claim.closes_at is not None
        await settle(world, claim.message_ids[:4])
        await claimer.store.release_forgotten(set(), set(), owner=OWNER)
        assert await claimer.claim(campaign_id, claim.closes_at) == []
        assert (await holds(world)).total() == 6
        assert await world.value("SELECT count(*) FROM open_offer") == 4
        again = await claimer.claim(campaign_id, next_open("FR", claim.closes_at, gates))
        assert [message_id for each in again for message_id in each.message_ids] == claim.message_ids[4:]


async def test_a_cap_over_all_merchants_holds_until_the_oldest_message_is_a_day_old(
    database: Database,
) -> None:
    gates = Gates(enforce_hours=False, caps=CapLimits(person_per_day_max=2))
    now = datetime.now(UTC)
    async with a_world(database, subscribers=10) as world:
        campaigns = [await world.campaign(sender=f"3611{n}", expires_in=timedelta(days=7)) for n in range(3)]
        claimer = Claimer(world, gates)
        for n, campaign_id in enumerate(campaigns[:2]):
            assert (
                sum(len(c.message_ids) for c in await claimer.claim(campaign_id, now + timedelta(hours=n)))
                == 10
            )
        assert await claimer.claim(campaigns[2], now + timedelta(hours=2)) == []
        assert await holds(world) == {("cap", "cap-person-day"): 10}
        until = await world.value("SELECT min(not_before) FROM campaign_chunk WHERE hold = 'cap'")
        assert timedelta(0) <= until - (now + timedelta(hours=24)) < timedelta(minutes=15)
        (claim,) = await claimer.claim(campaigns[2], until)
        assert len(claim.message_ids) == 10


async def test_a_cap_of_one_merchant_leaves_others_alone_and_counts_what_waited_once(
    database: Database,
) -> None:
    gates = Gates(enforce_hours=False, caps=CapLimits(merchant_per_week_max=1))
    now = datetime.now(UTC)
    async with a_world(database, subscribers=4) as world:
        first, second = [
            await world.campaign(sender=f"3611{n}", expires_in=timedelta(days=30)) for n in range(2)
        ]
        claimer = Claimer(world, gates)
        await world.execute(
            "INSERT INTO marketing_contact VALUES ($1, ARRAY[8, 8], ARRAY[$2::timestamptz, $2], $2)",
            FIRST_MSISDN,
            now,
        )
        assert len((await claimer.claim(first, now))[0].message_ids) == 4
        assert await claimer.claim(second, now + timedelta(days=6)) == []
        assert await holds(world) == {("cap", "cap-merchant-week"): 4}
        assert await world.value("SELECT count(*) FROM open_offer WHERE opened_at = $1", now) == 4
        assert await world.value("SELECT cardinality(at) FROM marketing_contact") == 2


@pytest.mark.parametrize("limits", [CapLimits(person_per_day_max=1), CapLimits(merchant_per_day_max=1)])
async def test_claims_at_once_let_no_more_through_than_the_cap(database: Database, limits: CapLimits) -> None:
    gates, now = Gates(enforce_hours=False, caps=limits), datetime.now(UTC)
    async with a_world(database, subscribers=50) as world:
        campaigns = [
            await world.campaign(sender=f"361{n}", expires_in=timedelta(days=7)) for n in range(10, 18)
        ]
        claimers = [Claimer(world, gates, owner=n) for n in range(len(campaigns))]
        made = await asyncio.gather(*(c.claim(k, now) for c, k in zip(claimers, campaigns, strict=True)))
        got = Counter(msisdn for claims in made for claim in claims for msisdn in claim.msisdns)
        assert set(got.values()) == {1}
        assert len(got) == 50
        assert (await holds(world)).total() == 7 * 50


async def test_whoever_has_an_open_offer_waits_and_is_not_counted_by_the_cap(database: Database) -> None:
    gates = Gates(enforce_hours=False, caps=CapLimits(person_per_day_max=2))
    now = datetime.now(UTC)
    async with a_world(database, subscribers=5) as world:
        first, second = await world.campaign(), await world.campaign(expires_in=timedelta(days=2))
        claimer = Claimer(world, gates)
        await claimer.claim(first, now)
        assert await claimer.claim(second, now) == []
        assert await holds(world) == {("open_offer", "open-offer"): 5}
        assert await world.value("SELECT count(*) FROM marketing_contact") == 0
        await world.execute("UPDATE open_offer SET answered_at = now() WHERE msisdn % 5 < 2")
        (claim,) = await claimer.claim(second, now + timedelta(minutes=16))
        assert len(claim.msisdns) == 2
        assert await holds(world) == {("open_offer", "open-offer"): 3}
        (rest,) = await claimer.claim(second, now + timedelta(hours=5))
        assert len(rest.msisdns) == 3
        assert set(rest.message_ids).isdisjoint(claim.message_ids)


async def test_the_next_offer_goes_out_by_another_number_of_the_pool_and_a_third_waits(
    database: Database,
) -> None:
    now = datetime.now(UTC)
    async with a_world(database, subscribers=6) as world:
        campaigns = [await world.campaign(expires_in=timedelta(days=2)) for _ in range(3)]
        await world.execute("UPDATE offer_version SET sender_pool = $1", [SENDER, OTHER_SENDER])
        claimer = Claimer(world, ALWAYS_OPEN)
        await world.execute(
            "UPDATE campaign_chunk SET msisdn_hi = $2 WHERE campaign_id = $1", campaigns[0], FIRST_MSISDN + 3
        )
        (first,) = await claimer.claim(campaigns[0], now)
        assert (first.offer.sender, len(first.message_ids)) == (SENDER, 4)
        by_number = {c.offer.sender: len(c.message_ids) for c in await claimer.claim(campaigns[1], now)}
        assert by_number == {SENDER: 2, OTHER_SENDER: 4}
        by_number = {c.offer.sender: len(c.message_ids) for c in await claimer.claim(campaigns[2], now)}
        assert by_number == {OTHER_SENDER: 2}
        assert await holds(world) == {("open_offer", "open-offer"): 4}
        rows = await world.rows(
            "SELECT m.sender = o.sender AS same FROM message m JOIN open_offer o USING (message_id)"
        )
        assert [row["same"] for row in rows] == [True] * 12


async def test_an_offer_goes_by_those_numbers_of_its_pool_that_a_carrier_has_and_else_waits(
    database: Database,
) -> None:
    """What was put on a number without a carrier was not sent, and its offer closed."""
    now = datetime.now(UTC)
    async with a_world(database, subscribers=3) as world:
        campaigns = [await world.campaign(expires_in=timedelta(days=2)) for _ in range(3)]
        await world.execute("UPDATE offer_version SET sender_pool = $1", [OTHER_SENDER, THIRD_SENDER])
        claimer = Claimer(world, ALWAYS_OPEN, senders=(THIRD_SENDER, SENDER))
        by_number = [c.offer.sender for each in campaigns[:2] for c in await claimer.claim(each, now)]
        assert by_number == [SENDER, THIRD_SENDER]
        assert await claimer.claim(campaigns[2], now) == []
        assert await holds(world) == {("open_offer", "open-offer"): 3}
        assert await not_sent(world) == {}


async def test_what_was_claimed_for_a_number_that_no_carrier_has_any_more_waits_for_one(
    database: Database,
) -> None:
    now = datetime.now(UTC)
    async with a_world(database, subscribers=3) as world:
        first, second = [await world.campaign(expires_in=timedelta(days=2)) for _ in range(2)]
        await world.execute("UPDATE offer_version SET sender_pool = $1", [OTHER_SENDER])
        claimer = Claimer(world, ALWAYS_OPEN)
        await claimer.claim(first, now)
        (claim,) = await claimer.claim(second, now)
        assert claim.offer.sender == OTHER_SENDER
        key = ChunkKey(MERCHANT, second, claim.chunk_no, claim.fence)
        await claimer.store.release_chunks({key: 0}, owner=OWNER)
        claimer.senders = (SENDER,)
        assert await claimer.claim(second, now) == []
        assert await holds(world) == {("sender_unknown", "sender-unknown"): 3}
        open_ = "SELECT count(*) FROM open_offer WHERE sender = $1 AND answered_at IS NULL"
        assert await world.value(open_, OTHER_SENDER) == 0  # an OK must not find what never left
        assert await claimer.claim(second, now + SENDER_WAIT) == []
        claimer.senders = (SENDER, OTHER_SENDER)
        (again,) = await claimer.claim(second, now + 2 * SENDER_WAIT)
        assert (again.offer.sender, again.message_ids) == (OTHER_SENDER, claim.message_ids)
        assert await world.value(open_, OTHER_SENDER) == 3
        assert await not_sent(world) == {}


async def test_a_hundred_sends_at_once_open_one_offer_per_person_and_number(database: Database) -> None:
    """M11: the database enforces it; what found no place waits, and nothing is lost."""
    now = datetime.now(UTC)
    async with a_world(database, subscribers=20) as world:
        campaigns = [await world.campaign(expires_in=timedelta(days=2)) for _ in range(100)]
        await world.execute("UPDATE offer_version SET sender_pool = $1", [OTHER_SENDER, THIRD_SENDER])
        claimers = [Claimer(world, ALWAYS_OPEN, owner=n % 60) for n in range(100)]
        made = await asyncio.gather(*(c.claim(k, now) for c, k in zip(claimers, campaigns, strict=True)))
        got = Counter(
            (claim.offer.sender, msisdn) for claims in made for claim in claims for msisdn in claim.msisdns
        )
        assert set(got.values()) == {1}
        assert len(got) == 3 * 20
        assert await world.value("SELECT count(*) FROM open_offer") == 60
        assert (await holds(world)).total() == 100 * 20 - 60


async def test_a_dead_owners_part_leaves_what_waits_beside_it_alone(database: Database) -> None:
    now = datetime.now(UTC)
    async with a_world(database, subscribers=6) as world:
        first, second = await world.campaign(), await world.campaign(expires_in=timedelta(days=2))
        claimer = Claimer(world, ALWAYS_OPEN)
        await world.execute(
            "UPDATE campaign_chunk SET msisdn_hi = $2 WHERE campaign_id = $1", first, FIRST_MSISDN + 2
        )
        await claimer.claim(first, now)
        (claim,) = await claimer.claim(second, now)
        assert len(claim.message_ids) == 3
        recovery = await claimer.store.recover(segments_of=lambda _, text: len(text), now=now)
        assert recovery.messages_unknown == 6
        assert await holds(world) == {("open_offer", "open-offer"): 3}
        await world.set_state(second, "cancelled")
        await claimer.store.recover(segments_of=lambda _, text: len(text), now=now)
        assert await not_sent(world) == {"cancelled": 3}


async def test_the_gateway_stops_in_the_midst_of_a_campaign_when_the_hours_end(database: Database) -> None:
    """What it had claimed and not written is given back and waits for the morning."""
    gates = Gates()
    closes = hours(Place("FR"), next_open("FR", next_night(), gates)).until
    async with database.control() as connection:
        await make_ahead(connection, closes, 1)  # two days from now before a Sunday
    async with a_world(database, subscribers=600, rate_per_s=100) as world:
        campaign_id = await world.campaign(expires_in=timedelta(days=9))
        world.gates, world.clock = gates, (clock := SetClock(closes - timedelta(minutes=5)))
        claimed = "SELECT count(*) = 0 FROM campaign_chunk WHERE state = 'claimed'"
        async with world.gateway():
            await eventually(lambda: world.log.submits > 10)
            clock.set(closes)
            await eventually(lambda: holds(world))
            await eventually(lambda: world.value(claimed))
        waiting = (await holds(world)).total()
        assert 0 < world.log.submits < 600
        assert waiting == 600 - world.log.submits
        assert not await world.finished(campaign_id)
        assert await world.value("SELECT count(*) FROM open_offer") == world.log.submits


WAITS = (
    "SELECT count(*) > 0 FROM pg_stat_activity "
    "WHERE wait_event_type = 'Lock' AND datname = current_database()"
)


async def claimed_while(world: World, insert: str, *values: object, gates: Gates) -> list[ChunkClaim]:
    """Claim while a transaction that wrote a row has not committed, until the claim waits for it."""
    campaign_id = await world.campaign()
    watcher = await world.database.connect(ADMIN)
    try:
        async with world.database.bulk_transaction() as other:
            await other.execute("SELECT pg_advisory_xact_lock($1)", CLAIMS_LOCK)  # as every claim does
            await other.execute(insert, *values)
            claiming = asyncio.create_task(Claimer(world, gates).claim(campaign_id, datetime.now(UTC)))
            await eventually(lambda: watcher.fetchval(WAITS))
        return await claiming
    finally:
        await watcher.close()


async def test_a_message_before_the_last_by_a_number_counts_for_the_caps_a_week_long(
    database: Database,
) -> None:
    """Each offer takes the place of the one before; what that was is kept as long as a cap looks back."""
    gates = Gates(enforce_hours=False, caps=CapLimits(merchant_per_week_max=3))
    now = datetime.now(UTC)
    async with a_world(database, subscribers=3) as world:
        claimer = Claimer(world, gates)
        for day in range(3):
            campaign_id = await world.campaign(expires_in=timedelta(days=30))
            (claim,) = await claimer.claim(campaign_id, now + timedelta(days=day))
            assert len(claim.message_ids) == 3
            await world.execute("UPDATE open_offer SET answered_at = now()")
        fourth = await world.campaign(expires_in=timedelta(days=30))
        assert await claimer.claim(fourth, now + timedelta(days=6)) == []
        assert await holds(world) == {("cap", "cap-merchant-week"): 3}
        (claim,) = await claimer.claim(fourth, now + timedelta(days=7, hours=1))
        assert len(claim.message_ids) == 3
        kept = await world.rows("SELECT at FROM marketing_contact ORDER BY msisdn")
        assert [row["at"] for row in kept] == [[now + timedelta(days=1), now + timedelta(days=2)]] * 3


async def test_an_offer_that_never_left_counts_for_no_cap(database: Database) -> None:
    gates = Gates(enforce_hours=False, caps=CapLimits(merchant_per_day_max=1))
    now = datetime.now(UTC)
    async with a_world(database, subscribers=4) as world:
        first, second = await world.campaign(), await world.campaign(expires_in=timedelta(days=2))
        claimer = Claimer(world, gates)
        await claimer.claim(first, now)
        await claimer.store.release_forgotten(set(), set(), owner=OWNER)
        await world.set_state(first, "cancelled")
        await claimer.store.recover(segments_of=lambda _, text: len(text), now=now)
        assert await not_sent(world) == {"cancelled": 4}
        (again,) = await claimer.claim(second, now + timedelta(minutes=1))
        assert len(again.message_ids) == 4
        assert await world.value("SELECT count(*) FROM marketing_contact") == 0


async def test_what_was_sent_before_a_stop_counts_for_other_merchants(database: Database) -> None:
    gates = Gates(enforce_hours=False, caps=CapLimits(person_per_day_max=1))
    now = datetime.now(UTC)
    async with a_world(database, subscribers=2) as world:
        claimer = Claimer(world, gates)
        await claimer.claim(await world.campaign(), now)
        async with world.database.bulk_transaction() as connection:
            close = catalogue.load("inbound")["close_offers"]
            await connection.execute(close, [MERCHANT], [FIRST_MSISDN])
        assert await world.value("SELECT count(*) FROM open_offer") == 1
        kept = await world.rows("SELECT msisdn, merchant_ids, at FROM marketing_contact")
        assert [tuple(row) for row in kept] == [(FIRST_MSISDN, [MERCHANT], [now])]
        other = await world.campaign(sender=OTHER_SENDER, expires_in=timedelta(days=3))
        assert await claimer.claim(other, now + timedelta(hours=1)) == []
        assert await holds(world) == {("cap", "cap-person-day"): 2}


async def test_what_waited_for_a_day_in_a_claimed_chunk_counts_for_the_day_on_which_it_goes(
    database: Database,
) -> None:
    gates = Gates(enforce_hours=False, caps=CapLimits(person_per_day_max=1))
    now = datetime.now(UTC)
    async with a_world(database, subscribers=3) as world:
        first = await world.campaign(expires_in=timedelta(days=7))
        other = await world.campaign(sender=OTHER_SENDER, expires_in=timedelta(days=7))
        claimer = Claimer(world, gates)
        (claim,) = await claimer.claim(first, now)
        await claimer.store.release_forgotten(set(), set(), owner=OWNER)
        (again,) = await claimer.claim(first, now + timedelta(hours=25))
        assert again.message_ids == claim.message_ids
        assert await claimer.claim(other, now + timedelta(hours=25, minutes=1)) == []
        assert await holds(world) == {("cap", "cap-person-day"): 3}


async def test_of_two_claims_that_reach_a_person_at_once_the_second_waits_for_the_answer(
    database: Database,
) -> None:
    async with a_world(database, subscribers=10) as world:
        (claim,) = await claimed_while(
            world,
            "INSERT INTO open_offer (msisdn, sender, merchant_id, campaign_id, message_id, offer_id, "
            "offer_version, subscriber_id, expires_at, opened_at) "
            "VALUES ($1, $2, 8, 1, 1, 1, 1, 1, now() + interval '1 hour', now())",
            FIRST_MSISDN + 3,
            SENDER,
            gates=ALWAYS_OPEN,
        )
        assert len(claim.message_ids) == 9
        assert FIRST_MSISDN + 3 not in claim.msisdns
        assert await holds(world) == {("open_offer", "open-offer"): 1}


async def test_of_two_claims_that_count_a_person_at_once_only_one_gets_below_the_cap(
    database: Database,
) -> None:
    async with a_world(database, subscribers=10) as world:
        (claim,) = await claimed_while(
            world,
            "INSERT INTO marketing_contact VALUES ($1, ARRAY[8::bigint], ARRAY[now()], now())",
            FIRST_MSISDN + 3,
            gates=Gates(enforce_hours=False, caps=CapLimits(person_per_day_max=1)),
        )
        assert len(claim.message_ids) == 9
        assert FIRST_MSISDN + 3 not in claim.msisdns
        assert await not_sent(world) == {"cap": 1}  # the cap lasts longer than the offer


async def test_people_who_wait_for_many_instants_wait_no_longer_than_the_offer_lasts(
    database: Database,
) -> None:
    """Fifty instants are more than one chunk is cut for: neighbours wait for their first, and look again."""
    gates = Gates(enforce_hours=False, caps=CapLimits(merchant_per_day_max=1))
    now = rounded_up(datetime.now(UTC))
    lasts, step = timedelta(hours=7), timedelta(minutes=15)
    async with a_world(database, subscribers=50) as world:
        campaign_id = await world.campaign(expires_in=now + lasts + LIFE_MIN - datetime.now(UTC))
        await world.execute(
            "INSERT INTO marketing_contact SELECT $1::bigint + n, ARRAY[$2::bigint], ARRAY[at], at "
            "FROM (SELECT n, $3::timestamptz - interval '24 hours' + n * $4::interval AS at "
            "FROM generate_series(1, 49) AS n) AS t",
            FIRST_MSISDN, MERCHANT, now, step,
        )  # fmt: skip
        claimer = Claimer(world, gates)
        got: dict[int, timedelta] = {}
        for turn in range(60):
            for claim in await claimer.claim(campaign_id, now + turn * step):
                got |= dict.fromkeys(claim.msisdns, turn * step)
                await settle(world, claim.message_ids)
        assert got == {FIRST_MSISDN + n: n * step for n in range(int(lasts / step) + 1)}
        assert await not_sent(world) == {"cap": 50 - len(got)}
