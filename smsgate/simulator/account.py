"""One account at the SMSC: its binds, its rate, and the deliver_sm that wait for a bind to take them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from smsgate.simulator.mobile_originated import Mo, MoPart

if TYPE_CHECKING:
    from smsgate.simulator.connection import SmscConnection
    from smsgate.simulator.journal import Journal, Left
    from smsgate.simulator.seen import SmscLog
    from smsgate.simulator.smsc_settings import SmscAccount

WAITING_MAX: Final = 2_000_000  # receipts kept for an account: some 600 MB; a real SMSC lets them expire

Deliver = bytes | MoPart  # a receipt is its body alone: there are too many for an object each


class Account:
    def __init__(
        self,
        account: SmscAccount,
        log: SmscLog,
        waiting_max: int = WAITING_MAX,
        journal: Journal | None = None,
    ) -> None:
        self.account = account
        self.system_id = account.system_id
        self.connections: list[SmscConnection] = []
        self._log = log
        self._waiting_max = waiting_max
        self._journal = journal
        self._receipts: deque[bytes] = deque()
        self._mos: deque[MoPart] = deque()
        self._turn = 0
        self._tokens = float(account.rate_per_s)
        self._tokens_at = 0.0

    @property
    def waiting(self) -> int:
        """How many deliver_sm wait for room on a bind; those that are written are not among them."""
        return len(self._receipts) + len(self._mos)

    def allow(self, wanted: int, now: float) -> int:
        """Take up to `wanted` submit_sm out of the rate; `now` is in seconds that never go back."""
        rate = self.account.rate_per_s
        if not rate:
            return wanted
        self._tokens = min(rate, self._tokens + (now - self._tokens_at) * rate)
        self._tokens_at = now
        taken = min(wanted, int(self._tokens))
        self._tokens -= taken
        return taken

    def restore(self, left: Left) -> None:
        """Take what an earlier start could not get rid of, before anybody is bound."""
        self._receipts.extend(left.receipts)
        self._mos.extend(MoPart(mo, body) for mo in left.mos for body in mo.bodies)

    def put_receipts(self, bodies: Sequence[bytes]) -> None:
        if self._journal is not None:
            self._journal.receipts(self.system_id, bodies)
        self._receipts.extend(bodies)
        while len(self._receipts) > self._waiting_max:
            self._receipts.popleft()
            self._log.deliver_dropped += 1
        self.pump()

    def put_mo(self, mo: Mo) -> None:
        if self._journal is not None:
            self._journal.mo(self.system_id, mo)
        self.put_parts(MoPart(mo, body) for body in mo.bodies)

    def put_parts(self, parts: Iterable[MoPart]) -> None:
        self._mos.extend(parts)
        self.pump()

    def put_back(self, entries: Iterable[Deliver]) -> None:
        """Take deliver_sm that found no answer: they go first when a bind has room again."""
        again = list(entries)
        self._log.written_again += len(again)
        self._receipts.extendleft(reversed([entry for entry in again if isinstance(entry, bytes)]))
        self._mos.extendleft(reversed([entry for entry in again if isinstance(entry, MoPart)]))
        self.pump()

    def pump(self) -> None:
        """Write what waits to the binds that have room, MOs first, in one write per bind."""
        readers = [connection for connection in self.connections if connection.reads]
        self._turn += 1
        for i in range(len(readers)):
            if not self._mos and not self._receipts:
                return
            connection = readers[(self._turn + i) % len(readers)]
            room = connection.room()
            if room <= 0:
                continue
            batch: list[Deliver] = []
            while self._mos and len(batch) < room:
                batch.append(self._mos.popleft())
            take = self._receipts.popleft
            batch.extend([take() for _ in range(min(room - len(batch), len(self._receipts)))])
            connection.deliver(batch)
