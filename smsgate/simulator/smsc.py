"""
An SMSC on a real socket: SMPP 3.4, any number of accounts and binds, receipts, MOs, faults on demand.

A read of many submit_sm is one batch of columns, one write of answers and one entry of the timetable.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import count
from typing import Any, Final

from smsgate.clock import Clock, SystemClock
from smsgate.errors import NotFound
from smsgate.protocol.columns import submit_responses
from smsgate.protocol.commands import Status
from smsgate.protocol.mo_text import read_mo
from smsgate.protocol.receipt_states import ReceiptState
from smsgate.security.compare import same
from smsgate.simulator.account import Account
from smsgate.simulator.connection import SmscConnection
from smsgate.simulator.journal import Journal
from smsgate.simulator.mobile_originated import INTERNATIONAL, UNKNOWN_KIND, Mo
from smsgate.simulator.seen import SmscLog
from smsgate.simulator.smsc_settings import ID_FORMS, OutbindTo, SmscSettings
from smsgate.simulator.stops import StopJudge, is_start, is_stop
from smsgate.simulator.submits import Submits, receipt_bodies
from smsgate.simulator.timetable import Timetable

CONNECTIONS_MAX: Final = 1_024  # at once; a descriptor each
UNDER_WAY_MAX: Final = 2_000_000  # messages taken and not yet at their phone: some 1 GB; above it MSGQFUL
SENDERS_MAX: Final = 10_000  # senders whose account is known, to bring MOs back to it
CHECK_INTERVAL_S: Final = 1.0
STOP_GRACE_S: Final = 2.0  # an ESME may take so long for its unbind_resp

Delivered = Callable[[Submits], None]  # rows that just reached their phones


class Smsc:
    """Start it, read `port`, stop it. `settings` may be changed while it runs."""

    def __init__(
        self,
        settings: SmscSettings,
        rng: random.Random,
        *,
        clock: Clock | None = None,
        on_delivered: Delivered | None = None,
        journal: Journal | None = None,
    ) -> None:
        settings.check()
        self.settings = settings
        self.log = SmscLog()
        self.judge = StopJudge()
        self.on_delivered = on_delivered
        self.journal = journal
        self._clock = clock or SystemClock()
        self._rng = rng
        self._accounts = {
            account.system_id.encode(): Account(account, self.log, journal=journal)
            for account in settings.accounts
        }
        for system_id, left in journal.left.items() if journal is not None else ():
            if (known := self._accounts.get(system_id.encode())) is not None:
                known.restore(left)
        self._connections: set[SmscConnection] = set()
        self._all_gone = asyncio.Event()
        self._all_gone.set()
        self._senders: dict[bytes, tuple[Account, bytes]] = {}
        first = settings.first_message_id
        self._next_id = int(self._clock.now().timestamp() * 1000) << 10 if first is None else first
        self._connection_numbers = count(1)
        self._references = count(1)
        self._under_way = 0
        self._server: asyncio.Server | None = None
        self._outbinding: asyncio.Task[None] | None = None
        self._asked: SmscConnection | None = None  # to bind, lately

    # -- life

    async def start(self, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        """
        Listen; port 0 takes a free one.

        Raises:
            OSError: the address is taken or not ours.
        """
        loop = asyncio.get_running_loop()
        self.timetable = Timetable(loop)
        self._server = await loop.create_server(
            lambda: self._connection(next(self._connection_numbers)), host, port, ssl=tls
        )
        self.timetable.after(CHECK_INTERVAL_S, self._check)

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def connections(self) -> int:
        return len(self._connections)

    async def stop(self, grace_s: float = STOP_GRACE_S) -> None:
        """Unbind everybody, wait `grace_s` for their answers, then cut off who is left."""
        if self._server is None:
            return
        self._server.close()
        if self._outbinding is not None:
            self._outbinding.cancel()
            await asyncio.gather(self._outbinding, return_exceptions=True)
        await self.unbind_all(grace_s)
        self.drop_connections()
        await self._all_gone.wait()
        self.timetable.close()
        await self._server.wait_closed()
        self._server = None

    async def unbind_all(self, grace_s: float = STOP_GRACE_S) -> None:
        """Ask every ESME to unbind and wait up to `grace_s` until all are gone."""
        for connection in list(self._connections):
            connection.unbind()
        try:
            async with asyncio.timeout(grace_s):
                await self._all_gone.wait()
        except TimeoutError:
            return

    def drop_connections(self) -> None:
        """Cut every connection off; unanswered deliver_sm go out again when the ESME is back."""
        for connection in list(self._connections):
            connection.abort()

    # -- what connections ask

    def connected(self, connection: SmscConnection) -> None:
        self._connections.add(connection)
        self._all_gone.clear()
        if len(self._connections) > CONNECTIONS_MAX:
            connection.abort()

    def disconnected(self, connection: SmscConnection) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._all_gone.set()

    def admit(self, system_id: bytes, password: bytes) -> tuple[Account | None, int]:
        """Return the account and 0, or None and the command_status of a refused bind."""
        account = self._accounts.get(system_id)
        if account is None:
            return None, Status.INVSYSID
        if not same(account.account.password.encode(), password):
            return None, Status.INVPASWD
        if len(account.connections) >= account.account.binds_max:
            return None, Status.BINDFAIL
        return account, Status.OK

    def after_answers(self, call: Callable[[], None]) -> None:
        """Run `call` when the submit_sm_resps of what has come so far are written."""
        self.timetable.after(self.settings.response_latency_s, call)

    def take(self, connection: SmscConnection, submits: Submits) -> None:
        """Answer, count and judge the submit_sm of one read, and put their delivery into the timetable."""
        account = connection.account
        assert account is not None
        settings = self.settings
        total = len(submits)
        self.log.submits += total
        if len(self.judge):
            self._judge(connection, submits)
        self._refuse(connection, submits)
        submits.message_ids = self._new_ids(total)
        if self.journal is not None:
            self.journal.submits(connection.number, submits)
        if settings.answers_submits:
            self._answer(connection, submits)
        if any(submits.statuses):
            accepted = submits.rows([i for i, status in enumerate(submits.statuses) if not status])
        else:
            accepted = submits
        if not len(accepted):
            return
        self.log.count_accepted(accepted.destinations)
        self._remember_senders(account, accepted)
        self._under_way += len(accepted)
        self.timetable.after(self._delivery_delay_s(), partial(self._deliver, account, accepted))

    def mo_taken(self, mo: Mo, connection: SmscConnection) -> None:
        """Note what an MO that the ESME took means for the messages to come."""
        if is_start(mo.text):
            self.judge.lifted(mo.msisdn, mo.destination)
        elif is_stop(mo.text):
            epoch = self.judge.stopped(mo.msisdn, mo.destination, connection.number)
            for other in self._connections:
                if other is not connection and other.sends:
                    other.fence_at(epoch)

    # -- phones

    def send_mo(self, msisdn: int, destination: str, text: str, system_id: str | None = None) -> Mo:
        """
        Bring a phone's text to the account that last sent from `destination`, or to `system_id`.

        The text waits for a receiving bind. `Mo.taken` says when the ESME has taken it.

        Raises:
            NotFound: no such account.
            TextError: the text cannot be sent.
        """
        number = destination.encode("ascii", "replace")
        account, kind = self._senders.get(number, (None, UNKNOWN_KIND))
        if system_id is not None:
            account = self._accounts.get(system_id.encode())
            if account is None:
                raise NotFound(f"the SMSC has no account {system_id!r}")
        if account is None:
            account = next(iter(self._accounts.values()))
        if number.startswith(b"+"):
            number, kind = number[1:], INTERNATIONAL
        mo = Mo(msisdn, number, text, kind, next(self._references) % 256)
        self._bring(account, mo)
        return mo

    # -- inside; what a faulty SMSC does otherwise

    def _connection(self, number: int) -> SmscConnection:
        return SmscConnection(self, number)

    def _new_ids(self, total: int) -> list[int]:
        first = self._next_id
        self._next_id += total
        return list(range(first, first + total))

    def _answer(self, connection: SmscConnection, submits: Submits) -> None:
        form = ID_FORMS[self.settings.message_id_form]
        ids = [form % message_id for message_id in submits.message_ids]
        octets = submit_responses(submits.numbers, submits.statuses, ids)
        if self.settings.response_latency_s:
            self.after_answers(partial(connection.write, octets))
        else:
            connection.write(octets)

    def _refusal(self) -> int:
        return self.settings.refuse_status

    def _delivery_delay_s(self) -> float:
        return self.settings.response_latency_s + self._rng.uniform(*self.settings.receipt_delay_s)

    def _send_receipts(self, account: Account, submits: Submits, states: Sequence[int]) -> None:
        form = ID_FORMS[self.settings.receipt_id_form or self.settings.message_id_form]
        date = self._clock.now().strftime("%y%m%d%H%M").encode()
        account.put_receipts(receipt_bodies(submits, states, form, date, date))

    def _bring(self, account: Account, mo: Mo) -> None:
        account.put_mo(mo)

    # -- inside

    def _judge(self, connection: SmscConnection, submits: Submits) -> None:
        judge = self.judge
        for i, destination in enumerate(submits.destinations):
            sender = submits.sources[i].removeprefix(b"+")
            if destination.isdigit() and judge.concerns(msisdn := int(destination), sender):
                text = read_mo(submits.texts[i], submits.data_codings[i], submits.esm_classes[i]).text
                judge.submitted(msisdn, sender, text, connection.number, connection.fence)

    def _refuse(self, connection: SmscConnection, submits: Submits) -> None:
        """Write the refusals of this batch into `submits.statuses`."""
        account = connection.account
        assert account is not None
        statuses, log, total = submits.statuses, self.log, len(submits)
        share = self.settings.refuse_share
        if share:
            for i in range(total):
                if not statuses[i] and self._rng.random() < share:
                    statuses[i] = self._refusal()
        room = max(0, UNDER_WAY_MAX - self._under_way)
        for i in range(room, total):
            statuses[i] = statuses[i] or Status.MSGQFUL
        if any(statuses):
            log.refused.update(filter(None, statuses))
        allowed = account.allow(total, asyncio.get_running_loop().time())
        for i in range(allowed, total):
            log.throttled += not statuses[i]
            statuses[i] = statuses[i] or Status.THROTTLED

    def _remember_senders(self, account: Account, submits: Submits) -> None:
        for sender, kind in set(zip(submits.sources, submits.source_kinds, strict=True)):
            if sender in self._senders or len(self._senders) < SENDERS_MAX:
                self._senders[sender] = (account, kind)

    def _deliver(self, account: Account, submits: Submits) -> None:
        """Bring messages to their phones, or fail to, and their receipts to the account."""
        self._under_way -= len(submits)
        settings, log = self.settings, self.log
        states = self._outcomes(len(submits))
        delivered = states.count(ReceiptState.DELIVRD)
        log.delivered += delivered
        log.undelivered += states.count(ReceiptState.UNDELIV)
        log.expired += states.count(ReceiptState.EXPIRED)
        if settings.receipts:
            self._send_receipts(account, submits, states)
        if self.on_delivered is not None and delivered:
            reached = submits
            if delivered < len(submits):
                reached = submits.rows([i for i, s in enumerate(states) if s == ReceiptState.DELIVRD])
            self.on_delivered(reached)

    def _outcomes(self, total: int) -> Sequence[int]:
        undelivered = self.settings.undelivered_share
        failed = undelivered + self.settings.expired_share
        if not failed:
            return [int(ReceiptState.DELIVRD)] * total
        draw = self._rng.random
        ok, gone, late = int(ReceiptState.DELIVRD), int(ReceiptState.UNDELIV), int(ReceiptState.EXPIRED)
        draws = [draw() for _ in range(total)]
        return [ok if x >= failed else gone if x < undelivered else late for x in draws]

    def _check(self) -> None:
        now = asyncio.get_running_loop().time()
        for connection in list(self._connections):
            connection.check(now)
        self._ask_to_bind()
        self.timetable.after(CHECK_INTERVAL_S, self._check)

    def _ask_to_bind(self) -> None:
        """Connect to the ESME and ask it to bind, when something waits for it and it does not come."""
        target = self.settings.outbind
        account = next(iter(self._accounts.values()))
        busy = self._outbinding is not None and not self._outbinding.done()
        reads = any(connection.reads for connection in account.connections)
        if self._server is None or not self._server.is_serving():  # it stops
            return
        if target is None or not account.waiting or reads or busy or self._asked in self._connections:
            return
        self._outbinding = asyncio.get_running_loop().create_task(self._outbind(target))

    async def _outbind(self, target: OutbindTo) -> None:
        with suppress(OSError):  # nobody listens there: the next check tries again
            _, self._asked = await asyncio.get_running_loop().create_connection(
                lambda: self._connection(next(self._connection_numbers)), target.host, target.port
            )
            self._asked.ask_to_bind(target.system_id, target.password)
            self.log.outbinds += 1

    def stats(self) -> dict[str, Any]:
        return {
            **self.log.as_json(),
            "connections": self.connections,
            "under_way": self._under_way,
            "waiting": {a.system_id: a.waiting for a in self._accounts.values()},
            "stops": len(self.judge),
            "offers_after_stop": self.judge.offers_after_stop,
            "offers_crossed_stop": self.judge.offers_crossed,
        }
