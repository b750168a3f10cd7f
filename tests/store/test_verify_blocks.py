"""
`smsgate billing verify` sees each message where its sets of bits end: octets of 8 ids, blocks of 1,024.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from smsgate.ids import BLOCK_MAX, first_id_at
from smsgate.protocol.receipt_states import ReceiptState
from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.pool import Database
from tests.store.books import IN_OCTOBER
from tests.store.test_verify_budgets import BY_RECEIPT, LATER, SHOP, UNIT, an_account
from tests.store.verified_books import found_after, made_once

BASE = first_id_at(int(IN_OCTOBER.timestamp() * 1000))
DELIVERED = [BASE + n for n in (0, 63, 64, 1023, 1024)]
FAILED = [BASE + n for n in (1, 62, 65)]
TURNED = [BASE + n for n in (1022, 1025)]  # failed, and said to have arrived a second later
SILENT = BASE + 2047
AT_ONCE = [BASE + n for n in (2, 127, 1021)]


async def write(database: Database) -> None:
    books, account = await an_account(database)
    told = [*DELIVERED, *FAILED, *TURNED, SILENT]
    await account.sends(
        len(told), item=(BY_RECEIPT, UNIT), by_receipt=True, message_ids=told, accepted_at=IN_OCTOBER
    )
    await account.sends(len(AT_ONCE), message_ids=AT_ONCE, accepted_at=IN_OCTOBER)
    for ids, state in (
        (DELIVERED, ReceiptState.DELIVRD), (FAILED, ReceiptState.UNDELIV), (TURNED, ReceiptState.EXPIRED),
    ):  # fmt: skip
        for message_id in ids:
            await books.receipt(SHOP, message_id, state, IN_OCTOBER, recorded_at=IN_OCTOBER)
    later = IN_OCTOBER + timedelta(seconds=1)
    for message_id in TURNED:
        await books.receipt(SHOP, message_id, ReceiptState.DELIVRD, later, recorded_at=later)
    await account.settle(IN_OCTOBER)
    await account.settle(LATER)


@pytest.fixture(scope="module")
def books(postgres_server: EmbeddedPostgres) -> Iterator[dict[str, Any]]:
    with made_once(postgres_server, write) as arguments:
        yield arguments


async def test_books_hold_and_contradictions_are_told(books: dict[str, Any]) -> None:
    found = await found_after(books, "")
    assert list(found) == ["R8"]
    assert found["R8"].wrong == len(TURNED)
    assert (found["R8"].first or "").startswith(
        f"message {TURNED[0]} of merchant {SHOP}, part 1: EXPIRED at "
    )


@pytest.mark.parametrize("message_id", DELIVERED)
async def test_what_was_charged_and_did_not_arrive_is_seen(books: dict[str, Any], message_id: int) -> None:
    found = await found_after(
        books, f"UPDATE receipt SET state = {ReceiptState.UNDELIV} WHERE message_id = {message_id}"
    )
    assert "rows have 4 messages, 4 segments, 180000 micros, the ledger 5, 5" in (found["I2"].first or "")
    assert "I14" in found


@pytest.mark.parametrize("message_id", [*FAILED, SILENT])
async def test_what_arrived_and_was_not_charged_is_seen(books: dict[str, Any], message_id: int) -> None:
    found = await found_after(
        books,
        f"WITH gone AS (DELETE FROM receipt WHERE message_id = {message_id}) INSERT INTO receipt "
        f"SELECT {SHOP}, {message_id}, 1, {ReceiptState.DELIVRD}, '', now()",
    )
    assert "rows have 6 messages" in (found["I2"].first or "")


@pytest.mark.parametrize("message_id", TURNED)
async def test_which_receipt_was_the_first_is_seen(books: dict[str, Any], message_id: int) -> None:
    found = await found_after(
        books,
        f"UPDATE receipt SET received_at = received_at - interval '1 hour' WHERE message_id = {message_id} "
        f"AND state = {ReceiptState.DELIVRD}",
    )
    assert "rows have 6 messages" in (found["I2"].first or "")


@pytest.mark.parametrize("message_id", [*DELIVERED, *AT_ONCE])
async def test_what_no_lease_has_is_named(books: dict[str, Any], message_id: int) -> None:
    found = await found_after(
        books,
        "UPDATE budget_charge SET message_ids = message_ids - "
        f"int8multirange(int8range({message_id}, {message_id + 1})) "
        f"WHERE message_ids @> {message_id}::bigint",
    )
    assert "I14" in found


@pytest.mark.parametrize("of_messages", [AT_ONCE, DELIVERED])
async def test_a_lease_that_says_more_than_its_messages_cost_is_named_beside_another_in_its_block(
    books: dict[str, Any], of_messages: list[int]
) -> None:
    found = await found_after(
        books,
        "UPDATE budget_charge SET spent_micros = spent_micros + 1 "
        f"WHERE message_ids @> {of_messages[0]}::bigint",
    )
    assert found["I14"].wrong == 1
    told = len(of_messages) * UNIT
    assert f"{told + 1} micros are spent, the rows of its messages have {told}" in (found["I14"].first or "")


async def test_a_message_that_another_lease_of_its_block_was_charged_for_is_seen(
    books: dict[str, Any],
) -> None:
    moved = f"int8multirange(int8range({AT_ONCE[0]}, {AT_ONCE[0] + 1}))"
    found = await found_after(
        books,
        f"UPDATE budget_charge SET message_ids = CASE WHEN message_ids @> {AT_ONCE[0]}::bigint "
        f"THEN message_ids - {moved} ELSE message_ids + {moved} END "
        f"WHERE message_ids @> {AT_ONCE[0]}::bigint OR message_ids @> {DELIVERED[0]}::bigint",
    )
    assert found["I14"].wrong == 2


async def test_what_one_lease_has_of_a_block_alone_is_held_to_its_rows(books: dict[str, Any]) -> None:
    first = AT_ONCE[0]
    late = first + (5 << 10)
    found = await found_after(
        books,
        f"WITH moved AS (UPDATE sent SET message_id = {late} WHERE message_id = {first}) UPDATE "
        f"budget_charge SET message_ids = message_ids - int8multirange(int8range({first}, {first + 1})) "
        f"+ int8multirange(int8range({late}, {late + 1})), spent_micros = spent_micros - 1 "
        f"WHERE message_ids @> {first}::bigint",
    )
    told = len(AT_ONCE) * UNIT
    assert f"{told - 1} micros are spent, the rows of its messages have {told}" in (found["I14"].first or "")


@pytest.mark.parametrize("message_id", [*DELIVERED, *FAILED, *TURNED, SILENT, *AT_ONCE])
async def test_the_first_wrong_message_is_named(books: dict[str, Any], message_id: int) -> None:
    found = await found_after(
        books, f"UPDATE sent SET sell_micros = sell_micros + 1 WHERE message_id = {message_id}"
    )
    assert found["I3"].wrong == 1
    assert (found["I3"].first or "").startswith(f"message {message_id} of merchant {SHOP}: sell 45001 micros")


@pytest.mark.parametrize("most", [-32_768, 32_767])
async def test_the_least_and_the_most_of_a_small_column_are_told_as_they_are(
    books: dict[str, Any], most: int
) -> None:
    message_id = AT_ONCE[0]
    found = await found_after(books, f"UPDATE sent SET segments = {most} WHERE message_id = {message_id}")
    assert f"message {message_id} of merchant {SHOP}: sell 45000 micros, and 45000 x {most} are" in (
        found["I3"].first or ""
    )
    found = await found_after(books, f"UPDATE sent SET carrier_id = {most} WHERE message_id = {message_id}")
    assert list(found) == ["I2", "R8"]
    carrier = min(most, 1)
    assert f"merchant {SHOP}, carrier {carrier}, revenue, item" in (found["I2"].first or "")
    found = await found_after(books, f"UPDATE sent SET segment = {most} WHERE message_id = {DELIVERED[0]}")
    assert "rows have 4 messages" in (found["I2"].first or "")
    found = await found_after(books, f"UPDATE receipt SET segment = {most} WHERE message_id = {DELIVERED[0]}")
    assert "rows have 4 messages" in (found["I2"].first or "")
    found = await found_after(books, f"UPDATE receipt SET segment = {most} WHERE message_id = {TURNED[0]}")
    assert (found["R8"].first or "").startswith(
        f"message {TURNED[0]} of merchant {SHOP}, part {most}: EXPIRED"
    )
    found = await found_after(books, f"UPDATE sent SET status = {most} WHERE message_id = {message_id}")
    assert f"message {message_id} of merchant {SHOP} was not accepted and has a price" in (
        found["I6"].first or ""
    )


@pytest.mark.parametrize(
    ("first_id", "end_id"),
    [
        (BASE, BASE + (1 << 50)),
        (BASE, None),  # no end
        (BASE + (1 << 40), BASE + (1 << 40) + BLOCK_MAX + 1),  # ids of no row
    ],
)
async def test_a_lease_with_more_neighbours_than_there_are_is_named(
    books: dict[str, Any], first_id: int, end_id: int | None
) -> None:
    found = await found_after(
        books,
        "UPDATE budget_charge SET message_ids = message_ids + "
        f"int8multirange(int8range({first_id}, {end_id or 'NULL'})) WHERE lease_id = "
        "(SELECT min(lease_id) FROM budget_charge WHERE lease_id <> 0)",
    )
    first = found["I14"].first or ""
    assert (
        f" of merchant {SHOP} has the ids [{first_id},{end_id or ''}), more neighbours than there are"
        in first
    )


async def test_a_lease_may_have_all_ids_that_a_node_has_in_a_millisecond(books: dict[str, Any]) -> None:
    ids = first_id_at(int(LATER.timestamp() * 1000))
    found = await found_after(
        books,
        "UPDATE budget_charge SET message_ids = message_ids + "
        f"int8multirange(int8range({ids}, {ids + BLOCK_MAX})) WHERE lease_id = "
        "(SELECT max(lease_id) FROM budget_charge)",
    )
    assert list(found) == ["R8"]


async def test_a_price_list_that_begins_never_is_no_error(books: dict[str, Any]) -> None:
    found = await found_after(
        books,
        "INSERT INTO price_version (price_list_id, version, effective_from, source_sha256) "
        "SELECT price_list_id, version + 1, 'infinity', '' FROM price_version",
    )
    assert "I3" not in found
    assert "R8" in found


async def test_a_version_that_begins_within_a_quarter_of_an_hour_is_told_by_the_millisecond(
    books: dict[str, Any],
) -> None:
    late = AT_ONCE[0] + (5_000 << 22)
    found = await found_after(
        books,
        f"WITH moved AS (UPDATE sent SET message_id = {late} WHERE message_id = {AT_ONCE[0]}) "
        "INSERT INTO price_version (price_list_id, version, effective_from, source_sha256) "
        f"SELECT price_list_id, version + 1, '{IN_OCTOBER + timedelta(seconds=5)}', '' FROM price_version",
    )
    wrong = found["I3"]
    assert wrong.wrong == 1
    assert (wrong.first or "").startswith(f"message {late} of merchant {SHOP}: sell item ")
    assert (wrong.first or "").endswith("of version 1, which was not in force")
