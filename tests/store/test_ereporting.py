"""Sales outside of French e-invoicing, from the documents as they stand in the database."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from smsgate.flows.ereporting import EReporting
from smsgate.flows.fec import span_of
from smsgate.store.fec import PgFec
from smsgate.store.pool import Database
from tests.store.books import IN_OCTOBER, OCTOBER, PERCENT, SELLER
from tests.store.test_prepaid import EURO, SHOP, an_account


async def test_an_advance_is_taken_off_at_the_rate_of_its_own_document(database: Database) -> None:
    """A shop in Monaco pays 10.00 at 20 % and sends 20 x 0.045 after the rate has become 10 %."""
    account = await an_account(database)
    await account.books.execute("UPDATE billing_profile SET country = 'MC', vat_number = ''")
    rates = ((date(2014, 1, 1), 20 * PERCENT), (date(2026, 10, 20), 10 * PERCENT))
    seller = account.books.seller = replace(SELLER, vat_rates=rates)
    await account.top_up(10 * EURO, "transfer")
    await account.send(20, IN_OCTOBER + timedelta(days=26))
    (row,) = await account.books.closing().close(SHOP, OCTOBER)
    assert (row.net_minor, row.vat_minor, row.paid_minor) == (90, 9, 99)
    report = await EReporting(PgFec(database), seller).report(span_of("2026-11"))
    # The 386 stands in October; of its 12.00 the invoice deducts 0.99, in which its own share of VAT is 0.17.
    assert report.csv().decode().splitlines()[1:] == [
        "2026-11-05,EUR,S,10,1,0.90,0.09,0.90,0.09",
        "2026-11-05,EUR,S,20,1,-0.82,-0.17,-0.82,-0.17",
    ]
