"""What others were writing of a person while an erasure ran: it goes too, whatever comes in between."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from smsgate.errors import StoreError
from smsgate.flows import person_requests
from smsgate.flows.events import first_id_of
from smsgate.flows.person_requests import OwedErasures, PersonRequests
from smsgate.security.public_ids import Kind
from smsgate.store.connection import Connection
from smsgate.store.pool import Database
from smsgate.store.privacy import PgPrivacy
from tests.api.commerce_setup import SENDER, Shop
from tests.api.test_privacy import MSISDN, OTHER, a_history, a_person, tables_that_know
from tests.flows.world import eventually
from tests.store.test_consent_crossings import WAITING


async def claim(connection: Connection, shop: Shop, person_id: str, msisdn: int = MSISDN) -> None:
    """Write what a claim writes that has chosen the person; its commit is the caller's."""
    subscriber_id, message_id = shop.id_of(Kind.SUBSCRIBER, person_id), shop.next_id()
    campaign_id = shop.next_id()
    await connection.execute(
        "INSERT INTO message (merchant_id, message_id, campaign_id, subscriber_id, msisdn, kind, sender) "
        "VALUES ($1, $2, $3, $4, $5, 'offer', $6)",
        shop.merchant_id, message_id, campaign_id, subscriber_id, msisdn, SENDER,
    )  # fmt: skip
    await connection.execute(
        "INSERT INTO campaign_chunk (merchant_id, campaign_id, no, msisdn_lo, msisdn_hi, size, "
        "message_id_base, message_count, state) VALUES ($1, $2, 1, $3, $3, 1, $4, 1, 'claimed')",
        shop.merchant_id, campaign_id, msisdn, message_id,
    )  # fmt: skip
    await connection.execute(
        "INSERT INTO open_offer VALUES ($1, $2, $3, $4, $5, 1, 1, $6, $7)",
        msisdn, SENDER, shop.merchant_id, campaign_id, message_id, subscriber_id,
        shop.clock.now() + timedelta(hours=1),
    )  # fmt: skip
    await connection.execute(
        "INSERT INTO marketing_contact VALUES ($1, ARRAY[$2::bigint], ARRAY[$3::timestamptz], $3)",
        msisdn, shop.merchant_id, shop.clock.now(),
    )  # fmt: skip


async def a_text(
    connection: Connection, shop: Shop, kind: str, *, order_id: int | None = None, message_id: int = 0
) -> int:
    """Write a text to the person that waits to be sent; its commit is the caller's."""
    message_id = message_id or shop.next_id()
    await connection.execute(
        "INSERT INTO message (merchant_id, message_id, msisdn, kind, sender, body, order_id) "
        "VALUES ($1, $2, $3, $4, $5, 'Anne', $6)",
        shop.merchant_id, message_id, MSISDN, kind, SENDER, order_id,
    )  # fmt: skip
    await connection.execute(
        "INSERT INTO interactive_queue (merchant_id, message_id, expires_at) VALUES ($1, $2, $3)",
        shop.merchant_id, message_id, shop.clock.now() + timedelta(days=1),
    )  # fmt: skip
    return message_id


async def waiting(shop: Shop) -> bool:
    return bool(await shop.value(WAITING))


def privacy(shop: Shop) -> PgPrivacy:
    store = shop.api.context.privacy
    assert isinstance(store, PgPrivacy)
    return store


async def step(shop: Shop) -> int:
    """Do what a gateway does every few seconds; return how many erasures are not over."""
    loop = OwedErasures(privacy(shop), shop.clock)
    await loop.step()
    return loop.left


async def finish_owed(shop: Shop) -> None:
    """Do it until all are over: whoever writes in the same server, for another test, is waited for."""

    async def over() -> bool:
        return await step(shop) == 0

    await eventually(over)


async def owed(database: Database) -> int:
    async with database.control() as connection:
        return int(await connection.fetchval("SELECT count(*) FROM erasure_owed"))


async def states(shop: Shop) -> list[str]:
    return [each["state"] for each in (await shop.caller.get("/v1/data_requests")).body["data"]]


async def cut_off(shop: Shop, person_id: str) -> None:
    """Have an erasure end after its first commit, as a kill or a time-out ends it."""
    context = shop.api.context
    requests = PersonRequests(privacy(shop), None, context.stops, context.ids, context.clock)
    erasing = asyncio.create_task(requests.erase(shop.merchant_id, shop.id_of(Kind.SUBSCRIBER, person_id)))
    await eventually(lambda: shop.value("SELECT count(*) FROM suppression"))
    erasing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await erasing


async def test_what_a_claim_wrote_meanwhile_is_removed_though_the_erasure_was_cut_off(
    shop: Shop, database: Database
) -> None:
    person = await a_person(shop)
    async with database.bulk_transaction() as claiming:
        await claim(claiming, shop, person["id"])
        await cut_off(shop, person["id"])
        assert await states(shop) == ["under_way"]
    known = await tables_that_know(database, MSISDN)
    assert known.keys() == {"message", "campaign_chunk", "open_offer", "marketing_contact", "erasure_owed"}
    await finish_owed(shop)
    assert await tables_that_know(database, MSISDN) == {}
    assert await states(shop) == ["done"]


async def test_what_is_no_merchants_is_removed_though_the_erasure_was_cut_off(
    shop: Shop, database: Database
) -> None:
    person = await a_person(shop)
    await shop.execute(
        "INSERT INTO inbound_message (merchant_id, inbound_id, carrier_id, msisdn, destination, text, raw, "
        "data_coding, label, outcome, reason, rules_version, received_at) "
        "VALUES (0, $1, 1, $2, '36111', 'call me at home', 'x', 0, 'unclear', 'nobody', '', '', $3)",
        shop.next_id(), MSISDN, shop.clock.now(),
    )  # fmt: skip
    await shop.execute("INSERT INTO answer_count VALUES ($1, $2, 1)", MSISDN, shop.clock.now())
    async with database.bulk_transaction() as writing:  # anything, for anybody
        await writing.execute("INSERT INTO answer_count VALUES ($1, now(), 1)", OTHER)
        await cut_off(shop, person["id"])
    assert await tables_that_know(database, MSISDN) == {"erasure_owed": 1}
    assert await tables_that_know(database, OTHER) == {"answer_count": 1}


async def test_an_erasure_that_nothing_disturbs_owes_nothing_and_says_that_it_is_done(
    shop: Shop, database: Database
) -> None:
    person = await a_person(shop)
    made = await shop.caller.post("/v1/data_requests", {"kind": "erasure", "subscriber": person["id"]})
    assert (made.status, made.body["state"]) == (201, "done")
    assert await states(shop) == ["done"]
    assert await owed(database) == 0


async def test_an_erasure_is_not_over_while_somebody_writes_who_began_before_it(
    shop: Shop, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(person_requests, "PATIENCE_S", 0.2)
    person = await a_person(shop)
    async with database.bulk_transaction() as claiming:
        await claim(claiming, shop, person["id"])
        made = await shop.caller.post("/v1/data_requests", {"kind": "erasure", "subscriber": person["id"]})
        assert (made.status, made.body["state"]) == (201, "under_way")
        assert await step(shop) == 1
        assert await states(shop) == ["under_way"]
    await finish_owed(shop)
    assert await tables_that_know(database, MSISDN) == {}
    assert await states(shop) == ["done"]


async def test_an_erasure_whose_connection_breaks_in_its_midst_is_finished_by_the_loop(
    shop: Shop, database: Database
) -> None:
    person = await a_person(shop)
    async with database.bulk_transaction() as claiming:
        await claim(claiming, shop, person["id"])
        erasing = asyncio.create_task(
            shop.caller.post("/v1/data_requests", {"kind": "erasure", "subscriber": person["id"]})
        )
        await eventually(lambda: shop.value("SELECT count(*) FROM suppression"))
    # What comes to the chunk now has to wait, in a connection that is found by that.
    async with database.bulk_transaction() as connection:
        await connection.execute("SELECT FROM campaign_chunk FOR UPDATE")
        await eventually(lambda: waiting(shop))
        await shop.execute_as_owner("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted")
        made = await erasing
    assert (made.status, made.body["state"]) == (201, "under_way")
    assert "campaign_chunk" in await tables_that_know(database, MSISDN)
    await finish_owed(shop)
    assert await tables_that_know(database, MSISDN) == {}
    assert await states(shop) == ["done"]


async def test_processes_that_finish_the_same_erasures_at_once_leave_nothing_behind(
    shop: Shop, database: Database
) -> None:
    numbers = [MSISDN + 10 + n for n in range(5)]
    people = [await a_person(shop, number) for number in numbers]
    async with database.bulk_transaction() as claiming:
        for person, number in zip(people, numbers, strict=True):
            await claim(claiming, shop, person["id"], number)
            await shop.execute("DELETE FROM suppression")
            await cut_off(shop, person["id"])
    assert await owed(database) == len(people)
    await asyncio.gather(*(finish_owed(shop) for _ in range(3)))
    for number in numbers:
        assert await tables_that_know(database, number) == {}
    assert await owed(database) == 0


async def test_a_bound_that_a_claim_had_read_before_and_writes_after_goes_too(
    shop: Shop, database: Database
) -> None:
    person = await a_person(shop)
    chunk = (
        "INSERT INTO campaign_chunk (merchant_id, campaign_id, no, msisdn_lo, msisdn_hi, size) "
        "VALUES ($1, 5, $2, $3, $3, 1)"
    )
    await shop.execute(chunk, shop.merchant_id, 1, MSISDN)
    async with database.bulk_transaction() as reading:
        async with database.bulk_transaction() as writing:  # anything, for anybody
            await writing.execute("INSERT INTO answer_count VALUES ($1, now(), 1)", OTHER)
            await cut_off(shop, person["id"])
            assert await step(shop) == 1
            await reading.execute(chunk, shop.merchant_id, 2, MSISDN)  # younger than who was waited for

        async def the_first_is_empty() -> bool:
            assert await step(shop) == 1
            return bool(await shop.value("SELECT msisdn_lo = 0 FROM campaign_chunk WHERE no = 1"))

        await eventually(the_first_is_empty)
        assert await step(shop) == 1
    await finish_owed(shop)
    assert await tables_that_know(database, MSISDN) == {}


async def test_what_was_waited_for_in_a_cluster_whose_backup_this_is_has_ended(
    shop: Shop, database: Database
) -> None:
    async with database.control() as connection:
        await connection.execute(
            "INSERT INTO erasure_owed VALUES ($1, 1, $2, 1, '9999999999'::xid8)", shop.merchant_id, MSISDN
        )
    await finish_owed(shop)
    assert await owed(database) == 0


async def test_the_api_knows_of_an_erasure_that_is_not_over_and_not_the_number(
    shop: Shop, database: Database
) -> None:
    async with database.control() as connection:
        await connection.execute("INSERT INTO erasure_owed VALUES ($1, 1, $2, 1)", shop.merchant_id, MSISDN)
    stranger = await shop.api.merchant()
    for merchant_id, seen in ((shop.merchant_id, 1), (shop.id_of(Kind.MERCHANT, stranger.merchant_id), 0)):
        async with database.transaction(merchant_id) as connection:
            assert await connection.fetchval("SELECT count(*) FROM erasure_owed") == seen
    with pytest.raises(StoreError, match="permission denied"):
        async with database.transaction(shop.merchant_id) as connection:
            await connection.fetchval("SELECT msisdn FROM erasure_owed")


async def test_a_claim_that_began_to_write_while_an_erasure_ran_leaves_no_number_behind(
    shop: Shop, database: Database
) -> None:
    """It is a younger transaction than the erasure's, and has not seen what that one did."""
    person = await a_person(shop)
    async with database.bulk_transaction() as claiming:
        async with database.control() as connection, connection.transaction():
            await connection.execute("LOCK TABLE data_request IN SHARE MODE")  # what an erasure comes to last
            erasing = asyncio.create_task(
                shop.caller.post("/v1/data_requests", {"kind": "erasure", "subscriber": person["id"]})
            )
            await eventually(lambda: waiting(shop))
            await claim(claiming, shop, person["id"])
        await eventually(lambda: shop.value("SELECT count(*) FROM suppression"))  # its first part is done
        done, _ = await asyncio.wait([erasing], timeout=0.5)
        assert not done
    assert (await erasing).status == 201
    assert await tables_that_know(database, MSISDN) == {}


async def test_a_text_about_an_order_that_is_written_while_its_erasure_waits_for_the_order_never_goes_out(
    shop: Shop, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(person_requests, "PATIENCE_S", 0.2)
    person = await a_person(shop)
    await a_history(shop, person)
    async with database.bulk_transaction() as elsewhere:  # keeps the erasure's second part waiting
        await elsewhere.execute("INSERT INTO answer_count VALUES ($1, now(), 1)", OTHER)
        async with database.bulk_transaction() as changing:
            order_id = await changing.fetchval("SELECT order_id FROM orders FOR UPDATE")
            erasing = asyncio.create_task(
                shop.caller.post("/v1/data_requests", {"kind": "erasure", "subscriber": person["id"]})
            )
            await eventually(lambda: waiting(shop))
            message_id = await a_text(changing, shop, "shipped", order_id=order_id)
        made = await erasing
        assert (made.status, made.body["state"]) == (201, "under_way")
        assert await shop.value("SELECT count(*) FROM interactive_queue") == 0
        assert await shop.value("SELECT reason FROM sent WHERE message_id = $1", message_id) == "erased"


async def test_a_text_that_was_being_written_is_removed_and_one_of_an_hour_after_the_erasure_is_sent(
    shop: Shop, database: Database
) -> None:
    person = await a_person(shop)
    async with database.bulk_transaction() as writing:
        before = await a_text(writing, shop, "esme")
        await cut_off(shop, person["id"])
        shop.clock.advance(3_600)
        async with database.bulk_transaction() as later:  # a code for somebody who has signed up anew there
            after = await a_text(later, shop, "esme", message_id=first_id_of(shop.clock.now()))
        assert await step(shop) == 1
    await finish_owed(shop)
    queued = await shop.fetch("SELECT message_id FROM interactive_queue")
    assert [row["message_id"] for row in queued] == [after]
    kept = await shop.fetch("SELECT message_id, msisdn, body FROM message ORDER BY message_id")
    assert [tuple(row) for row in kept] == [(before, 0, ""), (after, MSISDN, "Anne")]
