"""Final receipts that contradict the first one change nothing, and are listed wherever it matters (R8)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from smsgate.flows.dispute_pack import MESSAGES, MatchFile
from smsgate.flows.exporting import CsvRows, Exporting, ExportQuestion
from smsgate.flows.verifying import Finding, verify
from smsgate.protocol.receipt_states import ReceiptState
from smsgate.security.public_ids import Kind, PublicIds
from smsgate.store.offers import PgOffers
from smsgate.store.pool import Database
from smsgate.store.usage_records import PgUsageRecords
from smsgate.store.verify import PgVerify
from tests.store.books import CLOSE_AT, IN_OCTOBER, OCTOBER, Books
from tests.store.test_reconciling import SHOP, a_bill, a_month, reconciled, rows_of, took

PUBLIC_IDS = PublicIds(bytes(32))


async def contradicted(database: Database) -> tuple[Books, list[int]]:
    """Return three messages: one that failed and then arrived, one told twice, one told once."""
    books = await a_month(database)
    ids = [int(each, 16) for each in await took(books, SHOP, 3)]
    told = [(0, ReceiptState.UNDELIV), (0, ReceiptState.DELIVRD), (1, ReceiptState.DELIVRD)]
    for number, (place, state) in enumerate([*told, (1, ReceiptState.DELIVRD), (2, ReceiptState.DELIVRD)]):
        at = IN_OCTOBER + timedelta(minutes=number)
        await books.receipt(SHOP, ids[place], state, at, recorded_at=at)
    return books, ids


async def test_verify_lists_the_first_contradiction_and_the_books_hold(database: Database) -> None:
    _books, ids = await contradicted(database)
    proof = await verify(PgVerify(database))
    assert proof.holds
    assert proof.listed == (
        Finding(
            "R8",
            1,
            f"message {ids[0]} of merchant 7, part 1: "
            "UNDELIV at 2026-10-05T08:00:00Z, then DELIVRD at 2026-10-05T08:01:00Z",
        ),
    )


async def test_an_export_lists_them_in_its_manifest_beside_the_outcome_that_counts(
    database: Database, tmp_path: Path
) -> None:
    _books, ids = await contradicted(database)
    exporting = Exporting(PgUsageRecords(database), PUBLIC_IDS)
    path = tmp_path / "october.csv"
    question = ExportQuestion(await PgOffers(database).merchant(SHOP), OCTOBER, "EUR")
    values: Any = (await exporting.write(question, path, CsvRows, now=CLOSE_AT)).values
    message = PUBLIC_IDS.encode(Kind.MESSAGE, ids[0])
    assert values["contradictions"] == {
        "messages": 1,
        "shown": [
            {
                "message": message,
                "part": 1,
                "receipts": [
                    {"outcome": "undeliv", "received_at": "2026-10-05T08:00:00+00:00"},
                    {"outcome": "delivrd", "received_at": "2026-10-05T08:01:00+00:00"},
                ],
            }
        ],
    }
    outcomes = {row["message"]: row["outcome"] for row in rows_of(path)}
    assert (outcomes.pop(message), set(outcomes.values())) == ("undeliv", {"delivrd"})


async def test_a_reconciliation_shows_them_with_the_row_that_the_carrier_bills(
    database: Database, tmp_path: Path
) -> None:
    books, ids = await contradicted(database)
    everything = MatchFile(tmp_path / MESSAGES, PUBLIC_IDS)
    await reconciled(books, a_bill([(f"{id_:X}", IN_OCTOBER, 1, "0.03") for id_ in ids]), everything)
    everything.close()
    shown = [(row["receipt"], row["contradicted_by"]) for row in rows_of(tmp_path / MESSAGES)]
    assert sorted(shown) == [("DELIVRD", ""), ("DELIVRD", ""), ("UNDELIV", "DELIVRD")]
