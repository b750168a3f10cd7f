"""Reports of billing for a process or a command, by its configuration."""

from __future__ import annotations

from functools import partial

from smsgate.billing.networks import default_table
from smsgate.config import Settings
from smsgate.daemon.services import Services
from smsgate.flows.billing_reports import BillingReports
from smsgate.flows.explaining import Explaining
from smsgate.flows.pricing import Pricing
from smsgate.security.public_ids import Kind
from smsgate.store.explaining import PgExplaining
from smsgate.store.portability import PgPortability
from smsgate.store.usage import PgPriceData


def reports_of(settings: Settings, services: Services, pricing: Pricing | None = None) -> BillingReports:
    database, public_ids = services.database, services.public_ids
    pricing = pricing or Pricing(PgPriceData(database), services.clock)
    return BillingReports(
        explaining=Explaining(
            PgExplaining(database, partial(public_ids.encode, Kind.POSTING)),
            PgPortability(database),
            pricing,
            default_table(),
            public_ids,
            settings.billing.seller(),
        )
    )
