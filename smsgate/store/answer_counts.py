"""How many answers a number had on a day, in the transaction of a group of MOs (flows.answer_limit)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from smsgate.flows.answer_limit import AnsweredDay
from smsgate.store.catalogue import load
from smsgate.store.connection import Connection, begin_again

_SQL: Final = load("inbound")


async def count_answers(
    connection: Connection, read: Mapping[AnsweredDay, int], added: Mapping[AnsweredDay, int]
) -> None:
    """
    Add what was decided by what was `read`; nobody is locked before.

    Raises:
        StoreUnavailable: 40001, another process has answered one of the numbers meanwhile: decide again.
    """
    if not added:
        return
    keys = sorted(added)
    rows = await connection.fetch(
        _SQL["count_answers"],
        [msisdn for msisdn, _ in keys],
        [day_at for _, day_at in keys],
        [added[key] for key in keys],
    )
    for row in rows:
        key = row["msisdn"], row["day_at"]
        if row["answers"] != read.get(key, 0) + added[key]:
            raise begin_again("Another process answered the same number at the same time.")
