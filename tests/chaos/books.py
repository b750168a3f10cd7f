"""The three sides that have to agree, read whole: the SMSC's journal, the database, and what was asked."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import asyncpg

from smsgate.protocol.receipts import receipt_fields, state_of
from smsgate.simulator.journal import Event, mo_of, read_journal
from smsgate.simulator.stops import is_stop

OFFER: Final = re.compile(r"\[(\d+)\] Boxman")
CROSSING_S: Final = 1.0  # an offer that left before the STOP was answered is with the SMSC by then
# What follows the fields of a receipt's body up to its text is not looked at: the text is unmistakable.
RECEIPT_TEXT: Final = re.compile(rb"id:\S+ sub:\d+ dlvrd:\d+ submit date:\d+ done date:\d+ stat:\w+ err:\d+ ")


class Submit(NamedTuple):
    """One message that the SMSC accepted; `mark` is the number in an offer's text, 0 for any other text."""

    smsc_id: int
    msisdn: int
    mark: int
    at: float = 0.0  # seconds since 1970


class Said(NamedTuple):
    """What a phone said: its number, to whom, the text."""

    msisdn: int
    to: str
    text: str


@dataclass
class SmscBooks:
    """What the SMSC's journal holds."""

    accepted: list[Submit] = field(default_factory=list)
    refused: Counter[int] = field(default_factory=Counter)
    receipts: Counter[tuple[str, int]] = field(default_factory=Counter)  # (id, state) answered with 0
    said: Counter[Said] = field(default_factory=Counter)
    taken: Counter[Said] = field(default_factory=Counter)  # of them, those answered with 0 at least once
    offers_after_stop: list[str] = field(default_factory=list)
    stops_taken: set[int] = field(default_factory=set)
    starts: int = 0
    answered_for_good: Counter[int] = field(default_factory=Counter)  # deliver_sm by final status


def read_smsc(path: Path) -> SmscBooks:
    return _Reader().read(read_journal(path))


class _Reader:
    def __init__(self) -> None:
        self._books = SmscBooks()
        self._waiting: dict[str, list[Said]] = defaultdict(list)  # by body: not yet answered with 0
        self._stops: dict[int, tuple[tuple[int, int], int, float]] = {}  # connection, place, instant
        self._bound_at: dict[tuple[int, int], int] = {}  # place in the journal

    def read(self, events: Iterable[Event]) -> SmscBooks:
        books = self._books
        for place, event in enumerate(events):
            match event["event"]:
                case "start":
                    books.starts += 1
                case "bind":
                    self._bound_at[books.starts, event["connection"]] = place
                case "submit":
                    self._submit(event)
                case "mo":
                    self._mo(event)
                case "answered":
                    self._answered(event, place)
        return books

    def _submit(self, event: Event) -> None:
        if event["status"]:
            self._books.refused[event["status"]] += 1
            return
        found = OFFER.match(event["text"])
        msisdn = int(event["msisdn"])
        self._books.accepted.append(Submit(event["id"], msisdn, int(found[1]) if found else 0, event["at"]))
        stop = self._stops.get(msisdn)
        if found is None or stop is None:
            return
        connection, place, at = stop
        mine = (self._books.starts, event["connection"])
        if mine == connection or self._bound_at[mine] > place or event["at"] - at > CROSSING_S:
            self._books.offers_after_stop.append(f"[{found[1]}] {event['at'] - at:.3f} s after its STOP")

    def _mo(self, event: Event) -> None:
        said = Said(event["msisdn"], event["to"], event["text"])
        self._books.said[said] += 1
        for body in mo_of(event).bodies:
            self._waiting[body.hex()].append(said)

    def _answered(self, event: Event, place: int) -> None:
        books = self._books
        if event["final"]:
            books.answered_for_good[event["status"]] += 1
        if event["status"]:
            return
        if waiting := self._waiting.get(event["body"]):
            said = waiting.pop()
            books.taken[said] += 1
            if is_stop(said.text):
                books.stops_taken.add(said.msisdn)
                self._stops.setdefault(said.msisdn, ((books.starts, event["connection"]), place, event["at"]))
            return
        text = RECEIPT_TEXT.search(bytes.fromhex(event["body"]))
        if text is not None:
            fields = receipt_fields(text[0])
            books.receipts[fields["id"].decode(), state_of(fields["stat"])] += 1


@dataclass
class Tables:
    """Rows of the database as they are; the columns are named where they are read."""

    messages: list[Any]
    sent: list[Any]
    receipts: list[Any]
    unmatched: list[Any]
    campaigns: list[Any]
    counters: dict[tuple[int, str], int]
    ledger: dict[str, Any]
    unbalanced: int
    inbound: list[Any]
    orders: list[Any]
    events: Counter[tuple[str, str]]
    people: dict[int, str]  # number -> state of consent
    open: dict[str, int]  # what should be empty once all is quiet


QUERIES: Final = {
    "messages": "SELECT message_id, campaign_id, msisdn, kind FROM message",
    "sent": "SELECT message_id, status, segments, smsc_id, sell_micros, cost_micros, reason, sent_at"
    " FROM sent",
    "receipts": "SELECT message_id, state, received_at FROM receipt ORDER BY received_at",
    "unmatched": "SELECT smsc_id, other_id, state FROM receipt_unmatched",
    "campaigns": "SELECT c.campaign_id, c.state, c.recipients, v.text FROM campaign c JOIN offer_version v"
    " ON v.merchant_id = c.merchant_id AND v.offer_id = c.offer_id AND v.version = c.offer_version",
    "inbound": "SELECT inbound_id, msisdn, destination, text, label, outcome, order_id, campaign_id,"
    " received_at FROM inbound_message",
    "orders": "SELECT order_id, campaign_id, message_id, inbound_id, state FROM orders",
}
LEDGER: Final = """
SELECT coalesce(sum(messages) FILTER (WHERE account = 'revenue'), 0)::bigint AS messages,
       coalesce(sum(segments) FILTER (WHERE account = 'revenue'), 0)::bigint AS segments,
       coalesce(-sum(amount_micros) FILTER (WHERE account = 'revenue'), 0)::bigint AS sell_micros,
       coalesce(sum(amount_micros) FILTER (WHERE account = 'cost'), 0)::bigint AS cost_micros
  FROM ledger_entry WHERE direction = 'mt'"""
UNBALANCED: Final = """
SELECT count(*) FROM (SELECT 1 FROM ledger_entry GROUP BY merchant_id, posting_id, currency
                      HAVING sum(amount_micros) <> 0) AS bad"""
OPEN: Final = {
    "chunks": "SELECT count(*) FROM campaign_chunk WHERE state <> 'done'",
    "campaigns": "SELECT count(*) FROM campaign WHERE state = 'sending'",
    "interactive": "SELECT count(*) FROM interactive_queue",
    "webhooks": "SELECT count(*) FROM webhook_delivery WHERE state = 'pending'",
    "parts": "SELECT count(*) FROM mo_part",
    "leases": "SELECT count(*) FROM budget_lease WHERE ends_at IS NULL",
}


async def read_tables(connection: asyncpg.Connection[asyncpg.Record]) -> Tables:
    """Read everything from one snapshot."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        return await _read(connection)


async def _read(connection: asyncpg.Connection[asyncpg.Record]) -> Tables:
    rows = {name: await connection.fetch(query) for name, query in QUERIES.items()}
    counters = await connection.fetch("SELECT campaign_id, kind, n FROM campaign_counter")
    ledger = await connection.fetchrow(LEDGER)
    assert ledger is not None
    events = await connection.fetch("SELECT type, subject, count(*) AS n FROM event GROUP BY 1, 2")
    people = await connection.fetch("SELECT msisdn, offers_state FROM subscriber")
    return Tables(
        **rows,
        counters={(row["campaign_id"], row["kind"]): row["n"] for row in counters},
        ledger=dict(ledger),
        unbalanced=await connection.fetchval(UNBALANCED),
        events=Counter({(row["type"], row["subject"]): row["n"] for row in events}),
        people={row["msisdn"]: row["offers_state"] for row in people},
        open=await still_open(connection),
    )


async def still_open(connection: asyncpg.Connection[asyncpg.Record]) -> dict[str, int]:
    """Return how much of each kind of work is not done."""
    return {name: await connection.fetchval(query) for name, query in OPEN.items()}
