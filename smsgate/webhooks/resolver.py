"""Names to addresses for outgoing requests: all answers are judged, and only those are connected to."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from typing import Any, Final

from aiohttp.abc import AbstractResolver, ResolveResult

from smsgate.errors import AddressRefused, SmsgateError
from smsgate.security.addresses import AddressPolicy, check_address

LOOKUP_THREADS: Final = 32  # a name server that answers nothing holds each for up to half a minute
# Threads of one merchant at once: its attempts end after seconds, their threads only with the name server.
# Eight merchants with silent ones must come together before others wait; at 20 ms a name, 200 names a second.
LOOKUPS_OF_ONE_MAX: Final = 4
THREAD_WAIT_S: Final = 4.0  # for a thread; with the look-up itself well below an attempt's 15 s
LOOKUP_LIMIT_S: Final = 5.0
ANSWERS_MAX: Final = 64  # addresses of one name; more is no shop

Lookup = Callable[[str], Awaitable[Sequence[str]]]  # host name -> addresses; OSError: there are none
LOOKS_FOR: Final[ContextVar[int]] = ContextVar(
    "merchant_id", default=0
)  # aiohttp hands on no more than a name
AddrInfo = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[Any, ...]]


class NotLookedUp(SmsgateError):
    """No thread was free for the look-up: nobody asked for the name, so its owner has not failed."""

    code = "not_looked_up"
    retryable = True


class SystemLookup:
    """The operating system's resolver, in threads of its own; one merchant's slow names starve nobody."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOKUP_THREADS, thread_name_prefix="webhook-lookup")
        self._under_way: Counter[int] = Counter()  # threads by merchant, until they return
        self._returned = asyncio.Event()

    async def __call__(self, host: str) -> Sequence[str]:
        """
        Return the addresses of a name that the merchant of LOOKS_FOR has.

        Raises:
            NotLookedUp: no thread came free in THREAD_WAIT_S.
            OSError: no answer, or none in LOOKUP_LIMIT_S.
        """
        merchant_id = LOOKS_FOR.get()
        try:
            async with asyncio.timeout(THREAD_WAIT_S):
                while self._full(merchant_id):
                    await self._returned.wait()
        except TimeoutError:
            raise NotLookedUp("not sent yet: too many names are being looked up") from None
        self._under_way[merchant_id] += 1
        asked = self._threads.submit(socket.getaddrinfo, host, None, type=socket.SOCK_STREAM)
        end = partial(_in_loop, asyncio.get_running_loop(), partial(self._end, merchant_id))
        asked.add_done_callback(end)  # nothing but this gives the thread back: no time-out ends getaddrinfo
        async with asyncio.timeout(LOOKUP_LIMIT_S):
            found = await asyncio.wrap_future(asked)
        return [str(entry[4][0]) for entry in found]

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _full(self, merchant_id: int) -> bool:
        return self._under_way[merchant_id] >= LOOKUPS_OF_ONE_MAX or self._under_way.total() >= LOOKUP_THREADS

    def _end(self, merchant_id: int) -> None:
        self._under_way[merchant_id] -= 1
        if not self._under_way[merchant_id]:
            del self._under_way[merchant_id]
        self._returned.set()
        self._returned = asyncio.Event()


def _in_loop(loop: asyncio.AbstractEventLoop, call: Callable[[], None], _done: object) -> None:
    with suppress(RuntimeError):  # the loop was closed before the thread returned: nobody counts any more
        loop.call_soon_threadsafe(call)


class CheckedResolver(AbstractResolver):
    """Resolve a name once and give out its addresses only if the policy takes all of them."""

    def __init__(self, policy: AddressPolicy, lookup: Lookup) -> None:
        self._policy = policy
        self._lookup = lookup

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002  # the interface's; both are taken
    ) -> list[ResolveResult]:
        """
        Return the addresses, in the order of the name system.

        Raises:
            AddressRefused: one of them is not allowed; one bad answer refuses the name.
            OSError: no answer, or none in time.
            NotLookedUp: it was not asked for.
        """
        addresses = list(dict.fromkeys(await self._lookup(host)))
        if not addresses:
            raise OSError(errno.EADDRNOTAVAIL, "the name has no address")
        if len(addresses) > ANSWERS_MAX:
            raise AddressRefused(f"the name has more than {ANSWERS_MAX} addresses")
        for address in addresses:
            check_address(address, self._policy)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        return


class CheckedSockets:
    """
    Make the socket of each connection, and look at its address once more.

    Addresses written in a URL never meet a resolver: this is the one place that every connection passes.
    """

    def __init__(self, policy: AddressPolicy) -> None:
        self._policy = policy

    def __call__(self, info: AddrInfo) -> socket.socket:
        try:
            check_address(str(info[4][0]), self._policy)
        except AddressRefused as exc:
            # An OSError, because the connector goes on with the name's other addresses on nothing else.
            raise PermissionError(errno.EACCES, str(exc)) from exc
        return socket.socket(info[0], info[1], info[2])
