"""What holds the recipients of a claim back: hours, caps, other open offers; set-wise, in its transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain
from typing import Final, NamedTuple

import asyncpg

from smsgate.campaigns.caps import DAY, LESS_RULE, WEEK, CapLimits, Contact, capped_until
from smsgate.campaigns.consent import LESS_PERIOD
from smsgate.flows.ports import MarketingGates
from smsgate.flows.records import Hold
from smsgate.flows.routes import SENDER_UNKNOWN
from smsgate.store import catalogue
from smsgate.store.array_octets import ids_text
from smsgate.store.connection import Connection, copy_binary
from smsgate.store.copy_rows import Kind, RowFormat, micros_since_2000
from smsgate.store.places import NONE_WANTED, Wanted, take_places

SQL: Final = catalogue.load("sending")

# A late answer still belongs to the offer it answers: its place is not given away before this is over.
LATE_ANSWER_GRACE: Final = timedelta(minutes=15)
# An answer frees the place of an offer at any time, so whoever waits for it looks again as often as this.
OPEN_OFFER_WAIT: Final = timedelta(minutes=15)
# Somebody may decide about an unclear reply at any time, so whoever waits looks again as often as this.
DOUBT_WAIT: Final = timedelta(hours=1)
# A reload may bring a number's carrier back at any time; a look reads a chunk's messages and writes it anew.
SENDER_WAIT: Final = timedelta(minutes=5)
# Instants are rounded up to this: people who wait for nearly the same time wait in one chunk.
HOLD_STEP_S: Final = 900
NO_LIMIT: Final = 2**31 - 1
NOTHING_OPENED: Final[Mapping[int, datetime]] = {}
GROUPS_MAX: Final = 16  # chunks that people of one chunk may become, who wait for one reason
_OFFER: Final = ("campaign_id", "offer_id", "offer_version", "expires_at")  # of a campaign's row

CLAIMS_LOCK: Final = 7203003  # of `one_claim_at_a_time`, in the database's numbering of advisory locks

# Rows of people who have none yet, in the order of the number. Without ON CONFLICT, which costs each row a
# second look and a record in the log.
_FIRST_OFFER: Final = RowFormat(
    ascending=True,
    msisdn=Kind.INT8,
    message_id=Kind.INT8,
    subscriber_id=Kind.INT8,
    sender=Kind.TEXT,
    merchant_id=Kind.INT8,
    campaign_id=Kind.INT8,
    offer_id=Kind.INT8,
    offer_version=Kind.INT4,
    expires_at=Kind.TIMESTAMPTZ,
    opened_at=Kind.TIMESTAMPTZ,
)


class Opening(NamedTuple):
    """One campaign's recipients who are to get its open offer, as columns."""

    campaign: asyncpg.Record
    message_ids: Sequence[int]
    subscriber_ids: Sequence[int]
    msisdns: Sequence[int]


class Gate:
    """
    One merchant's claim at one instant.

    An open offer is the record of a marketing message, too: caps count open offers, and what `keep_contacts`
    kept of those that were replaced. So `know` comes first; it lets one claim at a time go on.
    """

    def __init__(
        self,
        connection: Connection,
        gates: MarketingGates,
        senders: Collection[str],
        merchant_id: int,
        now: datetime,
    ) -> None:
        """`senders` are the numbers that some carrier of this process has."""
        self._connection = connection
        self._gates = gates
        self._senders = senders
        self._merchant_id = merchant_id
        self._now = now
        self._alone = False
        # By sender number: who has a row, of an open offer or one before.
        self._known: defaultdict[str, set[int]] = defaultdict(set)
        self._live: defaultdict[str, set[int]] = defaultdict(set)  # of them those whose offer was open then
        # Of these rows what caps still count, by sender number and person: whose message, and when.
        self._counted: dict[str, dict[int, tuple[int, datetime]]] = {}
        self._spending: set[int] = set()  # who wanted fewer messages and may get an offer now; locked

    async def alone(self) -> None:
        """Wait until no other claim looks at people; `know` does it by itself."""
        if not self._alone:
            await self._connection.execute(SQL["one_claim_at_a_time"], CLAIMS_LOCK)
            self._alone = True

    async def know(self, msisdns: Sequence[int]) -> dict[int, Hold]:
        """Look up people; return by number those whom a cap holds."""
        if not msisdns:
            return {}
        await self.alone()
        limits = self._gates.caps
        rows = await self._connection.fetch(
            SQL["known_people"],
            *(ids_text(msisdns), self._merchant_id, self._now - DAY, self._now - WEEK),
            *(getattr(limits, name) or NO_LIMIT for name in CapLimits.__slots__),
            self._now - LATE_ANSWER_GRACE,
        )  # fmt: skip
        capped: set[int] = set()
        for sender, known, counted, merchant_ids, at, live in rows:
            if sender is None:
                capped.update(known or ())
                continue
            self._known[sender].update(known)
            self._live[sender].update(live or ())
            if counted is not None:
                contacts = zip(merchant_ids, at, strict=True)
                self._counted.setdefault(sender, {}).update(zip(counted, contacts, strict=True))
        return await self._capped([msisdn for msisdn in msisdns if msisdn in capped] if capped else [])

    async def _capped(self, msisdns: Sequence[int]) -> dict[int, Hold]:
        """Return until when each of these waits."""
        if not msisdns:
            return {}
        held: dict[int, Hold] = {}
        for row in await self._connection.fetch(SQL["contacts"], msisdns):
            contacts = [Contact(*each) for each in zip(row["merchant_ids"], row["at"], strict=True)]
            found = capped_until(contacts, self._merchant_id, self._gates.caps, self._now)
            if found is None:  # an offer was closed between the two looks
                continue
            held[row["msisdn"]] = Hold("cap", found[1].rule, rounded_up(found[0]))
        return held

    async def reluctant(
        self, msisdns: Sequence[int], opened_at: Mapping[int, datetime] = NOTHING_OPENED
    ) -> dict[int, Hold]:
        """
        Return by number whose earlier reply may have been a STOP, and who wanted fewer messages and had one.

        `opened_at` are offers that people have already, by number: such a one is no offer before itself.
        """
        if not msisdns:
            return {}
        rows = await self._connection.fetch(
            SQL["reluctant"], self._merchant_id, min(msisdns), max(msisdns), self._now
        )
        look_again_at = rounded_up(self._now + DOUBT_WAIT)
        held: dict[int, Hold] = {}
        due: set[int] = set()
        for msisdn, doubt_until, less_at in rows:
            if doubt_until is not None and doubt_until > self._now:
                until = min(rounded_up(doubt_until), look_again_at)
                held[msisdn] = Hold("unclear_reply", "unclear-reply", until)
            elif less_at <= self._now - LESS_PERIOD:
                due.add(msisdn)
            elif less_at != opened_at.get(msisdn):
                held[msisdn] = Hold("cap", LESS_RULE, rounded_up(less_at + LESS_PERIOD))
        mine = due.intersection(msisdns) if due else due  # the range has others, too
        if mine:
            held |= dict.fromkeys(await self._lock_less(mine), Hold("cap", LESS_RULE, look_again_at))
        return held

    async def _lock_less(self, due: Collection[int]) -> set[int]:
        """Lock who wanted fewer messages and may get one; return who may not: something came between."""
        await self.alone()
        rows = await self._connection.fetch(
            SQL["lock_less"], self._merchant_id, list(due), self._now - LESS_PERIOD
        )
        locked = {row["msisdn"] for row in rows}
        self._spending |= locked
        return set(due) - locked

    async def _spend_less(
        self, openings: Sequence[Opening], opened: Sequence[Mapping[int, str] | None]
    ) -> None:
        """Have the next offer wait of who wanted fewer messages and gets one now."""
        got = {
            msisdn
            for opening, own in zip(openings, opened, strict=True)
            for message_id, msisdn in zip(opening.message_ids, opening.msisdns, strict=True)
            if msisdn in self._spending and (own is None or message_id in own)
        }
        if got:
            self._spending -= got
            await self._connection.execute(SQL["spend_less"], self._merchant_id, list(got), self._now)

    async def give_less_back(self, opened_at: Mapping[int, datetime], msisdns: Sequence[int]) -> None:
        """
        Let offers that were opened, by number, and never left not count as one of the fewer.

        `msisdns`, all of the chunk, are those of whom `reluctant` locks some next: all in one order.
        """
        await self._connection.execute(
            SQL["give_less_back"],
            self._merchant_id, list(opened_at), list(opened_at.values()), LESS_PERIOD,
            msisdns, self._now - LESS_PERIOD,
        )  # fmt: skip

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

    async def open(self, senders: Sequence[str], openings: Sequence[Opening]) -> list[dict[int, str] | None]:
        """
        Open one offer per person and sender number; return by which number each message may go, by campaign.

        No person is in two of the campaigns. The first of `senders` on which nothing waits for this person's
        answer gets it, of those after the first only such as a carrier has; who is left out must wait. None:
        everybody of the campaign got the first, as nearly always.
        """
        found = await self._open_all(senders, openings)
        if self._spending:
            await self._spend_less(openings, found)
        return found

    async def _open_all(
        self, senders: Sequence[str], openings: Sequence[Opening]
    ) -> list[dict[int, str] | None]:
        wanted, opened = _wanted(openings), dict[int, str]()
        for sender in senders:
            if not wanted.message_ids:
                break
            if sender != senders[0] and sender not in self._senders:
                continue
            ids = await self._open(sender, wanted, openings)
            if len(ids) == len(wanted.message_ids) and sender == senders[0]:
                return [None] * len(openings)
            opened.update(dict.fromkeys(ids, sender))
            wanted = wanted.of([n for n, each in enumerate(wanted.message_ids) if each not in opened])
        return [_own(opening.message_ids, opened, senders[0]) for opening in openings]

    async def _open(self, sender: str, wanted: Wanted, openings: Sequence[Opening]) -> list[int]:
        """Return the messages that got an open offer by `sender`."""
        known, live = self._known[sender], self._live[sender]
        if not live.isdisjoint(wanted.msisdns):
            wanted = wanted.of([n for n, msisdn in enumerate(wanted.msisdns) if msisdn not in live])
        if known.isdisjoint(wanted.msisdns):
            first, again = wanted, NONE_WANTED
        elif known.issuperset(wanted.msisdns):
            first, again = NONE_WANTED, wanted
        else:
            there = [msisdn in known for msisdn in wanted.msisdns]
            first = wanted.of([n for n, is_known in enumerate(there) if not is_known])
            again = wanted.of([n for n, is_known in enumerate(there) if is_known])
        await self._first_offers(sender, first, openings)
        return [*first.message_ids, *await self._next_offers(sender, again, openings)]

    async def _first_offers(self, sender: str, wanted: Wanted, openings: Sequence[Opening]) -> None:
        """Open the offers of people who have no row for this number."""
        if wanted.message_ids:
            data = _FIRST_OFFER.pack(
                *wanted[:3],
                *(sender, self._merchant_id, *_offers(wanted, openings)),
                micros_since_2000(self._now),
            )
            await copy_binary(self._connection, "open_offer", _FIRST_OFFER.columns, data)

    async def _next_offers(self, sender: str, wanted: Wanted, openings: Sequence[Opening]) -> Collection[int]:
        """Take the places of offers that are over or answered; return the messages that got one."""
        if not wanted.message_ids:
            return ()
        offers = [[opening.campaign[name] for opening in openings] for name in _OFFER]
        taken, anew = await take_places(
            self._connection, wanted, sender, self._merchant_id, offers,
            over_before=self._now - LATE_ANSWER_GRACE, now=self._now,
        )  # fmt: skip
        if counted := self._counted.get(sender):
            replaced = set(taken).difference(anew)
            await self._keep(
                {
                    msisdn: counted[msisdn]
                    for msisdn, message_id in zip(wanted.msisdns, wanted.message_ids, strict=True)
                    if message_id in replaced and msisdn in counted
                }
            )
        return taken

    async def _keep(self, replaced: Mapping[int, tuple[int, datetime]]) -> None:
        """Keep offers whose place was taken as contacts, by person: caps still count them."""
        if replaced:
            merchant_ids, at = zip(*replaced.values(), strict=True)
            await self._connection.execute(
                SQL["keep_contacts"], list(replaced), merchant_ids, at, self._now - WEEK
            )

    def wait_for_carrier(self, sender: str) -> Hold | None:
        """Return how what is to go by a number of the pool waits for a carrier; None: there is one."""
        if sender in self._senders:
            return None
        return Hold(SENDER_UNKNOWN, "sender-unknown", self._now + SENDER_WAIT)

    def wait_for_answer(self) -> Hold:
        return Hold("open_offer", "open-offer", self._now + OPEN_OFFER_WAIT)


def _wanted(openings: Sequence[Opening]) -> Wanted:
    return Wanted(
        list(chain.from_iterable(opening.msisdns for opening in openings)),
        list(chain.from_iterable(opening.message_ids for opening in openings)),
        list(chain.from_iterable(opening.subscriber_ids for opening in openings)),
        [place for place, opening in enumerate(openings) for _ in opening.message_ids],
    )


def _own(message_ids: Sequence[int], opened: Mapping[int, str], first: str) -> dict[int, str] | None:
    """Return what of `opened` is one campaign's; None: all of it, by the first sender number."""
    own = {message_id: opened[message_id] for message_id in message_ids if message_id in opened}
    return None if len(own) == len(message_ids) and set(own.values()) <= {first} else own


def _offers(wanted: Wanted, openings: Sequence[Opening]) -> list[int] | list[list[int]]:
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
