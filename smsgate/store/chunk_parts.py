"""What a claim makes of a chunk: parts that go now, by carrier and number, and parts that wait."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from smsgate.flows.records import Hold
from smsgate.store import catalogue
from smsgate.store.array_octets import ids_text
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


# A chunk's row, the number that a part of it gets, and the part.
Cut = tuple[asyncpg.Record, int, Part]


async def write_parts(connection: Connection, cuts: Sequence[Cut], owner: int) -> None:
    """
    Write what one merchant's claimed chunks became.

    A part with its chunk's own number is what that chunk is from now on; the others are new chunks.
    """
    changed = [cut for cut in cuts if cut[1] == cut[0]["no"]]
    new = [cut for cut in cuts if cut[1] != cut[0]["no"]]
    if changed:
        merchant_id = changed[0][0]["merchant_id"]
        await connection.execute(SQL["set_chunks_messages"], merchant_id, *_columns(changed, owner))
    if new:
        await connection.execute(
            SQL["insert_part_chunks"], new[0][0]["merchant_id"], *_columns(new, owner),
            [chunk["msisdn_lo"] for chunk, _, _ in new], [chunk["msisdn_hi"] for chunk, _, _ in new],
        )  # fmt: skip


def _columns(cuts: Sequence[Cut], owner: int) -> list[list[object]]:
    rows = [
        (
            chunk["campaign_id"],
            no,
            part.base,
            part.count,
            part.allowance,
            part.state,
            owner if part.state == "claimed" else None,
            None if part.members is None else ids_text(part.members),
            *(
                (None, None, None)
                if part.hold is None
                else (part.hold.until, part.hold.reason, part.hold.rule)
            ),
        )
        for chunk, no, part in cuts
    ]
    return [list(column) for column in zip(*rows, strict=True)]
