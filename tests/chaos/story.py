"""One run: traffic, kills, quiet, proof."""

from __future__ import annotations

import asyncio
import math
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import asyncpg

from smsgate.billing.periods import month_of
from smsgate.clock import SystemClock
from smsgate.store.verify import looked_of
from tests.chaos.books import read_smsc, read_tables, still_open
from tests.chaos.cashier import money_comes, prove_money
from tests.chaos.children import codes
from tests.chaos.kills import GAP_S, Killer
from tests.chaos.proof import Check, figures, prove
from tests.chaos.town import IN_DOUBT_MAX, LOOK_FAILED, Town, a_town
from tests.chaos.traffic import GROUP, Traffic, settle_in
from tests.chaos.waiting import Waits, time_passes

MERCHANT: Final = "boxman"  # of the scene, and its zone
ZONE: Final = "Europe/Paris"
INTERVAL_S: Final = 2.0  # between two campaigns: half of the carrier's rate, so that what waits is caught up
AGAIN_AFTER: Final = 1.5  # each person is in the audience of so many campaigns
GROUPS_MIN: Final = 12
QUIET_S: Final = 4.0  # nothing moved for so long, and nothing is left to do
# On a machine that does other things as well, what was delayed is caught up; each kill delays some more.
QUIET_LIMIT_S: Final = 600.0
QUIET_PER_KILL_S: Final = 3.0
# A process may end by itself, for its supervisor to start it anew, when the database is away: for longer than
# its lease, or while it starts.
DATABASE_KILLS: Final = frozenset({"postmaster", "backend", "gateway and postmaster"})
DATABASE_AWAY_S: Final = 40.0


async def kill_and_prove(
    kills: int, seed: int, say: Callable[[str], None], directory: Path | None = None
) -> dict[str, Any]:
    """Run the whole and return the summary; `ok` in it says whether everything holds."""
    began = time.monotonic()
    expected = kills * sum(GAP_S) / 2 / INTERVAL_S
    groups = max(GROUPS_MIN, math.ceil(expected / AGAIN_AFTER))
    async with a_town(seed, directory=directory) as town:
        traffic = await settle_in(town, groups, seed)
        say(f"{groups * GROUP} people in {groups} groups; killing {kills} times, seed {seed}")
        killer, stop = Killer(town, seed, say), asyncio.Event()
        async with money_comes(town, seed) as money, time_passes(town) as waits:
            sending = asyncio.create_task(traffic.run(stop, INTERVAL_S))
            await killer.run(kills)
            stop.set()
            await asyncio.wait_for(sending, QUIET_LIMIT_S)
            quiet_s = await until_quiet(town, QUIET_LIMIT_S + QUIET_PER_KILL_S * kills)
        say(f"quiet after {quiet_s:.1f} s")
        async with town.database() as connection:
            tables = await read_tables(connection)
            books = await _books_check(connection)
        exported = await _export_check(town)
        smsc = read_smsc(town.journal)
        groups_of = {mark: traffic.groups[number] for mark, number in traffic.group_of.items()}
        checks = prove(
            smsc,
            tables,
            town.shop,
            groups=groups_of,
            campaigns=len(traffic.campaigns),
            cap=IN_DOUBT_MAX,
            deaths=[end.at for end in town.gateway.ended if end.code],
            waits=waits,
        )
        checks += [
            *prove_money(smsc, money, tables.ledger["sell_micros"]),
            books,
            exported,
            _process_check(town, killer),
            _stop_check(killer),
            _intake_check(traffic),
            _waits_check(waits, traffic),
        ]
        found = figures(smsc, tables)
        processes = {
            child.name: {
                "lives": child.lives,
                "codes": codes(child.ended),
                "unasked": [end.last_words for end in child.unasked],
            }
            for child in town.children
        }
    return {
        "kills": kills,
        "seed": seed,
        "ok": all(check.ok for check in checks),
        "wall_s": round(time.monotonic() - began, 1),
        "quiet_s": round(quiet_s, 1),
        "by_kind": dict(Counter(kill.kind for kill in killer.kills)),
        "campaigns": len(traffic.campaigns),
        **found,
        "held": len(waits.held),
        "waited_for_money": money.waited,
        "paid_in_micros": sum(each.micros for each in money.paid),
        "offers_ended_for_others": len(waits.ended),
        "stop_codes": killer.stop_codes,
        "shop_repeated": town.shop.repeated,
        "processes": processes,
        "checks": [{"name": each.name, "ok": each.ok, "of": each.of, "wrong": each.wrong} for each in checks],
    }


async def _books_check(connection: asyncpg.Connection[asyncpg.Record]) -> Check:
    """Prove what is left behind as `smsgate billing verify` does."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        looked = await looked_of(connection)
    wrong = [f"{found.invariant} in {found.wrong} rows: {found.first}" for found in looked.broken]
    return Check("billing verify holds", wrong, looked.counts.messages)


async def _export_check(town: Town) -> Check:
    """Export the month as an operator does, and have the file proved; each command tells by its exit code."""
    month = f"{month_of(SystemClock().now(), ZONE)}"
    path = str(town.directory / "usage.csv")
    wrong = []
    for command in (
        ("billing", "export", MERCHANT, month, "--as", "csv", "--output", path),
        ("billing", "verify", "--export", path),
    ):
        code, said = await town.command(*command)
        if code:
            wrong.append(f"{' '.join(command[:2])} ends with {code}: {said}")
    return Check("an exported file has the sums of the ledger", wrong)


async def until_quiet(town: Town, limit_s: float = QUIET_LIMIT_S) -> float:
    """Wait until all work is done and nothing moves; return how long it took, at most `limit_s`."""
    began = moved_at = time.monotonic()
    mark: object = None
    while time.monotonic() - began < limit_s:
        await asyncio.sleep(0.5)
        now = (town.journal.stat().st_size, len(town.shop.received), await _left(town))
        if now != mark or any(now[2].values()):
            mark, moved_at = now, time.monotonic()
        if time.monotonic() - moved_at > QUIET_S and all(child.pid for child in town.children):
            break
    return time.monotonic() - began


async def _left(town: Town) -> dict[str, int]:
    try:
        async with town.database() as connection:
            return await still_open(connection)
    except LOOK_FAILED:
        return {"database": 1}


def _process_check(town: Town, killer: Killer) -> Check:
    away = [kill.at for kill in killer.kills if kill.kind in DATABASE_KILLS]
    wrong = [
        f"{child.name}: {end.code} {end.last_words}"
        for child in town.children
        for end in child.unasked
        if not any(at < end.at < at + DATABASE_AWAY_S for at in away)
    ]
    return Check("no process ended by itself but after a kill of the database", wrong)


def _stop_check(killer: Killer) -> Check:
    # -15: it had not run its first line yet, and SIGTERM did what it does by itself.
    wrong = [f"exit code {code}" for code in killer.stop_codes if code not in {0, -signal.SIGTERM}]
    return Check("SIGTERM under load ends with exit code 0", wrong, len(killer.stop_codes))


def _intake_check(traffic: Traffic) -> Check:
    return Check("no webhook of the shop was refused for good", traffic.refused, len(traffic.campaigns))


def _waits_check(waits: Waits, traffic: Traffic) -> Check:
    again = len(traffic.group_of) - len(traffic.groups)
    wrong = [f"{again} campaigns went to people who had an offer"] if again > 0 and not waits.held else []
    return Check("somebody had to wait for an open offer", wrong, again)
