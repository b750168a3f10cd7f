"""Simulated phones of test keys: their replies are decided in the process that is asked."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from smsgate.billing.networks import default_table
from smsgate.config import Settings
from smsgate.daemon.services import Services
from smsgate.flows.inbound import Intake
from smsgate.flows.inbound_case import DeskTools
from smsgate.flows.ports import StopSet, Wakeups
from smsgate.flows.ports_commerce import SenderInfo, ucs2_by_sender
from smsgate.flows.pricing import Pricing
from smsgate.flows.simulated_phones import SimulatedPhones
from smsgate.protocol.commands import Status
from smsgate.store.inbound import StoredInbound


def simulated_phones(
    settings: Settings,
    services: Services,
    *,
    carrier_id: int,
    senders: Mapping[str, SenderInfo],
    pricing: Pricing,
    stops: StopSet,
    wakeups: Wakeups,
) -> SimulatedPhones:
    def may_use(sender: str, slug: str) -> bool:
        return sender in senders and senders[sender].allows(slug)

    tools = DeskTools(
        services.ids,
        services.public_ids,
        may_use,
        settings.consent.rules(),
        settings.caps.limits().merchant_week_max,
        ucs2_by_sender(senders),
        lambda sender: (senders[sender].merchants or None) if sender in senders else (),
    )
    intake = Intake(
        StoredInbound(services.database, services.ids.next, services.suppression, services.order_stamps),
        MappingProxyType({}),
        pricing,
        default_table(),
        tools,
        stops,
        wakeups,
        services.clock,
        owner=services.lease.epoch,
        busy_status=lambda _carrier_id: Status.MSGQFUL,
    )
    return SimulatedPhones(intake, services.ids, services.clock, carrier_id=carrier_id)
