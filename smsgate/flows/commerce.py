"""The commerce use cases of one process, wired together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from smsgate.billing.networks import NetworkTable
from smsgate.clock import Clock
from smsgate.flows import ports, ports_commerce
from smsgate.flows.campaigns import Campaigns
from smsgate.flows.consent_proof import ConsentProofs, ConsentProofStore
from smsgate.flows.events import Events
from smsgate.flows.inbound_case import DeskTools
from smsgate.flows.inbox import Inbox, InboxStore
from smsgate.flows.joining import Keywords, KeywordStore
from smsgate.flows.offer_changes import OfferChanges
from smsgate.flows.offers import Offers
from smsgate.flows.order_proof import OrderProofs, ProofStore
from smsgate.flows.orders import Orders
from smsgate.flows.ports_webhooks import DataKeys
from smsgate.flows.pricing import Pricing
from smsgate.flows.transactional import Transactional
from smsgate.flows.triggers import Triggers
from smsgate.flows.usage import Usage
from smsgate.flows.webhook_endpoints import WebhookEndpoints
from smsgate.flows.webhook_intake import WebhookIntake
from smsgate.security.addresses import AddressPolicy
from smsgate.security.proof_chain import ProofKey
from smsgate.security.public_ids import PublicIds


@dataclass(frozen=True, slots=True)
class CommerceStores:
    """What `smsgate.store` implements for the use cases below."""

    offers: ports_commerce.OffersStore
    campaigns: ports_commerce.CampaignsStore
    messages: ports_commerce.MessagesStore
    orders: ports_commerce.OrdersStore
    events: ports_commerce.EventsStore
    endpoints: ports_commerce.EndpointsStore
    triggers: ports_commerce.TriggersStore
    usage: ports_commerce.UsageStore
    transactional: ports_commerce.TransactionalStore
    inbox: InboxStore
    proofs: ProofStore
    keywords: KeywordStore
    consent_proofs: ConsentProofStore
    ported: ports.PortedNumbers


@dataclass(frozen=True, slots=True)
class Commerce:
    offers: Offers
    offer_changes: OfferChanges
    campaigns: Campaigns
    messages: ports_commerce.MessagesStore
    orders: Orders
    events: Events
    endpoints: WebhookEndpoints
    triggers: Triggers
    webhook_intake: WebhookIntake
    usage: Usage
    pricing: Pricing
    transactional: Transactional
    inbox: Inbox
    proofs: OrderProofs
    keywords: Keywords
    consent_proofs: ConsentProofs

    @classmethod
    def of(
        cls,
        stores: CommerceStores,
        *,
        pricing: Pricing,
        networks: NetworkTable,
        senders: Mapping[str, ports_commerce.SenderInfo],
        prover: ports_commerce.EndpointProver,
        policy: AddressPolicy,
        secrets: DataKeys,
        ids: ports.Ids,
        public_ids: PublicIds,
        clock: Clock,
        wakeups: ports.Wakeups,
        stops: ports.StopSet,
        proof_key: bytes,
    ) -> Self:
        def may_use(sender: str, slug: str) -> bool:
            return sender in senders and senders[sender].allows(slug)

        writes_ucs2 = ports_commerce.ucs2_by_sender(senders)
        ported, offers = stores.ported, Offers(stores.offers, ids, clock, senders)
        campaigns = Campaigns(stores.campaigns, stores.offers, pricing, networks, offers, ids, clock, wakeups)
        return cls(
            offers=offers,
            offer_changes=OfferChanges(
                stores.offers, offers, ids, public_ids, clock, stops=stops, wakeups=wakeups
            ),
            campaigns=campaigns,
            messages=stores.messages,
            orders=Orders(stores.orders, ids, clock, public_ids, wakeups, writes_ucs2),
            proofs=OrderProofs(stores.proofs, public_ids, clock, ProofKey(proof_key)),
            keywords=Keywords(stores.keywords, offers, ids, clock),
            consent_proofs=ConsentProofs(stores.consent_proofs, public_ids, clock, ProofKey(proof_key)),
            events=Events(stores.events, clock),
            endpoints=WebhookEndpoints(
                stores.endpoints, prover, secrets, policy, ids, public_ids, clock, wakeups
            ),
            triggers=Triggers(stores.triggers, offers, secrets, ids, clock),
            webhook_intake=WebhookIntake(
                stores.triggers, offers, campaigns, secrets, ids, public_ids, clock, wakeups
            ),
            usage=Usage(stores.usage, stores.offers, public_ids),
            pricing=pricing,
            transactional=Transactional(
                stores.transactional, stores.offers, pricing, networks, ported, senders, ids, clock, wakeups
            ),
            inbox=Inbox(
                stores.inbox,
                DeskTools(ids, public_ids, may_use, writes_ucs2=writes_ucs2),  # its stops name the merchant
                stops,
                wakeups,
                clock,
            ),
        )
