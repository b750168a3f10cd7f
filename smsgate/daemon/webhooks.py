"""The side that hands events to shops: deliveries, orders that time moves, and shops that take none."""

from __future__ import annotations

import random

from smsgate.config import Settings
from smsgate.daemon.services import Services
from smsgate.flows.commerce import Commerce
from smsgate.flows.loops import Loop
from smsgate.flows.shop_reach import ShopReach
from smsgate.security.public_ids import Kind
from smsgate.store.deliveries import PgDeliveries
from smsgate.store.order_stamps import OldOrders
from smsgate.store.shop_reach import PgShopReach
from smsgate.telemetry.metrics import Metrics, watch_deliveries
from smsgate.webhooks.client import WebhookClient
from smsgate.webhooks.courier import Courier
from smsgate.webhooks.delivery import Deliveries

ORDERS_INTERVAL_S = 1.0  # what happens to orders by time is this late at most
STAMPS_INTERVAL_S = 60.0  # between looks for orders from before there were stamps; each look ends with none
SHOPS_INTERVAL_S = 1.0  # offers wait, and go on, this late at most


class WebhookSide:
    def __init__(
        self, settings: Settings, services: Services, client: WebhookClient, commerce: Commerce
    ) -> None:
        database, clock, public_ids = services.database, services.clock, services.public_ids
        courier = Courier(
            client, services.keyring, commerce.orders, public_ids, clock, random.SystemRandom().random
        )
        self.deliveries = Deliveries(
            PgDeliveries(database),
            courier,
            settings.webhooks.policy(),
            clock,
            owner=services.lease.epoch,
            settings=settings.webhooks.delivery(),
        )
        reach = PgShopReach(
            database, services.ids, lambda merchant: public_ids.encode(Kind.MERCHANT, merchant)
        )
        self.reach = ShopReach(reach, clock)
        old_orders = OldOrders(database, services.order_stamps, clock)
        self.loops = (
            Loop("orders", commerce.orders.fire_due, clock, interval_s=ORDERS_INTERVAL_S),
            Loop("order-stamps", old_orders.step, clock, interval_s=STAMPS_INTERVAL_S),
            Loop("shop-reach", self.reach.step, clock, interval_s=SHOPS_INTERVAL_S),
        )

    def watch(self, metrics: Metrics) -> None:
        watch_deliveries(metrics, self.deliveries)
        metrics.gauge(
            "merchants_unreached",
            "Merchants whose offers wait, as no endpoint of theirs takes orders",
            lambda: self.reach.unreached,
        )
