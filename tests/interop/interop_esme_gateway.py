"""`smsgate run` as the SMSC of a company's ESME."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.interop.interop_esme import SENDER
from tests.interop.interop_gateway import HasPort, a_gateway
from tests.interop.interop_smsc import PASSWORD, SYSTEM_ID, Smsc, an_smsc
from tests.interop.interop_tshark import judge
from tests.interop.interop_wire import Wire

ESMES = """[esmes]
plain_port = 0
insecure_plaintext = true
enquire_interval_s = 1.0
response_timeout_s = 60.0  # a busy machine answers late
"""
ACCOUNT = "boxman-erp"


class EsmeServer:
    """Where ESMEs bind at a gateway."""

    name = "smsgate"
    system_id = ACCOUNT

    def __init__(self, port: int, password: str) -> None:
        self.port = port
        self.password = password


class EsmeGateway(EsmeServer):
    """One of interop_esme's servers: its carrier's phones stand behind it."""

    def __init__(self, server: EsmeServer, smsc: Smsc) -> None:
        super().__init__(server.port, server.password)
        self._smsc = smsc

    def inbox(self, msisdn: str) -> list[dict[str, Any]]:
        return self._smsc.inbox(msisdn)

    def reply(self, msisdn: str, text: str) -> str:
        return self._smsc.reply(msisdn, text)


@contextmanager
def an_esme_server(directory: Path, smsc: HasPort, **carrier: object) -> Iterator[EsmeServer]:
    """
    Run a gateway with that SMSC as its carrier, and one account that may send from SENDER and gets its MOs.

    tshark judges what it sends to ESMEs.
    """
    with a_gateway(directory, smsc, ESMES, **carrier) as gateway:
        numbers = ("--sender", SENDER, "--number", SENDER)
        account = gateway.command("esme", "add", "boxman", ACCOUNT, *numbers, "--binary")
        with gateway.running() as (process, _api):
            (listening,) = process.wait_for("esmes_listening")
            process.wait_for("bind_state", state="bound")
            with Wire(listening["plain_port"]) as wire:
                yield EsmeServer(wire.port, account["password"])
                assert process.terminate() == 0
            judge(wire, by_client=False)


@contextmanager
def an_esme_gateway(directory: Path) -> Iterator[EsmeGateway]:
    """Run it with `smsgate smsc` as its carrier; tshark judges both of its sides."""
    with (
        an_smsc() as smsc,
        an_esme_server(directory, smsc, system_id=SYSTEM_ID, password=PASSWORD) as server,
    ):
        yield EsmeGateway(server, smsc)
    judge(smsc.wire, by_client=True)
