"""The places of open offers, one a person and sender number: the next offer takes one that is over."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from smsgate.store import catalogue
from smsgate.store.array_octets import ids_text
from smsgate.store.connection import Connection

SQL: Final = catalogue.load("sending")


class Wanted(NamedTuple):
    """Who is to get an open offer by one sender number; `places` are those of their campaigns."""

    msisdns: Sequence[int]
    message_ids: Sequence[int]
    subscriber_ids: Sequence[int]
    places: Sequence[int]

    def of(self, chosen: Sequence[int]) -> Wanted:
        return Wanted(*([column[n] for n in chosen] for column in self))


NONE_WANTED: Final = Wanted((), (), (), ())


class Taken(NamedTuple):
    """Messages that have an open offer now; of those in `anew` the person had no row any more."""

    message_ids: Collection[int]
    anew: Collection[int]


async def take_places(
    connection: Connection,
    wanted: Wanted,
    sender: str,
    merchant_id: int,
    offers: Sequence[Sequence[object]],
    *,
    over_before: datetime,
    now: datetime,
) -> Taken:
    """
    Open offers in the places of those that are answered, or over at `over_before`.

    `offers` are columns by campaign: campaign, offer, version, when it expires. Whatever another changes
    meanwhile, who has no offer that is open then gets this one.

    Nearly always all people still have the row that was seen before: these are changed, and only how many
    they were comes back. Otherwise it is asked who they were, and the rest goes one by one.
    """
    tail = (sender, merchant_id, *offers, over_before, now)
    changed = await connection.fetchval(SQL["take_places"], *map(ids_text, wanted), *tail)
    if changed == len(wanted.message_ids):
        return Taken(wanted.message_ids, ())
    found = await connection.fetch(SQL["opened_already"], wanted.msisdns, sender, wanted.message_ids)
    taken = {row["message_id"] for row in found}
    rest = wanted.of([n for n, message_id in enumerate(wanted.message_ids) if message_id not in taken])
    row = await connection.fetchrow(SQL["take_or_make_places"], *map(ids_text, rest), *tail)
    assert row is not None
    return Taken(taken.union(row["taken"] or ()), row["anew"] or ())
