"""One message's money explained: for the merchant without what it cost, for the operator with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final, Protocol

from smsgate.billing.charge_facts import ExplainFacts
from smsgate.billing.explaining import Explained, explain
from smsgate.billing.issuing import Seller, vat_with_rates
from smsgate.billing.prices import Direction
from smsgate.billing.vat import VatHistory
from smsgate.errors import DomainError, NotFound
from smsgate.security.public_ids import Kind, PublicIds

_DIRECTIONS: Final = {Kind.MESSAGE: Direction.MT, Kind.INBOUND_MESSAGE: Direction.MO}


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose message is asked about."""

    merchant_id: int
    id_: int
    direction: Direction


class ExplainStore(Protocol):
    async def owner(self, id_: int, direction: Direction) -> int | None:
        """Return whose message it is, for the operator."""
        ...

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
        public_ids: PublicIds,
        seller: Seller | None,
    ) -> None:
        self._store = store
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
            raise NotFound
        asked = Asked(owner, id_, direction)
        erased = await self._store.erased(asked)
        if erased is None:
            raise NotFound
        if erased:
            raise DomainError(
                "its person was erased; what was charged stays in the statement and on the documents",
                code="erased",
                http_status=410,
            )
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
        raise NotFound
