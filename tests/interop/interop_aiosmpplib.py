"""An ESME on aiosmpplib, as its own documentation has it: tasks, a broker and a hook."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiosmpplib import ESME, NPI, TON, AbstractHook, PhoneNumber, SubmitSm
from aiosmpplib.state import BindMode

from tests.interop.interop_esme import PHONE, SENDER, Server
from tests.interop.interop_processes import DEADLINE_S

# aiosmpplib lets go of its StreamWriter without waiting for it to close.
LEAKS = ("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
ENQUIRE_LINK_S = 0.2
OFFER = "Boxman: CD Madonna 19,90€. Répondez OK = commande"


class Seen(AbstractHook):  # type: ignore[misc]
    """What came, by kind."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.pdus: list[bytes] = []

    def of(self, kind: type) -> list[Any]:
        return [message for message in self.messages if isinstance(message, kind)]

    async def sending(self, smpp_message: Any, pdu: bytes, client_id: str) -> None:
        pass

    async def received(self, smpp_message: Any, pdu: bytes, client_id: str) -> None:
        self.messages.append(smpp_message)
        self.pdus.append(pdu)

    async def send_error(self, smpp_message: Any, error: Exception, client_id: str) -> None:
        raise error


def an_esme(
    server: Server, seen: Seen, mode: BindMode = BindMode.TRANSCEIVER, password: str | None = None
) -> ESME:
    return ESME(
        "127.0.0.1",
        server.port,
        server.system_id,
        password or server.password,
        bind_mode=mode,
        hook=seen,
        enquire_link_interval=ENQUIRE_LINK_S,
        log_level="CRITICAL",
    )


@asynccontextmanager
async def bound(server: Server, seen: Seen, mode: BindMode = BindMode.TRANSCEIVER) -> AsyncIterator[ESME]:
    esme = an_esme(server, seen, mode)
    task = asyncio.create_task(esme.start())
    try:
        await eventually(lambda: esme.session_state == mode.session_state, "bound")
        yield esme
        await asyncio.wait_for(esme.stop(), DEADLINE_S)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def eventually(condition: Callable[[], object], what: str) -> None:
    try:
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"never came: {what}") from None


def a_submit(destination: str = PHONE) -> SubmitSm:
    return SubmitSm(
        short_message=OFFER,
        source=PhoneNumber(SENDER, TON.NETWORK_SPECIFIC, NPI.ISDN),
        destination=PhoneNumber(destination),
        log_id=destination,
    )
