"""
MOs: committed in groups, each keeping its own fate; deliver_sm_resp leaves after the commit.

A group is one transaction: the MO, the order, the stock, consent, the ledger line, the outgoing text and
the event to the shop stand or fall together.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import structlog

from smsgate.billing.networks import NetworkTable
from smsgate.billing.postings import PostingKey, posting
from smsgate.billing.prices import Direction
from smsgate.campaigns.replies import Label, read_reply
from smsgate.clock import Clock
from smsgate.errors import StoreError, StoreUnavailable
from smsgate.flows.composing import Prices
from smsgate.flows.inbound_desk import Desk, DeskTools
from smsgate.flows.inbound_records import InboundContext, InboundRow, InboundWrites
from smsgate.flows.ledger import ledger_lines
from smsgate.flows.ports import Carrier, StopSet, Wakeups
from smsgate.flows.ports_inbound import InboundStore
from smsgate.flows.records import Ack, MobileOriginated
from smsgate.msisdn import mask

log = structlog.get_logger(__name__)

QUEUE_MAX: Final = 20_000  # MOs waiting: ~1 kB each; beyond it the carrier is told to come back
GROUP_MAX: Final = 200  # MOs of one transaction: bounds its locks to some tens of milliseconds
NUMBER_ATTEMPTS: Final = 3  # two orders with the same eight digits, three times over: 10^-12


class Intake:
    """Take MOs from links, commit them in groups, answer the carrier."""

    def __init__(
        self,
        store: InboundStore,
        carriers: Mapping[int, Carrier],
        prices: Prices,
        networks: NetworkTable,
        tools: DeskTools,
        stops: StopSet,
        wakeups: Wakeups,
        clock: Clock,
        *,
        busy_status: Callable[[int], int],
    ) -> None:
        self._store = store
        self._carriers = carriers
        self._prices = prices
        self._networks = networks
        self._tools = tools
        self._stops = stops
        self._wakeups = wakeups
        self._clock = clock
        self._busy_status = busy_status
        self._queue: asyncio.Queue[MobileOriginated | None] = asyncio.Queue(QUEUE_MAX)
        self.busy = False  # a group is being committed
        self.taken = 0
        self.turned_away = 0
        self.outcomes: Counter[str] = Counter()

    def put(self, mo: MobileOriginated) -> None:
        """Take one MO; when the queue is full the carrier keeps it and tries again."""
        if mo.msisdn and read_reply(mo.text).label is Label.STOP:
            # In force from now on, whatever waits before it: the commit follows, or the carrier repeats it.
            self._stops.add(mo.destination, mo.msisdn, self._clock.monotonic())
        try:
            self._queue.put_nowait(mo)
        except asyncio.QueueFull:
            self.turned_away += 1
            self._busy([mo])

    def backlog(self) -> int:
        return self._queue.qsize()

    def close(self) -> None:
        """End `run` after what was put before."""
        # A full queue is no obstacle: the reader makes room before the loop ends.
        task = asyncio.ensure_future(self._queue.put(None))
        task.add_done_callback(lambda _: None)

    async def run(self) -> None:
        last = False
        while not last:
            entries = [await self._queue.get()]
            while len(entries) < GROUP_MAX and not self._queue.empty():
                entries.append(self._queue.get_nowait())
            last = None in entries
            self.busy = True
            await self._commit([entry for entry in entries if entry is not None])
            self.busy = False

    async def _commit(self, mos: list[MobileOriginated]) -> None:
        if not mos:
            return
        for attempt in range(NUMBER_ATTEMPTS):
            try:
                writes = await self._one_transaction(mos, attempt)
            except StoreUnavailable as exc:
                log.error("inbound_waits", error=str(exc), messages=len(mos))
                self._busy(mos)
                return
            except StoreError as exc:
                if len(mos) > 1:
                    middle = len(mos) // 2  # one bad row must not refuse its neighbours
                    await self._commit(mos[:middle])
                    await self._commit(mos[middle:])
                    return
                log.error("inbound_refused", error=str(exc), msisdn=mask(mos[0].source), attempt=attempt)
            else:
                self._after(mos, writes)
                return
        self._busy(mos)

    async def _one_transaction(self, mos: list[MobileOriginated], attempt: int) -> InboundWrites:
        async with self._store.group() as group:
            fresh = await group.first_seen(mos, [fingerprint(mo) for mo in mos])
            whole: list[MobileOriginated] = []
            for place in sorted(fresh):
                mo = mos[place]
                if mo.total > 1:
                    text = await group.add_part(mo)
                    if text is None:
                        continue
                    mo = replace(mo, text=text, total=1, part=1)
                whole.append(mo)
            if not whole:
                return InboundWrites()
            context = await group.context(whole)
            desk = Desk(context, self._tools, attempt=attempt)
            for mo in whole:
                found = context.open_offers.get((mo.msisdn, mo.destination))
                names = () if found is None else (found.offer.shop_name, found.offer.item)
                desk.take(mo, read_reply(mo.text, _language(context, mo), names=names))
            await self._charge(desk.writes)
            await group.write(desk.writes)
        return desk.writes

    async def _charge(self, writes: InboundWrites) -> None:
        """Charge each merchant for the replies it got; a list without MO prices makes them free."""
        await self._prices.refresh()
        now = self._clock.now()
        charges: Counter[tuple[int, int | None, int, int, int, str]] = Counter()
        for row in writes.rows:
            book = self._prices.book_of(row.merchant_id)
            version = None if book is None else book.version_at(now)
            network = self._networks.network_of(str(row.mo.msisdn)).mccmnc
            item = None if version is None else version.lookup(Direction.MO, network)
            if item is not None and book is not None:
                key = (row.merchant_id, row.campaign_id, row.mo.carrier_id, item.item_id, item.unit_micros)
                charges[(*key, book.currency)] += 1
        for (merchant_id, campaign_id, carrier_id, item_id, unit, currency), count in charges.items():
            made = posting(
                PostingKey(merchant_id, campaign_id, item_id, currency, None, None, None),
                count, count, unit * count, 0,
            )  # fmt: skip
            writes.postings += ledger_lines(made, self._tools.ids.next(), "mo", carrier_id, now)

    def _after(self, mos: Sequence[MobileOriginated], writes: InboundWrites) -> None:
        """The group is durable: STOPs are in force before the next submit, then everything may leave."""
        now = self._clock.monotonic()
        for merchant_id, msisdn, sender in writes.starts:
            self._stops.remove(merchant_id, msisdn)
            self._stops.remove(sender, msisdn)
        for merchant_id, msisdn in writes.stops:
            self._stops.add(merchant_id, msisdn, now)
        self._acknowledge(mos, 0)
        if len(writes.messages):
            self._wakeups.interactive()
        if len(writes.events):
            self._wakeups.deliveries()
        self.taken += len(mos)
        self.outcomes.update(row.outcome for row in writes.rows)
        log.info("inbound_committed", messages=len(mos), outcomes=_tally(writes.rows))

    def _busy(self, mos: Sequence[MobileOriginated]) -> None:
        by_carrier: dict[int, list[MobileOriginated]] = {}
        for mo in mos:
            by_carrier.setdefault(mo.carrier_id, []).append(mo)
        for carrier_id, group in by_carrier.items():
            self._acknowledge(group, self._busy_status(carrier_id))

    def _acknowledge(self, mos: Sequence[MobileOriginated], status: int) -> None:
        acks: dict[int, list[Ack]] = {}
        for mo in mos:
            if mo.ack is not None:
                acks.setdefault(mo.carrier_id, []).append(mo.ack)
        for carrier_id, group in acks.items():
            self._carriers[carrier_id].acknowledge(group, status)


def fingerprint(mo: MobileOriginated) -> bytes:
    """Return what makes a redelivered deliver_sm the same: who, to whom, what, and which part."""
    head = f"{mo.source}|{mo.destination}|{mo.data_coding}|{mo.ref}|{mo.total}|{mo.part}|".encode()
    return hashlib.blake2b(head + mo.raw, digest_size=16).digest()


def _language(context: InboundContext, mo: MobileOriginated) -> str:
    """Return the language that the person is written to in; it decides words that differ."""
    found = context.open_offers.get((mo.msisdn, mo.destination))
    people = context.people.get(mo.msisdn, [])
    if found is not None:
        mine = [person for person in people if person.merchant_id == found.offer.merchant_id]
        return mine[0].language if mine else found.offer.language
    return people[0].language if people else "en"


def _tally(rows: Sequence[InboundRow]) -> dict[str, int]:
    return dict(Counter(row.outcome for row in rows))
