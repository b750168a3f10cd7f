"""What a claim makes of a chunk: parts that go now, by carrier and number, and parts that wait."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from smsgate.flows.records import Hold
from smsgate.store import catalogue
from smsgate.store.connection import Connection

SQL = catalogue.load("sending")


@dataclass(slots=True)
class Part:
    """
    Messages of one fate, in ids [base, base + count); `members` names them where others have ids in between.

    With a `hold` nobody takes it before `hold.until`.
    """

    base: int
    count: int
    members: list[int] | None = None
    hold: Hold | None = None
    sender: str = ""
    allowance: int = 0  # as a chunk's: counted from `base`

    @property
    def message_ids(self) -> Sequence[int]:
        return range(self.base, self.base + self.count) if self.members is None else self.members

    @property
    def state(self) -> str:
        if not self.message_ids:
            return "done"
        return "claimed" if self.hold is None else "ready"


async def write_chunk(connection: Connection, chunk: asyncpg.Record, part: Part, owner: int) -> None:
    """Make `part` what the claimed chunk is from now on."""
    await connection.execute(
        SQL["set_chunk_messages"], chunk["merchant_id"], chunk["campaign_id"], chunk["no"],
        *_columns(part, owner),
    )  # fmt: skip


async def insert_chunk(
    connection: Connection, chunk: asyncpg.Record, no: int, part: Part, owner: int
) -> None:
    """Make `part` a chunk of its own, numbered `no`."""
    await connection.execute(
        SQL["insert_part_chunk"], chunk["merchant_id"], chunk["campaign_id"], no,
        *_columns(part, owner), chunk["subscriber_lo"], chunk["subscriber_hi"],
    )  # fmt: skip


def _columns(part: Part, owner: int) -> tuple[object, ...]:
    hold = part.hold
    return (
        part.base,
        part.count,
        part.allowance,
        part.state,
        owner if part.state == "claimed" else None,
        part.members,
        None if hold is None else hold.until,
        None if hold is None else hold.reason,
        None if hold is None else hold.rule,
    )
