"""
Who calls: bearer keys, checked by form first, by memory second, by the store last.

A guess with a wrong check sum never reaches the database. Failures are counted by source address; the holder
of a key that is in memory is never locked out by them, for it is not looked up, or not on their account.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final

import structlog
from aiohttp import web

from smsgate.api.buckets import Buckets, Drawn
from smsgate.api.context import ApiContext
from smsgate.api.limits import ApiSettings
from smsgate.api.problems import Refusal
from smsgate.clock import Clock
from smsgate.errors import KeyInvalid
from smsgate.flows.ports_api import OPERATOR, ApiKeyStore, Principal
from smsgate.security.api_keys import Scope, key_matches, parse_key

TOUCH_INTERVAL_S: Final = 60.0  # last_used_at is a help for people: one write a minute is enough
REFUSALS_LOG_INTERVAL_S: Final = 1.0  # a flood of guesses is one line a second
FORWARDED_HOPS_MAX: Final = 16  # addresses of X-Forwarded-For that are read
_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="smsgate"'}

_log = structlog.get_logger("smsgate.api")


@dataclass(slots=True)
class _Cached:
    principal: Principal
    until: float  # monotonic seconds
    touched_at: float


class Authenticator:
    def __init__(self, store: ApiKeyStore, mac_key: bytes, clock: Clock, settings: ApiSettings) -> None:
        self._store = store
        self._mac_key = mac_key
        self._clock = clock
        self._cache: OrderedDict[str, _Cached] = OrderedDict()
        self._cache_s = settings.key_cache_s
        self._cache_max = settings.key_cache_max
        self._failures = Buckets(settings.wrong_keys_per_s)
        self._look_ups: dict[str, asyncio.Future[Principal | None]] = {}
        self._forgotten = 0  # calls of `forget` and `forget_all`
        self._refused = 0
        self._refusals_logged_at = -REFUSALS_LOG_INTERVAL_S

    async def principal(self, authorization: str | None, source: str) -> Principal:
        """
        Return the caller.

        Raises:
            Refusal: `key_missing`, `key_invalid`, or `rate_limited` after too many wrong keys from `source`.
        """
        if authorization is None:
            raise Refusal("key_missing", "This route needs an API key.", headers=_CHALLENGE)
        scheme, _, text = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise self._refusal(source, 'Write "Authorization: Bearer sgk_...".')
        try:
            key = parse_key(text.strip())
        except KeyInvalid:
            raise self._refusal(source) from None
        known = self._cache.get(key.public_id)
        cached = known if known is not None and known.until > self._clock.monotonic() else None
        forgotten = self._forgotten
        if cached is not None:
            found: Principal | None = cached.principal
        else:
            proven = known is not None and key_matches(self._mac_key, key, known.principal.mac)
            found = await self._look_up(key.public_id, source, proven=proven)
        if not key_matches(self._mac_key, key, found.mac if found else None):
            raise self._refusal(source)
        if not self._in_force(found):
            self._cache.pop(key.public_id, None)  # its next look-up counts as a guess
            raise self._refusal(source)
        assert found is not None
        if cached is None:
            # A look-up that a revocation overtook may have read the key before it: it counts this once only.
            cached = self._remember(found, keep=forgotten == self._forgotten)
        await self._touch(cached)
        return found

    async def _look_up(self, public_id: str, source: str, *, proven: bool) -> Principal | None:
        """
        Ask the store, once for all who ask at the same time: a shop's first burst is one look-up.

        `proven`: the key was right when it was last looked up; whoever guesses beside its holder, from the
        same address (a proxy, a company's one), does not keep it out.
        """
        running = self._look_ups.get(public_id)
        if running is not None:
            return await asyncio.shield(running)
        if not proven:
            # Taken before the look-up and given back after it: guesses at the same time count, too.
            drawn = self._failures.take(source, self._clock.monotonic())
            if not drawn.allowed:
                raise self._limited(drawn)
        task = asyncio.ensure_future(self._store.find(public_id))
        self._look_ups[public_id] = task
        try:
            return await asyncio.shield(task)
        finally:
            del self._look_ups[public_id]
            if not proven:
                self._failures.give_back(source, self._clock.monotonic())

    def forget(self, public_id: str) -> None:
        """Drop a key from memory: it was revoked."""
        self._forgotten += 1
        self._cache.pop(public_id, None)

    def forget_all(self) -> None:
        """Drop all keys from memory: which of them were revoked is not known."""
        self._forgotten += 1
        self._cache.clear()

    def _in_force(self, principal: Principal | None) -> bool:
        if principal is None or principal.revoked_at is not None:
            return False
        return principal.expires_at is None or principal.expires_at > self._clock.now()

    def _remember(self, principal: Principal, *, keep: bool) -> _Cached:
        now = self._clock.monotonic()
        used_at = principal.last_used_at
        age_s = (self._clock.now() - used_at) / timedelta(seconds=1) if used_at else TOUCH_INTERVAL_S
        cached = _Cached(principal, now + self._cache_s, now - age_s)
        if keep:
            self._cache[principal.public_id] = cached
            self._cache.move_to_end(principal.public_id)
        if len(self._cache) > self._cache_max:
            self._cache.popitem(last=False)
        return cached

    async def _touch(self, cached: _Cached) -> None:
        now = self._clock.monotonic()
        if now - cached.touched_at >= TOUCH_INTERVAL_S:
            cached.touched_at = now
            await self._store.touch(cached.principal.key_id, self._clock.now())

    def _refusal(self, source: str, detail: str = "The API key is not accepted.") -> Refusal:
        now = self._clock.monotonic()
        self._refused += 1
        if now - self._refusals_logged_at >= REFUSALS_LOG_INTERVAL_S:
            _log.warning("keys_refused", count=self._refused, last_source=source)
            self._refused, self._refusals_logged_at = 0, now
        drawn = self._failures.take(source, now)
        if not drawn.allowed:
            return self._limited(drawn)
        return Refusal("key_invalid", detail, headers=_CHALLENGE)

    @staticmethod
    def _limited(drawn: Drawn) -> Refusal:
        return Refusal(
            "rate_limited", "Too many wrong API keys.", headers={"Retry-After": str(drawn.retry_after_s)}
        )


def check_scope(principal: Principal, scope: Scope) -> None:
    """
    Check that the key may do what the route needs.

    Raises:
        Refusal: the wrong side (operator, merchant), a suspended merchant, or a missing scope.
    """
    operator = principal.owner_id == OPERATOR
    if scope is Scope.OPERATOR and not (operator and Scope.OPERATOR in principal.scopes):
        raise Refusal("operator_only", "This route needs a key of the operator.")
    if scope is not Scope.OPERATOR and operator:
        raise Refusal("merchant_only", "An operator's key has no merchant: use a key of the merchant itself.")
    if principal.suspended:
        raise Refusal("merchant_suspended", "This merchant is suspended.")
    if scope not in principal.scopes:
        raise Refusal("scope_missing", f"The key lacks the scope {scope.value}.")


def source_of(request: web.Request, context: ApiContext) -> str:
    """
    Return the client's address.

    X-Forwarded-For counts only from trusted proxies, read from the right: the first address that is not a
    trusted proxy is the client, whatever stands to its left.
    """
    peer = request.remote or ""
    trusted = context.settings.trusted_proxies
    if not trusted or not _is_in(peer, trusted):
        return peer
    hops = ",".join(request.headers.getall("X-Forwarded-For", [])).split(",")[-FORWARDED_HOPS_MAX:]
    for hop in reversed(hops):
        address = hop.strip()
        if not _is_in(address, trusted):
            return address if _is_address(address) else peer
    return peer


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_in(text: str, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    if not _is_address(text):
        return False
    address = ip_address(text)
    return any(address in network for network in networks)
