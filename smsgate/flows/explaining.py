"""One message's money explained: for the merchant without what it cost, for the operator with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final, Protocol

from smsgate.billing.charge_facts import ExplainFacts
from smsgate.billing.explaining import Explained, explain
from smsgate.billing.issuing import Seller, vat_with_rates
from smsgate.billing.networks import NetworkTable
from smsgate.billing.prices import Direction
from smsgate.billing.vat import VatHistory
from smsgate.errors import DomainError, NotFound
from smsgate.flows.exporting import PortedNumbers
from smsgate.flows.pricing import Pricing
from smsgate.security.public_ids import Kind, PublicIds

_DIRECTIONS: Final = {Kind.MESSAGE: Direction.MT, Kind.INBOUND_MESSAGE: Direction.MO}
MISSING: Final = "No such object."


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply as it came; `charged` is False for what the carrier said twice."""

    msisdn: int
    received_at: datetime
    charged: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose message is asked about; `item_id` is the price of a reply, 0 when it has none."""

    merchant_id: int
    id_: int
    direction: Direction
    item_id: int = 0


class ExplainStore(Protocol):
    async def owner(self, id_: int, direction: Direction) -> int | None:
        """Return whose message it is, for the operator."""
        ...

    async def reply(self, merchant_id: int, inbound_id: int) -> Reply | None: ...

    async def erased(self, asked: Asked) -> bool | None:
        """Return whether its person was erased; None: there is no such message."""
        ...

    async def facts(self, asked: Asked) -> tuple[ExplainFacts, Sequence[tuple[date, str, int | None]]]:
        """Return what is stored of its money, but VAT, of one snapshot."""
        ...


@dataclass(frozen=True, slots=True)
class Answered:
    merchant_id: int
    explained: Explained


class Explaining:
    def __init__(
        self,
        store: ExplainStore,
        ported: PortedNumbers,
        pricing: Pricing,
        networks: NetworkTable,
        public_ids: PublicIds,
        seller: Seller | None,
    ) -> None:
        self._store = store
        self._ported = ported
        self._pricing = pricing
        self._networks = networks
        self._public_ids = public_ids
        self._seller = seller

    async def explain(self, text: str, merchant_id: int | None = None) -> Answered:
        """
        Explain a message, or a reply, by its public id; `merchant_id` None asks for the operator.

        Raises:
            NotFound: there is none of this id, or it is another merchant's.
            DomainError: code `erased`: its person had it erased.
        """
        id_, direction = self._decoded(text)
        owner = merchant_id if merchant_id is not None else await self._store.owner(id_, direction)
        if owner is None:
            raise NotFound(MISSING)
        asked = Asked(owner, id_, direction)
        erased = await self._store.erased(asked)
        if erased is None:
            raise NotFound(MISSING)
        if erased:
            raise DomainError(
                "its person was erased; what was charged stays in the statement and on the documents",
                code="erased",
                http_status=410,
            )
        if direction is Direction.MO:
            asked = await self._priced(asked)
        facts, vats = await self._store.facts(asked)
        rates = () if self._seller is None else self._seller.vat_rates
        history = VatHistory(vat_with_rates(vats, rates))
        return Answered(owner, explain(replace(facts, vat=history)))

    def _decoded(self, text: str) -> tuple[int, Direction]:
        for kind, direction in _DIRECTIONS.items():
            if text.startswith(f"{kind.value}_"):
                try:
                    return self._public_ids.decode(kind, text), direction
                except NotFound:
                    break
        raise NotFound(MISSING)

    async def _priced(self, asked: Asked) -> Asked:
        """Find the price of a reply, as it was found when it came."""
        reply = await self._store.reply(asked.merchant_id, asked.id_)
        await self._pricing.refresh()
        book = self._pricing.book_of(asked.merchant_id)
        if reply is None or book is None or not reply.charged:
            return asked
        ported = await self._ported.lookup([reply.msisdn])
        network = ported.get(reply.msisdn) or self._networks.network_of(str(reply.msisdn)).mccmnc
        item = book.lookup(reply.received_at, Direction.MO, network)
        return asked if item is None else Asked(asked.merchant_id, asked.id_, asked.direction, item.item_id)
