"""SMSC, phones and control as one thing: what `smsgate smsc` runs, and the demonstration beside it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from smsgate.clock import Clock
from smsgate.errors import TextError
from smsgate.simulator.certificates import tls_server
from smsgate.simulator.control import Control
from smsgate.simulator.faults import NO_FAULTS
from smsgate.simulator.faulty_smsc import FaultySmsc
from smsgate.simulator.journal import Journal
from smsgate.simulator.phones import SILENT, Behaviour, Phones, Reply, ScriptStep
from smsgate.simulator.smsc import STOP_GRACE_S, Smsc
from smsgate.simulator.smsc_settings import SmscSettings
from smsgate.simulator.submits import Submits


@dataclass(slots=True)
class SimulatorSettings:
    """
    Ports of 0 take free ones; the real ones are on `Simulator`.

    The same `seed` gives the same draws in the same order of messages. `control_port` None: no control.
    `profiles` are the names of what makes the SMSC faulty, for `Simulator.describe`; `smsc` holds it.
    `journal`: what the SMSC took and got answered goes into this file, and the next start goes on from it.
    """

    host: str = "127.0.0.1"
    port: int = 0
    control_port: int | None = 0
    seed: int = 1
    smsc: SmscSettings = field(default_factory=SmscSettings)
    behaviour: Behaviour = SILENT
    scripts: Mapping[int, Sequence[ScriptStep]] = field(default_factory=dict)
    phones: bool = True  # False: nobody reads; for load
    profiles: tuple[str, ...] = ()
    journal: Path | None = None  # of an SMSC without faults


class Simulator:
    """Start it, read `smpp_port` and `control_url`, stop it."""

    def __init__(self, settings: SimulatorSettings, *, clock: Clock | None = None) -> None:
        """
        Make everything; nothing listens yet.

        Raises:
            OSError: the journal cannot be written.
            JournalRefused: the file is no journal.
        """
        self.settings = settings
        self.ca_pem = b""  # with TLS, once it listens: what an ESME would have to trust
        # Two generators: what phones do does not depend on how the SMSC fails.
        self.phones = Phones(settings.behaviour, random.Random(settings.seed), settings.scripts)  # noqa: S311 # chance
        self._journal = None if settings.journal is None else Journal.open(settings.journal)
        rng = random.Random(settings.seed + 1)  # noqa: S311 # chance, no secret
        on_delivered = self._delivered if settings.phones else None
        if settings.smsc.faults == NO_FAULTS:
            self.smsc = Smsc(
                settings.smsc, rng, clock=clock, on_delivered=on_delivered, journal=self._journal
            )
        else:
            self.smsc = FaultySmsc(settings.smsc, rng, clock=clock, on_delivered=on_delivered)
        self._control = (
            Control(self.phones, self._send, self.stats) if settings.control_port is not None else None
        )

    async def start(self) -> None:
        """
        Listen.

        Raises:
            OSError: an address is taken or not ours.
        """
        settings, tls = self.settings, None
        if settings.smsc.faults.tls:
            tls, self.ca_pem = tls_server(settings.smsc.faults.tls, settings.host)
        await self.smsc.start(settings.host, settings.port, tls)
        if self._control is not None:
            try:
                await self._control.start(self.settings.control_port or 0)
            except OSError:
                await self.smsc.stop(0.0)
                raise

    async def stop(self, grace_s: float = STOP_GRACE_S) -> None:
        """Unbind everybody, wait up to `grace_s` for their answers, and close."""
        if self._control is not None:
            await self._control.stop()
        await self.smsc.stop(grace_s)
        if self._journal is not None:
            self._journal.close()

    @property
    def smpp_port(self) -> int:
        return self.smsc.port

    @property
    def control_url(self) -> str | None:
        return self._control.url if self._control is not None else None

    def reply_by_hand(self, msisdn: int, text: str, to: str | None = None) -> None:
        """
        Type a text on a phone and send it.

        Raises:
            NotFound: no `to`, and nobody wrote to this phone.
            Invalid: the sender is a name.
            TextError: no alphabet can carry the text.
        """
        self._send(self.phones.by_hand(msisdn, text, to))

    def stats(self) -> dict[str, Any]:
        return {"smsc": self.smsc.stats(), "phones": self.phones.stats()}

    def describe(self) -> dict[str, Any]:
        """Return what an ESME needs to bind and a person to look, without passwords."""
        return {
            "smpp": f"{self.settings.host}:{self.smpp_port}",
            "control": self.control_url,
            "system_ids": [account.system_id for account in self.settings.smsc.accounts],
            "seed": self.settings.seed,
            "replies": {kind.value: share for kind, share in self.settings.behaviour.shares() if share},
            "receipts": self.settings.smsc.receipts,
            "profiles": list(self.settings.profiles),
        }

    def _delivered(self, submits: Submits) -> None:
        for reply in self.phones.receive(submits, time.time()):
            if reply.delay_s:
                self.smsc.timetable.after(reply.delay_s, partial(self._send_chosen, reply))
            else:
                self._send_chosen(reply)

    def _send_chosen(self, reply: Reply) -> None:
        with suppress(
            TextError
        ):  # a script may hold what no alphabet carries: the phone could not send it either
            self._send(reply)

    def _send(self, reply: Reply) -> None:
        self.smsc.send_mo(reply.msisdn, reply.to, reply.text)


async def run_simulator(
    settings: SimulatorSettings, stop: asyncio.Event, on_ready: Callable[[Simulator], None] | None = None
) -> Simulator:
    """
    Run until `stop` is set, then unbind and close; return the simulator with its final counts.

    `on_ready` is called once both ports listen: the place to print `describe()`.

    Raises:
        OSError: an address is taken or not ours, or the journal cannot be written.
        JournalRefused: the file is no journal.
    """
    simulator = Simulator(settings)
    await simulator.start()
    try:
        if on_ready is not None:
            on_ready(simulator)
        await stop.wait()
    finally:
        await simulator.stop()
    return simulator
