"""
MOs: committed in groups, each keeping its own fate; deliver_sm_resp leaves after the commit.

A group is one transaction: the MO, the order, the stock, consent, the ledger line, the outgoing text and
the event to the shop stand or fall together.
"""

from __future__ import annotations

import asyncio
import hashlib
import traceback
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
from smsgate.flows.inbound_case import DeskTools
from smsgate.flows.inbound_desk import Desk, order_numbers_in
from smsgate.flows.inbound_records import InboundContext, InboundRow, InboundWrites
from smsgate.flows.ledger import ledger_lines
from smsgate.flows.ports import Carrier, StopSet, Wakeups
from smsgate.flows.ports_inbound import InboundStore
from smsgate.flows.records import Ack, MobileOriginated
from smsgate.msisdn import mask

log = structlog.get_logger(__name__)

QUEUE_MAX: Final = 20_000  # MOs waiting: ~1 kB each; beyond it the carrier is told to come back
GROUP_MAX: Final = 200  # MOs of one transaction: bounds its locks to some tens of milliseconds
# A deadlock, or two orders with the same eight digits; three times over it is something else.
ATTEMPTS: Final = 3


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
        owner: int,
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
        self._owner = owner
        self._busy_status = busy_status
        self._closing = False
        # STOPs that wait for their commit, by (sender number, msisdn): they hold the sender number meanwhile.
        self._pending_stops: Counter[tuple[str, int]] = Counter()
        self._queue: asyncio.Queue[MobileOriginated | None] = asyncio.Queue(QUEUE_MAX)
        self.busy = False  # a group is being committed
        self.taken = 0
        self.turned_away = 0
        self.outcomes: Counter[str] = Counter()

    def put(self, mo: MobileOriginated) -> None:
        """Take one MO; when the queue is full the carrier keeps it and tries again."""
        if "\0" in mo.text:
            mo = replace(mo, text=mo.text.replace("\0", "\ufffd"))  # PostgreSQL has no such character
        if _is_stop(mo):
            # In force from now on, whatever waits before it: the commit follows, or the carrier repeats it.
            self._stops.add(mo.destination, mo.msisdn, self._clock.monotonic())
            self._pending_stops[mo.destination, mo.msisdn] += 1
        try:
            self._queue.put_nowait(mo)
        except asyncio.QueueFull:
            self.turned_away += 1
            self._busy([mo])

    def backlog(self) -> int:
        return self._queue.qsize()

    def close(self) -> None:
        """End `run` after what was put before."""
        self._closing = True
        if self._queue.empty():
            self._queue.put_nowait(None)  # wake the reader; one that works looks again by itself

    async def run(self) -> None:
        while not (self._closing and self._queue.empty()):
            entries = [await self._queue.get()]
            while len(entries) < GROUP_MAX and not self._queue.empty():
                entries.append(self._queue.get_nowait())
            self.busy = True
            await self._commit([entry for entry in entries if entry is not None])
            self.busy = False

    async def _commit(self, mos: list[MobileOriginated]) -> None:
        if not mos:
            return
        for attempt in range(ATTEMPTS):
            try:
                writes = await self._one_transaction(mos, attempt)
            except StoreUnavailable as exc:
                if exc.sqlstate.startswith("40") and attempt + 1 < ATTEMPTS:
                    continue  # a deadlock: the other one has gone on
                log.error("inbound_waits", error=str(exc), messages=len(mos))
                self._busy(mos)
                return
            except Exception as exc:  # noqa: BLE001 # whatever it is, it must not cost the others their answers
                if len(mos) > 1:
                    middle = len(mos) // 2  # one that cannot be taken must not refuse its neighbours
                    await self._commit(mos[:middle])
                    await self._commit(mos[middle:])
                    return
                self._log_failure(mos[0], exc, attempt)
            else:
                self._after(mos, writes)
                return
        self._busy(mos)

    def _log_failure(self, mo: MobileOriginated, exc: Exception, attempt: int) -> None:
        """Write where it failed, and no text of the customer, which an error may quote."""
        last = traceback.extract_tb(exc.__traceback__)[-1]
        log.error(
            "inbound_failed",
            error=type(exc).__name__,
            sqlstate=exc.sqlstate if isinstance(exc, StoreError) else None,
            where=f"{last.filename}:{last.lineno}",
            msisdn=mask(mo.source),
            attempt=attempt,
        )

    async def _one_transaction(self, mos: list[MobileOriginated], attempt: int) -> InboundWrites:
        await self._prices.refresh()
        async with self._store.group() as group:
            fresh = await group.first_seen(mos, [fingerprint(mo) for mo in mos], self._owner)
            whole: list[tuple[MobileOriginated, bool]] = []
            for place, mo in enumerate(mos):
                if place not in fresh:
                    # A STOP is taken however often it is said: the person may have come back meanwhile.
                    if _is_stop(mo):
                        whole.append((mo, True))
                elif mo.total == 1 or not mo.msisdn:
                    whole.append((mo, False))
                elif (text := await group.add_part(mo)) is not None:
                    whole.append((replace(mo, text=text, total=1, part=1), False))
            if not whole:
                return InboundWrites()
            numbers = [(mo.msisdn, number) for mo, _ in whole for number in order_numbers_in(mo.text)]
            context = await group.context([mo for mo, _ in whole], numbers)
            desk = Desk(context, self._tools, attempt=attempt)
            for mo, repeated in whole:
                found = context.open_offers.get((mo.msisdn, mo.destination))
                names = () if found is None else (found.offer.shop_name, found.offer.item)
                reading = read_reply(mo.text, _language(context, mo), names=names)
                desk.take(mo, reading, repeated=repeated)
            self._charge(desk.writes)
            await group.write(desk.writes)
        return desk.writes

    def _charge(self, writes: InboundWrites) -> None:
        """Charge each merchant for the replies it got; a list without MO prices makes them free."""
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
        for merchant_id, msisdn, stopped in writes.consent_changes:
            if stopped:
                self._stops.add(merchant_id, msisdn, now)
            else:
                self._stops.remove(merchant_id, msisdn)
        for key in self._settle_stops(mos):
            self._stops.remove(*key)  # the merchants that it concerns are held by now
        for msisdn, at in writes.answers:
            self._tools.limit.count(msisdn, at)
        self._acknowledge(mos, 0)
        if len(writes.messages):
            self._wakeups.interactive()
        if len(writes.events):
            self._wakeups.deliveries()
        self.taken += len(mos)
        self.outcomes.update(row.outcome for row in writes.rows)
        log.info("inbound_committed", messages=len(mos), outcomes=_tally(writes.rows))

    def _settle_stops(self, mos: Sequence[MobileOriginated]) -> list[tuple[str, int]]:
        """Return the (sender number, msisdn) for which no STOP waits any more."""
        settled = []
        for mo in mos:
            key = (mo.destination, mo.msisdn)
            if key in self._pending_stops and _is_stop(mo):
                self._pending_stops[key] -= 1
                if not self._pending_stops[key]:
                    del self._pending_stops[key]
                    settled.append(key)
        return settled

    def _busy(self, mos: Sequence[MobileOriginated]) -> None:
        self._settle_stops(mos)  # the hold stays: the person has said it, and the carrier says it again
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


def _is_stop(mo: MobileOriginated) -> bool:
    """Return whether a text is a STOP in any language; a part of a long text is not read alone."""
    return bool(mo.msisdn) and mo.total == 1 and read_reply(mo.text).label is Label.STOP


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
