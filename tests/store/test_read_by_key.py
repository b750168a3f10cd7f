"""What asks about a few messages of a day that the planner knows nothing of yet reads these by their key."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from smsgate.flows.consent_ageing import Ageing
from smsgate.ids import first_id_at
from smsgate.store.catalogue import load
from smsgate.store.gates import CLAIMS_LOCK
from smsgate.store.pages import ID_END
from smsgate.store.pool import Database
from tests.store.test_list_indexes import plan_of, read_by

MERCHANT, DAY, ASKED = 7, 60_000, 1_000  # messages; a lease has as many as are asked about
FINALS, DELIVERED = [2, 3, 4, 5, 8], 2
KEYS = ("merchants", "ids", "segments")

FILLING = """
INSERT INTO message (merchant_id, message_id, subscriber_id, msisdn, kind, sender, campaign_id)
SELECT {merchant}, {base} + n, n, 33600000000 + n, 'offer', '38123', 1 FROM generate_series(1, {rows}) n;
INSERT INTO sent (merchant_id, message_id, segment, carrier_id, status, segments, smsc_id, sell_item_id,
    sell_micros, cost_item_id, cost_micros, sent_at)
SELECT {merchant}, {base} + n, 1, 1, 0, 1, 'x', 1, 1, 1, 1, now() FROM generate_series(1, {rows}) n;
INSERT INTO receipt (merchant_id, message_id, segment, state, received_at)
SELECT {merchant}, {base} + n, 1, 2, now() FROM generate_series(1, {rows}) n;
INSERT INTO price_list (price_list_id, name, side, currency) VALUES (1, 'list', 'sell', 'EUR');
INSERT INTO price_item (item_id, price_list_id, version, direction, network, unit_micros, basis)
VALUES (1, 1, 1, 'mt', '*', 1, 'delivered');
"""
SOME = """
INSERT INTO message (merchant_id, message_id, subscriber_id, msisdn, kind, sender, campaign_id)
SELECT $1, $2 + n, n, 33600000000 + n, 'offer', '38123', 1 FROM generate_series(1, $3::bigint) n
"""
RUNNING = 400_000  # so many that a guess of a few in a hundred thousand is some rows, cheap to sort
OPEN, ANSWERS = 12_000, 200
NOW = datetime.now(UTC)
OFFERS = """
INSERT INTO open_offer (msisdn, sender, merchant_id, campaign_id, message_id, offer_id, offer_version,
    subscriber_id, expires_at)
SELECT n, '38123', {merchant}, 1, n, 1, 1, n, now() + interval '1 hour' FROM generate_series(1, {rows}) n;
ANALYZE open_offer;
"""


@pytest.mark.parametrize(
    ("file", "name", "arguments"),
    [
        ("budgets", "outcomes", (MERCHANT, "ids", "micros", FINALS, DELIVERED)),
        ("receipt_charges", "lock_messages", (MERCHANT, "ids", "segments")),
        ("receipt_charges", "charges", (*KEYS, FINALS, DELIVERED)),
        ("receipt_charges", "of_delivered_basis", KEYS),
        ("receipt_charges", "reversible", (*KEYS, FINALS, DELIVERED)),
        ("sending", "called_unknown", ("merchants", "ids")),
        (
            "sending",
            "merge_sent",
            (
                *KEYS,
                "segments",
                "micros",
                "segments",
                "octets",
                *("micros",) * 4,
                "texts",
                "instants",
                "segments",
            ),
        ),
        ("sending", "refusable_messages", (MERCHANT, "ids", ["offers"])),
        ("consent_ageing", "opted_out", (MERCHANT, "ids", [1], [1], [1], [b"x"])),
    ],
)
async def test_a_thousand_messages_are_read_by_their_key(
    database: Database, file: str, name: str, arguments: tuple[object, ...]
) -> None:
    """A lease that was settled read all that its merchant had sent on that day: a second for 300,000."""
    base = first_id_at(int(datetime.now(UTC).timestamp() * 1000))
    async with database.control() as connection:
        await connection.execute(FILLING.format(merchant=MERCHANT, base=base, rows=DAY))
    columns: dict[object, list[object]] = {
        "merchants": [MERCHANT] * ASKED,
        "ids": list(range(base + DAY // 2, base + DAY // 2 + ASKED)),
        "segments": [1] * ASKED,
        "micros": [1] * ASKED,
        "octets": [b""] * ASKED,
        "texts": [""] * ASKED,
        "instants": [datetime.now(UTC)] * ASKED,
    }
    values = [columns[value] if isinstance(value, str) else value for value in arguments]
    async with database.bulk_transaction() as connection:
        plan = await plan_of(connection, load(file)[name], *values)
    read: Counter[str] = Counter()
    for node in plan:
        read[node.get("Relation Name", "")] += read_by(node)
    day = {
        relation: rows for relation, rows in read.items() if relation.startswith(("message", "sent", "rec"))
    }
    assert day
    assert max(day.values()) <= ASKED, day


@pytest.mark.parametrize("of_campaign", [RUNNING, 100])
async def test_a_page_of_a_running_campaign_reads_no_more_than_it_shows(
    database: Database, of_campaign: int
) -> None:
    """Each page sorted all its messages until the table was analyzed: 0.8 s of CPU for 3 million."""
    base, page = first_id_at(int(datetime.now(UTC).timestamp() * 1000)), 21
    async with database.control() as connection:
        await connection.execute(SOME, MERCHANT, base, RUNNING)
    async with database.reading(MERCHANT) as connection:
        plan = await plan_of(
            connection, load("messages")["messages_page"], MERCHANT, ID_END, page, FINALS, 1, base + 1,
            base + of_campaign, None, None, None, None,
        )  # fmt: skip
    read = sum(read_by(node) for node in plan if node.get("Relation Name", "").startswith("message"))
    assert page <= read <= 2 * page, read


@pytest.mark.parametrize(
    ("file", "name", "arguments"),
    [
        ("inbound", "open_offers", ("numbers", "senders")),
        ("inbound", "answered", ("numbers", "senders", "numbers", "instants")),
        ("inbound", "close_offers", ("merchants", "numbers")),
        ("sending", "close_unsent_offers", ("numbers", "senders", "numbers")),
        ("sending", "known_people", ("literal", MERCHANT, NOW, NOW, 3, 10, 2, 5, NOW)),
    ],
)
async def test_the_open_offers_of_a_group_of_answers_are_read_by_their_key(
    database: Database, file: str, name: str, arguments: tuple[object, ...]
) -> None:
    """At 2,000 answers a second each group of some 200 read all of 12,000 open offers."""
    async with database.control() as connection:
        await connection.execute(OFFERS.format(merchant=MERCHANT, rows=OPEN))
    numbers = list(range(OPEN // 2, OPEN // 2 + ANSWERS))
    columns: dict[object, object] = {
        "merchants": [MERCHANT] * ANSWERS,
        "numbers": numbers,
        "literal": f"{{{','.join(map(str, numbers))}}}",
        "senders": ["38123"] * ANSWERS,
        "instants": [NOW] * ANSWERS,
    }
    async with database.bulk_transaction() as connection:
        if name == "known_people":  # a claim's, which reads no table as a whole
            await connection.execute(load("sending")["one_claim_at_a_time"], CLAIMS_LOCK)
        plan = await plan_of(
            connection,
            load(file)[name],
            *(columns.get(each, each) if isinstance(each, str) else each for each in arguments),
        )
    read = [read_by(node) for node in plan if node.get("Relation Name") == "open_offer"]
    assert ANSWERS in read
    assert max(read) == ANSWERS, read


STOPS = """
INSERT INTO subscriber (merchant_id, subscriber_id, msisdn, language, country, tags, offers_state)
SELECT {merchant}, n, n, 'fr', 'FR', CASE WHEN n <= {asked} THEN '{{rock}}'::text[] ELSE '{{jazz}}' END,
    'subscribed' FROM generate_series(1, {people}) n;
ANALYZE subscriber;
INSERT INTO campaign_chunk (merchant_id, campaign_id, no, msisdn_lo, msisdn_hi, size, subscriber_ids)
SELECT {merchant}, 1, 0, 1, {people}, {asked}, array_agg(n) FROM generate_series(1, {asked}) n;
INSERT INTO sender_stop (merchant_id, sender, msisdn, stopped_at)
SELECT {merchant}, '38123', {people} + n, now() FROM generate_series(1, {stops}) n;
"""


@pytest.mark.parametrize("name", ["candidates", "named_candidates", "listed_candidates"])
async def test_stops_are_read_of_the_people_of_a_chunk_and_once(database: Database, name: str) -> None:
    """The planner took people for few: for each of 3,000 all 20,000 STOPs were read, ten seconds a claim."""
    people, stops, senders = 20 * ASKED, 4_000, ["38123"]
    async with database.control() as connection:
        await connection.execute(STOPS.format(merchant=MERCHANT, people=people, asked=ASKED, stops=stops))
    later = NOW + timedelta(days=1)
    listed: tuple[object, ...] = ([0] * ASKED, list(range(1, ASKED + 1)), [later] * ASKED, senders, [])
    meant: tuple[object, ...] = (["rock"], None, None, None, None, ["placed"])
    rest: tuple[object, ...] = (later, ASKED + 1, senders, "FR", [])
    named, ranged = (*meant, 1, 0, *rest), (*meant, 1, ASKED, *rest)
    values = {"candidates": ranged, "named_candidates": named, "listed_candidates": listed}[name]
    async with database.bulk_transaction() as connection:
        await connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")  # as after five executions
        plan = await plan_of(connection, load("sending")[name], MERCHANT, *values)
    read = [read_by(node) for node in plan if node.get("Relation Name") == "subscriber"]
    stopped = [
        read_by(node)
        for node in plan
        if "sender_stop" in f"{node.get('Relation Name')} {node.get('Index Name')}"
    ]
    assert read == [ASKED]
    assert max(stopped) <= ASKED


ABOUT_ORDERS = """
INSERT INTO {kept}message (merchant_id, message_id, subscriber_id, msisdn, kind, sender, order_id, body)
SELECT {merchant}, {base} + n, n, 33600000000 + n, 'confirmed', '38123', n, 'x'
  FROM generate_series(1, {rows}) n;
INSERT INTO {kept}sent (merchant_id, message_id, segment, carrier_id, status, segments, smsc_id, sell_item_id,
    sell_micros, cost_item_id, cost_micros, sent_at)
SELECT {merchant}, {base} + n, 1, 1, 0, 1, 'x', 1, 1, 1, 1, now() FROM generate_series(1, {rows}) n;
"""


@pytest.mark.parametrize("kept", ["", "kept_"])
async def test_what_an_orders_messages_cost_reads_no_others(database: Database, kept: str) -> None:
    base = first_id_at(int(datetime.now(UTC).timestamp() * 1000))
    order, limits = DAY // 2, (base, base + DAY + 1)
    async with database.control() as connection:
        await connection.execute(ABOUT_ORDERS.format(merchant=MERCHANT, base=base, rows=DAY, kept=kept))
    async with database.transaction(MERCHANT) as connection:
        orders = load("orders")
        plans = [
            await plan_of(connection, orders["message_costs"], MERCHANT, base + order),
            await plan_of(connection, orders["system_message_costs"], MERCHANT, order, *limits),
        ]
    for plan in plans:
        read = [
            read_by(node)
            for node in plan
            if node.get("Relation Name", "").startswith((f"{kept}message", f"{kept}sent"))
        ]
        assert read
        assert max(read) <= 1, read


PEOPLE = """
INSERT INTO subscriber (merchant_id, subscriber_id, msisdn, language, country, offers_state, offers_state_at,
    paused_until, created_at)
SELECT {merchant}, n, n, 'fr', 'FR', 'paused', now(), now(), now() FROM generate_series(1, {rows}) n;
INSERT INTO consent_state (merchant_id, subscriber_id, purpose, state, state_at, paused_until)
SELECT {merchant}, n, 'polls', 'paused', now(), now() FROM generate_series(1, {rows}) n;
INSERT INTO consent_question (msisdn, sender, merchant_id, subscriber_id, purpose, wording_version, asked_at)
SELECT n, '38123', {merchant}, n, 'offers', 'w1', now() FROM generate_series(1, {rows}) n;
INSERT INTO consent_event (merchant_id, consent_id, subscriber_id, msisdn, purpose, event, state_after,
    source, occurred_at)
SELECT {merchant}, n, n, n, 'offers', 'import', 'subscribed', 'form', now() FROM generate_series(1, {rows}) n;
"""


@pytest.mark.parametrize("analyzed", [False, True])
@pytest.mark.parametrize("ageing", Ageing)
async def test_whose_consent_changes_by_time_is_looked_at_again_by_key_while_locked(
    database: Database, ageing: Ageing, *, analyzed: bool
) -> None:
    """The second look read all people of all merchants, while a thousand were locked."""
    people = 20 * ASKED
    async with database.control() as connection:
        await connection.execute(PEOPLE.format(merchant=MERCHANT, rows=people))
        if analyzed:
            await connection.execute("ANALYZE subscriber, consent_state, consent_question, consent_event")
    asked = list(range(people // 2, people // 2 + ASKED))
    async with database.bulk_transaction() as connection:
        await connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")  # as after five executions
        sql = load("consent_ageing")[f"still_{ageing}"]
        plan = await plan_of(connection, sql, MERCHANT, asked, NOW + timedelta(days=1))
    assert plan[0]["Actual Rows"] == (ASKED if ageing is Ageing.QUESTION_EXPIRED else 2 * ASKED)
    read = {(node["Relation Name"], read_by(node)) for node in plan if "Relation Name" in node}
    assert max(rows for _, rows in read) == ASKED, read


async def test_the_bounds_that_an_erasure_moves_are_found_by_the_messages_of_their_chunks(
    database: Database,
) -> None:
    base, chunk = first_id_at(int(datetime.now(UTC).timestamp() * 1000)), 3_000
    async with database.control() as connection:
        await connection.execute(FILLING.format(merchant=MERCHANT, base=base, rows=DAY))
        await connection.execute(
            "INSERT INTO campaign_chunk (merchant_id, campaign_id, no, msisdn_lo, msisdn_hi, size, "
            "message_id_base, message_count, state) SELECT $1, 1, n, 33600000001 + n * $3, "
            "33600000000 + (n + 1) * $3, $3, $2::bigint + 1 + n * $3, $3, 'done' "
            "FROM generate_series(0, $4::int - 1) AS n",
            MERCHANT, base, chunk, DAY // chunk,
        )  # fmt: skip
        plan = await plan_of(
            connection, load("suppressions")["erase_bounds"], MERCHANT, 33_600_000_000 + 2 * chunk
        )
        bounds = "SELECT msisdn_lo, msisdn_hi FROM campaign_chunk WHERE no = 1"
        moved = tuple(await connection.fetchrow(bounds) or ())
    assert moved == (33_600_000_001 + chunk, 33_600_000_000 + 2 * chunk - 1)
    read = sum(read_by(node) for node in plan if node.get("Relation Name", "").startswith("message"))
    assert read <= chunk, read


async def test_whom_time_removed_is_found_by_the_number_without_reading_the_others(
    database: Database,
) -> None:
    async with database.control() as connection:
        await connection.execute(
            "INSERT INTO person_gone SELECT $1, n, sha256(n::text::bytea), now() "
            "FROM generate_series(1, $2::int) AS n",
            MERCHANT, DAY,
        )  # fmt: skip
        await connection.execute("ANALYZE person_gone")
        wanted = await connection.fetchval("SELECT sha256('77'::bytea)")
        plan = await plan_of(connection, load("suppressions")["gone_by_number"], MERCHANT, wanted)
    read = {node["Relation Name"]: read_by(node) for node in plan if "Relation Name" in node}
    assert read == {"person_gone": 1}
