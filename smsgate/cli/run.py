"""`smsgate run`: the daemon, from its configuration to its last unbind."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Final

import structlog
import typer

from smsgate.cli.config_option import ConfigOption
from smsgate.cli.examples import examples
from smsgate.cli.exits import Exit, UsageRefused, sentence_of
from smsgate.cli.output import say
from smsgate.cli.reload import reload_sentence
from smsgate.cli.systemd import STARTING_MORE, notify
from smsgate.config import Loaded, Settings, load_configuration
from smsgate.config.settings import ROLES
from smsgate.daemon.collector import calm_collector
from smsgate.daemon.open_files import raise_open_files
from smsgate.daemon.process import Process, running
from smsgate.errors import SmsgateError
from smsgate.telemetry.logs import configure_logs

log = structlog.get_logger(__name__)

STOP_LIMIT_S: Final = 25.0  # an orderly stop that takes longer is cut: supervisors kill after 30 s or later
CUT_LIMIT_S: Final = 4.0  # and what does not let itself be cut ends hard; the next start settles it

ADDRESS_ERRORS: Final = frozenset({errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES})

HELP: Final = "Run the gateway until Ctrl-C or SIGTERM."
EPILOG: Final = examples(
    "smsgate run",
    "smsgate run --config /etc/smsgate/smsgate.toml --roles api,webhooks",
    "SMSGATE_STATE_DIR=/var/lib/smsgate smsgate run",
)


class Cut(SmsgateError):
    """The stop was not waited for."""

    code = "cut"


def run(
    config: ConfigOption = None,
    roles: Annotated[
        str | None,
        typer.Option(
            help=f"Comma-separated, of {', '.join(ROLES)}.",
            show_default="those of the configuration",
        ),
    ] = None,
) -> None:
    def read() -> Loaded:
        found = load_configuration(config)
        return found if roles is None else replace(found, settings=with_roles(found.settings, roles))

    loaded = read()
    chosen = loaded.settings
    configure_logs(chosen.log.level, chosen.log.form)
    for warning in loaded.warnings:
        say(f"Warning: {warning}.")
    raise_open_files()
    calm_collector()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_Daemon(chosen, lambda: read().settings).serve())


def with_roles(given: Settings, text: str) -> Settings:
    """
    Return the settings with these roles instead.

    Raises:
        UsageRefused: one of them is no role.
    """
    wanted = [part.strip() for part in text.split(",") if part.strip()]
    unknown = sorted(set(wanted) - set(ROLES))
    if unknown or not wanted:
        raise UsageRefused(f"--roles: {', '.join(unknown) or 'nothing'} is none of {', '.join(ROLES)}.")
    roles = tuple(role for role in ROLES if role in wanted)
    return given.model_copy(update={"node": given.node.model_copy(update={"roles": roles})})


class _Daemon:
    """One run: the first signal stops in order, a second one does not wait."""

    def __init__(self, chosen: Settings, read: Callable[[], Settings]) -> None:
        self._settings = chosen
        self._read = read
        self._reloads: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()
        self._serving = False
        self._hung_up = False  # a reload was asked for before there was anything to reload
        self._cut = False
        self._task: asyncio.Task[object] | None = None

    async def serve(self) -> None:
        """
        Return after a stop in order.

        Raises:
            Cut: a second signal, or the stop took longer than STOP_LIMIT_S.
            SmsgateError: it could not start, or a loop died.
        """
        self._task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal)
        loop.add_signal_handler(signal.SIGHUP, self._on_early_hangup)
        try:
            async with running(self._settings, say=_starting, read=self._read) as process:
                self._serving = True
                loop.add_signal_handler(signal.SIGHUP, self._on_hangup, process)
                if self._hung_up:
                    self._on_hangup(process)
                notify("READY=1", "STATUS=serving")
                say(ready_sentence(process))
                try:
                    await process.wait(self._stop)
                finally:
                    notify("STOPPING=1")
                    self._begin_deadline()
        except asyncio.CancelledError:
            if self._cut:
                raise Cut("Stopped without waiting; the next start settles what was in flight.") from None
            say("Stopped before the start was complete.")
        except OSError as exc:
            raise refused_by_system(exc, self._settings) from exc
        else:
            say("Stopped in order.")

    def _on_early_hangup(self) -> None:
        """Reload as soon as it serves: the file may have been read before it was changed."""
        self._hung_up = True

    def _on_hangup(self, process: Process) -> None:
        task = asyncio.get_running_loop().create_task(self._reload(process), name="reload")
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)

    async def _reload(self, process: Process) -> None:
        """Follow the changed file, or say why not and go on by the old one."""
        try:
            say(reload_sentence(await process.reloading.reload()))
        except SmsgateError as exc:
            log.error("reload_refused", code=exc.code, error=str(exc))
            say(f"Not reloaded, nothing changed: {sentence_of(exc)}")

    def _on_signal(self) -> None:
        assert self._task is not None
        if self._stop.is_set():
            self._end_now()
            return
        self._stop.set()
        if self._serving:
            say("Stopping: open answers are awaited. A second signal does not wait.")
            self._begin_deadline()
        else:
            self._task.cancel()

    def _begin_deadline(self) -> None:
        asyncio.get_running_loop().call_later(STOP_LIMIT_S, self._end_now)

    def _end_now(self) -> None:
        assert self._task is not None
        self._cut = True
        asyncio.get_running_loop().call_later(CUT_LIMIT_S, os._exit, Exit.FAILED)
        self._task.cancel()


def refused_by_system(exc: OSError, settings: Settings) -> SmsgateError:
    """Return the refusal of a start: of a file, which a lock may be as well, or of our own address."""
    words = exc.strerror or str(exc)
    if exc.filename is None and (exc.errno in ADDRESS_ERRORS or isinstance(exc, socket.gaierror)):
        host, port = settings.http.host, settings.listening_port
        keys = f"http.host or http.{settings.port_key}"
        return SmsgateError(f"{words}. {host}:{port} cannot be had: set another {keys}.")
    return SmsgateError(f"The system refused: {words}{f' ({exc.filename})' if exc.filename else ''}.")


def _starting(sentence: str) -> None:
    notify(f"STATUS={sentence}", STARTING_MORE)
    say(sentence)


def ready_sentence(process: Process) -> str:
    roles = ", ".join(process.settings.node.roles)
    assert process.api is not None
    what = "The API is" if "api" in process.settings.node.roles else "Health and metrics are"
    where = f" {what} at http://{process.settings.http.host}:{process.api.port}."
    count = len(process.settings.carriers)
    carriers = f"{count} carrier{'' if count == 1 else 's'}"
    return f"smsgate runs as {roles}.{where} {carriers}. Ctrl-C ends in order."


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's where it is installed: the same work for a third less CPU."""
    try:
        import uvloop  # noqa: PLC0415  # not on every platform
    except ImportError:
        return None
    return uvloop.new_event_loop
