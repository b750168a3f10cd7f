"""An ESME on smpplib, as its own documentation has it: one that blocks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import smpplib.client
import smpplib.smpp

from tests.interop.interop_esme import PHONE, SENDER, Server
from tests.interop.interop_processes import DEADLINE_S, until

OFFER = "Boxman: CD Madonna 19,90. OK = commande"


class Esme:
    """smpplib's own client, and what came to it."""

    def __init__(self, server: Server) -> None:
        self.answers: list[Any] = []
        self.delivered: list[Any] = []
        self.client = smpplib.client.Client(
            "127.0.0.1", server.port, timeout=DEADLINE_S, allow_unknown_opt_params=True
        )
        self.client.set_message_sent_handler(self._answered)
        self.client.set_message_received_handler(self._delivered)
        self.client.set_error_pdu_handler(lambda pdu: None)

    def _answered(self, pdu: Any) -> None:
        self.answers.append(pdu)

    def _delivered(self, pdu: Any) -> None:
        self.delivered.append(pdu)

    def submit(self, destination: str = PHONE) -> None:
        self.client.send_message(
            source_addr_ton=3,
            source_addr_npi=1,
            source_addr=SENDER,
            dest_addr_ton=1,
            dest_addr_npi=1,
            destination_addr=destination,
            short_message=OFFER.encode("ascii"),
            registered_delivery=1,
        )

    def wait_for(self, arrived: list[Any], count: int = 1) -> list[Any]:
        def enough() -> bool:
            self.client.poll(auto_send_enquire_link=False)
            return len(arrived) >= count

        until(enough, f"{count} PDUs")
        return arrived

    def ask(self, command: str) -> Any:
        """Send a request that has no body; return its answer."""
        self.client.send_pdu(smpplib.smpp.make_pdu(command, client=self.client))
        while (pdu := self.client.read_pdu()).command == "enquire_link":  # the SMSC asks too, after a STOP
            self.client._enquire_link_received(pdu)
        return pdu


@contextmanager
def bound(server: Server, mode: str = "transceiver") -> Iterator[Esme]:
    esme = Esme(server)
    esme.client.connect()
    try:
        getattr(esme.client, f"bind_{mode}")(system_id=server.system_id, password=server.password)
        yield esme
    finally:
        esme.client.disconnect()
