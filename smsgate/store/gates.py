"""What holds the recipients of a claim back: hours, caps, other open offers; set-wise, in its transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from itertools import chain
from typing import Final, NamedTuple

import asyncpg

from smsgate.campaigns.caps import DAY, WEEK, CapLimits, Contact, capped_until
from smsgate.flows.ports import MarketingGates
from smsgate.flows.records import Hold
from smsgate.store import catalogue
from smsgate.store.array_octets import ids_text, int8_octets, timestamptz_octets
from smsgate.store.connection import Connection, copy_binary
from smsgate.store.copy_rows import Kind, RowFormat, micros_since_2000

SQL: Final = catalogue.load("sending")

# A late answer still belongs to the offer it answers: its place is not given away before this is over.
LATE_ANSWER_GRACE: Final = timedelta(minutes=15)
# An answer frees the place of an offer at any time, so whoever waits for it looks again as often as this.
OPEN_OFFER_WAIT: Final = timedelta(minutes=15)
# Instants are rounded up to this: people who wait for nearly the same time wait in one chunk.
HOLD_STEP_S: Final = 900
NO_LIMIT: Final = 2**31 - 1
GROUPS_MAX: Final = 16  # chunks that people of one chunk may become, who wait for one reason
_OFFER: Final = ("campaign_id", "offer_id", "offer_version", "expires_at")  # of a campaign's row

# Rows of people who have none yet, in the order of the number. Without ON CONFLICT, which costs each row a
# second look and a record in the log; whoever meets another claim's row here fails, and begins anew careful.
_FIRST_OFFER: Final = RowFormat(
    repeated=6,
    msisdn=Kind.INT8,
    message_id=Kind.INT8,
    subscriber_id=Kind.INT8,
    sender=Kind.TEXT,
    merchant_id=Kind.INT8,
    campaign_id=Kind.INT8,
    offer_id=Kind.INT8,
    offer_version=Kind.INT4,
    expires_at=Kind.TIMESTAMPTZ,
)
_FIRST_CONTACT: Final = RowFormat(
    repeated=3, msisdn=Kind.INT8, merchant_ids=Kind.ARRAY, at=Kind.ARRAY, last_at=Kind.TIMESTAMPTZ
)


class Opening(NamedTuple):
    """One campaign's recipients who are to get its open offer, as columns."""

    campaign: asyncpg.Record
    message_ids: Sequence[int]
    subscriber_ids: Sequence[int]
    msisdns: Sequence[int]


class _Wanted(NamedTuple):
    """Who is to get an open offer by one sender number; `places` are those of their campaigns."""

    msisdns: Sequence[int]
    message_ids: Sequence[int]
    subscriber_ids: Sequence[int]
    places: Sequence[int]

    def of(self, chosen: Sequence[int]) -> _Wanted:
        return _Wanted(*([column[n] for n in chosen] for column in self))


class Gate:
    """
    One merchant's claim at one instant.

    People whom no row is about yet, nearly all of them, get theirs without regard to other claims; one that
    meets another's row fails as a whole (unique_violation, or a deadlock, as it takes those who have a row
    after the others), and is to be made anew, `careful` of each row.
    """

    def __init__(
        self,
        connection: Connection,
        gates: MarketingGates,
        merchant_id: int,
        now: datetime,
        *,
        careful: bool,
    ) -> None:
        self._careful = careful
        self._connection = connection
        self._gates = gates
        self._merchant_id = merchant_id
        self._now = now

    def by_hours(self, places: Sequence[str], count: int) -> tuple[dict[int, Hold], datetime | None]:
        """
        Return whom the hours hold, by place in the columns, and when the first of the open places closes.

        One entry of `places` stands for all.
        """
        closes_at: datetime | None = None
        if not count:
            return {}, closes_at
        verdicts = {place: self._gates.hours(place, self._now) for place in set(places)}
        holds: dict[str, Hold] = {}
        for place, verdict in verdicts.items():
            if verdict is None:
                continue
            if verdict.allowed:
                closes_at = min(closes_at or verdict.until, verdict.until)
            else:
                assert verdict.rule is not None
                holds[place] = Hold("quiet_hours", verdict.rule.id, verdict.until)
        if not holds:
            return {}, closes_at
        if len(places) == 1:
            return dict.fromkeys(range(count), holds[places[0]]), closes_at
        return {n: holds[place] for n, place in enumerate(places) if place in holds}, closes_at

    async def by_caps(self, msisdns: Sequence[int]) -> dict[int, Hold]:
        """Count a message for everybody who may have one more, and return the others' holds by number."""
        limits = self._gates.caps
        if not limits.active or not msisdns:
            return {}
        capped = await self._capped(limits, msisdns)
        if not capped:
            return {}
        held: dict[int, Hold] = {}
        for row in await self._connection.fetch(SQL["marketing_contacts"], list(capped)):
            contacts = [Contact(*each) for each in zip(row["merchant_ids"], row["at"], strict=True)]
            found = capped_until(contacts, self._merchant_id, limits, self._now)
            until, rule = (self._now, "cap") if found is None else (found[0], found[1].rule)
            held[row["msisdn"]] = Hold("cap", rule, rounded_up(until))
        return held

    async def _capped(self, limits: CapLimits, msisdns: Sequence[int]) -> set[int]:
        """Count everybody who may have one more; return the others."""
        if not self._careful:
            rows = await self._connection.fetch(SQL["contacts_there"], ids_text(msisdns))
            there = {row["msisdn"] for row in rows}
            first = msisdns if not there else [msisdn for msisdn in msisdns if msisdn not in there]
            await self._first_contacts(sorted(first))
            msisdns = list(there)
            if not msisdns:
                return set()
        counted = await self._connection.fetch(
            SQL["count_marketing"],
            *(ids_text(msisdns), self._merchant_id, self._now, self._now - DAY, self._now - WEEK),
            *(getattr(limits, name) or NO_LIMIT for name in CapLimits.__slots__),
        )  # fmt: skip
        return set(msisdns).difference(row["msisdn"] for row in counted)

    async def _first_contacts(self, msisdns: Sequence[int]) -> None:
        """Count the first message of people of whom nothing is known; any cap lets one through."""
        if msisdns:
            tail = (
                int8_octets(self._merchant_id),
                timestamptz_octets(self._now),
                micros_since_2000(self._now),
            )
            data = _FIRST_CONTACT.pack(msisdns, *tail)
            await copy_binary(self._connection, "marketing_contact", _FIRST_CONTACT.columns, data)

    async def uncount(self, msisdns: Sequence[int]) -> None:
        """Take back this merchant's last message that `by_caps` counted: it does not go now."""
        if self._gates.caps.active and msisdns:
            await self._connection.execute(SQL["uncount_marketing"], msisdns, self._merchant_id)

    async def open(self, senders: Sequence[str], openings: Sequence[Opening]) -> list[dict[int, str] | None]:
        """
        Open one offer per person and sender number; return by which number each message may go, by campaign.

        No person is in two of the campaigns. The first of `senders` on which nothing waits for this person's
        answer gets it; who is left out must wait. None: everybody of the campaign got the first, as nearly
        always.
        """
        wanted, opened = _wanted(openings), dict[int, str]()
        for sender in senders:
            if not wanted.message_ids:
                break
            fresh = await self._first_offers(sender, wanted, openings)
            ids = set(wanted.message_ids) if fresh is None else fresh
            if fresh is not None:
                ids |= await self._open_offers(sender, wanted, openings, fresh)
            if len(ids) == len(wanted.message_ids) and sender == senders[0]:
                return [None] * len(openings)
            opened.update(dict.fromkeys(ids, sender))
            wanted = wanted.of([n for n, each in enumerate(wanted.message_ids) if each not in opened])
        return [_own(opening.message_ids, opened, senders[0]) for opening in openings]

    async def _first_offers(
        self, sender: str, wanted: _Wanted, openings: Sequence[Opening]
    ) -> set[int] | None:
        """Open the offers of those who have no row; return their messages, None: everybody's."""
        if self._careful:
            return set()
        rows = await self._connection.fetch(SQL["offers_there"], ids_text(wanted.msisdns), sender)
        there = {row["msisdn"] for row in rows}
        fresh = [n for n, msisdn in enumerate(wanted.msisdns) if msisdn not in there]
        if fresh:
            chosen = wanted.of(sorted(fresh, key=wanted.msisdns.__getitem__))
            data = _FIRST_OFFER.pack(*chosen[:3], sender, self._merchant_id, *_offers(chosen, openings))
            await copy_binary(self._connection, "open_offer", _FIRST_OFFER.columns, data)
        return None if not there else {wanted.message_ids[n] for n in fresh}

    async def _open_offers(
        self, sender: str, wanted: _Wanted, openings: Sequence[Opening], but: AbstractSet[int]
    ) -> set[int]:
        """Take the places of offers that are over or answered; return the messages that got one."""
        left = wanted.of([n for n, message_id in enumerate(wanted.message_ids) if message_id not in but])
        if not left.message_ids:
            return set()
        rows = await self._connection.fetch(
            SQL["open_offers"],
            *map(ids_text, left),
            sender,
            self._merchant_id,
            *([opening.campaign[name] for opening in openings] for name in _OFFER),
            self._now - LATE_ANSWER_GRACE,
        )
        return {row["message_id"] for row in rows}

    def wait_for_answer(self) -> Hold:
        return Hold("open_offer", "open-offer", self._now + OPEN_OFFER_WAIT)


def _wanted(openings: Sequence[Opening]) -> _Wanted:
    return _Wanted(
        list(chain.from_iterable(opening.msisdns for opening in openings)),
        list(chain.from_iterable(opening.message_ids for opening in openings)),
        list(chain.from_iterable(opening.subscriber_ids for opening in openings)),
        [place for place, opening in enumerate(openings) for _ in opening.message_ids],
    )


def _own(message_ids: Sequence[int], opened: Mapping[int, str], first: str) -> dict[int, str] | None:
    """Return what of `opened` is one campaign's; None: all of it, by the first sender number."""
    own = {message_id: opened[message_id] for message_id in message_ids if message_id in opened}
    return None if len(own) == len(message_ids) and set(own.values()) <= {first} else own


def _offers(wanted: _Wanted, openings: Sequence[Opening]) -> list[int] | list[list[int]]:
    """Return the columns of each one's offer; of one campaign alone, the values that all have."""
    offers = [
        [opening.campaign[name] for name in _OFFER[:-1]] + [micros_since_2000(opening.campaign["expires_at"])]
        for opening in openings
    ]
    if len(offers) == 1:
        return offers[0]
    return [[offers[place][n] for place in wanted.places] for n in range(len(_OFFER))]


def rounded_up(at: datetime) -> datetime:
    """Return the next quarter of an hour."""
    return datetime.fromtimestamp(-(-at.timestamp() // HOLD_STEP_S) * HOLD_STEP_S, at.tzinfo)


def in_groups(held: Mapping[int, Hold]) -> dict[Hold, list[int]]:
    """
    Return who waits together, for one reason and instant.

    Of too many instants of a reason, neighbours wait for their first: whoever must wait longer is held again
    then, and nobody past what is left of the offer.
    """
    by_reason: dict[str, dict[datetime, list[int]]] = defaultdict(lambda: defaultdict(list))
    for each in sorted(held):
        by_reason[held[each].reason][held[each].until].append(each)
    groups: dict[Hold, list[int]] = {}
    for reason, by_instant in sorted(by_reason.items()):
        instants = sorted(by_instant)
        step = -(-len(instants) // GROUPS_MAX)
        for first in range(0, len(instants), step):
            until = instants[first]
            members = sorted(chain.from_iterable(by_instant[at] for at in instants[first : first + step]))
            groups[Hold(reason, held[by_instant[until][0]].rule, until)] = members
    return groups
