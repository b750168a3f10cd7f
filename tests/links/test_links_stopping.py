"""A link that is stopped leaves nothing at the carrier, whatever it was about to do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from smsgate.flows.records import Lane
from smsgate.protocol.commands import CommandId
from tests.links.fake_smsc import an_account, fake_smsc, some_bodies, states, until
from tests.links.test_links_tls import LOOPBACK, Authority, server_context, tls_profile


class SlowPath:
    """A path to an SMSC on which a new connection may hang before its first octet is passed on."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self.accepted = 0
        self.ended = 0
        self.passing = asyncio.Event()
        self.passing.set()
        self._target = target

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        await self.passing.wait()
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        await asyncio.gather(self._pass(reader, back), self._pass(there, writer))
        self.ended += 1

    @staticmethod
    async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                writer.write(data)
        except ConnectionError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def slow_path(target: int) -> AsyncIterator[SlowPath]:
    path = SlowPath(target)
    server = await asyncio.start_server(path.take, "127.0.0.1", 0)
    path.port = server.sockets[0].getsockname()[1]
    try:
        yield path
    finally:
        path.passing.set()
        server.close()
        await until(lambda: path.ended == path.accepted)


async def test_a_session_that_was_about_to_follow_as_planned_does_not_outlive_its_link(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path)
    async with (
        fake_smsc(server_context(authority.issue(LOOPBACK))) as smsc,
        slow_path(smsc.port) as path,
    ):
        profile = tls_profile(path.port, authority.file, max_messages_per_bind=10)
        async with an_account(profile) as (account, events):
            path.passing.clear()
            smsc.hold = True
            account.submit(some_bodies(account, 8), range(8), Lane.INTERACTIVE)
            await until(lambda: len(smsc.live[0].held) == 8)
            smsc.live[0].answer_held(4)
            await until(lambda: path.accepted == 2)  # the successor shakes hands
            stopping = asyncio.create_task(account.stop(2.0))
            await until(lambda: states(account) == ["unbinding"])
            path.passing.set()
            await until(lambda: path.ended or len(smsc.binds) == 2)
            smsc.peers[0].answer_held()  # only now the old session leaves
            await stopping
            assert sorted(events.slots) == list(range(8))
            assert smsc.peers[0].heard(CommandId.UNBIND)
            await until(lambda: not smsc.live, "a session is left that nobody owns")
        assert len(smsc.binds) == 1
