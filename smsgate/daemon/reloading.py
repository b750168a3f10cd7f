"""A new configuration while the process runs: read and checked whole, then carriers and routes follow it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from smsgate.config import Settings
from smsgate.config.routes import route_table
from smsgate.daemon.gateway import Gateway
from smsgate.errors import Conflict
from smsgate.flows.ports_commerce import SenderInfo
from smsgate.links.profile import CarrierProfile
from smsgate.links.senders import owners_of_senders
from smsgate.store.carriers import register_carriers
from smsgate.store.pool import Database

log = structlog.get_logger(__name__)


def sender_table(settings: Settings) -> dict[str, SenderInfo]:
    """Return every sender number of every carrier: who may use it, and whether people can answer it."""
    table: dict[str, SenderInfo] = {}
    for number, (carrier, sender) in owners_of_senders(settings.carriers).items():
        merchants = frozenset() if sender.merchants == "*" else frozenset(sender.merchants)
        table[number] = SenderInfo(
            carrier.name,
            sender.receives,
            merchants,
            carrier.alphabets,
            carrier.long_alphabets,
            carrier.concat,
            frozenset(carrier.message_tlvs),
        )
    return table


class Reloading:
    """What an operator changes in a running process."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        gateway: Gateway | None,
        senders: dict[str, SenderInfo],
        read: Callable[[], Settings] | None,
    ) -> None:
        """`senders` is the table that the API looks at; it is changed in place. `read` may block."""
        self._settings = settings
        self._database = database
        self.gateway = gateway
        self._senders = senders
        self._read = read
        self._lock = asyncio.Lock()

    @property
    def carriers(self) -> Sequence[CarrierProfile]:
        """Those of the configuration that is followed now."""
        return self._settings.carriers

    async def reload(self, *, remove_all_carriers: bool = False) -> dict[str, Any]:
        """
        Read the configuration again and follow it; carriers that stay the same keep their sessions.

        Returns what was done, and which tables of the file wait for a restart.

        Raises:
            ConfigError: the configuration cannot work; nothing changed.
            Conflict: this process was not started from a file; or no carrier would be left, which a file cut
                short looks like, and which has to be said (`remove_all_carriers`).
        """
        if self._read is None:
            raise Conflict("This process has no configuration file to read again.")
        async with self._lock:
            settings = await asyncio.to_thread(self._read)
            if not (settings.carriers or remove_all_carriers):
                self._check_nothing_removed()
            report: dict[str, Any] = {"restart_needed": self._unfollowed(settings)}
            if self.gateway is not None:
                names = [profile.name for profile in settings.carriers]
                ids = await register_carriers(self._database, names)
                carriers = [(ids[profile.name], profile) for profile in settings.carriers]
                table = route_table(settings.routes, settings.carriers)
                changes = await self.gateway.reload(carriers, table)
                report |= changes._asdict()
                report["routes"] = [route.name for route in settings.routes]
            found = sender_table(settings)
            self._senders.clear()
            self._senders.update(found)
            follow = {"carriers": settings.carriers, "routes": settings.routes}
            self._settings = self._settings.model_copy(update=follow)
        log.info("configuration_reloaded", **report)
        return report

    def _check_nothing_removed(self) -> None:
        names = [carrier.name for carrier in self._settings.carriers]  # their senders, where none is bound
        if names:
            commanded = "gateway" in self._settings.node.roles  # others have no control socket
            mend = "run `smsgate reload --remove-all-carriers`" if commanded else "start this process again"
            raise Conflict(
                f"the configuration has no [[carriers]] any more, and {', '.join(names)} would be removed; "
                f"if that is meant, {mend}",
                code="carriers_would_be_removed",
            )

    def _unfollowed(self, settings: Settings) -> list[str]:
        """Return the tables that differ and are read at the start alone."""
        followed = {"carriers", "routes"}
        names = [name for name in Settings.model_fields if name not in followed]
        waiting = [name for name in names if getattr(settings, name) != getattr(self._settings, name)]
        if self.gateway is None and settings.carriers and "gateway" in self._settings.node.roles:
            waiting.append("carriers")
        return waiting

    def state(self, name: str) -> str:
        assert self.gateway is not None
        return self.gateway.switchboard.state(name)

    async def operate(self, name: str, action: str) -> str:
        """
        Drain, stop or start one carrier, and return its state then.

        Raises:
            NotFound: no such carrier.
            Conflict: no carriers run here.
        """
        if self.gateway is None:
            raise Conflict("This process has no carriers.")
        switchboard = self.gateway.switchboard
        if action == "drain":
            await switchboard.drain_one(name)
        elif action == "stop":
            await switchboard.stop_one(name, self.gateway.leave)
        else:
            assert action == "start"
            await switchboard.start_one(name)
        log.info("carrier_operated", carrier=name, action=action, state=switchboard.state(name))
        return switchboard.state(name)


ACTIONS = ("drain", "stop", "start")
