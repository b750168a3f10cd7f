"""The stores of the commerce use cases, over one database."""

from __future__ import annotations

from collections.abc import Callable

from smsgate.clock import Clock
from smsgate.flows.commerce import CommerceStores
from smsgate.security.suppression import SuppressionHashes
from smsgate.store.campaigns import PgCampaigns
from smsgate.store.consent_proof import PgConsentProofs
from smsgate.store.events import PgEvents
from smsgate.store.inbox import PgInbox
from smsgate.store.join_keywords import PgKeywords
from smsgate.store.messages import PgMessages
from smsgate.store.offers import PgOffers
from smsgate.store.order_proof import PgOrderProofs
from smsgate.store.order_stamps import OrderStamps
from smsgate.store.orders import PgOrders
from smsgate.store.pool import Database
from smsgate.store.portability import PgPortability
from smsgate.store.transactional import PgTransactional
from smsgate.store.triggers import PgTriggers
from smsgate.store.usage import PgUsage
from smsgate.store.webhook_endpoints import PgWebhookEndpoints


def commerce_stores(
    database: Database,
    next_id: Callable[[], int],
    hashes: SuppressionHashes,
    stamps: OrderStamps,
    clock: Clock,
) -> CommerceStores:
    return CommerceStores(
        offers=PgOffers(database),
        campaigns=PgCampaigns(database),
        messages=PgMessages(database),
        orders=PgOrders(database, stamps),
        events=PgEvents(database),
        endpoints=PgWebhookEndpoints(database),
        triggers=PgTriggers(database),
        usage=PgUsage(database),
        transactional=PgTransactional(database),
        inbox=PgInbox(database, next_id, hashes, stamps),
        proofs=PgOrderProofs(database, stamps, clock),
        keywords=PgKeywords(database),
        consent_proofs=PgConsentProofs(database, stamps.public_ids),
        ported=PgPortability(database),
    )
