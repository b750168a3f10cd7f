"""
From a claim to a batch: texts encoded, prices found, the carrier chosen.

Everything is done by columns, once per claim; what cannot be sent is named with its reason and never
reaches a socket.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import count
from typing import Final, NamedTuple, TypeVar

from smsgate.errors import BodyError, TextError
from smsgate.flows.batches import Batch, Chunk, Way
from smsgate.flows.long_texts import PART_REFUSED, ConcatReferences
from smsgate.flows.offers import LIFE_MIN
from smsgate.flows.ports import Carrier
from smsgate.flows.rates import rates_of
from smsgate.flows.records import ChunkClaim, ChunkKey, InteractiveClaim, Lane, SubmittedClaim
from smsgate.flows.routes import SENDER_UNKNOWN, Group, Plan, Prices, Routes
from smsgate.flows.wording import Hand, OfferWording, SubmittedWording, SystemWording, Wording, Written
from smsgate.protocol.encodings import GSM, UCS2
from smsgate.routing.rules import Kind

NO_CARRIER: Final = 0
Kept = TypeVar("Kept")
# Why a carrier cannot write a text that another one may be able to write, by its alphabets.
LACKS_LETTERS: Final = frozenset({"charset_ucs2", "text_too_long"})
# (index in the batch, reason): these entries are never written
Refused = list[tuple[int, str]]
Made = list[tuple[Batch, Refused]]
# Gives entries that the named carrier does not take to another one; False: there is none.
Elsewhere = Callable[[Batch, Sequence[int], str], bool]


def _nowhere(_batch: Batch, _indexes: Sequence[int], _name: str) -> bool:
    return False


NOWHERE: Final[Elsewhere] = _nowhere


class _Columns(NamedTuple):
    """What goes into batches before anybody knows whose: one entry per message, `reasons` why not."""

    lane: Lane
    merchant_id: int
    campaign_id: int | None
    sender: str
    expires_at: datetime
    message_ids: Sequence[int]
    msisdns: Sequence[int]
    networks: Sequence[str]
    wording: Wording
    reasons: Sequence[str | None]
    chunk: Chunk | None = None
    bodies: Sequence[bytes] | None = None  # of an ESME, instead of texts
    segments: Sequence[int] | None = None  # what each counts for; None: one
    refusable: bool = False
    tlvs: bytes = b""  # of all of them

    def of(self, places: Sequence[int] | None) -> _Columns:
        """Return the columns of some messages; None: of all."""
        if places is None:
            return self
        return self._replace(
            message_ids=[self.message_ids[place] for place in places],
            msisdns=[self.msisdns[place] for place in places],
            networks=[self.networks[place] for place in places],
            wording=self.wording.of(places),
            reasons=[self.reasons[place] for place in places],
            bodies=None if self.bodies is None else [self.bodies[place] for place in places],
            segments=None if self.segments is None else [self.segments[place] for place in places],
        )


class Composer:
    def __init__(
        self,
        prices: Prices,
        carriers: Mapping[int, Carrier],
        routes: Routes,
    ) -> None:
        self._prices = prices
        self._carriers = carriers
        self._routes = routes
        self._handles = count(1)
        self._references = ConcatReferences()

    async def refresh(self) -> None:
        """Have prices at hand: what is claimed after it needs the database no more."""
        await self._prices.refresh()

    async def reload(self) -> None:
        """Look again: a price that is missing may have been published a moment ago, by another process."""
        self._prices.invalidate()
        await self._prices.refresh()

    def chunk(self, claim: ChunkClaim) -> Made:
        """Return one batch per carrier of an offer's chunk, and which of its entries must not be written."""
        offer, count = claim.offer, len(claim.msisdns)
        fields = dict(zip(claim.field_names, claim.fields or (), strict=True))
        key = ChunkKey(claim.merchant_id, claim.campaign_id, claim.chunk_no, claim.fence)
        columns = _Columns(
            Lane.BULK,
            claim.merchant_id,
            claim.campaign_id,
            offer.sender,
            offer.expires_at - LIFE_MIN,
            claim.message_ids,
            claim.msisdns,
            self._routes.networks(claim.msisdns, claim.ported),
            OfferWording(offer.text, fields, count),
            [None] * count,
            Chunk(
                key,
                claim.message_id_base,
                claim.message_count,
                claim.allowance,
                weight=claim.weight,
                paced=claim.paced,
                budgeted=claim.budgeted,
            ),
            tlvs=offer.tlvs,
        )
        made = self._batches(columns, Kind.OFFER, claim.campaign_id)
        for batch, _ in made:
            batch.closes_at = claim.closes_at
        return made

    def interactive(self, claim: InteractiveClaim) -> Made:
        """
        Return batches by carrier, sender, coding and minute of expiry: the earliest holds for all.

        A long text has an entry for each of its parts, in one batch.
        """
        made: Made = []
        kinds = list(zip(claim.refusable, claim.tlvs, strict=True))
        for sender, (refusable, tlvs), places in _alike(claim.senders, claim.expires_at, kinds):
            msisdns = [claim.msisdns[place] for place in places]
            columns = _Columns(
                Lane.INTERACTIVE,
                claim.merchant_id,
                None,
                sender,
                min(claim.expires_at[place] for place in places),
                [claim.message_ids[place] for place in places],
                msisdns,
                self._routes.networks(msisdns, claim.ported),
                SystemWording([claim.bodies[place] for place in places]),
                [claim.reasons[place] for place in places],
                refusable=refusable,
                tlvs=tlvs,
            )
            made += self._batches(columns, Kind.SYSTEM, 0)
        return made

    def submitted(self, claim: SubmittedClaim) -> Made:
        """Return batches by carrier, sender and minute of expiry; marketing goes by the bulk lane."""
        made: Made = []
        kinds = [None] * len(claim.senders)
        for sender, _, places in _alike(claim.senders, claim.expires_at, kinds):
            msisdns = [claim.msisdns[place] for place in places]
            columns = _Columns(
                Lane.BULK if claim.marketing else Lane.INTERACTIVE,
                claim.merchant_id,
                None,
                sender,
                min(claim.expires_at[place] for place in places),
                [claim.message_ids[place] for place in places],
                msisdns,
                self._routes.networks(msisdns, claim.ported),
                SubmittedWording(len(places)),
                [claim.reasons[place] for place in places],
                bodies=[claim.bodies[place] for place in places],
                segments=[claim.segments[place] for place in places],
            )
            made += self._batches(columns, Kind.ESME, 0)
        return made

    def segments_of(self, sender: str, body: str | bytes) -> int:
        """Return what the sender's carrier makes of a system text or push; 1 for one that it cannot carry."""
        carrier_id = self._routes.owner(sender)
        hand = Hand((GSM, UCS2), (GSM, UCS2), "udh8", lambda _: 0)
        if carrier_id is not None:
            carrier = self._carriers[carrier_id]
            hand = Hand(carrier.alphabets, carrier.long_alphabets, carrier.concat, lambda _: 0)
        (written,) = SystemWording([body]).written(hand)
        return sum(written.segments or [1])

    def rerouted(
        self, batch: Batch, indexes: Sequence[int], carrier_id: int, *, refused_by: str = ""
    ) -> Made:
        """
        Return some of a batch's messages, in the order of their ids, as another carrier takes them.

        Long texts have all their entries among `indexes`; the other carrier may cut them in another way.
        """
        parts = batch.parts
        columns = _Columns(
            batch.lane,
            batch.merchant_id,
            batch.campaign_id,
            batch.sender,
            batch.expires_at,
            batch.message_ids,
            batch.msisdns,
            batch.networks,
            batch.wording,
            [None] * batch.size,
            batch.chunk,
            batch.bodies,
            batch.segments if parts is None else None,
            batch.refusable,
            batch.tlvs,
        ).of(indexes if parts is None else parts.firsts(indexes))
        plan = Plan(batch.way.route, batch.way.tiers)
        tried = batch.way.tried | {refused_by} if refused_by else batch.way.tried
        made = self._written(columns, Group(None, carrier_id, plan), tried)
        for each, _ in made:
            each.consent_read, each.closes_at = batch.consent_read, batch.closes_at
            each.refused_ids = batch.refused_ids
        return made

    def _batches(self, columns: _Columns, kind: Kind, salt: int) -> Made:
        groups = self._routes.groups(
            columns.merchant_id, columns.sender, kind, columns.msisdns, columns.networks, salt=salt
        )
        return [made for group in groups for made in self._written(columns.of(group.places), group)]

    def _written(self, columns: _Columns, group: Group, tried: frozenset[str] = frozenset()) -> Made:
        """Return the messages of one carrier, as it takes them; what it cannot write goes by the next one."""
        texts = columns.wording.written(self._hand(columns, group.carrier_id))
        lacking = _lacking(texts)
        if lacking and group.carrier_id is not None:
            tried |= {self._carriers[group.carrier_id].name}
            seed = columns.message_ids[min(lacking)]
            following = self._routes.next_of(group.plan.tiers, tried, seed, may_wait=True)
            if following is not None:
                keep = [place for place in range(len(columns.message_ids)) if place not in lacking]
                made = self._written(columns.of(keep), group, tried) if keep else []
                return made + self._written(
                    columns.of(sorted(lacking)), group._replace(carrier_id=following), tried
                )
        return [self._batch(columns.of(written.places), group, written, tried) for written in texts]

    def _hand(self, columns: _Columns, carrier_id: int | None) -> Hand:
        ids, msisdns = columns.message_ids, columns.msisdns
        if carrier_id is None:
            return Hand((GSM,), (), "udh8", lambda place: ids[place])
        carrier, references = self._carriers[carrier_id], self._references
        return Hand(
            carrier.alphabets,
            carrier.long_alphabets,
            carrier.concat,
            lambda place: references.next(carrier_id, msisdns[place], ids[place]),
        )

    def _batch(
        self, columns: _Columns, group: Group, written: Written, tried: frozenset[str]
    ) -> tuple[Batch, Refused]:
        carrier_id, plan = group.carrier_id, group.plan
        parts, segments, ids = written.parts, columns.segments, columns.message_ids
        if parts is not None:
            segments = written.segments
        rates = rates_of(
            self._prices,
            columns.merchant_id,
            None if carrier_id is None else self._carriers[carrier_id],
            ids,
            columns.networks,
            segments or 1,
        )
        batch = Batch(
            handle=next(self._handles),
            lane=columns.lane,
            carrier_id=carrier_id or min(self._carriers, default=NO_CARRIER),
            merchant_id=columns.merchant_id,
            campaign_id=columns.campaign_id,
            sender=columns.sender,
            expires_at=columns.expires_at,
            message_ids=_ids(ids) if parts is None else array("q", ids),
            msisdns=columns.msisdns,
            texts=written.texts,
            coding=written.coding,
            sell_item_ids=rates.sell_item_ids,
            sell_micros=rates.sell_micros,
            cost_item_ids=rates.cost_item_ids,
            cost_micros=rates.cost_micros,
            currency=rates.currency,
            cost_currency=rates.cost_currency,
            delivered=rates.delivered,
            chunk=columns.chunk,
            bodies=columns.bodies,
            segments=segments,
            networks=columns.networks,
            parts=parts,
            way=Way(plan.route, plan.tiers, tried),
            wording=columns.wording,
            refusable=columns.refusable,
            tlvs=columns.tlvs,
        )
        nobody = plan.reason or (SENDER_UNKNOWN if carrier_id is None else None)
        return batch, _refusals(nobody, columns.reasons, written.reasons, rates.reasons)


def bodies_where_possible(
    carrier: Carrier, batch: Batch, indexes: list[int], elsewhere: Elsewhere
) -> tuple[list[int], list[bytes], Refused]:
    """Return whose submit_sm bodies can be made, these bodies, and why others can be nowhere."""
    try:
        return indexes, _bodies(carrier, batch, indexes), []
    except (TextError, BodyError):
        pass  # one text is enough to refuse them all: now one by one
    good: list[int] = []
    bodies: list[bytes] = []
    refused: Refused = []
    for index in indexes:
        try:
            bodies += _bodies(carrier, batch, [index])
        except (TextError, BodyError) as exc:
            refused.append((index, exc.code))
        else:
            good.append(index)
    whole = [index for index, _ in refused if batch.is_whole(index)]
    if whole and batch.ended is None and elsewhere(batch, whole, carrier.name):
        refused = [(index, reason) for index, reason in refused if index not in whole]
    if batch.parts is not None:  # what else of their messages stands here is worth nothing alone
        batch.parts.breaks([index for index, _ in refused])
        broken = set(batch.parts.broken(good))
        refused += [(index, PART_REFUSED) for index in sorted(broken)]
        bodies = [body for index, body in zip(good, bodies, strict=True) if index not in broken]
        good = [index for index in good if index not in broken]
    return good, bodies, refused


def _bodies(carrier: Carrier, batch: Batch, indexes: Sequence[int]) -> list[bytes]:
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
    chosen = [texts[i] for i in indexes]
    bodies = carrier.bodies(batch.sender, msisdns, chosen, *batch.coding, batch.tlvs)
    if batch.parts is None:
        return bodies
    return [body + batch.parts.tlvs[i] for body, i in zip(bodies, indexes, strict=True)]


def _lacking(texts: Sequence[Written]) -> set[int]:
    """Return the places of texts that the carrier's alphabets cannot write."""
    return {
        written.places[n] if written.places is not None else n
        for written in texts
        if any(written.reasons)
        for n, reason in enumerate(written.reasons)
        if reason in LACKS_LETTERS
    }


def _refusals(nobody: str | None, *reasons: Sequence[str | None]) -> Refused:
    """Return which entries have a reason not to be written: the first of their reasons."""
    if nobody is not None:
        return [(index, nobody) for index in range(len(reasons[0]))]
    if not any(map(any, reasons)):
        return []
    firsts = (next(filter(None, row), None) for row in zip(*reasons, strict=True))
    return [(index, reason) for index, reason in enumerate(firsts) if reason]


def _alike(
    senders: Sequence[str], expires_at: Sequence[datetime], kinds: Sequence[Kept]
) -> list[tuple[str, Kept, list[int]]]:
    """Return which places share a sender, a kind and the minute of expiry."""
    groups: dict[tuple[str, Kept, datetime], list[int]] = defaultdict(list)
    for place, (sender, at, kind) in enumerate(zip(senders, expires_at, kinds, strict=True)):
        groups[sender, kind, at.replace(second=0, microsecond=0)].append(place)
    return [(sender, kind, places) for (sender, kind, _), places in groups.items()]


def _ids(ids: Sequence[int]) -> Sequence[int]:
    """Return ids in 8 octets each; a contiguous run costs nothing."""
    if ids and ids[-1] - ids[0] == len(ids) - 1:
        return range(ids[0], ids[-1] + 1)
    return array("q", ids)
