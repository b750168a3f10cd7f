"""Ten million people are looked through by statements that take longer than any other of the API's."""

from __future__ import annotations

from collections import defaultdict

from smsgate.bench.scene import MERCHANT, Shape, prepare
from smsgate.store.campaigns import BOUGHT, CHUNK_SIZE, NAMED_BELOW
from smsgate.store.catalogue import load
from smsgate.store.pool import Database
from tests.store.test_list_indexes import plan_of, read_by

# What the statement that writes chunks may take is read where it writes them.
HURRIED = """
CREATE FUNCTION refuse_the_hurried() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('statement_timeout')::interval < '10 minutes' THEN
        RAISE 'chunks are written in %', current_setting('statement_timeout');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER hurried BEFORE INSERT ON campaign_chunk FOR EACH ROW EXECUTE FUNCTION refuse_the_hurried();
"""


async def test_the_start_of_a_campaign_has_ten_minutes_for_its_chunks(database: Database) -> None:
    async with database.control() as connection:
        await connection.execute(HURRIED)
    await prepare(database, 100)
    async with database.api() as connection:
        assert await connection.fetchval("SHOW statement_timeout") == "30s"  # and for its chunks alone
    async with database.bulk() as connection:
        assert await connection.fetchval("SELECT sum(size) FROM campaign_chunk") >= 100


async def test_chunks_of_few_name_each_of_them_once_and_no_more_than_a_chunk_may_have(
    database: Database,
) -> None:
    await prepare(database, 20_000, Shape(merchants=1, campaigns=4))
    async with database.bulk() as connection:
        chunks = await connection.fetch(
            "SELECT campaign_id, size, subscriber_ids, msisdn_lo, msisdn_hi FROM campaign_chunk "
            "ORDER BY campaign_id, no"
        )
        people = await connection.fetch(
            "SELECT subscriber_id, msisdn, tags[1] AS tag FROM subscriber WHERE offers_state = 'subscribed'"
        )
    numbers = {row["subscriber_id"]: row["msisdn"] for row in people}
    named: dict[int, list[int]] = defaultdict(list)
    for chunk in chunks:
        some = chunk["subscriber_ids"]
        assert len(some) == chunk["size"] <= CHUNK_SIZE
        found = sorted(numbers[each] for each in some)
        assert (found[0], found[-1]) == (chunk["msisdn_lo"], chunk["msisdn_hi"])
        named[chunk["campaign_id"]] += some
    meant: dict[str, set[int]] = defaultdict(set)
    for row in people:
        meant[row["tag"]].add(row["subscriber_id"])
    assert [set(each) for each in named.values()] == list(map(meant.get, sorted(meant)))
    assert sum(map(len, named.values())) == len(people) == 20_000


async def test_the_start_for_one_person_counts_nobody_else(database: Database) -> None:
    """Of a merchant with ten million people it took a second and a half."""
    await prepare(database, 10_000)
    async with database.transaction(MERCHANT) as connection:
        someone = await connection.fetchval("SELECT min(subscriber_id) FROM subscriber")
        values = (MERCHANT, None, [someone], None, None, None, BOUGHT, 5, CHUNK_SIZE, NAMED_BELOW)
        plan = await plan_of(connection, load("campaigns")["write_chunks"], *values)
        named = await connection.fetchval("SELECT subscriber_ids FROM campaign_chunk WHERE campaign_id = 5")
    assert named == [someone]
    assert sum(read_by(node) for node in plan if node.get("Relation Name") == "subscriber") < 10
