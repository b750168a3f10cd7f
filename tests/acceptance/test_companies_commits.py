"""
The database breaks at the COMMIT of what companies submitted: each submit's answer says what became of it.

0x14 means "submit again", so it may only be said of what certainly does not stand: else a customer gets it
twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from smsgate.protocol.commands import CommandId, Status
from tests.acceptance.esmes import EsmeTown, a_submit, an_esme_town, statuses
from tests.acceptance.test_companies_limits import bind_status
from tests.acceptance.town import Ground, eventually
from tests.acceptance.wire import CHUNK_OCTETS, Wire, database_wire

TEXT = b"Rendez-vous demain 9 h"


@dataclass
class CommitWire(Wire):
    """Breaks once, at the COMMIT of a transaction that wrote TEXT: before the server has it, or after."""

    break_before: bool = False
    break_after: bool = False
    mends: bool = True
    broken: int = 0

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: bytearray
    ) -> None:
        while octets := await reader.read(CHUNK_OCTETS):
            seen += octets
            if (self.break_before or self.break_after) and TEXT in seen and b"COMMIT" in octets:
                if self.break_after:
                    writer.write(octets)
                    await writer.drain()
                    await asyncio.sleep(0)
                self.break_before = self.break_after = False
                self.broken += 1
                self.cut()
                if self.mends:
                    self.mend()
                return
            if b"COMMIT" in octets:
                seen.clear()
            writer.write(octets)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


@asynccontextmanager
async def a_company(
    ground: Ground, directory: Path, **parts: Any
) -> AsyncIterator[tuple[EsmeTown, CommitWire]]:
    async with (
        database_wire(ground.dsn, directory, CommitWire) as (wire, dsn),
        an_esme_town(ground, dsn=dsn, **parts) as company,
    ):
        yield company, wire


def submits(count: int) -> list[bytes]:
    return [a_submit(n, short_message=b"%s %d" % (TEXT, n)) for n in range(1, count + 1)]


def break_before(wire: CommitWire) -> None:
    wire.break_before = True


def break_after(wire: CommitWire) -> None:
    wire.break_after = True


@pytest.mark.parametrize("breaks", [break_before, break_after])
async def test_submits_whose_commit_was_not_seen_are_answered_by_what_stands_and_sent_once(
    ground: Ground, short_dir: Path, breaks: Callable[[CommitWire], None]
) -> None:
    async with a_company(ground, short_dir, account={"daily_max": 6}) as (company, wire):
        esme = await company.raw()
        breaks(wire)
        assert await statuses(esme, *submits(5)) == [Status.OK] * 5
        assert wire.broken == 1
        await eventually(lambda: company.town.simulator.smsc.log.accepted == 5)
        await eventually(company.nothing_waits)
        sent = sorted(pdu.fields["short_message"] for pdu in company.written())
        assert sent == [b"%s %d" % (TEXT, n) for n in range(1, 6)]
        assert await company.count("esme_message") == 5
        assert await company.count("esme_day", "segments = 5") == 1  # counted once as well
        assert await statuses(esme, a_submit(6), a_submit(7)) == [Status.OK, 0x401]


async def test_submits_whose_fate_stays_unknown_get_no_answer_and_their_session_is_cut(
    ground: Ground, short_dir: Path
) -> None:
    async with a_company(ground, short_dir) as (company, wire):
        esme, other = await company.raw(), await company.raw(await company.another_account("other"))
        wire.break_after, wire.mends = True, False
        esme.writer.write(b"".join(submits(2)))
        esmes = company.town.process.esmes
        assert esmes is not None
        await eventually(lambda: esmes.intake.asking)
        # Whoever submits now is told for certain: this was not stored, come again.
        assert await statuses(other, a_submit(1)) == [Status.MSGQFUL]
        company.town.clock.skip(11)  # nobody waits longer for an answer
        answers = await esme.read_until_closed()
        assert CommandId.SUBMIT_SM_RESP.to_bytes(4) not in answers
        wire.mend()
        await eventually(lambda: company.town.simulator.smsc.log.accepted == 2)
        fresh = await company.raw()
        assert await statuses(fresh, a_submit(1)) == [Status.OK]
        assert await company.count("esme_message") == 3


async def test_a_bind_whose_limits_the_database_refuses_to_tell_is_answered_at_once(ground: Ground) -> None:
    async with an_esme_town(ground) as company:
        async with company.town.process.services.database.control() as owner:
            await owner.execute("REVOKE SELECT ON esme_day FROM sg_bulk")
        assert await bind_status(company, company.account) == Status.SYSERR
        async with company.town.process.services.database.control() as owner:
            await owner.execute("GRANT SELECT ON esme_day TO sg_bulk")
        assert await bind_status(company, company.account) == Status.OK
