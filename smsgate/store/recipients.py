"""Who gets the offer of a claimed chunk: chosen set-wise, before anything is written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final, NamedTuple

import asyncpg
import orjson

from smsgate.campaigns.rendering import field_names
from smsgate.store import catalogue
from smsgate.store.campaigns import BOUGHT, CHUNK_SIZE
from smsgate.store.connection import Connection

SQL = catalogue.load("sending")

# A chunk whose range came to hold more people than a chunk may (tags given since the start) is cut; the rest
# gets a number of its own: this many chunks are more than the gateway has subscribers for.
REST_NO_STEP = 10_000_000

_FIELDS: Final = ("first_field", "second_field", "other_fields")

# A campaign's row and the row of its chunk, which nobody had yet.
Taken = tuple[asyncpg.Record, asyncpg.Record]


class People(NamedTuple):
    """The recipients of a chunk as columns; `places` has one entry when all are at one place."""

    subscriber_ids: list[int]
    msisdns: list[int]
    places: list[str]
    fields: list[list[str]] | None  # a column for each of the text's fields; None: it has none

    def of(self, order: Sequence[int]) -> People:
        return People(
            [self.subscriber_ids[n] for n in order],
            [self.msisdns[n] for n in order],
            self.places,
            None if self.fields is None else [[column[n] for n in order] for column in self.fields],
        )


def senders_of(campaign: asyncpg.Record) -> list[str]:
    """Return the numbers that the offer may go out by, in the order in which they are tried."""
    return list(dict.fromkeys([campaign["sender"], *campaign["sender_pool"]]))


async def choose(connection: Connection, taken: Sequence[Taken]) -> list[People]:
    """Return the recipients of each chunk of one merchant; those who are too many become the next chunk."""
    people: list[People | None] = [None] * len(taken)
    listed: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for place, (campaign, _) in enumerate(taken):
        if _is_list(campaign):
            listed[tuple(senders_of(campaign)), field_names(campaign["text"])].append(place)
        else:
            people[place] = await _choose(connection, *taken[place])
    for places in listed.values():
        found = await _choose_listed(connection, [taken[place] for place in places])
        for place, own in zip(places, found, strict=True):
            people[place] = own
    return [own for own in people if own is not None]


def _is_list(campaign: asyncpg.Record) -> bool:
    """Return whether the audience is a list of people, whom one look finds with other campaigns'."""
    ids = campaign["audience_ids"]
    narrowed = any(
        campaign[name] is not None
        for name in ("audience_tags", "audience_fields", "audience_bought", "audience_not_bought")
    )
    return ids is not None and len(ids) <= CHUNK_SIZE and not narrowed


async def _choose_listed(connection: Connection, taken: Sequence[Taken]) -> list[People]:
    """Return the recipients of chunks whose campaigns have the same senders and fields in the text."""
    head = taken[0][0]
    pairs = [
        (place, subscriber_id, campaign["started_at"])
        for place, (campaign, _) in enumerate(taken)
        for subscriber_id in set(campaign["audience_ids"])
    ]
    names = field_names(head["text"])
    rows = await connection.fetch(
        SQL["listed_candidates"], head["merchant_id"], *_columns(pairs), senders_of(head), list(names)
    )
    found: list[list[asyncpg.Record]] = [[] for _ in taken]
    for row in rows:
        chunk = taken[row["campaign"]][1]
        if chunk["msisdn_lo"] <= row["msisdn"] <= chunk["msisdn_hi"]:
            found[row["campaign"]].append(row)
    return [
        People(
            [row["subscriber_id"] for row in own],
            [row["msisdn"] for row in own],
            [row["place"] for row in own] or [campaign["country"]],
            [[row["fields"][n] for row in own] for n in range(len(names))] or None,
        )
        for (campaign, _), own in zip(taken, found, strict=True)
    ]


def _columns(pairs: Sequence[tuple[object, ...]]) -> list[list[object]]:
    return [[pair[n] for pair in pairs] for n in range(3)]


async def _choose(connection: Connection, campaign: asyncpg.Record, chunk: asyncpg.Record) -> People:
    named, names = chunk["named"], list(field_names(campaign["text"]))
    row = await connection.fetchrow(
        SQL["named_candidates" if named else "candidates"],
        campaign["merchant_id"],
        campaign["audience_tags"],
        None if named else campaign["audience_ids"],  # the chunk names them of these
        campaign["audience_fields"],
        campaign["audience_bought"],
        campaign["audience_not_bought"],
        BOUGHT,
        *((campaign["campaign_id"], chunk["no"]) if named else (chunk["msisdn_lo"], chunk["msisdn_hi"])),
        campaign["started_at"],
        CHUNK_SIZE + 1,
        senders_of(campaign),
        campaign["country"],
        names,
    )
    assert row is not None
    people = People(row["subscriber_ids"], row["msisdns"], row["places"], _fields(row, len(names)))
    if len(people.msisdns) <= CHUNK_SIZE:
        return people
    last = people.msisdns[CHUNK_SIZE - 1]
    head, no = (campaign["merchant_id"], campaign["campaign_id"]), chunk["no"]
    await connection.execute(SQL["shorten_chunk"], *head, no, last, CHUNK_SIZE)
    rest = (no + REST_NO_STEP, last + 1, chunk["msisdn_hi"], CHUNK_SIZE)
    await connection.execute(SQL["insert_rest_chunk"], *head, *rest)
    return people.of(range(CHUNK_SIZE))._replace(places=people.places[:CHUNK_SIZE])


def _fields(row: asyncpg.Record, count: int) -> list[list[str]] | None:
    """Return a column for each field of a text; the third field and those after it come by person."""
    if not count:
        return None
    first, second, others = (orjson.loads(row[name] or "[]") for name in _FIELDS)
    return [first, second, *([own[n] for own in others] for n in range(count - 2))][:count]
