"""
`Idempotency-Key` on POST (draft-ietf-httpapi-idempotency-key-header-07).

Same key and same request: the stored answer. Another request: 422. Still running: 409. Answers below 500 are
kept, at least 24 hours; a request that failed on our side frees its key, so it may be repeated. If what it
did may have been committed all the same, the key stays taken until its request counts as abandoned: answer
and effect are two transactions, so nothing else keeps a quick repetition from doing the work a second time.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from aiohttp import web

from smsgate.api.alive import signs_of_life
from smsgate.api.context import ApiContext
from smsgate.api.problems import Refusal
from smsgate.errors import StoreUnavailable
from smsgate.security.compare import same

# A JSON request cannot run longer than its deadline (30 s, or what its route has): one that has seemed to for
# so long is of a dead process. One with a stream may run for hours over a slow line: it renews its key as
# long as it lives.
ABANDONED_AFTER_S: Final = 90
KEEP_STATUSES_BELOW: Final = 500
NOT_KEPT: Final = frozenset({401, 403, 408, 409, 413, 415, 429})  # about this attempt, not about the request
# The connection went, or the server did: the commit may have come through (PostgreSQL, appendix A).
UNCERTAIN_SQLSTATES: Final = ("08", "57P", "40003")
_KEY: Final = re.compile(r'"?([\x21\x23-\x5b\x5d-\x7e]{1,255})"?')


@dataclass(frozen=True, slots=True)
class Outcome:
    """An answer as it is kept: what cannot be told from status and octets is not repeated."""

    status: int
    octets: bytes
    replayed: bool = False
    uncertain: bool = False  # an error after which the work may be done all the same


def is_uncertain(error: Exception) -> bool:
    """Return whether the work may have been committed although it ended with this error."""
    if isinstance(error, StoreUnavailable):
        return error.sqlstate.startswith(UNCERTAIN_SQLSTATES)
    return isinstance(error, TimeoutError)  # its deadline may have cut a commit short


def key_of(request: web.Request) -> str | None:
    """
    Return the key, without the quotes that the draft wants and many clients omit.

    Raises:
        Refusal: malformed, or sent twice.
    """
    values = request.headers.getall("Idempotency-Key", [])
    if not values:
        return None
    match = _KEY.fullmatch(values[0].strip())
    if match is None or len(values) > 1:
        raise Refusal(
            "idempotency_key_invalid", "Idempotency-Key takes 1 to 255 visible ASCII characters, once."
        )
    return match[1]


async def once(
    context: ApiContext,
    owner_id: int,
    key: str,
    provisional: bytes,
    *,
    final: Callable[[], Awaitable[bytes]],
    run: Callable[[], Awaitable[Outcome]],
    abandoned_s: float,
    streams: bool,
) -> Outcome:
    """
    Run a request under a key, or return what its first run answered.

    `provisional` is the fingerprint known before the body was read whole, `final` reads the rest and returns
    the whole one; for a body in memory both are the same. What `streams` may be done again at any time.
    `abandoned_s`: so long after its last sign of life the request counts as dead, for whoever comes then.

    Raises:
        Refusal: `idempotency_in_flight`, `idempotency_mismatch`.
    """
    life, reserved_at = timedelta(seconds=abandoned_s), context.clock.now()
    stored = await context.idempotency.reserve(
        owner_id, key, provisional, now=reserved_at, abandoned_at=reserved_at + life
    )
    if stored is not None:
        if stored.status is None:
            raise Refusal(
                "idempotency_in_flight",
                "A request with this key is being worked on.",
                headers={"Retry-After": "1"},
            )
        if not same(stored.fingerprint, await final()):
            raise Refusal("idempotency_mismatch", "This key was used for another request.")
        return Outcome(stored.status, stored.answer, replayed=True)

    async def renew() -> None:
        now = context.clock.now()
        await context.idempotency.renew(owner_id, key, reserved_at, now=now, abandoned_at=now + life)

    try:
        async with AsyncExitStack() as stack:
            if streams:
                await stack.enter_async_context(signs_of_life(renew))
            outcome = await run()
            kept = outcome.status < KEEP_STATUSES_BELOW and outcome.status not in NOT_KEPT
            fingerprint = await final() if kept else b""
    except BaseException as exc:
        if streams or not isinstance(exc, asyncio.CancelledError):  # perhaps in the middle of a commit
            await _release(context, owner_id, key, reserved_at)
        raise
    if kept:
        await context.idempotency.complete(
            owner_id, key, reserved_at, fingerprint, outcome.status, outcome.octets
        )
    elif not outcome.uncertain:
        await _release(context, owner_id, key, reserved_at)
    return outcome


async def _release(context: ApiContext, owner_id: int, key: str, reserved_at: datetime) -> None:
    with suppress(StoreUnavailable):  # then it frees itself later; what became of the request is told
        await context.idempotency.release(owner_id, key, reserved_at)
