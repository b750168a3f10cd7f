"""Whom documents are written to."""

from __future__ import annotations

from typing import Final

import asyncpg

from smsgate.billing.invoices import Party
from smsgate.billing.issuing import Buyer
from smsgate.errors import NotFound
from smsgate.flows.billing_records import BillingMerchant
from smsgate.store.catalogue import load
from smsgate.store.connection import Connection

_SQL: Final = load("billing")


async def billing_merchant(connection: Connection, merchant_id: int) -> BillingMerchant:
    """
    Return who is billed.

    Raises:
        NotFound: no such merchant.
    """
    row = await connection.fetchrow(_SQL["billing_merchant"], merchant_id)
    if row is None:
        raise NotFound("No such merchant.")
    buyer = None
    if row["legal_name"] is not None:
        numbers = tuple(zip(row["reverse_from"], row["reverse_numbers"], strict=True))
        buyer = Buyer(party_of(row), row["language"], row["payment_days"], row["business"], numbers)
    return BillingMerchant(
        row["merchant_id"], row["name"], row["slug"], row["timezone"], row["currency"], buyer
    )


def party_of(row: asyncpg.Record) -> Party:
    return Party(
        name=row["legal_name"],
        street=row["street"],
        postcode=row["postcode"],
        city=row["city"],
        country=row["country"],
        legal_id=row["legal_id"],
        legal_scheme=row["legal_scheme"],
        vat_number=row["vat_number"],
        einvoicing_id=row["einvoicing_id"],
        einvoicing_scheme=row["einvoicing_scheme"],
    )
