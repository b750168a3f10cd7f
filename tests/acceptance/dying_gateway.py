"""
A gateway that dies by SIGKILL at a named statement.

Run as a process of its own: python -m tests.acceptance.dying_gateway. The first line on its standard input
is the settings, pickled, in base64. It forks for each line that follows, so that a life begins at once. Such
a line is a statement of the catalogue and when to die: "after inbound.insert_orders", "before" it, or
"committed" for after the commit of its transaction; "never" lives on. A life prints "bound" and its number
once its carrier is there, counts from SIGUSR1 on (and prints "armed"), and the fork prints "dead" after it.
"""

from __future__ import annotations

import asyncio
import base64
import os
import pickle
import signal
import sys
from typing import Any, Final

import asyncpg

from smsgate.billing.networks import default_table
from smsgate.campaigns.reply_entries import LANGUAGES
from smsgate.campaigns.reply_words import vocabulary
from smsgate.cli.sessions import silence_logs
from smsgate.clock import SystemClock
from smsgate.config import Settings
from smsgate.daemon.process import running
from smsgate.kept_tables import reply_tables_at_hand
from smsgate.store import catalogue, pool
from tests.flows.statements import pieces_of

LOOK_S: Final = 0.005
NEVER: Final = "never"


class Fate:
    """When this life ends; `step` as on the standard input."""

    def __init__(self, step: str) -> None:
        self.when, _, self._name = step.partition(" ")
        assert not self._name or self._name in catalogue.load_all()
        self._committing: object = None
        self.armed = False

    def before(self, query: str) -> None:
        if self.armed and self.when == "before" and self._name in pieces_of(query):
            _die()

    def after(self, query: str, connection: object) -> None:
        if not self.armed:
            return
        if self._name in pieces_of(query):
            if self.when == "after":
                _die()
            self._committing = connection
        elif self.when == "committed" and query == "COMMIT;" and connection is self._committing:
            _die()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _mortal(kind: type[Any], fate: Fate) -> type[Any]:
    """Return a kind of connection whose statements are the steps that count."""

    class Mortal(kind):  # type: ignore[misc]
        async def execute(self, query: str, *args: Any, **more: Any) -> Any:
            fate.before(query)
            found = await super().execute(query, *args, **more)
            fate.after(query, self)
            return found

        async def fetch(self, query: str, *args: Any, **more: Any) -> Any:
            fate.before(query)
            found = await super().fetch(query, *args, **more)
            fate.after(query, self)
            return found

        async def fetchrow(self, query: str, *args: Any, **more: Any) -> Any:
            fate.before(query)
            found = await super().fetchrow(query, *args, **more)
            fate.after(query, self)
            return found

        async def fetchval(self, query: str, *args: Any, **more: Any) -> Any:
            fate.before(query)
            found = await super().fetchval(query, *args, **more)
            fate.after(query, self)
            return found

    return Mortal


def _say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


async def live(settings: Settings, fate: Fate) -> None:
    pool._Session = _mortal(pool._Session, fate)  # type: ignore[misc]
    pool._ApiSession = _mortal(pool._ApiSession, fate)  # type: ignore[misc]
    pool._BulkSession = _mortal(pool._BulkSession, fate)  # type: ignore[misc]
    async with running(settings, say=lambda _sentence: None, clock=SystemClock()) as process:
        assert process.gateway is not None
        while not all(bind.state == "bound" for each in process.gateway.switchboard for bind in each.binds()):
            await asyncio.sleep(LOOK_S)

        def arm() -> None:
            fate.armed = True
            _say("armed")

        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, arm)
        _say(f"bound {os.getpid()}")
        await asyncio.Event().wait()


def main() -> None:
    silence_logs()
    settings = pickle.loads(base64.b64decode(sys.stdin.readline()))
    reply_tables_at_hand()
    for language in LANGUAGES:  # what a life would read first, is read once for all
        vocabulary(language)
    default_table()
    while line := sys.stdin.readline().strip():
        pid = os.fork()
        if not pid:
            asyncio.run(live(settings, Fate(line)))
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        _say(f"dead {os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status)}")


if __name__ == "__main__":
    assert issubclass(pool._Session, asyncpg.Connection)
    main()
