"""Who sells and who buys, and the closes of months: what the benchmarks of billing write documents with."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final

from smsgate.billing.invoices import Party
from smsgate.billing.issuing import Seller
from smsgate.clock import ManualClock
from smsgate.flows.billing_records import Closed
from smsgate.flows.closing import Closing
from smsgate.ids import IdMaker
from smsgate.store.closing import PgClosing
from smsgate.store.connection import Connection
from smsgate.store.pool import Database

SELLER: Final = Seller(
    Party(
        "Passerelle SAS", "1 rue de la Paix", "75002", "Paris", "FR", "732829320", vat_number="FR44732829320"
    ),
    vat_rates=((date(2014, 1, 1), 20_000_000),),
)

_MERCHANTS: Final = """
INSERT INTO merchant (merchant_id, name, slug, country, language, timezone, currency, price_list_id)
SELECT n, 'Shop ' || n, 'shop-' || n, 'FR', 'fr', 'Europe/Paris', 'EUR', 1
FROM generate_series(1, $1::int) AS s (n)
"""
_PROFILES: Final = """
INSERT INTO billing_profile (merchant_id, legal_name, street, postcode, city, country, legal_id, business,
                             payment_days)
SELECT merchant_id, name, '2 rue des Disques', '69001', 'Lyon', 'FR', '552100554', true, 30 FROM merchant
"""
_VAT: Final = """
INSERT INTO billing_vat (merchant_id, valid_from, category, reason)
SELECT merchant_id, '2020-01-01', 'S', '' FROM merchant
"""


async def write_merchants(connection: Connection, merchants: int) -> None:
    """Write merchants 1 to `merchants` of price list 1, to whom documents can be written."""
    await connection.execute(_MERCHANTS, merchants)
    await connection.execute(_PROFILES)
    await connection.execute(_VAT)


async def close_months(database: Database, at: datetime) -> Closed:
    """Close what is due at an instant; each merchant must get its document."""
    clock = ManualClock(at)
    ids = IdMaker(1, lambda: int(clock.now().timestamp() * 1000))
    closed = await Closing(PgClosing(database, str), SELLER, clock, ids.next).close_due()
    assert not closed.waiting, closed.waiting[0]
    return closed
