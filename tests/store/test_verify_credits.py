"""
`smsgate billing verify` on credit notes: one that is a cent off is found, also where all of them are not.

The books: a merchant's invoice of 100 x 0.045, used up by three credits of one and the rest; one of another
merchant that also gives something back, with a credit of its other line.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.pool import Database
from tests.store.books import OCTOBER, some_books
from tests.store.test_credits import SHOP, documents_of, one_that_gives_back
from tests.store.verified_books import Corruption, first_found, found_after, made_once

FIRST, LAST, OTHER = 4, 7, 8  # numbers of credits
ANOTHER = SHOP + 1


def nets(added: dict[int, int]) -> str:
    """Add minor units to the line of credits, by their numbers."""
    return (
        f"UPDATE document_line l SET net_minor = l.net_minor + {_case(added)} FROM document d "
        f"WHERE d.document_id = l.document_id AND {_case(added)} <> 0"
    )


def vats(added: dict[int, int]) -> str:
    """Add minor units to the VAT of credits, by their numbers."""
    return (
        f"UPDATE document SET vat_minor = vat_minor + {_case(added)}, "
        f"gross_minor = gross_minor + {_case(added)} WHERE {_case(added)} <> 0"
    )


def _case(added: dict[int, int]) -> str:
    cases = " ".join(f"WHEN {number} THEN {minor}" for number, minor in added.items())
    return f"CASE number {cases} ELSE 0 END"


CORRUPTIONS = {
    "the credit that uses up a line is a cent less": Corruption(
        nets({LAST: -1}), "I7", "line 1 of document F-2026-7: what is left is 435, not 434",
    ),
    "a credit is a cent more, and the last one a cent less": Corruption(
        nets({FIRST: 1, LAST: -1}), "I7", "line 1 of document F-2026-4: 1 x 45000 micros is 5, not 6",
    ),
    "the VAT of the last credit is a cent less": Corruption(
        vats({LAST: -1}), "I8", "document F-2026-7: net 435, VAT 86, gross 521; its lines make 435 and 87",
    ),
    "the VAT of a credit is a cent more, and of the last one a cent less": Corruption(
        vats({FIRST: 1, LAST: -1}), "I8", "document F-2026-4: net 5, VAT 2, gross 7; its lines make 5 and 1",
    ),
    "a cent more of VAT is credited than was billed": Corruption(
        vats({LAST: 1}), "I11", "document F-2026-3: more VAT is credited than it has",
    ),
    "a cent more of VAT is credited than the line of an invoice that also gives back makes": Corruption(
        vats({OTHER: 1}), "I11", "document F-2026-2: more VAT is credited than it has, or than the credited",
    ),
    "a cent less of it is": Corruption(
        vats({OTHER: -1}), "I8", "document F-2026-8: net 450, VAT 89, gross 539; its lines make 450 and 90",
    ),
}  # fmt: skip


async def write(database: Database) -> None:
    books = await some_books(database)
    await books.merchant(SHOP)
    gives_back = await one_that_gives_back(books)
    documents = documents_of(books)
    await books.merchant(ANOTHER)
    await books.take(ANOTHER, 100)
    (row,) = await books.closing().close(ANOTHER, OCTOBER)
    used_up = await documents.by_number(row.number)
    for asked in ([(1, 1)], [(1, 1)], [(1, 1)], None):
        await documents.credit(used_up, asked)
    await documents.credit(gives_back, [(2, 100)])


@pytest.fixture(scope="module")
def books(postgres_server: EmbeddedPostgres) -> Iterator[dict[str, Any]]:
    with made_once(postgres_server, write) as arguments:
        yield arguments


async def test_credits_that_flows_made_hold_in_every_proof(books: dict[str, Any]) -> None:
    assert await found_after(books, "") == {}


@pytest.mark.parametrize("name", CORRUPTIONS)
async def test_a_corruption_is_found_and_its_first_row_named(books: dict[str, Any], name: str) -> None:
    first = await first_found(books, CORRUPTIONS[name])
    assert CORRUPTIONS[name].names in first
