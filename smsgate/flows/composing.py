"""
From a claim to a batch: texts encoded, prices found, the carrier chosen.

Everything is done by columns, once per claim; what cannot be sent is named with its reason and never
reaches a socket.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import count
from typing import NamedTuple, Protocol

from smsgate.billing.networks import NetworkTable
from smsgate.billing.prices import Direction, PriceBook
from smsgate.billing.rating import rate_columns
from smsgate.campaigns.rendering import Rendered, Segment, one_segment, render_cheapest
from smsgate.clock import Clock
from smsgate.errors import Invalid, TextError
from smsgate.flows.batches import Batch
from smsgate.flows.ports import Carrier
from smsgate.flows.records import ChunkClaim, ChunkKey, InteractiveClaim, Lane, SubmittedClaim
from smsgate.protocol.encodings import GSM, Alphabet

# (index in the batch, reason): these entries are never written
Refused = list[tuple[int, str]]


class Prices(Protocol):
    """Price lists in memory, as fresh as a few seconds."""

    async def refresh(self) -> None:
        """Load what changed since the last few seconds; call it before a batch of look-ups."""
        ...

    def invalidate(self) -> None:
        """Have the next `refresh` look, however young the copy is."""
        ...

    def book_of(self, merchant_id: int) -> PriceBook | None:
        """Return what this merchant pays; None: the merchant has no price list."""
        ...

    def cost_book(self, name: str) -> PriceBook | None:
        """Return what a carrier charges us, by the name of its list."""
        ...


class _Rates(NamedTuple):
    sell_item_ids: list[int]
    sell_micros: list[int]
    cost_item_ids: list[int]
    cost_micros: list[int]
    currency: str
    cost_currency: str
    reasons: list[str | None]


class Composer:
    def __init__(
        self,
        prices: Prices,
        networks: NetworkTable,
        carriers: Mapping[int, Carrier],
        carrier_of_sender: Mapping[str, int],
        clock: Clock,
    ) -> None:
        self._prices = prices
        self._networks = networks
        self._carriers = carriers
        self._carrier_of_sender = carrier_of_sender
        self._clock = clock
        self._handles = count(1)

    async def refresh(self) -> None:
        """Have prices at hand: what is claimed after it needs the database no more."""
        await self._prices.refresh()

    async def reload(self) -> None:
        """Look again: a price that is missing may have been published a moment ago, by another process."""
        self._prices.invalidate()
        await self._prices.refresh()

    def chunk(self, claim: ChunkClaim) -> tuple[Batch, Refused]:
        """Return the batch of an offer's chunk, and which of its entries must not be written."""
        offer = claim.offer
        carrier_id = self._carrier(offer.sender)
        rendered = _rendered(claim, self._alphabets(carrier_id))
        rates = self._rate(claim.merchant_id, carrier_id, claim.msisdns)
        batch = Batch(
            handle=next(self._handles),
            lane=Lane.BULK,
            carrier_id=carrier_id or min(self._carriers),
            merchant_id=claim.merchant_id,
            campaign_id=claim.campaign_id,
            sender=offer.sender,
            expires_at=offer.expires_at,
            message_ids=_ids(claim.message_ids),
            msisdns=claim.msisdns,
            texts=rendered.texts,
            coding=(rendered.alphabet.data_coding, rendered.alphabet.esm_class),
            sell_item_ids=rates.sell_item_ids,
            sell_micros=rates.sell_micros,
            cost_item_ids=rates.cost_item_ids,
            cost_micros=rates.cost_micros,
            currency=rates.currency,
            cost_currency=rates.cost_currency,
            key=ChunkKey(claim.merchant_id, claim.campaign_id, claim.chunk_no, claim.fence),
            message_id_base=claim.message_id_base,
            message_count=claim.message_count,
            allowance=claim.allowance,
        )
        return batch, _refusals(carrier_id, rendered.reasons, rates.reasons)

    def interactive(self, claim: InteractiveClaim) -> list[tuple[Batch, Refused]]:
        """
        Return one batch per sender, alphabet and minute of expiry: the earliest of them holds for all.

        A text that its carrier cannot take in one segment is refused, with its reason.
        """
        segments = [
            one_segment(body, self._alphabets(self._carrier(sender)))
            for sender, body in zip(claim.senders, claim.bodies, strict=True)
        ]
        groups: dict[tuple[str, Alphabet, datetime], list[int]] = defaultdict(list)
        for place, (sender, expires_at) in enumerate(zip(claim.senders, claim.expires_at, strict=True)):
            minute = expires_at.replace(second=0, microsecond=0)
            groups[sender, segments[place].alphabet, minute].append(place)
        return [
            self._interactive_group(claim, sender, places, [segments[place] for place in places])
            for (sender, _, _), places in groups.items()
        ]

    def _interactive_group(
        self, claim: InteractiveClaim, sender: str, places: Sequence[int], segments: Sequence[Segment]
    ) -> tuple[Batch, Refused]:
        carrier_id = self._carrier(sender)
        msisdns = [claim.msisdns[place] for place in places]
        alphabet = segments[0].alphabet
        rates = self._rate(claim.merchant_id, carrier_id, msisdns)
        batch = Batch(
            handle=next(self._handles),
            lane=Lane.INTERACTIVE,
            carrier_id=carrier_id or min(self._carriers),
            merchant_id=claim.merchant_id,
            campaign_id=None,
            sender=sender,
            expires_at=min(claim.expires_at[place] for place in places),
            message_ids=_ids([claim.message_ids[place] for place in places]),
            msisdns=msisdns,
            texts=[segment.octets for segment in segments],
            coding=(alphabet.data_coding, alphabet.esm_class),
            sell_item_ids=rates.sell_item_ids,
            sell_micros=rates.sell_micros,
            cost_item_ids=rates.cost_item_ids,
            cost_micros=rates.cost_micros,
            currency=rates.currency,
            cost_currency=rates.cost_currency,
        )
        return batch, _refusals(carrier_id, [segment.reason for segment in segments], rates.reasons)

    def submitted(self, claim: SubmittedClaim) -> list[tuple[Batch, Refused]]:
        """Return one batch per sender and minute of expiry; marketing goes by the bulk lane."""
        groups: dict[tuple[str, datetime], list[int]] = defaultdict(list)
        for place, (sender, expires_at) in enumerate(zip(claim.senders, claim.expires_at, strict=True)):
            groups[sender, expires_at.replace(second=0, microsecond=0)].append(place)
        return [self._submitted_group(claim, sender, places) for (sender, _), places in groups.items()]

    def _submitted_group(
        self, claim: SubmittedClaim, sender: str, places: Sequence[int]
    ) -> tuple[Batch, Refused]:
        carrier_id = self._carrier(sender)
        msisdns = [claim.msisdns[place] for place in places]
        segments = [claim.segments[place] for place in places]
        rates = self._rate(claim.merchant_id, carrier_id, msisdns, segments)
        batch = Batch(
            handle=next(self._handles),
            lane=Lane.BULK if claim.marketing else Lane.INTERACTIVE,
            carrier_id=carrier_id or min(self._carriers),
            merchant_id=claim.merchant_id,
            campaign_id=None,
            sender=sender,
            expires_at=min(claim.expires_at[place] for place in places),
            message_ids=_ids([claim.message_ids[place] for place in places]),
            msisdns=msisdns,
            texts=[b""] * len(places),
            sell_item_ids=rates.sell_item_ids,
            sell_micros=rates.sell_micros,
            cost_item_ids=rates.cost_item_ids,
            cost_micros=rates.cost_micros,
            currency=rates.currency,
            cost_currency=rates.cost_currency,
            bodies=[claim.bodies[place] for place in places],
            segments=segments,
        )
        stopped = ["stopped" if claim.stopped[place] else None for place in places]
        return batch, _refusals(carrier_id, stopped, rates.reasons)

    def _carrier(self, sender: str) -> int | None:
        carrier_id = self._carrier_of_sender.get(sender)
        return carrier_id if carrier_id in self._carriers else None

    def _alphabets(self, carrier_id: int | None) -> Sequence[Alphabet]:
        return (GSM,) if carrier_id is None else self._carriers[carrier_id].alphabets

    def _rate(
        self,
        merchant_id: int,
        carrier_id: int | None,
        msisdns: Sequence[int],
        segments: Sequence[int] | int = 1,
    ) -> _Rates:
        """Price every recipient; a merchant without a list, or a network without a price, is refused."""
        now = self._clock.now()
        networks = self._networks.column([str(msisdn) for msisdn in msisdns])
        book = self._prices.book_of(merchant_id)
        sell = rate_columns(None if book is None else book.version_at(now), Direction.MT, networks, segments)
        cost_list = None if carrier_id is None else self._carriers[carrier_id].cost_list
        cost_book = None if cost_list is None else self._prices.cost_book(cost_list)
        cost = rate_columns(
            None if cost_book is None else cost_book.version_at(now), Direction.MT, networks, segments
        )
        return _Rates(
            [item or 0 for item in sell.item_ids],
            sell.micros,
            [item or 0 for item in cost.item_ids],
            cost.micros,
            "" if book is None else book.currency,
            "" if cost_book is None else cost_book.currency,
            sell.reasons,
        )


def bodies_of(carrier: Carrier, batch: Batch, indexes: Sequence[int]) -> list[bytes]:
    """
    Return the submit_sm bodies of some entries, in the carrier's profile.

    Raises:
        TextError, BodyError: one of them is nothing that this carrier can carry.
    """
    msisdns = [batch.msisdns[i] for i in indexes]
    if batch.bodies is not None:
        chosen = [batch.bodies[i] for i in indexes]
        return carrier.submitted_bodies(batch.sender, msisdns, chosen, batch.expires_at)
    texts = batch.texts
    return carrier.bodies(batch.sender, msisdns, [texts[i] for i in indexes], *batch.coding)


def _rendered(claim: ChunkClaim, alphabets: Sequence[Alphabet]) -> Rendered:
    """Render an offer for everybody; a text that cannot be one (no linter saw it) refuses everybody."""
    count = len(claim.msisdns)
    columns = {
        name: [row[place] for row in claim.fields or ()] for place, name in enumerate(claim.field_names)
    }
    try:
        return render_cheapest(claim.offer.text, columns, count, alphabets)
    except (Invalid, TextError) as exc:
        return Rendered([b""] * count, [exc.code] * count)


def _refusals(carrier_id: int | None, texts: Sequence[str | None], prices: Sequence[str | None]) -> Refused:
    if carrier_id is None:
        return [(index, "sender_unknown") for index in range(len(prices))]
    pairs = enumerate(zip(texts, prices, strict=True))
    return [(index, text or price or "") for index, (text, price) in pairs if text or price]


def _ids(ids: Sequence[int]) -> Sequence[int]:
    """Return ids in 8 octets each; a contiguous run costs nothing."""
    if ids and ids[-1] - ids[0] == len(ids) - 1:
        return range(ids[0], ids[-1] + 1)
    return array("q", ids)
