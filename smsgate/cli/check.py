"""`smsgate check`: what is wrong, and how to mend it, before customers tell."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated, Final

import typer

from smsgate.cli.bind_probe import probe_bind, probe_connection
from smsgate.cli.check_prices import check_commerce
from smsgate.cli.config_option import ConfigOption
from smsgate.cli.examples import examples
from smsgate.cli.exits import Exit
from smsgate.cli.findings import Findings
from smsgate.cli.output import JsonOption, say
from smsgate.cli.sessions import run_to_end
from smsgate.clock import Clock, SystemClock
from smsgate.config import Settings, load_configuration
from smsgate.errors import (
    ConfigError,
    SchemaOutdated,
    SealBroken,
    SmsgateError,
    StoreNotReady,
    StoreUnavailable,
)
from smsgate.security.master_key_file import is_missing
from smsgate.store.dsn import Dsns
from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.embedded_paths import has_data
from smsgate.store.inspection import inspect
from smsgate.store.keyring import MASTER_KEY_ENV, MASTER_KEY_FILE, StoredKeyring, open_master_key
from smsgate.store.pool import Database

HELP: Final = (
    "Say what is wrong with this installation, and how to mend it.\n\nLooks at configuration, database, "
    "keys, carriers (a short bind with the real credentials) and prices."
)
EPILOG: Final = examples("smsgate check", "smsgate check --no-bind --json")

CLOCK_SKEW_MAX_S: Final = 5.0  # ids and statements are cut by our clock, leases by the database's
MIB: Final = 1 << 20


def check(
    config: ConfigOption = None,
    no_bind: Annotated[bool, typer.Option("--no-bind", help="Connect to carriers, and do not bind.")] = False,
    as_json: JsonOption = False,
) -> None:
    findings = Findings()
    settings = _check_configuration(findings, config)
    if settings is not None:
        run_to_end(_check_all(findings, settings, bind=not no_bind))
    if as_json:
        findings.show_json()
    else:
        findings.show()
    raise typer.Exit(Exit.FAILED if findings.failed else Exit.OK)


def _check_configuration(findings: Findings, path: Path | None) -> Settings | None:
    try:
        loaded = load_configuration(path)
    except ConfigError as exc:
        where = f" ({exc.where})" if exc.where and exc.where not in str(exc) else ""
        findings.fail("configuration", f"{exc}{where}", exc.mend)
        return None
    settings = loaded.settings
    findings.ok(
        "configuration",
        f"{loaded.path or 'no file, all defaults'}; roles {', '.join(settings.node.roles)}; "
        f"{len(settings.carriers)} carriers",
    )
    for warning in loaded.warnings:
        findings.warn("configuration", warning, "")
    return settings


async def _check_all(findings: Findings, settings: Settings, *, bind: bool) -> None:
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        database = await _open(findings, settings, stack)
        if database is not None:
            try:
                await _check_database(findings, settings, database, clock)
                await check_commerce(findings, settings, database, clock)
            except StoreUnavailable as exc:
                findings.fail("database", f"it went away: {exc}", "look at the server's own log")
        await _check_carriers(findings, settings, clock, bind=bind)


async def _open(findings: Findings, settings: Settings, stack: AsyncExitStack) -> Database | None:
    dsns, state_dir = settings.database.dsns(), settings.node.state_dir
    source: Dsns | EmbeddedPostgres
    try:
        if dsns is not None:
            source = dsns
        elif not await asyncio.to_thread(has_data, state_dir):
            _warn_of_no_database(findings)
            return None
        else:
            server = EmbeddedPostgres(state_dir, database=settings.database.name, on_progress=say)
            source = await stack.enter_async_context(server)
    except StoreNotReady as exc:
        findings.fail("database", str(exc), f"look at {state_dir}, or set database.dsn")
        return None
    try:
        return await stack.enter_async_context(await Database.open(source, migrate=False))
    except StoreUnavailable as exc:
        findings.fail("database", str(exc), "check database.dsn, and whether the server runs and lets us in")
    except SchemaOutdated as exc:
        if dsns is not None:
            findings.fail("database schema", str(exc), "smsgate migrate")
        elif exc.empty:
            _warn_of_no_database(findings)
        else:
            findings.warn(
                "database schema", "it is older than this smsgate", "smsgate run brings it up to date"
            )
    except StoreNotReady as exc:
        findings.fail("database schema", str(exc), "start the newer smsgate")
    except SmsgateError as exc:
        findings.fail("database", str(exc), "check database.dsn: user, password and name of the database")
    return None


def _warn_of_no_database(findings: Findings) -> None:
    findings.warn("database", "no database yet", "smsgate run makes it")


async def _check_database(findings: Findings, settings: Settings, database: Database, clock: Clock) -> None:
    facts = await inspect(database)
    kind = "embedded" if settings.database.dsns() is None else "by DSN"
    findings.ok(
        "database", f"PostgreSQL {facts.version} ({kind}), {facts.octets // MIB} MiB, schema up to date"
    )
    if facts.standby:
        findings.fail(
            "database", "this server is a standby and takes no writes", "name the primary in database.dsn"
        )
    if not facts.durable:
        findings.fail(
            "database durability",
            "a power cut may lose what was committed: messages would be sent or charged twice",
            "set fsync, full_page_writes and synchronous_commit to on in the server's configuration",
        )
    skew_s = abs((facts.now - clock.now()).total_seconds())
    if skew_s > CLOCK_SKEW_MAX_S:
        findings.warn(
            "clock", f"the database's clock and ours differ by {skew_s:.0f} s", "let both follow the same NTP"
        )
    for sentence in facts.wrong_roles:
        findings.fail("database roles", sentence, "smsgate migrate, by a user who may alter roles")
    if not facts.wrong_roles:
        findings.ok("database roles", "each sees what it must and no more")
    await _check_master_key(findings, settings, database, facts.data_keys)


async def _check_master_key(
    findings: Findings, settings: Settings, database: Database, data_keys: int
) -> None:
    embedded = settings.database.dsns() is None
    try:
        master = open_master_key(settings.node.state_dir, create=False)
        await StoredKeyring.load(database, master)
    except ConfigError as exc:
        if embedded and not data_keys and is_missing(settings.node.state_dir / MASTER_KEY_FILE):
            findings.ok("master key", "the first start will make it")
        else:
            findings.fail("master key", f"{exc} ({exc.where})", exc.mend)
    except SealBroken as exc:
        findings.fail("master key", str(exc), f"restore the right one, in its file or in {MASTER_KEY_ENV}")
    else:
        findings.ok("master key", "it opens what is sealed in the database")


async def _check_carriers(findings: Findings, settings: Settings, clock: Clock, *, bind: bool) -> None:
    for profile in settings.carriers:
        name = f"carrier {profile.name}"
        for host in profile.hosts:
            probe = await (probe_bind(profile, host, clock) if bind else probe_connection(profile, host))
            if not probe.mend:
                findings.ok(name, probe.detail)
            elif probe.in_use:
                findings.warn(name, probe.detail, probe.mend)
            else:
                findings.fail(name, probe.detail, probe.mend)
        if not any(sender.receives for sender in profile.senders):
            findings.warn(
                name,
                "none of its senders receives, so nobody can answer over it",
                f"set receives = true for a number in carriers.{profile.name}.senders",
            )
