"""A carrier account: any number of binds behind one rate, one window and one pair of lanes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final, assert_never

import structlog

from smsgate.errors import BodyError
from smsgate.flows.records import Ack, CarrierReceipts, Lane
from smsgate.links.asking import Asking
from smsgate.links.binds import Binds
from smsgate.links.bodies import BodyMaker
from smsgate.links.counts import CarrierCounts, ResponseTimes
from smsgate.links.deliveries import read_deliveries
from smsgate.links.flow import Flow
from smsgate.links.profile_changes import needs_new_bind
from smsgate.links.requests import Requests
from smsgate.links.submitted import submitted_bodies
from smsgate.msisdn import any_simulated, is_e164
from smsgate.protocol.commands import Status
from smsgate.protocol.message_ids import ReceiptIds
from smsgate.protocol.session_states import (
    Alert,
    BindKind,
    BindRefused,
    Bound,
    Closed,
    Congested,
    Delivered,
    Expired,
    Outbind,
    PeerUnbound,
    Receipts,
    Responded,
    SubmitAnswers,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from smsgate.clock import Clock
    from smsgate.flows.ports import CarrierEvents
    from smsgate.flows.records import BindStatus
    from smsgate.links.connection import Connection
    from smsgate.links.profile import CarrierProfile
    from smsgate.protocol.pcap import TracedPdu
    from smsgate.protocol.pdus import Pdu
    from smsgate.protocol.session_states import Event

SUMMARY_INTERVAL_S: Final = 60.0  # a flood of oddities writes one line in this time

log = structlog.get_logger(__name__)


def _refuse_simulated(msisdns: Sequence[int]) -> None:
    """Let no octets exist for a phone that is none, however they came here."""
    if any_simulated(msisdns):
        raise BodyError("a simulated phone has no carrier", Status.INVDSTADR)


class CarrierAccount:
    """Implements `flows.ports.Carrier`; tells `CarrierEvents` what the carrier says."""

    def __init__(
        self,
        profile: CarrierProfile,
        carrier_id: int,
        *,
        clock: Clock,
        random: Callable[[], float],
    ) -> None:
        """Raises ConfigError: a TLS file that cannot be read."""
        self.carrier_id = carrier_id
        self.name = profile.name
        self.receipt_ids = ReceiptIds(profile.receipt_id_forms())
        self._counts = CarrierCounts()
        self._earlier = CarrierCounts()  # of the accounts that were here before, for what the parts count
        self._clock = clock
        self._read(profile)
        self._flow = Flow(profile, clock.monotonic)
        self.requests = Requests(profile, lambda: self._senders, self._flow.throttle, clock.monotonic)
        self.response_times = ResponseTimes()
        self._asking: Asking | None = None
        if profile.query:
            self._asking = Asking(
                self.requests, clock.monotonic, after_s=profile.query_after_s, tell=self._take_state
            )
        self._asking_task: asyncio.Task[None] | None = None
        self._events: CarrierEvents | None = None
        self._binds = Binds(profile, self, clock=clock, random=random)
        self._connections: dict[int, Connection] = {}  # by token, until their Closed
        self._senders: list[Connection] = []  # bound, and not as receivers
        self._stopped = False
        self._down_since: float | None = clock.monotonic()  # until the first bind that sends
        self._summary_at = 0.0
        self._unreadable_told = 0

    def _read(self, profile: CarrierProfile) -> None:
        self.profile = profile
        self.rate_per_s = profile.rate_per_s
        self.cost_list = profile.cost_list
        self.alphabets = profile.alphabets
        self.long_alphabets = profile.long_alphabets
        self.retry_statuses = frozenset(profile.throttle_statuses)
        self.unreachable_statuses = frozenset(profile.unreachable_statuses)
        self.unreachable_wait_s = profile.unreachable_wait_s
        self.reroute_statuses = frozenset(profile.reroute_statuses)
        self.opted_out_statuses = frozenset(profile.opted_out_statuses)
        self.opted_out_errors = frozenset(error.encode() for error in profile.opted_out_errors)
        self.mo_busy_status = profile.mo_busy_status
        self._bodies = BodyMaker(profile, self._clock)
        self.concat = self._bodies.concat

    def adopt(self, profile: CarrierProfile) -> None:
        """Go on by a profile whose changes need no new bind (`profile_changes`)."""
        assert not needs_new_bind(self.profile, profile)
        with_tlvs = self._bodies.with_tlvs  # what the SMSC said when it was bound to
        self._read(profile)
        self._bodies.with_tlvs = with_tlvs
        self.concat = self._bodies.concat
        self._flow.adopt(profile)
        self.requests.adopt(profile, self._flow.throttle)

    @property
    def counts(self) -> CarrierCounts:
        counts, earlier, links = self._counts, self._earlier, self._binds.links
        counts.requests = earlier.requests + self.requests.written
        counts.setbacks = earlier.setbacks + sum(link.setbacks for link in links)
        counts.planned_rebinds = earlier.planned_rebinds + sum(link.planned_rebinds for link in links)
        return counts

    def count_on(self, before: CarrierAccount) -> None:
        """Go on with the counts of the account that was left: they are of the carrier, and never fall."""
        self._earlier, self._counts = replace(before.counts), replace(before.counts)
        self._unreadable_told = before._unreadable_told
        self.response_times = before.response_times

    # Life

    def start(self, events: CarrierEvents) -> None:
        """Begin to bind; needs a running loop."""
        self._events = events
        if self._asking is not None:
            self._asking_task = asyncio.get_running_loop().create_task(self._asking.run())
        self._binds.start()

    async def stop(self, timeout_s: float) -> None:
        """Leave in order, transmitters and receivers together; what stays open is in doubt."""
        self.stop_submitting()
        if self._asking_task is not None:
            self._asking_task.cancel()
            await asyncio.gather(self._asking_task, return_exceptions=True)
        await self._binds.stop(timeout_s)

    # The port

    def room(self, lane: Lane) -> int:
        return 0 if self._stopped or not self._senders else self._flow.room(self._senders, lane)

    def room_at(self, lane: Lane) -> float | None:
        return None if self._stopped or not self._senders else self._flow.room_at(self._senders, lane)

    def bodies(
        self,
        sender: str,
        msisdns: Sequence[int],
        texts: Sequence[bytes],
        data_coding: int,
        esm_class: int = 0,
        tlvs: bytes = b"",
    ) -> list[bytes]:
        _refuse_simulated(msisdns)
        return self._bodies.bodies(sender, msisdns, texts, data_coding, esm_class, tlvs)

    def submitted_bodies(
        self, sender: str, msisdns: Sequence[int], bodies: Sequence[bytes], expires_at: datetime
    ) -> list[bytes]:
        _refuse_simulated(msisdns)
        with_tlvs = self._bodies.with_tlvs
        return submitted_bodies(
            self.profile, self._clock, sender, msisdns, bodies, expires_at, with_tlvs=with_tlvs
        )

    def submit(
        self, bodies: Sequence[bytes], slots: Sequence[int], lane: Lane, segments: Sequence[int] = ()
    ) -> int:
        assert len(bodies) == len(slots)
        if self._stopped or not self._senders:
            return 0
        start = self._flow.submit(self._senders, bodies, slots, lane, segments)
        if self._asking is not None and lane is Lane.INTERACTIVE:
            self._asking.sent(bodies[:start], slots[:start])
        self._counts.submitted += start
        return start

    def acknowledge(self, acks: Sequence[Ack], status: int = 0) -> None:
        by_session: dict[int, list[int]] = {}
        for ack in acks:
            by_session.setdefault(ack.session, []).extend(ack.sequence_numbers)
        for token, sequence_numbers in by_session.items():
            connection = self._connections.get(token)
            if connection is None:
                self._counts.acks_gone += len(sequence_numbers)
            else:
                self._counts.acks += len(sequence_numbers)
                connection.acknowledge(sequence_numbers, status)

    def stop_submitting(self) -> None:
        self._stopped = True

    def resume_submitting(self) -> None:
        self._stopped = False
        if self._events is not None:
            self._events.room_changed(self.carrier_id)

    def down_since(self) -> float | None:
        return 0.0 if self._stopped else self._down_since

    def in_flight(self) -> int:
        return sum(connection.session.in_flight() for connection in self._connections.values())

    def binds(self) -> list[BindStatus]:
        return self._binds.statuses()

    def traced(self, bind: str | None = None) -> list[TracedPdu]:
        """Return the last PDUs of all binds, or of one by its name, oldest first; secrets stand in them."""
        return self._binds.traced(bind)

    def rate_now(self) -> float:
        """Return segments per second at this moment: less than `rate_per_s` after the carrier throttled."""
        return self._flow.rate()

    # What the links tell

    def take(self, kind: BindKind, connection: Connection, events: list[Event]) -> None:
        assert self._events is not None
        unread: list[Delivered] = []
        room_changed = False
        for event in events:
            match event:
                case SubmitAnswers():
                    self._take_answers(connection, event)
                    room_changed = True
                case Receipts():
                    self._take_receipts(connection.token, event)
                case Delivered():
                    unread.append(event)
                case Bound(sc_interface_version=version):
                    self._bodies.take_version(version)
                    self.concat = self._bodies.concat
                    self._connections[connection.token] = connection
                    if kind is not BindKind.RECEIVER:
                        self._senders.append(connection)
                        self._down_since = None
                        room_changed = True
                case Expired(slots, requests):
                    self._take_in_doubt(slots)
                    self.requests.unanswered(connection.token, requests)
                    room_changed = True
                case PeerUnbound():
                    self._forget_sender(connection)
                case Closed(slots=slots, requests=requests):
                    self._forget_sender(connection)
                    self.requests.unanswered(connection.token, requests)
                    self._take_end(connection, slots)
                case Alert(pdu):
                    self._take_alert(pdu)
                case Responded(pdu):
                    if pdu.status in self.retry_statuses:
                        self._slow_down(connection)
                    self.requests.answered(connection.token, pdu)
                    room_changed = True
                case Congested(state):
                    self._flow.congestion(state)
                case BindRefused() | Outbind():
                    pass
                case _:
                    assert_never(event)
        if unread:
            self._take_deliveries(connection, unread)
        if room_changed:
            self._events.room_changed(self.carrier_id)

    def writable(self, connection: Connection) -> None:  # noqa: ARG002
        assert self._events is not None
        self._events.room_changed(self.carrier_id)

    def leave(self, connection: Connection) -> None:
        self._forget_sender(connection)

    def _take_answers(self, connection: Connection, answers: SubmitAnswers) -> None:
        assert self._events is not None
        self._counts.answered += len(answers.slots)
        self._counts.accepted += answers.statuses.count(0)
        self.response_times.add(connection.session.response_s)
        if any(answers.statuses):
            throttled = sum(map(self.retry_statuses.__contains__, answers.statuses))
            self._counts.refused += len(answers.statuses) - answers.statuses.count(0) - throttled
            if throttled:
                self._counts.throttled += throttled
                self._slow_down(connection)
        if self._asking is not None:
            self._asking.answered(answers.slots, answers.statuses, answers.message_ids)
        if answers.congestion_state is not None:
            self._flow.congestion(answers.congestion_state)
        self._events.answered(answers.slots, answers.statuses, answers.message_ids)

    def _take_alert(self, pdu: Pdu) -> None:
        """A phone is back. The alert itself has no answer (SMPP 3.4 §4.12)."""
        assert self._events is not None
        self._counts.alerts += 1
        digits = pdu.fields["source_addr"].decode("latin-1").removeprefix("+")
        if is_e164(digits):
            self._events.reachable(self.carrier_id, int(digits))

    def _take_state(self, message_id: bytes, state: int, error: bytes) -> None:
        """Hand up what query_sm found, as a receipt that nobody waits to have answered."""
        assert self._events is not None
        ack = Ack(self.carrier_id, 0, [])
        self._events.receipts(
            CarrierReceipts(self.carrier_id, [message_id], [b""], [state], [error], ack, of_responses=True)
        )

    def _slow_down(self, connection: Connection) -> None:
        self._flow.slow_down(connection.session.response_s)

    def _take_receipts(self, token: int, rows: Receipts, unreadable: Sequence[bytes] = ()) -> None:
        """Hand up receipts as columns; `unreadable` ones are the last of `sequence_numbers`."""
        assert self._events is not None
        self._counts.receipts += len(rows.message_ids)
        if self._asking is not None:
            self._asking.receipts(self.receipt_ids, rows.message_ids, rows.other_ids, rows.states)
        self._events.receipts(
            CarrierReceipts(
                self.carrier_id,
                rows.message_ids,
                rows.other_ids,
                rows.states,
                rows.errors,
                Ack(self.carrier_id, token, rows.sequence_numbers),
                unreadable,
            )
        )

    def _take_deliveries(self, connection: Connection, deliveries: list[Delivered]) -> None:
        """Hand up MOs one by one, the receipts among them as columns, with those that nobody can read."""
        assert self._events is not None
        pdus = [delivered.pdu for delivered in deliveries]
        mos, receipts, unreadable = read_deliveries(
            pdus, self.profile, self.carrier_id, connection.token, self._clock.now()
        )
        self._counts.delivered += len(mos)
        for mo in mos:
            self._events.delivered(mo)
        if unreadable:
            self._note_unreadable(len(unreadable))
        if receipts.sequence_numbers:
            self._take_receipts(connection.token, receipts, unreadable)

    def _take_in_doubt(self, slots: list[int]) -> None:
        assert self._events is not None
        if self._asking is not None:
            self._asking.in_doubt(slots)
        if slots:
            self._counts.in_doubt += len(slots)
            self._events.in_doubt(self.carrier_id, slots)

    def _take_end(self, connection: Connection, slots: list[int]) -> None:
        self._connections.pop(connection.token, None)
        counts = connection.session.counts
        self._counts.stray_responses += counts.stray_responses
        self._counts.broken_pdus += counts.broken_bodies + counts.unknown_requests
        self._counts.dropped_octets += counts.dropped_octets
        self._counts.busy_answers += connection.busy_answers
        self._take_in_doubt(slots)

    def _forget_sender(self, connection: Connection) -> None:
        self._senders = [sender for sender in self._senders if sender is not connection]
        if not self._senders and self._down_since is None:
            self._down_since = self._clock.monotonic()

    def _note_unreadable(self, count: int) -> None:
        self._counts.receipts_unreadable += count
        now = self._clock.monotonic()
        if now >= self._summary_at:
            fresh = self._counts.receipts_unreadable - self._unreadable_told
            log.warning("receipts_unreadable", carrier=self.name, count=fresh)
            self._summary_at = now + SUMMARY_INTERVAL_S
            self._unreadable_told = self._counts.receipts_unreadable
