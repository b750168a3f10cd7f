"""What a claim knows of its people for the text: a column for each field, whichever way people are chosen."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from smsgate.flows.gates import ALWAYS_OPEN
from smsgate.flows.records import ChunkClaim, ChunkKey
from smsgate.ids import IdMaker
from smsgate.store.pool import Database
from smsgate.store.sending import StoredSending
from tests.flows.test_small_campaigns import a_small_campaign
from tests.flows.world import FIRST_MSISDN, MERCHANT, PUBLIC_IDS, SENDER, World, a_world

OWNER = 5
ODD = ['"', "\\", "a\nb", "\x01", "😀", "{name}", "é", " "]
NAMES = ("name", "town", "size", "gift")


async def people_have_fields(world: World) -> None:
    """Person n has `name-n`, `town-n` and so on; the second one has no town, the third nothing at all."""
    of_each = ", ".join(f"'{name}', '{name}-' || (msisdn - {FIRST_MSISDN})" for name in NAMES)
    await world.execute(f"UPDATE subscriber SET fields = jsonb_build_object({of_each})")
    await world.execute("UPDATE subscriber SET fields = fields - 'town' WHERE msisdn = $1", FIRST_MSISDN + 1)
    await world.execute("UPDATE subscriber SET fields = '{}' WHERE msisdn = $1", FIRST_MSISDN + 2)


def column(name: str, people: list[int]) -> list[str]:
    return ["" if n == 2 or (n == 1 and name == "town") else f"{name}-{n}" for n in people]


async def claimed(world: World, campaign_id: int) -> list[ChunkClaim]:
    ids = IdMaker(OWNER, lambda: int(time.time() * 1000))
    return await StoredSending(world.database, ids, PUBLIC_IDS).claim_chunks(
        MERCHANT, [campaign_id], owner=OWNER, allowance_step=100, now=datetime.now(UTC), gates=ALWAYS_OPEN,
        senders=[SENDER],
    )  # fmt: skip


async def test_any_value_comes_as_it_was_and_nobody_has_no_values(database: Database) -> None:
    async with a_world(database, subscribers=len(ODD)) as world:
        for n, value in enumerate(ODD):
            await world.execute(
                "UPDATE subscriber SET fields = jsonb_build_object('name', $2::text) WHERE msisdn = $1",
                *(FIRST_MSISDN + n, value),
            )
        (claim,) = await claimed(world, await world.campaign(text="CD {name}"))
        assert claim.fields == [ODD]
        await world.execute("UPDATE subscriber SET offers_state = 'none'")
        assert await claimed(world, await world.campaign(text="CD {name} {town} {size}")) == []


@pytest.mark.parametrize("count", range(5))
@pytest.mark.parametrize("by_list", [False, True])
async def test_each_field_is_a_column_at_the_first_claim_and_at_the_next(
    database: Database, count: int, *, by_list: bool
) -> None:
    names = NAMES[:count]
    text = "CD " + " ".join(f"{{{name}}}" for name in names)
    async with a_world(database, subscribers=5) as world:
        await people_have_fields(world)
        # Who has an answer to give waits, so the columns are not those that were read.
        await world.execute(
            "UPDATE subscriber SET doubt_until = $2 WHERE msisdn = $1",
            *(FIRST_MSISDN + 3, datetime.now(UTC) + timedelta(hours=1)),
        )
        campaign_id = (
            await a_small_campaign(world, *range(5), text=text)
            if by_list
            else await world.campaign(text=text)
        )
        for _ in range(2):
            (claim,) = await claimed(world, campaign_id)
            assert [msisdn - FIRST_MSISDN for msisdn in claim.msisdns] == [0, 1, 2, 4]
            assert claim.field_names == names
            assert claim.fields == ([column(name, [0, 1, 2, 4]) for name in names] or None)
            rows = await world.rows("SELECT fields FROM message ORDER BY msisdn")
            assert [row["fields"] for row in rows] == [
                [column(name, [n])[0] for name in names] or None for n in range(5)
            ]
            key = ChunkKey(MERCHANT, campaign_id, claim.chunk_no, claim.fence)
            sending = StoredSending(world.database, IdMaker(OWNER, lambda: 0), PUBLIC_IDS)
            await sending.release_chunks({key: None}, owner=OWNER)
