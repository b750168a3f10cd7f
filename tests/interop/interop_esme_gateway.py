"""`smsgate run` as the SMSC of a company's ESME; its carrier is `smsgate smsc`, with the phones behind it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.interop.interop_esme import SENDER
from tests.interop.interop_gateway import a_gateway
from tests.interop.interop_smsc import PASSWORD, SYSTEM_ID, Smsc, an_smsc
from tests.interop.interop_tshark import judge
from tests.interop.interop_wire import Wire

ESMES = "[esmes]\nplain_port = 0\ninsecure_plaintext = true\nenquire_interval_s = 1.0"
ACCOUNT = "boxman-erp"


class EsmeGateway:
    """One of interop_esme's servers."""

    name = "smsgate"
    system_id = ACCOUNT

    def __init__(self, wire: Wire, password: str, smsc: Smsc) -> None:
        self.port = wire.port
        self.wire = wire
        self.password = password
        self._smsc = smsc

    def inbox(self, msisdn: str) -> list[dict[str, Any]]:
        return self._smsc.inbox(msisdn)

    def reply(self, msisdn: str, text: str) -> str:
        return self._smsc.reply(msisdn, text)


@contextmanager
def an_esme_gateway(directory: Path) -> Iterator[EsmeGateway]:
    """Run it with one account that may send from SENDER and gets its MOs; tshark judges both of its sides."""
    with (
        an_smsc() as smsc,
        a_gateway(directory, smsc, ESMES, system_id=SYSTEM_ID, password=PASSWORD) as gateway,
    ):
        numbers = ("--sender", SENDER, "--number", SENDER)
        account = gateway.command("esme", "add", "boxman", ACCOUNT, *numbers, "--binary")
        with gateway.running() as (process, _api):
            (listening,) = process.wait_for("esmes_listening")
            process.wait_for("bind_state", state="bound")
            with Wire(listening["plain_port"]) as wire:
                yield EsmeGateway(wire, account["password"], smsc)
                assert process.terminate() == 0
            judge(wire, by_client=False)
        judge(smsc.wire, by_client=True)
