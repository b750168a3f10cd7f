"""One line for the requests that were answered together."""

from __future__ import annotations

import asyncio

from structlog.testing import capture_logs

from smsgate.api.request_lines import RequestLine, RequestLines

ROUTE = "/v1/triggers/{id}"


async def test_requests_of_one_turn_share_a_line_and_one_alone_has_its_own() -> None:
    lines = RequestLines()
    with capture_logs() as told:
        for n in range(5):
            lines.tell(RequestLine(f"req_{n}", "POST", ROUTE, 202, None, 5.0 - abs(n - 3)), together=True)
        lines.tell(RequestLine("req_ok", "POST", ROUTE, 200, None, 1.0), together=True)
        lines.tell(RequestLine("req_bad", "POST", ROUTE, 422, None, 2.0))
        await asyncio.sleep(0)
        lines.tell(RequestLine("req_next", "POST", ROUTE, 202, None, 3.0), together=True)
        await asyncio.sleep(0)
    same = {"method": "POST", "route": ROUTE, "log_level": "info"}
    alone = {"event": "http_request", "key": None, **same}
    assert told == [
        {"request_id": "req_bad", "status": 422, "ms": 2.0, **alone},
        {"event": "http_requests", "count": 5, "status": 202, "ms_max": 5.0, "request_id": "req_3", **same},
        {"request_id": "req_ok", "status": 200, "ms": 1.0, **alone},
        {"request_id": "req_next", "status": 202, "ms": 3.0, **alone},
    ]
