"""
Who is bound, and what each bind wants: the one place where sessions of ESMEs meet the use cases.

Implements `flows.ports_esmes.EsmeSessions`.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, assert_never

import structlog

from smsgate.clock import Clock
from smsgate.errors import StoreError
from smsgate.esmes.bind import Bind
from smsgate.esmes.connection import CLOSE_GRACE_S, EsmeConnection
from smsgate.esmes.door import Door, customer_of
from smsgate.flows.esme_admission import Admission
from smsgate.flows.esme_intake import EsmeIntake
from smsgate.flows.esme_queries import QUERIES, EsmeQueries
from smsgate.flows.esme_records import EsmeAccount, EsmeDelivery, EsmeSession
from smsgate.flows.esme_relay import DeliveryBodies, EsmeRelay
from smsgate.flows.ports_esmes import EsmeAccountStore
from smsgate.protocol.commands import CommandId, Status
from smsgate.protocol.pdus import Pdu
from smsgate.protocol.server_states import (
    Asked,
    BindAsked,
    Delivered,
    Ended,
    PeerUnbound,
    ServerEvent,
    ServerState,
    Undelivered,
)

log = structlog.get_logger(__name__)

CONNECTIONS_MAX: Final = 2_000  # in all: some 20 kB each when idle
QUERIES_AT_ONCE_MAX: Final = 4  # statements of query_sm, cancel_sm and replace_sm under way
QUERIES_OF_ACCOUNT_MAX: Final = 500  # of them that wait; beyond it: slow down
QUERIES_WAITING_MAX: Final = 2_000  # of all accounts


class EsmeDesk:
    def __init__(
        self,
        accounts: EsmeAccountStore,
        intake: EsmeIntake,
        queries: EsmeQueries,
        bodies: DeliveryBodies,
        clock: Clock,
    ) -> None:
        self._accounts_store = accounts
        self._intake = intake
        self._queries = queries
        self._bodies = bodies
        self._clock = clock
        self._admission: Admission | None = None
        self._relay: EsmeRelay | None = None
        self._connections: set[EsmeConnection] = set()
        self._door = Door()
        self._binds: dict[EsmeConnection, Bind] = {}
        self._by_account: defaultdict[int, list[Bind]] = defaultdict(list)
        self._accounts: dict[int, EsmeAccount] = {}
        self._slots: dict[int, tuple[int, int]] = {}  # slot -> (merchant, delivery)
        self._next_slot = itertools.count(1)
        self._tasks: set[asyncio.Task[None]] = set()
        self._asking = asyncio.Semaphore(QUERIES_AT_ONCE_MAX)
        self._queries_waiting: Counter[int] = Counter()  # by account
        self._leaving = False
        self.turned_away = 0  # connections above the limits, since the start

    def attach(self, admission: Admission, relay: EsmeRelay) -> None:
        """Take what needs the desk itself to be made; call it before anybody connects."""
        self._admission = admission
        self._relay = relay

    # ------------------------------------------------------------ the port

    def rooms(self) -> Mapping[tuple[int, int], int]:
        rooms: dict[tuple[int, int], int] = {}
        for binds in self._by_account.values():
            room = sum(bind.connection.room() for bind in binds)
            if room > 0:
                account = binds[0].account
                rooms[account.merchant_id, account.account_id] = room
        return rooms

    def deliver(self, account_id: int, deliveries: Sequence[EsmeDelivery]) -> int:
        """Spread them evenly over the account's sessions, as far as each has room."""
        taken = 0
        binds = [bind for bind in self._by_account.get(account_id, ()) if bind.connection.room() > 0]
        binds.sort(key=lambda bind: bind.connection.room())  # what one has no room for goes to those after it
        for position, bind in enumerate(binds):
            share = min(bind.connection.room(), (len(deliveries) - taken) // (len(binds) - position))
            chosen = deliveries[taken : taken + share]
            if not chosen:
                continue
            slots = [next(self._next_slot) for _ in chosen]
            self._slots.update(
                {slot: (each.merchant_id, each.delivery_id) for slot, each in zip(slots, chosen, strict=True)}
            )
            bodies = self._bodies.bodies(chosen, with_tlvs=bind.connection.session.takes_tlvs())
            count = bind.connection.deliver(bodies, slots)
            for slot in slots[count:]:
                del self._slots[slot]
            bind.delivered += count
            taken += count
        return taken

    def sessions(self) -> list[EsmeSession]:
        return [bind.status() for bind in self.binds()]

    def binds(self) -> list[Bind]:
        return list(self._binds.values())

    def sessions_of(self, account_id: int) -> int:
        """Return how many binds an account has; those that are leaving do not keep another one out."""
        binds = self._by_account.get(account_id, ())
        return sum(bind.connection.session.state is ServerState.BOUND for bind in binds)

    # ------------------------------------------------------------ accounts

    async def refresh(self) -> bool:
        """Look at the accounts again: what the operator changed holds for open sessions too."""
        self._accounts = {account.account_id: account for account in await self._accounts_store.all()}
        for bind in list(self._binds.values()):
            account = self._accounts.get(bind.account.account_id)
            if account is None or not account.active or account.password_mac != bind.account.password_mac:
                bind.connection.unbind()
            else:
                bind.account = account
        return False

    # ------------------------------------------------------------ what connections tell

    def arrives(self, connection: EsmeConnection, source: str, cut: Callable[[], None]) -> bool:
        """Take who was accepted a moment ago, perhaps in another's place; False: it is to be cut."""
        full = len(self._connections) >= CONNECTIONS_MAX
        if not (self._leaving or full):
            connection.visit = self._door.enter(source, cut)
        if connection.visit is None:
            self.turned_away += 1
            return False
        gone = self._door.crowded_out()
        if gone is not None:
            self.turned_away += 1
            gone.cut()
        return True

    def connected(self, connection: EsmeConnection) -> bool:
        if self._leaving:
            return False
        self._connections.add(connection)
        return True

    def disconnected(self, connection: EsmeConnection) -> None:
        self._connections.discard(connection)
        self._leave_door(connection)

    def _leave_door(self, connection: EsmeConnection) -> None:
        if connection.visit is not None:
            self._door.leave(connection.visit)

    def writable(self, connection: EsmeConnection) -> None:  # noqa: ARG002
        self._wake()

    def take(self, connection: EsmeConnection, events: list[ServerEvent]) -> None:
        for event in events:
            match event:
                case BindAsked():
                    self._begin(self._judge(connection, event))
                case Asked(pdus):
                    self._take_requests(connection, pdus)
                case Delivered(slots, statuses):
                    for slot, status in zip(slots, statuses, strict=True):
                        self._relay_of().answered(*self._slots.pop(slot), status)
                case Undelivered(slots):
                    for slot in slots:
                        self._relay_of().unanswered(*self._slots.pop(slot))
                case PeerUnbound():
                    pass
                case Ended():
                    self._end(connection, event)
                case _:
                    assert_never(event)

    def _take_requests(self, connection: EsmeConnection, pdus: Sequence[Pdu]) -> None:
        bind = self._binds[connection]
        refused: list[tuple[Pdu, int]] = []
        for pdu in pdus:
            if pdu.command_id in QUERIES:
                self._take_query(bind, pdu)
                continue
            bind.submits += 1
            status: int = Status.INVCMDID
            if pdu.command_id != CommandId.SUBMIT_MULTI:
                status = self._intake.offer(bind.account, pdu, bind)
            if status:
                refused.append((pdu, status))
        if refused:
            bind.answer_submissions(
                [pdu for pdu, _ in refused], [status for _, status in refused], [b""] * len(refused)
            )

    def _take_query(self, bind: Bind, pdu: Pdu) -> None:
        account_id, waiting = bind.account.account_id, self._queries_waiting
        if waiting[account_id] >= QUERIES_OF_ACCOUNT_MAX or waiting.total() >= QUERIES_WAITING_MAX:
            bind.connection.answer(pdu, Status.THROTTLED)
            return
        waiting[account_id] += 1
        self._begin(self._query(bind, pdu))

    async def _query(self, bind: Bind, pdu: Pdu) -> None:
        try:
            async with bind.asking, self._asking:
                answer = await self._queries.answer(bind.account, pdu)
        finally:
            self._queries_waiting -= Counter((bind.account.account_id,))  # which drops a count of zero
        bind.connection.answer(pdu, answer.status, answer.fields)

    # ------------------------------------------------------------ binds

    async def _judge(self, connection: EsmeConnection, asked: BindAsked) -> None:
        assert self._admission is not None
        judged = await self._admission.judge(asked.system_id, asked.password, customer_of(connection.source))
        if not isinstance(judged, int):
            try:
                await self._intake.prepare()
            except StoreError:
                judged = Status.SYSERR
        if connection not in self._connections or connection.session.is_closed():
            return  # gone, or timed out meanwhile
        if isinstance(judged, int):
            connection.refuse(judged)
            return
        if self._leaving:
            connection.refuse(Status.BINDFAIL)
            return
        if self.sessions_of(judged.account_id) >= judged.binds_max:  # another came in at the same time
            connection.refuse(Status.ALYBND)
            return
        self._leave_door(connection)
        bind = Bind(judged, connection, self._clock.now())
        self._binds[connection] = bind
        self._by_account[judged.account_id].append(bind)
        connection.admit(judged.window_max)
        log.info("esme_bound", **bind.shown(), version=f"0x{asked.interface_version:02x}")
        self._wake()

    def _end(self, connection: EsmeConnection, event: Ended) -> None:
        for slot in event.slots:
            self._relay_of().lost(*self._slots.pop(slot))
        bind = self._binds.pop(connection, None)
        if bind is None:
            return
        mine = self._by_account[bind.account.account_id]
        mine.remove(bind)
        if not mine:
            del self._by_account[bind.account.account_id]
        log.info(
            "esme_unbound",
            **bind.shown(),
            reason=event.reason.value,
            detail=event.detail or None,
            submits=bind.submits,
            refused=bind.refused,
            delivered=bind.delivered,
            undelivered=len(event.slots),
        )

    async def drain(self, timeout_s: float) -> None:
        """
        Leave all sessions in order: answers that we owe, unbind, close; cut after `timeout_s`.

        It ends within CLOSE_GRACE_S more, whatever a socket does.
        """
        self._leaving = True
        connections = list(self._connections)
        for connection in connections:
            connection.unbind()
        if connections:
            waiting = [asyncio.ensure_future(connection.wait_closed()) for connection in connections]
            _, late = await asyncio.wait(waiting, timeout=timeout_s)
            for connection in connections if late else ():
                connection.abort()
            if late:
                _, left = await asyncio.wait(late, timeout=CLOSE_GRACE_S)
                for waiter in left:
                    waiter.cancel()
                if left:
                    log.error("esmes_left_open", connections=len(left))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # ------------------------------------------------------------ small things

    def counts(self) -> Counter[str]:
        """Return how many binds there are, by kind."""
        return Counter(bind.connection.session.kind.value for bind in self._binds.values())

    def _relay_of(self) -> EsmeRelay:
        assert self._relay is not None
        return self._relay

    def _wake(self) -> None:
        self._relay_of().wake.set()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
