"""Log lines of requests: one each, or one for those of a kind that were answered in one turn of the loop."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import structlog

_log = structlog.get_logger("smsgate.api")


class RequestLine(NamedTuple):
    request_id: str
    method: str
    route: str
    status: int
    key: str | None
    ms: float


class RequestLines:
    """
    What shared a transaction is answered in one turn, and shares its line: a line each takes 12 us.

    One alone has the line that any request has.
    """

    def __init__(self) -> None:
        self._waiting: list[RequestLine] = []  # of one turn, so no more than requests were answered in it

    def tell(self, line: RequestLine, *, together: bool = False) -> None:
        if not together:
            _log.info("http_request", **line._asdict())
            return
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._write)
        self._waiting.append(line)

    def _write(self) -> None:
        kinds: dict[tuple[str, str, int], list[RequestLine]] = {}
        for line in self._waiting:
            kinds.setdefault((line.method, line.route, line.status), []).append(line)
        self._waiting = []
        for (method, route, status), lines in kinds.items():
            slowest = max(lines, key=lambda line: line.ms)
            if len(lines) == 1:
                self.tell(slowest)
                continue
            _log.info(
                "http_requests",
                count=len(lines),
                method=method,
                route=route,
                status=status,
                ms_max=slowest.ms,
                request_id=slowest.request_id,  # of that one
            )
