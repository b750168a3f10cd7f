"""Whether a bind is let in. Every failure is answered after the same time, and says as little as it can."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from smsgate.clock import Clock
from smsgate.errors import StoreError
from smsgate.flows.esme_guard import Guard
from smsgate.flows.esme_records import EsmeAccount
from smsgate.flows.esme_refusals import RefusedBinds
from smsgate.flows.ports_esmes import EsmeAccountStore
from smsgate.protocol.commands import Status
from smsgate.security.esme_passwords import password_matches

log = structlog.get_logger(__name__)

FAILURE_ANSWER_S: Final = 1.0  # after the bind came: guessing is slow, and time tells nothing
SYSTEM_ID_OCTETS_MAX: Final = 64  # SMPP 3.4 says 15; longer ones are met, and 64 keep a log line short


class Admission:
    def __init__(
        self,
        store: EsmeAccountStore,
        mac_key: bytes,
        clock: Clock,
        *,
        sessions_of: Callable[[int], int],
        tell_unknown: bool,
    ) -> None:
        """`sessions_of` counts an account's binds; `tell_unknown`: an unknown system_id is told apart."""
        self._store = store
        self._mac_key = mac_key
        self._clock = clock
        self._sessions_of = sessions_of
        self._tell_unknown = tell_unknown
        self._guard = Guard()
        self._refusals = RefusedBinds()
        self.refused = 0  # since the start, for metrics

    async def judge(self, system_id: bytes, password: bytes, source: str) -> EsmeAccount | int:
        """Return who binds, or the command_status of the refusal; `source` is the peer's address."""
        started = self._clock.monotonic()
        account, status = await self._look(system_id, password, source)
        if account is not None and not status:
            return account
        self.refused += 1
        shown = system_id[:SYSTEM_ID_OCTETS_MAX].decode("ascii", "replace")
        self._refusals.refused(source, shown, status, started)
        await asyncio.sleep(max(0.0, started + FAILURE_ANSWER_S - self._clock.monotonic()))
        return status

    async def report(self) -> bool:
        """Tell of refused binds whose minute is over; one step of a loop."""
        self._refusals.report(self._clock.monotonic())
        return False

    def report_all(self) -> None:
        self._refusals.report(self._clock.monotonic(), all_=True)

    async def _look(self, system_id: bytes, password: bytes, source: str) -> tuple[EsmeAccount | None, int]:
        name = system_id[:SYSTEM_ID_OCTETS_MAX].decode("ascii", "replace")
        now = self._clock.monotonic()
        if self._guard.is_blocked(source, name, now):
            return None, Status.INVPASWD
        try:
            account = await self._store.by_system_id(name) if _is_name(system_id) else None
        except StoreError:
            return None, Status.SYSERR
        matches = password_matches(
            self._mac_key,
            0 if account is None else account.account_id,
            password,
            None if account is None else account.password_mac,
        )
        if account is None or not matches:
            if self._guard.failed(source, name, now):
                log.error("esme_password_guessing", system_id=name)
            unknown = account is None and self._tell_unknown
            return None, Status.INVSYSID if unknown else Status.INVPASWD
        self._guard.bound(source, name)
        if not account.active:
            return account, Status.BINDFAIL
        if self._sessions_of(account.account_id) >= account.binds_max:
            return account, Status.ALYBND
        return account, Status.OK


def _is_name(system_id: bytes) -> bool:
    return 0 < len(system_id) <= SYSTEM_ID_OCTETS_MAX and system_id.isascii()
