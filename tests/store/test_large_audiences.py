"""Ten million people are looked through by statements that take longer than any other of the API's."""

from __future__ import annotations

from smsgate.bench.scene import prepare
from smsgate.store.pool import Database

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
