"""Companies whose applications bind to the gateway: a town with accounts, and their ESMEs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from smsgate.config.esmes import EsmesSettings
from smsgate.daemon.esmes import EsmeSide
from smsgate.links.profile_senders import SenderNumber
from smsgate.links.profile_values import Host
from smsgate.protocol.commands import CommandId
from smsgate.protocol.frames import FrameDecoder
from smsgate.protocol.pdus import Pdu, decode_pdu, encode_pdu
from tests.acceptance.town import SENDER, Ground, Town, an_empty_town
from tests.acceptance.wire import Wire, smpp_wire
from tests.simulator.smsc_peers import RawEsme, SmpplibEsme

COMPANY_NUMBER = "38123"  # what the companies send from; answers to it are theirs
PHONE = 33639980021  # of nobody: a number kept for films

Settings = Mapping[str, Any]


@dataclass
class EsmeTown:
    town: Town
    account: dict[str, Any]  # as the API answered, with its password
    stack: AsyncExitStack
    wire: Wire  # to the carrier

    def written(self) -> list[Pdu]:
        """Return the submit_sm that the carrier was written, oldest first."""
        frames = [frame for sent in self.wire.sent for frame in FrameDecoder().feed(bytes(sent))]
        return [decode_pdu(frame) for frame in frames if frame.command_id == CommandId.SUBMIT_SM]

    @property
    def side(self) -> EsmeSide:
        assert self.town.process.esmes is not None
        return self.town.process.esmes

    @property
    def port(self) -> int:
        assert self.side.listener.plain_port is not None
        return self.side.listener.plain_port

    async def another_account(self, system_id: str, merchant: str | None = None, **limits: Any) -> Any:
        """Let the operator make an account; return the API's answer."""
        body = {"system_id": system_id, "senders": [COMPANY_NUMBER], **limits}
        return await self.town.operator.post(f"/v1/merchants/{merchant or self.town.merchant_id}/esmes", body)

    async def bound(
        self, mode: str = "transceiver", account: dict[str, Any] | None = None, **options: Any
    ) -> SmpplibEsme:
        """Return smpplib's client, bound."""
        account = account or self.account
        esme = SmpplibEsme(self.port, mode, **options)
        await esme.bind(account["system_id"], account["password"])
        self.stack.push_async_callback(leave, esme)
        return esme

    async def raw(self, account: dict[str, Any] | None = None, command_id: int = 9) -> RawEsme:
        """Return a client of octets, bound."""
        account = account or self.account
        esme = await RawEsme.connect(self.port)
        self.stack.callback(esme.writer.close)
        esme.send(command_id, 1, bind_octets(account))
        answer = await esme.read()
        assert answer.status == 0, hex(answer.status)
        return esme

    async def ledger(self) -> list[Any]:
        """Return (direction, messages, segments, micros) of what merchants owe, by the ledger."""
        async with self.town.process.services.database.bulk() as connection:
            rows = await connection.fetch(
                "SELECT direction, sum(messages) AS messages, sum(segments) AS segments, "
                "-sum(amount_micros) AS micros FROM ledger_entry WHERE account = 'revenue' "
                "GROUP BY 1 ORDER BY 1"
            )
        return [tuple(int(v) if not isinstance(v, str) else v for v in row.values()) for row in rows]

    async def nothing_waits(self) -> bool:
        """Return whether every receipt and MO was taken by its ESME, durably."""
        return await self.count("esme_delivery") == 0

    async def count(self, table: str, where: str = "true") -> int:
        async with self.town.process.services.database.bulk() as connection:
            return int(await connection.fetchval(f"SELECT count(*) FROM {table} WHERE {where}"))


async def leave(esme: SmpplibEsme) -> None:
    if esme._client._socket is not None:
        await esme.vanish()


def bind_octets(account: Mapping[str, Any], version: int = 0x34) -> bytes:
    head = f"{account['system_id']}\0{account['password']}\0\0".encode("ascii")
    return head + bytes((version,)) + b"\0\0\0"


@asynccontextmanager
async def an_esme_town(
    ground: Ground,
    *,
    esmes: Settings | None = None,
    carrier: Settings | None = None,
    account: Settings | None = None,
    subscribers: int = 1,
    **parts: Any,
) -> AsyncIterator[EsmeTown]:
    """Start everything, with one account that may send from COMPANY_NUMBER and gets its MOs."""
    senders = (
        SenderNumber(number=SENDER, receives=True),
        SenderNumber(number=COMPANY_NUMBER, receives=True, merchants=("boxman",)),
    )
    async with an_empty_town(ground, carrier={"senders": senders, **(carrier or {})}, **parts) as town:
        listen = EsmesSettings(plain_port=0, insecure_plaintext=True, **(esmes or {}))
        town.settings = town.settings.model_copy(update={"esmes": listen})
        async with AsyncExitStack() as stack:
            wire, port = await stack.enter_async_context(smpp_wire(town.simulator.smpp_port))
            carriers = [
                profile.model_copy(update={"hosts": (Host("127.0.0.1", port),)})
                for profile in town.settings.carriers
            ]
            town.settings = town.settings.model_copy(update={"carriers": tuple(carriers)})
            await stack.enter_async_context(town.gateway())
            await town.settle(subscribers)
            company = EsmeTown(town, {}, stack, wire)
            company.account = await company.another_account(
                "company", **{"numbers": [COMPANY_NUMBER], **(account or {})}
            )
            yield company


def a_submit(number: int, tlvs: Any = (), **changes: Any) -> bytes:
    fields = {
        "source_addr": COMPANY_NUMBER.encode(),
        "dest_addr_ton": 1,
        "dest_addr_npi": 1,
        "destination_addr": str(PHONE).encode(),
        "registered_delivery": 1,
        "short_message": b"Rendez-vous demain",
    }
    return encode_pdu(Pdu(CommandId.SUBMIT_SM, 0, number, {**fields, **changes}, tlvs))


async def statuses(esme: RawEsme, *submits: bytes) -> list[int]:
    """Send submits and return the command_status of each, in their order."""
    esme.writer.write(b"".join(submits))
    found: dict[int, int] = {}
    while len(found) < len(submits):
        pdu = await esme.read()
        if pdu.command_id == CommandId.SUBMIT_SM_RESP:
            found[pdu.number] = pdu.status
    return [found[number] for number in sorted(found)]
