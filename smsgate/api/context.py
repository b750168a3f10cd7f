"""What the composition root gives to the API."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry

from smsgate.api.limits import ApiSettings
from smsgate.api.looks import Looks
from smsgate.campaigns.consent_commands import DatedReach
from smsgate.clock import Clock
from smsgate.flows import ports, ports_api, ports_imports
from smsgate.flows.billing_reports import BillingReports
from smsgate.flows.commerce import Commerce
from smsgate.flows.esme_accounts import EsmeAccounts
from smsgate.flows.gates import ALWAYS_OPEN, Gates
from smsgate.flows.invoicing import Invoicing
from smsgate.flows.ports_esmes import EsmeSessions
from smsgate.flows.ports_privacy import PrivacyStore
from smsgate.flows.simulated_phones import SimulatedPhones
from smsgate.security.public_ids import PublicIds


@dataclass(slots=True)
class ApiContext:
    """Everything a route may use. Stores are Protocols of `flows.ports_api` and `flows.ports_commerce`."""

    settings: ApiSettings
    clock: Clock
    ids: ports.Ids
    public_ids: PublicIds
    secrets: ports.Secrets
    stops: ports.StopSet
    wakeups: ports.Wakeups
    carriers: Iterable[ports.Carrier]  # those of this process, at this moment
    metrics: CollectorRegistry
    key_mac_key: bytes  # under it api_key.mac is made (smsgate.security.api_keys.key_mac)

    api_keys: ports_api.ApiKeyStore
    idempotency: ports_api.IdempotencyStore
    merchants: ports_api.MerchantStore
    prices: ports_api.PriceStore
    subscribers: ports_api.SubscriberStore
    imports: ports_imports.ImportStore
    health: ports_api.HealthStore

    carrier_desk: ports.CarrierDesk | None = None  # None: no carriers run in this process
    esmes: EsmeAccounts | None = None
    esme_sessions: EsmeSessions | None = None  # None: no ESME can bind to this process
    draining: Callable[[], bool] = field(default=lambda: False)
    disk_full: Callable[[], bool] = field(default=lambda: False)
    # Offers, campaigns, orders, triggers, billing: `commerce.<name>`. None: tests of the other routes.
    commerce: Commerce | None = None
    phones: SimulatedPhones | None = None  # None: tests of the other routes
    invoicing: Invoicing | None = None  # None: tests of the other routes
    reports: BillingReports | None = None  # None: tests of the other routes
    privacy: PrivacyStore | None = None  # None: tests of the other routes
    gates: Gates = ALWAYS_OPEN
    reaches: Sequence[DatedReach] = ()  # of a bare STOP
    looks: Looks = field(default_factory=Looks)


CONTEXT: Final = web.AppKey("context", ApiContext)
