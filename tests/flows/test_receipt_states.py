"""What receipts may change, and what they may not: order, repetition, ids used again, unknown forms."""

from __future__ import annotations

import asyncio
import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from smsgate.ids import first_id_at
from smsgate.protocol.message_ids import ALL_FORMS, IdForm, ReceiptIds
from smsgate.protocol.tlvs import Tag
from smsgate.security.public_ids import PublicIds
from smsgate.security.suppression import SuppressionHashes
from smsgate.store.housekeeping import PgHousekeeping
from smsgate.store.pool import Database
from smsgate.store.receipt_matching import SQL, resolve_unmatched
from tests.flows.receipt_ways import USUAL, receipt_octets, write_to_gateway
from tests.flows.world import MERCHANT, World, a_world, eventually

NEXT_ID = itertools.count(1 << 40).__next__
NOW = datetime.now(UTC)


async def states_of(world: World) -> dict[bytes, list[int]]:
    """Return the states that receipts gave each message, by the id of its response, oldest first."""
    rows = await world.rows(
        "SELECT x.smsc_id, array_agg(r.state ORDER BY r.received_at) AS states "
        "FROM receipt r JOIN sent x USING (merchant_id, message_id) GROUP BY 1"
    )
    return {row["smsc_id"]: row["states"] for row in rows}


async def test_a_final_state_stays_whatever_comes_later_and_however_often(database: Database) -> None:
    async with a_world(database, subscribers=1, receipts=False, first_message_id=700_000_000) as world:
        campaign_id = await world.campaign()
        async with world.gateway() as gateway:
            await eventually(lambda: world.finished(campaign_id))
            counts = gateway.outcomes.receipt_counts
            for stat in (b"ENROUTE", b"ENROUTE", b"ENROUTE", b"DELIVRD", b"DELIVRD", b"ACCEPTD", b"UNDELIV"):
                write_to_gateway(world, receipt_octets(b"id:700000000 stat:%s" % stat))
            await eventually(lambda: counts.matched + counts.repeated + counts.waiting == 7)
            await eventually(lambda: gateway.receipts_resolved == 3)
        assert (counts.matched, counts.repeated, counts.waiting) == (2, 2, 3)
        # The first final state is what became of it: the message's state is read so, and so is it counted.
        assert (await states_of(world))[b"700000000"][:2] == [1, 2]
        assert sorted((await states_of(world))[b"700000000"]) == [1, 2, 5, 6]
        assert await world.counters(campaign_id) == {"recipients": 1, "accepted": 1, "delivered": 1}


@pytest.mark.parametrize("response", ["hex", "decimal"])
async def test_one_receipt_may_hold_the_id_in_two_bases(database: Database, response: str) -> None:
    """Text 59113978, TLV 38601fa: a receipt of cloudhopper's test suite."""
    first: dict[str, Any] = {"first_message_id": 59113978, "receipts": False, "message_id_form": response}
    async with a_world(database, subscribers=1, **first) as world:
        campaign_id = await world.campaign()
        async with world.gateway():
            await eventually(lambda: world.finished(campaign_id))
            tlvs = ((Tag.RECEIPTED_MESSAGE_ID, b"38601fa\0"), (Tag.MESSAGE_STATE, b"\2"))
            write_to_gateway(world, receipt_octets(USUAL % b"59113978", *tlvs))
            await eventually(lambda: world.value("SELECT count(*) = 1 FROM receipt"))
        assert (await world.counters(campaign_id))["delivered"] == 1


async def test_receipts_of_refused_messages_and_of_nobodys_are_answered_and_wait(database: Database) -> None:
    async with a_world(database, subscribers=4, refuse_share=1.0, receipts=False) as world:
        campaign_id = await world.campaign()
        async with world.gateway() as gateway:
            await eventually(lambda: world.finished(campaign_id))
            for number in range(4):
                write_to_gateway(world, receipt_octets(b"id:80000000%d stat:REJECTD" % number))
            account = gateway.switchboard.by_id(1)
            await eventually(lambda: account.counts.acks == 4)
            assert gateway.outcomes.receipt_counts.waiting == 4
            assert [bind.state for bind in account.binds()] == ["bound"]
        assert await world.value("SELECT count(*) FROM receipt_unmatched") == 4


async def test_a_receipt_that_nobody_can_read_is_answered_and_kept_as_it_came(database: Database) -> None:
    async with a_world(database, subscribers=1) as world, world.gateway() as gateway:
        account = gateway.switchboard.by_id(1)
        await eventually(lambda: bool(account._senders))
        write_to_gateway(world, receipt_octets(b"id: stat:DELIVRD"))
        await eventually(lambda: account.counts.acks == 1)
        await asyncio.sleep(0)
        assert [bind.state for bind in account.binds()] == ["bound"]
        (row,) = await world.rows(
            "SELECT smsc_id, raw, next_try_at = 'infinity' AS kept FROM receipt_unmatched"
        )
        assert tuple(row) == (b"", b"id: stat:DELIVRD", True)
        assert gateway.outcomes.receipt_counts.unreadable == 1


async def sent(world: World, smsc_id: bytes, *, ago: timedelta = timedelta(), number: int = 0) -> int:
    """Write an accepted message and return its id."""
    message_id = first_id_at(int((NOW - ago).timestamp() * 1000)) + number
    await world.execute(
        "INSERT INTO message (merchant_id, message_id, campaign_id, msisdn, kind, sender) "
        "VALUES ($1, $2, 1, 33612000000, 'offer', '36111')",
        MERCHANT,
        message_id,
    )
    await world.execute(
        "INSERT INTO sent VALUES ($1, $2, 1, 1, 0, 1, $3, 11, 45000, 21, 30000, NULL, $4)",
        MERCHANT,
        message_id,
        smsc_id,
        NOW - ago,
    )
    return message_id


async def waits(world: World, smsc_id: bytes, *, state: int = 2, number: int, ago_s: float = 0.0) -> None:
    """Write a receipt that came and whose message was not in memory."""
    await world.execute(
        "INSERT INTO receipt_unmatched (carrier_id, unmatched_id, smsc_id, state, error, received_at, "
        "next_try_at) VALUES (1, $1, $2, $3, '', $4, $4)",
        number,
        smsc_id,
        state,
        NOW - timedelta(seconds=ago_s),
    )


async def resolved(database: Database, ids: ReceiptIds, after_s: float = 0.0) -> int:
    return (await resolve_unmatched(database, NEXT_ID, 1, ids, 100, NOW + timedelta(seconds=after_s))).matched


async def test_no_form_is_guessed_when_two_fit_and_evidence_frees_what_waited(database: Database) -> None:
    """Responses 10 and 16 in hexadecimal, a receipt 16: is it the second as it stands, or the first?"""
    ids = ReceiptIds(ALL_FORMS)
    async with a_world(database, subscribers=1) as world:
        message = await sent(world, b"10", number=1)
        await sent(world, b"16", number=2)
        await waits(world, b"16", number=1)
        for after_s in (0, 5, 100):
            assert await resolved(database, ids, after_s) == 0
            assert str(ids) == "auto, not learned yet"
        await sent(world, b"386", number=3)
        await waits(world, b"902", number=2)
        assert await resolved(database, ids, 1_000) == 2
        assert str(ids) == "dec_to_hex, learned"
        rows = await world.rows("SELECT message_id FROM receipt ORDER BY message_id")
        assert [row["message_id"] for row in rows] == [message, message + 2]


async def test_short_ids_are_matched_when_every_response_has_come_and_only_one_form_fits(
    database: Database,
) -> None:
    ids = ReceiptIds(ALL_FORMS)
    async with a_world(database, subscribers=1) as world:
        await sent(world, b"1f", number=1)
        await waits(world, b"31", number=1)
        assert await resolved(database, ids, 2) == 0
        assert await resolved(database, ids, 9) == 1
        assert ids.form is IdForm.DEC_TO_HEX


async def test_an_id_used_again_means_the_newest_message_that_is_open(database: Database) -> None:
    ids = ReceiptIds((IdForm.AS_IS,))
    async with a_world(database, subscribers=1) as world:
        old = await sent(world, b"77", ago=timedelta(minutes=40))
        new = await sent(world, b"77", ago=timedelta(minutes=20))
        await sent(world, b"77", ago=timedelta(minutes=-10))  # sent after the receipts came
        for number, state in enumerate((2, 2, 5)):
            await waits(world, b"77", state=state, number=number)
            assert await resolved(database, ids, 9) == 1
        found: list[Any] = await world.rows("SELECT message_id, state FROM receipt ORDER BY message_id")
        assert [tuple(row) for row in found] == [(old, 5), (new, 2)]
        assert await world.counters(1) == {"delivered": 1, "failed": 1}


async def test_case_and_zeros_do_not_count_after_a_restart_either(database: Database) -> None:
    ids = ReceiptIds((IdForm.AS_IS,))
    async with a_world(database, subscribers=1) as world:
        await sent(world, b"00AbC-9", number=1)
        await sent(world, b"0000", number=4)
        await sent(world, b"ab-1", number=2)
        await sent(world, b"AB-1", number=3)
        for number, smsc_id in enumerate((b"abc-9", b"AB-1", b"aB-1", b"0")):
            await waits(world, smsc_id, number=number)
        assert await resolved(database, ids) == 3
        assert await states_of(world) == {b"00AbC-9": [2], b"AB-1": [2], b"0000": [2]}


async def test_a_receipt_whose_id_is_zeros_reads_no_messages_that_got_no_id(database: Database) -> None:
    """A carrier that loses ids has many of those, and its receipts may well say 0."""
    async with a_world(database, subscribers=1) as world:
        await sent(world, b"0000", number=1)
        for number in range(2, 5):
            await sent(world, b"", number=number)
        async with database.bulk() as connection:
            found = await connection.fetch(SQL["sent_by_folded_id"], 1, [""], 0)
        assert [row["smsc_id"] for row in found] == [b"0000"]
        for number, smsc_id in enumerate((b"000", b"")):
            await waits(world, smsc_id, number=number)
        assert await resolved(database, ReceiptIds((IdForm.AS_IS,))) == 1
        assert await states_of(world) == {b"0000": [2]}


async def test_receipts_that_are_due_are_found_by_an_index_among_those_that_wait(database: Database) -> None:
    async with a_world(database, subscribers=1) as world:
        await world.execute(
            "INSERT INTO receipt_unmatched SELECT 1, n, 'x', 2, '', now(), now() + interval '1 day' "
            "FROM generate_series(1, 20000) n"
        )
        await world.execute("ANALYZE receipt_unmatched")
        plan = await world.rows(
            "EXPLAIN " + SQL["unmatched_due"].replace("$1", "1").replace("$2", "now()").replace("$3", "5000")
        )
        assert any("receipt_unmatched_due" in row[0] for row in plan), plan


@pytest.mark.parametrize(("name", "ids"), [("sent_by_smsc_id", [b"x"]), ("sent_by_folded_id", ["x"])])
async def test_a_receipt_that_waits_reads_no_messages_from_before_it(
    database: Database, name: str, ids: list[Any]
) -> None:
    """An hour of soak had 0.02 of its receipts before the response, and read the whole day for them."""
    async with a_world(database, subscribers=1) as world:
        border = first_id_at(int(NOW.timestamp() * 1000))
        await world.execute(
            "INSERT INTO sent (merchant_id, message_id, segment, carrier_id, status, segments, smsc_id, "
            "sell_item_id, sell_micros, cost_item_id, cost_micros, sent_at) SELECT $1, $2::bigint - n, 1, 1, "
            "0, 1, 'y', 1, 1, 1, 1, now() FROM generate_series(1, 20000) AS n",
            MERCHANT, border,
        )  # fmt: skip
        async with database.bulk_transaction() as connection:
            await connection.execute(SQL["look_by_key"])
            rows = await connection.fetch("EXPLAIN (ANALYZE, BUFFERS OFF) " + SQL[name], 1, ids, border)
        plan = [row[0] for row in rows]
        assert not [line for line in plan if "Seq Scan on sent" in line], plan
        assert not [line for line in plan if "Rows Removed by Filter" in line], plan


async def test_of_more_waiting_receipts_than_may_wait_the_oldest_are_dropped(database: Database) -> None:
    async with a_world(database, subscribers=1) as world:
        await world.execute("INSERT INTO carrier (carrier_id, name) VALUES (1, 'sim'), (2, 'other')")
        for number in range(12):
            await waits(world, b"x", number=number)
        assert (
            await PgHousekeeping(database, SuppressionHashes(bytes(32)), PublicIds(bytes(32))).trim_receipts(
                10, 100
            )
            == 2
        )
        assert await world.value("SELECT min(unmatched_id) FROM receipt_unmatched") == 2
        assert (
            await PgHousekeeping(database, SuppressionHashes(bytes(32)), PublicIds(bytes(32))).trim_receipts(
                10, 100
            )
            == 0
        )
