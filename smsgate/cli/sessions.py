"""Commands that work on the database: with the daemon beside them or without it."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import structlog
import typer

from smsgate.cli.exits import Exit
from smsgate.cli.output import say
from smsgate.clock import SystemClock
from smsgate.config import Settings, load_settings
from smsgate.daemon.services import Services, open_services
from smsgate.demo.one_demo import runs_in
from smsgate.demo.settings import DATABASE as DEMO_DATABASE
from smsgate.demo.settings import SETTINGS_FILE
from smsgate.errors import NotFound
from smsgate.flows.commerce_records import Page, PageAsk
from smsgate.flows.ports_api import MerchantRow
from smsgate.store.merchants import PgMerchants
from smsgate.store.pool import Database

T = TypeVar("T")
Row = TypeVar("Row")

SlugArgument = Annotated[str, typer.Argument(metavar="SLUG", help="Your handle of the merchant: boxman")]

PAGE: Final = 100  # rows read at once


def with_services(config: Path | None, work: Callable[[Services], Awaitable[T]]) -> T:
    """Open the configured database, starting the embedded one if nobody has, do the work and leave again."""
    return with_settings(load_settings(config), work)


def with_settings(settings: Settings, work: Callable[[Services], Awaitable[T]]) -> T:
    place, state_dir = settings.database, settings.node.state_dir
    embedded, clock = place.dsns() is None, SystemClock()
    # Its books are in a database of its own: who looks for them in this one finds none.
    demo = state_dir / SETTINGS_FILE
    beside_demo = embedded and place.name != DEMO_DATABASE and demo.is_file()

    async def session() -> T:
        async with open_services(state_dir, place.dsns(), clock, say, database_name=place.name) as services:
            return await work(services)

    if beside_demo and runs_in(state_dir):
        say(f"This is the database {place.name} in {state_dir}. The running demo's: SMSGATE_CONFIG={demo}")
    try:
        return run_to_end(session())
    except NotFound as exc:
        if not beside_demo:
            raise
        raise NotFound(
            f"{exc} (That was the database {place.name} in {state_dir}; the demo's: SMSGATE_CONFIG={demo})"
        ) from exc


def run_to_end(
    work: Coroutine[Any, Any, T], loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None
) -> T:
    """
    Run `work` in a loop of its own, without log lines.

    SIGTERM cancels it as Ctrl-C does: what it opened is closed, a database that it started is stopped.
    """
    silence_logs()
    try:
        return until_ended(work, loop_factory)
    except KeyboardInterrupt:
        raise typer.Exit(Exit.INTERRUPTED) from None
    except asyncio.CancelledError:
        raise typer.Exit(Exit.TERMINATED) from None


def until_ended(
    work: Coroutine[Any, Any, T], loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None
) -> T:
    """
    Run `work` in a loop of its own; SIGTERM cancels it once, as Ctrl-C does.

    Raises:
        KeyboardInterrupt: it was ended by Ctrl-C.
        CancelledError: it was ended by SIGTERM.
    """

    async def run() -> T:
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None

        def end() -> None:
            loop.add_signal_handler(signal.SIGTERM, lambda: None)  # once more would end the closing
            task.cancel()

        loop.add_signal_handler(signal.SIGTERM, end)
        return await work

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(run())


def silence_logs() -> None:
    """Say nothing in log lines: a command tells what matters as sentences."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.getLogger().setLevel(logging.CRITICAL)


async def merchant_of(services: Services, slug: str) -> MerchantRow:
    """
    Return the merchant.

    Raises:
        NotFound: nobody has this slug.
    """
    found = await PgMerchants(services.database).by_slug(slug)
    if found is None:
        raise NotFound(f"No merchant has the slug {slug!r}: `smsgate merchant list` shows those that exist.")
    return found


async def all_rows(
    page: Callable[[PageAsk], Awaitable[Page[Row]]], id_of: Callable[[Row], int]
) -> Sequence[Row]:
    """Return every row of a list of the store, newest first."""
    rows: list[Row] = []
    while True:
        found = await page(PageAsk(PAGE, after=id_of(rows[-1]) if rows else None))
        rows += found.rows
        if not found.has_more:
            return rows


async def all_merchants(database: Database) -> Sequence[MerchantRow]:
    return await all_rows(PgMerchants(database).list, lambda row: row.merchant_id)
