"""Nudges between the roles of one process (implements flows.ports.Wakeups)."""

from __future__ import annotations

from smsgate.daemon.gateway import Gateway
from smsgate.webhooks.delivery import Deliveries


class Nudges:
    """Nudges between the roles of this process; what is missing here polls."""

    def __init__(self) -> None:
        self.gateway: Gateway | None = None
        self.webhooks: Deliveries | None = None

    def interactive(self) -> None:
        if self.gateway is not None:
            self.gateway.pump.wake_interactive.set()

    def campaigns(self) -> None:
        if self.gateway is not None:
            self.gateway.pump.wake_claims.set()

    def deliveries(self) -> None:
        if self.webhooks is not None:
            self.webhooks.wake.set()
