"""Ported numbers: routed and charged by the network they moved to; a table changes whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from smsgate.errors import Conflict
from smsgate.routing.rules import Candidate, Rule
from smsgate.store.pool import Database
from smsgate.store.portability import PgPortability, PortedRows, in_batches
from tests.flows.test_routing import received, two_carriers
from tests.flows.world import FIRST_MSISDN, MERCHANT, MO_MICROS, UNIT_MICROS, a_world, eventually

NOW = datetime(2026, 11, 26, tzinfo=UTC)
BOUYGUES = "20820"
DEARER_MICROS = 61_000


def rows(numbers: dict[int, str | None], size: int = 2) -> Iterator[PortedRows]:
    return in_batches(numbers.items(), size)


async def test_a_full_table_replaces_the_old_one_and_a_delta_changes_it(database: Database) -> None:
    store = PgPortability(database)
    assert await store.lookup([33_600_000_001]) == {}
    with pytest.raises(Conflict, match="import a full one first"):
        await store.change(rows({33_600_000_001: BOUYGUES}), NOW)
    first = await store.replace(rows({33_600_000_000 + n: "20801" for n in range(5)}), NOW)
    assert (first.rows, first.numbers) == (5, 5)
    changed = await store.change(
        rows({33_600_000_000: BOUYGUES, 33_600_000_001: None, 33_600_000_009: "20815", 33_600_000_077: None}),
        NOW,
    )
    assert (changed.version, changed.rows, changed.numbers) == (first.version, 4, 5)
    asked = [33_600_000_000 + n for n in range(10)]
    assert await store.lookup(asked) == {
        33_600_000_000: BOUYGUES,
        33_600_000_002: "20801",
        33_600_000_003: "20801",
        33_600_000_004: "20801",
        33_600_000_009: "20815",
    }
    second = await store.replace(rows({33_600_000_002: "20810"}), NOW)
    assert await store.lookup(asked) == {33_600_000_002: "20810"}
    assert second.version > first.version
    async with database.bulk() as connection:
        assert await connection.fetchval("SELECT count(*) FROM ported_number") == 1


async def test_a_number_that_stands_twice_keeps_its_last_network(database: Database) -> None:
    store = PgPortability(database)
    twice = [(33_600_000_001, "20801"), (33_600_000_002, "20801"), (33_600_000_001, "20810")]
    for size in (3, 2, 1):
        done = await store.replace(in_batches(twice, size), NOW)
        assert (done.rows, done.numbers) == (3, 2)
        assert (await store.lookup([33_600_000_001]))[33_600_000_001] == "20810"


async def test_a_file_that_breaks_in_the_middle_changes_nothing(database: Database) -> None:
    store = PgPortability(database)
    await store.replace(rows({33_600_000_001: "20801"}), NOW)

    def broken() -> Iterator[PortedRows]:
        yield PortedRows([33_600_000_001, 33_600_000_002], ["20810", "20810"])
        raise ValueError("line 3")

    for change in (store.replace, store.change):
        with pytest.raises(ValueError, match="line 3"):
            await change(broken(), NOW)
        assert await store.lookup([33_600_000_001, 33_600_000_002]) == {33_600_000_001: "20801"}
    await store.replace(rows({33_600_000_003: "20801"}), NOW)
    async with database.bulk() as connection:
        assert await connection.fetchval("SELECT count(*) FROM ported_number") == 1
        assert await connection.fetchval("SELECT count(*) FROM portability_version") == 1


async def test_two_imports_at_once_are_refused(database: Database) -> None:
    store = PgPortability(database)
    async with store._alone():
        with pytest.raises(Conflict, match="under way"):
            await PgPortability(database).replace(rows({33_600_000_001: "20801"}), NOW)
    await store.replace(rows({33_600_000_001: "20801"}), NOW)


async def test_a_ported_number_is_routed_and_charged_by_its_new_network(database: Database) -> None:
    rule = Rule("bouygues", (Candidate("other"),), networks=(BOUYGUES,))
    async with two_carriers(database, [rule], subscribers=10) as world:
        await world.execute(
            "INSERT INTO price_item (item_id, price_list_id, version, direction, network, unit_micros) "
            "VALUES (13, 1, 1, 'mt', $1, $2)",
            BOUYGUES,
            DEARER_MICROS,
        )
        await PgPortability(database).replace(rows({FIRST_MSISDN + n: BOUYGUES for n in (2, 5)}), NOW)
        campaign_id = await world.campaign()
        await world.system_message(5, "Commande confirmée")
        async with world.gateway():
            await eventually(lambda: world.finished(campaign_id))
            await eventually(lambda: world.value("SELECT count(*) = 11 FROM sent"))
        assert world.other is not None
        assert world.other.smsc.log.by_destination == {
            FIRST_MSISDN + 2: 1,
            FIRST_MSISDN + 5: 2,
        }
        assert len(world.log.by_destination) == 8
        prices = await world.rows(
            "SELECT sell_micros AS m, count(*)::int AS n FROM sent GROUP BY 1 ORDER BY 1"
        )
        assert [(row["m"], row["n"]) for row in prices] == [(UNIT_MICROS, 8), (DEARER_MICROS, 3)]


async def test_a_claim_that_goes_on_asks_the_table_again(database: Database) -> None:
    rule = Rule("bouygues", (Candidate("other"),), networks=(BOUYGUES,))
    async with two_carriers(database, [rule], subscribers=200, rate_per_s=200) as world:
        campaign_id = await world.campaign()
        async with world.gateway():
            await eventually(lambda: world.submitted(20))
        done = {int(number) for number in world.log.by_destination}
        left = sorted(set(range(FIRST_MSISDN, FIRST_MSISDN + 200)) - done)
        await PgPortability(database).replace(rows(dict.fromkeys(left[::2], BOUYGUES), 1_000), NOW)
        async with world.gateway():
            await eventually(lambda: world.finished(campaign_id))
        first, second = received(world)
        assert second == set(left[::2])
        assert len(first) + len(second) == 200


async def test_an_answer_is_charged_by_the_network_that_the_phone_is_on(database: Database) -> None:
    async with a_world(database, subscribers=3) as world:
        await world.execute(
            "INSERT INTO price_item (item_id, price_list_id, version, direction, network, unit_micros) "
            "VALUES (14, 1, 1, 'mo', $1, 0), (15, 1, 1, 'mo', '20810', $2)",
            BOUYGUES,
            MO_MICROS,
        )
        await PgPortability(database).replace(rows({FIRST_MSISDN + 1: BOUYGUES}), NOW)
        campaign_id = await world.campaign()
        async with world.gateway():
            await eventually(lambda: world.finished(campaign_id))
            world.answer(1, "OK")
            world.answer(2, "OK")
            await eventually(
                lambda: world.value("SELECT count(*) = 2 FROM orders WHERE merchant_id = $1", MERCHANT)
            )
        charged = await world.rows(
            "SELECT item_id, sum(messages)::int AS n FROM ledger_entry "
            "WHERE direction = 'mo' AND account = 'unbilled' GROUP BY 1 ORDER BY 1"
        )
        assert [(row["item_id"], row["n"]) for row in charged] == [(14, 1), (15, 1)]
