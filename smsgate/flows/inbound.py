"""
MOs: committed in groups, each keeping its own fate; deliver_sm_resp leaves after the commit.

A group is one transaction: the MO, the order, the stock, consent, the ledger line, the outgoing text and
the event to the shop stand or fall together.
"""

from __future__ import annotations

import asyncio
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

import structlog

from smsgate.billing.networks import NetworkTable
from smsgate.campaigns.blocks import block_case
from smsgate.campaigns.order_commands import may_command
from smsgate.clock import Clock
from smsgate.errors import CommitUnknown, StoreError, StoreUnavailable
from smsgate.flows.esme_mos import Taker
from smsgate.flows.heard import Heard, Said, in_force, reading_of, tally
from smsgate.flows.inbound_case import DeskTools
from smsgate.flows.inbound_charges import ReplyCharges
from smsgate.flows.inbound_desk import Desk
from smsgate.flows.inbound_later import Later, acks_of
from smsgate.flows.inbound_records import InboundWrites, fingerprint, storable
from smsgate.flows.inbound_turns import QUEUE_MAX, Turn, Turns, Waiting
from smsgate.flows.inbound_wishes import ORDERED_WITHIN
from smsgate.flows.order_texts import order_numbers_in
from smsgate.flows.ports import Carrier, StopSet, Wakeups
from smsgate.flows.ports_inbound import InboundGroup, InboundStore
from smsgate.flows.records import Ack, MobileOriginated
from smsgate.flows.routes import Prices
from smsgate.flows.texts_at_once import IN_THE_QUEUE, Choose, Texts
from smsgate.msisdn import mask

log = structlog.get_logger(__name__)

# A deadlock, or two orders with the same eight digits; three times over it is something else.
ATTEMPTS: Final = 3
READ_IN_A_ROW: Final = 20  # a reading takes about a millisecond; links' answers must not wait for 200 of them
# A phone sends its parts within seconds. Longer, and a STOP waits; shorter, and a text is torn.
PARTS_WAIT: Final = timedelta(seconds=30)
PARTS_MAX: Final = 200  # long MOs settled in one step of the loop
# What a part alone held is decided by then, here or by another process that had the rest.
PART_HOLD_S: Final = 3 * PARTS_WAIT.total_seconds()


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
        texts: Texts = IN_THE_QUEUE,
    ) -> None:
        self._store = store
        self._carriers = carriers
        self._prices = prices
        self._charges = ReplyCharges(prices, networks, tools.ids.next, clock)
        self._tools = tools
        self._stops = stops
        self._wakeups = wakeups
        self._clock = clock
        self._owner = owner
        self._process = str(owner)  # as those know it who say something again
        self._unseen = 0  # commits whose end was not seen
        self._busy_status = busy_status
        self._texts = texts
        self.halted = False  # there is no room on the disk: carriers are told to come back
        # STOPs that wait for their commit, by (sender number, msisdn): they hold the sender number meanwhile.
        self._pending_stops: Counter[tuple[str, int]] = Counter()
        # The same by a part of a long text, and since when (monotonic seconds); oldest first.
        self._part_holds: dict[tuple[str, int], float] = {}
        self._turns = Turns()
        self._waiting = Waiting(self._turns.news)
        self._later = Later(self._acknowledge_busy, clock)
        self.taken = 0
        self.turned_away = 0
        self.repeated = 0  # what a carrier delivered again
        self.outcomes: Counter[str] = Counter()

    def put(self, mo: MobileOriginated) -> None:
        """Take one MO; when the queue is full the carrier keeps it and tries again."""
        if "\0" in mo.text:
            mo = replace(mo, text=storable(mo.text))
        heard = Heard(mo, reading_of(mo.text))
        if heard.stop:
            # In force from now on, whatever waits before it: the commit follows, or the carrier repeats it.
            now = self._clock.monotonic()
            self._stops.hold(*heard.key, now)
            if heard.whole:
                self._pending_stops[heard.key] += 1
            else:
                self._hold_by_part(heard.key, now)
        if self.halted or self._waiting.full():
            self.turned_away += 1
            self._settle_stops([heard])  # the hold stays: the carrier says it again
            self._later.add([heard.mo])
        else:
            self._waiting.put(heard)

    async def take(self, mo: MobileOriginated) -> InboundWrites:
        """
        Decide one whole MO at once, for a caller that waits for it, and return what was written.

        Raises:
            StoreError: nothing was.
        """
        heard = Heard(mo, reading_of(mo.text))
        if heard.stop:
            self._stops.hold(*heard.key, self._clock.monotonic())
            self._pending_stops[heard.key] += 1
        try:
            with await self._turns.come() as turn:
                await turn.about(mo.msisdn)
                writes, joined = await self._one_transaction([heard], 0, turn)
        except BaseException:  # the caller may be cut off while it waits, or while the commit is on its way
            self._settle_stops([heard])  # the hold stays: it may be committed, or it is said again
            raise
        self._after([heard], writes, joined)  # in one step with the end of the turn
        return writes

    @property
    def busy(self) -> bool:
        """Whether a group is being committed."""
        return self._turns.busy

    def backlog(self) -> int:
        return len(self._waiting)

    def close(self) -> None:
        """End `run` after what was put before."""
        self._waiting.close()

    async def run(self) -> None:
        """Commit what is put, in groups, until `close`."""
        async with asyncio.TaskGroup() as groups:
            while await self._waiting.come():
                turn = await self._turns.come()
                try:
                    entries = await turn.drawn(self._waiting)
                except BaseException:
                    turn.leave()
                    raise
                group = groups.create_task(self._commit(entries, turn))
                group.add_done_callback(turn.end)

    async def settle_parts(self) -> bool:
        """
        Decide long MOs of which no further part comes, or whose parts two processes took at once.

        One step of a loop; return whether there may be more. One that cannot be decided keeps its place
        until housekeeping drops it, and holds up no other.
        """
        more = False
        for carrier_id in await self._store.carriers_of_parts():
            failed = 0
            for settled in range(PARTS_MAX):
                with await self._turns.come() as turn:
                    await turn.alone()  # whose text it is, is not known before
                    found = await self._settle_one(carrier_id, failed, turn)
                if found is None:
                    break
                failed += not found
                more = more or settled + 1 == PARTS_MAX
        self._end_part_holds()
        return more

    async def _settle_one(self, carrier_id: int, skip: int, turn: Turn) -> bool | None:
        """Return whether one was decided; None when none is due."""
        mo: MobileOriginated | None = None
        for attempt in range(ATTEMPTS):
            try:
                await self._prices.refresh()
                async with self._texts.claiming() as choose, self._store.group() as group:
                    joined = await group.take_parts(carrier_id, self._clock.now() - PARTS_WAIT, skip)
                    if joined is None:
                        return None
                    mo = joined.mo
                    arrived = await group.arrive([mo], (), self._process)
                    said = [Said(mo, reading_of(mo.text), complete=joined.complete)]
                    writes = await self._decide(group, said, attempt, turn, arrived.takers, [], choose)
            except StoreUnavailable:
                raise
            except Exception as exc:  # one text that cannot be decided must not end the process
                if mo is None:
                    raise
                self._log_failure(mo, exc, attempt)
            else:
                self._in_force(writes)
                self._end_part_hold((mo.destination, mo.msisdn))
                log.info("inbound_parts_settled", complete=joined.complete, outcomes=tally(writes.rows))
                return True
        return False

    async def _commit(self, mos: list[Heard], turn: Turn) -> None:
        for attempt in range(ATTEMPTS):
            try:
                writes, joined = await self._one_transaction(mos, attempt, turn)
            except StoreUnavailable as exc:
                if exc.sqlstate.startswith("40") and attempt + 1 < ATTEMPTS:
                    continue  # a deadlock: the other one has gone on
                if isinstance(exc, CommitUnknown):  # it may stand, and its carrier is told to bring it again
                    self._unseen += 1
                    self._process = f"{self._owner}.{self._unseen}"
                log.error("inbound_waits", error=str(exc), messages=len(mos))
                self._busy(mos)
                return
            except Exception as exc:  # noqa: BLE001 # whatever it is, it must not cost the others their answers
                if len(mos) > 1:
                    middle = len(mos) // 2  # one that cannot be taken must not refuse its neighbours
                    await self._commit(mos[:middle], turn)
                    await self._commit(mos[middle:], turn)
                    return
                self._log_failure(mos[0].mo, exc, attempt)
            else:
                self._after(mos, writes, joined)
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

    async def _one_transaction(
        self, entries: list[Heard], attempt: int, turn: Turn
    ) -> tuple[InboundWrites, list[tuple[str, int]]]:
        """Return what was written, and (sender number, msisdn) of the texts that became whole."""
        await self._prices.refresh()
        repeated = 0
        joined: list[tuple[str, int]] = []
        async with self._texts.claiming() as choose, self._store.group() as group:
            mos = [entry.mo for entry in entries]
            arrived = await group.arrive(mos, [fingerprint(mo) for mo in mos], self._process)
            said: list[Said] = []
            for place, heard in enumerate(entries):
                if place not in arrived.fresh:
                    repeated += 1
                    if heard.whole:
                        said.append(Said(heard.mo, heard.reading, repeated=True))
                elif heard.whole:
                    said.append(Said(heard.mo, heard.reading))
                elif ready := await group.add_part(heard.mo):
                    said += [Said(mo, reading_of(mo.text), complete=complete) for mo, complete in ready]
                    joined += [heard.key] if ready[-1].complete else []
            parts = [mos[place] for place in sorted(arrived.fresh)]
            writes = await self._decide(group, said, attempt, turn, arrived.takers, parts, choose)
        self.repeated += repeated
        return writes, joined

    async def _decide(
        self,
        group: InboundGroup,
        said: list[Said],
        attempt: int,
        turn: Turn,
        takers: dict[str, Taker],
        parts: Sequence[MobileOriginated],
        choose: Choose,
    ) -> InboundWrites:
        """
        Read, decide and write; nothing is in force before the group's commit.

        `parts` are what came for the first time, as it came: ESMEs get it so.
        """
        if not said and not takers:
            return InboundWrites()
        numbers = [(each.mo.msisdn, number) for each in said for number in order_numbers_in(each.mo.text)]
        mentioning = {each.mo.msisdn for each in said if _asks_for_orders(each)}
        since = self._clock.now() - ORDERED_WITHIN
        of_anybody = [each.mo for each in said if each.of_anybody]
        context = await group.context(
            [each.mo for each in said],
            numbers,
            sorted(mentioning),
            since,
            of_anybody=of_anybody,
            users={mo.destination: self._tools.users(mo.destination) for mo in of_anybody},
        )
        turn.has_read()
        context.takers = takers
        desk = Desk(context, self._tools, attempt=attempt)
        desk.writes.esmes.hand_over_parts(takers, parts)
        for place, each in enumerate(said):
            mo, reading = each.mo, each.alone
            if place % READ_IN_A_ROW == READ_IN_A_ROW - 1:
                await asyncio.sleep(0)
            if not each.stop:
                found = context.open_offers.get((mo.msisdn, mo.destination))
                names = () if found is None else (found.offer.shop_name, found.offer.item)
                reading = reading_of(mo.text, context.language_of(mo), names)
            desk.take(mo, reading, repeated=each.repeated, complete=each.complete)
        await self._charges.add(desk.writes, context.ported)
        choose(context, desk.writes)
        await group.write(desk.writes)
        return desk.writes

    def _after(
        self, entries: Sequence[Heard], writes: InboundWrites, joined: Sequence[tuple[str, int]]
    ) -> None:
        """The group is durable: STOPs are in force before the next submit, then everything may leave."""
        for key in self._settle_stops(entries):
            if key not in self._part_holds:
                self._stops.release(*key)
        for key in joined:
            self._end_part_hold(key)
        self._in_force(writes)  # in one step with the above: nothing is sent in between
        self._acknowledge(acks_of(entry.mo for entry in entries), 0)
        self.taken += len(entries)
        log.info("inbound_committed", messages=len(entries), outcomes=tally(writes.rows))

    def _in_force(self, writes: InboundWrites) -> None:
        now = self._clock.monotonic()
        in_force(writes, self._stops, self._wakeups, now)
        for said in writes.esmes.stops:
            if said.stopped:
                self._stops.add(said.sender, said.msisdn, now)
        self._texts.committed(writes)
        self.outcomes.update(row.outcome for row in writes.rows)

    def _settle_stops(self, entries: Sequence[Heard]) -> list[tuple[str, int]]:
        """Return the (sender number, msisdn) for which no STOP waits any more."""
        settled = []
        for heard in entries:
            key = heard.key
            if heard.stop and heard.whole and key in self._pending_stops:
                self._pending_stops[key] -= 1
                if not self._pending_stops[key]:
                    del self._pending_stops[key]
                    settled.append(key)
        return settled

    def _hold_by_part(self, key: tuple[str, int], now: float) -> None:
        self._part_holds.pop(key, None)
        self._part_holds[key] = now
        if len(self._part_holds) > QUEUE_MAX:  # its hold then lasts as long as `stops` keep it
            del self._part_holds[next(iter(self._part_holds))]

    def _end_part_hold(self, key: tuple[str, int]) -> None:
        if self._part_holds.pop(key, None) is not None and key not in self._pending_stops:
            self._stops.release(*key)

    def _end_part_holds(self) -> None:
        """End the holds whose long texts another process has decided."""
        until = self._clock.monotonic() - PART_HOLD_S
        for key in [key for key, since in self._part_holds.items() if since < until]:
            self._end_part_hold(key)

    def _busy(self, entries: Sequence[Heard]) -> None:
        self._settle_stops(entries)  # the hold stays: the person has said it, and the carrier says it again
        self._later.add([entry.mo for entry in entries])

    def _acknowledge_busy(self, acks: Mapping[int, Sequence[Ack]]) -> None:
        for carrier_id, group in acks.items():
            self._acknowledge({carrier_id: group}, self._busy_status(carrier_id))

    def _acknowledge(self, acks: Mapping[int, Sequence[Ack]], status: int) -> None:
        for carrier_id, group in acks.items():
            if (carrier := self._carriers.get(carrier_id)) is not None:
                carrier.acknowledge(group, status)


def _asks_for_orders(said: Said) -> bool:
    """Return whether the person's orders have to be read: a command, or a STOP that is a case."""
    text = said.mo.text
    return may_command(text) or (said.stop and block_case(text) is not None)
