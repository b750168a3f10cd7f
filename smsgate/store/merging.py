"""
The flush's slow path: outcomes that met another owner's, row by row.

A recovery calls unknown what may have been written by an owner whose lease ended; if that owner lives after
all, its outcomes replace the unknowns. Counters, postings and closed offers follow the rows that were really
written, so that the books equal the rows in whichever order the two owners commit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from smsgate.flows.ledger import Charge
from smsgate.flows.records import STATUS_NOT_SENT, STATUS_UNKNOWN, ChunkKey, Flush
from smsgate.ids import quarter_hour_of
from smsgate.store import catalogue
from smsgate.store.connection import Connection

SQL = catalogue.load("sending")


class Booked(NamedTuple):
    """What follows from the rows of a flush that are written."""

    counters: dict[tuple[int, int, str], int]
    charges: Counter[Charge]  # of how many messages
    offers_not_opened: list[tuple[int, str, int]]


async def merge(connection: Connection, flush: Flush, foreign: AbstractSet[ChunkKey]) -> Booked:
    """
    Write outcomes where there is none, or over "unknown".

    What was not sent of `foreign` chunks is not ours to say: their owner decides it.
    """
    sent = flush.sent
    keys = list(zip(sent.merchant_ids, sent.message_ids, sent.segments, strict=True))
    chunks: list[ChunkKey | None] = [None] * len(sent)
    for key, first, count in flush.chunk_rows:
        chunks[first : first + count] = [key] * count
    wanted = [
        place
        for place, status in enumerate(sent.statuses)
        if status != STATUS_NOT_SENT or chunks[place] not in foreign
    ]
    written, called_unknown = await _write(connection, flush, keys, wanted)
    dropped = [place for place, key in enumerate(keys) if key not in written]
    counters = Counter(flush.counters)
    counters.subtract(called_unknown)
    uncharged: Counter[Charge] = Counter()
    for place in dropped:
        chunk, status = chunks[place], sent.statuses[place]
        if chunk is not None:
            counters[chunk.merchant_id, chunk.campaign_id, _kind(status)] -= 1
        if status == 0:
            campaign_id = None if chunk is None else chunk.campaign_id
            head = (sent.merchant_ids[place], campaign_id, sent.carrier_ids[place])
            sell, cost = (
                (0, 0) if item in flush.delivered_items else (item, micros)
                for item, micros in (
                    (sent.sell_item_ids[place], sent.sell_micros[place]),
                    (sent.cost_item_ids[place], sent.cost_micros[place]),
                )
            )
            quarter = quarter_hour_of(sent.message_ids[place])
            uncharged[Charge(*head, *sell, *cost, sent.segment_counts[place], quarter, "", "")] += 1
    gone = {sent.message_ids[place] for place in dropped}
    return Booked(
        {key: n for key, n in counters.items() if n},
        _without(flush.charges, uncharged),
        [offer for offer in flush.offers_not_opened if offer[2] not in gone],
    )


async def _write(
    connection: Connection, flush: Flush, keys: Sequence[tuple[int, int, int]], wanted: Sequence[int]
) -> tuple[set[tuple[int, int, int]], Counter[tuple[int, int, str]]]:
    """Return the keys of the rows written, and what was counted as unknown of them before."""
    sent = flush.sent
    columns: list[Sequence[object]] = [
        sent.merchant_ids,
        sent.message_ids,
        sent.segments,
        sent.carrier_ids,
        sent.statuses,
        sent.segment_counts,
        sent.smsc_ids,
        sent.sell_item_ids,
        sent.sell_micros,
        sent.cost_item_ids,
        sent.cost_micros,
        sent.reasons,
        sent.sent_at,
        [sent.parts.get(place) for place in range(len(sent))],
    ]
    inserted = await connection.fetch(
        SQL["insert_sent"], *([column[place] for place in wanted] for column in columns)
    )
    written = {(row["merchant_id"], row["message_id"], row["segment"]) for row in inserted}
    there = [place for place in wanted if keys[place] not in written]
    merged = await connection.fetch(
        SQL["merge_sent"], *([column[place] for place in there] for column in columns)
    )
    written |= {(row["merchant_id"], row["message_id"], row["segment"]) for row in merged}
    rows = await connection.fetch(
        SQL["called_unknown"],
        [row["merchant_id"] for row in merged],
        [row["message_id"] for row in merged],
    )
    return written, Counter({(row["merchant_id"], row["campaign_id"], "unknown"): row["n"] for row in rows})


def _kind(status: int) -> str:
    named = {0: "accepted", STATUS_UNKNOWN: "unknown", STATUS_NOT_SENT: "not_sent"}
    return named.get(status, "refused")


def _without(charges: Counter[Charge], dropped: Counter[Charge]) -> Counter[Charge]:
    """Take messages out of their charges; rows name no currency, but a price item has one alone."""
    left = Counter(charges)
    for charge, count in charges.items():
        key = charge._replace(currency="", cost_currency="")
        less = min(dropped[key], count)
        dropped[key] -= less
        left[charge] -= less
    return +left
