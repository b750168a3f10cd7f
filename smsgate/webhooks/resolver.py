"""Names to addresses for outgoing requests: all answers are judged, and only those are connected to."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from aiohttp.abc import AbstractResolver, ResolveResult

from smsgate.errors import AddressRefused
from smsgate.security.addresses import AddressPolicy, check_address

LOOKUP_THREADS: Final = 16  # a slow name server holds a thread for up to half a minute; others must go on
LOOKUP_LIMIT_S: Final = 5.0
ANSWERS_MAX: Final = 64  # addresses of one name; more is no shop

Lookup = Callable[[str], Awaitable[Sequence[str]]]  # host name -> addresses; OSError: there are none
AddrInfo = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[Any, ...]]


class SystemLookup:
    """The operating system's resolver, in threads of its own: hosts' slow names starve nobody else."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOKUP_THREADS, thread_name_prefix="webhook-lookup")

    async def __call__(self, host: str) -> Sequence[str]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        )
        return [str(entry[4][0]) for entry in found]

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


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
            OSError: no answer, or none in LOOKUP_LIMIT_S.
        """
        async with asyncio.timeout(LOOKUP_LIMIT_S):
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
