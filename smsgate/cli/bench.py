"""`smsgate bench`: what this machine carries, all features on, beside a throw-away database."""

from __future__ import annotations

import os
import platform
from typing import Annotated, Final

import typer

from smsgate.bench.main import SETTLE_S, BenchOptions, Figures, run_bench
from smsgate.bench.scene import MESSAGES_MAX, PASSWORD, SYSTEM_ID
from smsgate.cli.examples import examples
from smsgate.cli.exits import Exit, UsageRefused
from smsgate.cli.output import JsonOption, say, show, show_json
from smsgate.cli.run import loop_factory
from smsgate.cli.sessions import run_to_end
from smsgate.compiled import COMPILED
from smsgate.daemon.collector import calm_collector
from smsgate.links.profile_flow import RATE_LIMIT_PER_S
from smsgate.links.profile_values import Host, read_host

MESSAGES: Final = 100_000

HELP: Final = (
    "Measure what this machine carries: offers to imported subscribers, from the claimed chunk to the "
    "committed receipt, while phones answer OK now and then.\n\n"
    "The database is its own and thrown away; so is the SMSC, unless --smsc names another. The last line is "
    "JSON."
)
EPILOG: Final = examples(
    "smsgate bench",
    "smsgate bench --messages 600000 --smsc 127.0.0.1:2775",
    "smsgate bench --rate 5000 --seconds 60 --json",
)


def bench(
    messages: Annotated[
        int | None,
        typer.Option(min=1, max=MESSAGES_MAX, show_default=f"{MESSAGES:,}", help="How many offers."),
    ] = None,
    rate: Annotated[
        int | None,
        typer.Option(min=1, max=RATE_LIMIT_PER_S, help="Messages a second; else as fast as it goes."),
    ] = None,
    seconds: Annotated[
        int | None, typer.Option(min=1, help="With --rate: for how long, instead of --messages.")
    ] = None,
    smsc: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="An SMSC by plain SMPP instead of our simulator.")
    ] = None,
    system_id: Annotated[str, typer.Option(help="With --smsc: what to bind with.")] = SYSTEM_ID,
    password: Annotated[
        str, typer.Option(envvar="SMSGATE_SMSC_PASSWORD", help="With --smsc: what to bind with.")
    ] = PASSWORD,
    receipts: Annotated[bool, typer.Option(help="Ask for receipts, and wait for them.")] = True,
    as_json: JsonOption = False,
) -> None:
    options = BenchOptions(
        messages=_count(messages, rate, seconds),
        rate_per_s=rate,
        smsc=None if smsc is None else _host(smsc),
        system_id=system_id,
        password=password,
        receipts=receipts,
    )
    calm_collector()
    figures = run_to_end(run_bench(options), loop_factory())
    if not as_json:
        for line in report(figures, options):
            show(line)
    show_json(figures.as_json())
    if wrong := shortfall(figures, options):
        say(wrong)
        raise typer.Exit(Exit.FAILED)


def _count(messages: int | None, rate: int | None, seconds: int | None) -> int:
    if seconds is None:
        return messages or MESSAGES
    if rate is None or messages is not None:
        raise UsageRefused("--seconds goes with --rate, and without --messages: it is rate times seconds.")
    if rate * seconds > MESSAGES_MAX:
        raise UsageRefused(f"{rate} x {seconds} messages are more than {MESSAGES_MAX}.")
    return rate * seconds


def _host(text: str) -> Host:
    try:
        return read_host(text)
    except ValueError:
        raise UsageRefused(f"--smsc: {text[:60]!r} is no HOST:PORT.") from None


def report(figures: Figures, options: BenchOptions) -> list[str]:
    """Return the figures as a person reads them."""
    gateway, postgres = figures.gateway_cpu_us, figures.database_cpu_us
    flush, confirmed = figures.flush_ms, figures.interactive_ms
    counts = (
        f"{figures.accepted:,} accepted, {figures.receipts:,} receipts, {figures.ledger_messages:,} in the "
        f"ledger, {figures.unknown:,} unknown"
    )
    load, pump = os.getloadavg()[0], "compiled pump" if COMPILED else "plain Python"
    lines = [
        f"{os.cpu_count()} cores, Python {platform.python_version()}, {pump}, load {load:.1f} at the end",
        f"{figures.messages:,} messages in {figures.wall_s:,.1f} s: {figures.per_second:,} a second",
        f"CPU a message: gateway {gateway} us + PostgreSQL {postgres} us = {gateway + postgres:.1f} us",
        f"checked: consent, caps, {'quiet hours' if figures.hours_kept else 'no hours: none are open today'}",
        f"write-ahead log: {figures.wal_bytes / figures.messages:.0f} octets a message",
        f"memory of the gateway: {figures.rss_mb} MB",
        f"flush: median {flush['p50']} ms, 99 % within {flush['p99']} ms, longest {flush['max']} ms",
        (
            f"confirmations left after: median {confirmed['p50']} ms, 99 % within {confirmed['p99']} ms "
            f"({figures.answers:,} answers, {figures.orders:,} orders)"
        ),
        counts,
    ]
    if options.rate_per_s and figures.settled_per_second:
        share = 100 * figures.settled_per_second / options.rate_per_s
        lines.append(
            f"after {SETTLE_S:.0f} s: {figures.settled_per_second:,.0f} a second, {share:.2f} % of the rate"
        )
    return lines


def shortfall(figures: Figures, options: BenchOptions) -> str | None:
    """Say what of the run does not add up; None: everything does."""
    messages = figures.messages
    if not figures.complete:
        return "The run got stuck and was given up: not every message has its outcome."
    if figures.accepted != messages or figures.ledger_messages != messages or figures.unknown:
        return "Not every message was accepted and charged."
    if options.receipts and figures.receipts != messages:
        return "Receipts and messages are not as many."
    return None
