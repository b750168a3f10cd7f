"""Refused binds in the log: one line per address and minute, however many come."""

from __future__ import annotations

from typing import Final

import structlog

log = structlog.get_logger(__name__)

REPORT_EVERY_S: Final = 60.0
# Addresses that have lines of their own at once; the binds of all others are counted in one line.
SOURCES_MAX: Final = 200
OTHERS: Final = "others"


class _Refusals:
    __slots__ = ("count", "since", "status", "system_id")

    def __init__(self, since: float) -> None:
        self.since = since
        self.count = 0  # that no line has told yet
        self.system_id = ""  # of the last one
        self.status = 0


class RefusedBinds:
    """The first refusal of an address is told at once, those of the minute after it together."""

    def __init__(self) -> None:
        self._by_source: dict[str, _Refusals] = {}

    def refused(self, source: str, system_id: str, status: int, now: float) -> None:
        refusals = self._by_source.get(source)
        if refusals is None and len(self._by_source) >= SOURCES_MAX:
            source = OTHERS
            refusals = self._by_source.get(source)
        first = refusals is None
        if refusals is None:
            refusals = self._by_source[source] = _Refusals(now)
        refusals.count += 1
        refusals.system_id, refusals.status = system_id, status
        if first:
            _tell(source, refusals)

    def report(self, now: float, *, all_: bool = False) -> None:
        """Tell what came in minutes that are over, or in `all_` of them; call it every few seconds."""
        for source, refusals in list(self._by_source.items()):
            if not all_ and now - refusals.since < REPORT_EVERY_S:
                continue
            if refusals.count:
                _tell(source, refusals)
                refusals.since = now
            else:
                del self._by_source[source]


def _tell(source: str, refusals: _Refusals) -> None:
    log.warning(
        "esme_bind_refused",
        source=source,
        binds=refusals.count,
        system_id=refusals.system_id,
        status=refusals.status,
    )
    refusals.count = 0
