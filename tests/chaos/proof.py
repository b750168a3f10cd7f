"""What must hold after any kill. Every check compares two sides that were counted apart."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from smsgate.protocol.receipt_states import FINAL, ReceiptState
from smsgate.simulator.shop import ORDER_CREATED, Shop
from tests.chaos.books import OFFER, Said, SmscBooks, Submit, Tables
from tests.chaos.waiting import Waits

UNKNOWN: Final = -1
NOT_SENT: Final = -2
OWNER_LOST: Final = "owner_lost"  # `sent.reason` of what a dead process left in doubt
FOUND_WITHIN_S: Final = 20.0  # a lease has 6 s, and the next process has to start meanwhile
SHOWN_MAX: Final = 5  # examples of what is wrong
ORDERING: Final = frozenset({"accept", "quantity"})  # labels of a reply that orders
FREEING: Final = frozenset(
    {"ordered", "declined", "cancelled", "sold_out"}
)  # the next offer may take its place
TOLD: Final = (
    frozenset(  # what the gateway does with such a reply other than taking an order, each with an answer
        {
            "repeated",
            "over_maximum",
            "ask",
            "sold_out",
            "late",
            "closed",
            "repetition",
            "asked",
            "no_open_offer",
            "nobody",
        }
    )
)


class Check(NamedTuple):
    name: str
    wrong: list[str]  # examples; empty when it holds
    of: int = 0  # what was looked at

    @property
    def ok(self) -> bool:
        return not self.wrong


def prove(
    smsc: SmscBooks,
    tables: Tables,
    shop: Shop,
    *,
    groups: Mapping[int, Sequence[int]],
    campaigns: int,
    cap: int,
    deaths: Sequence[float],
    waits: Waits,
) -> list[Check]:
    """
    Return every check.

    `groups` are the people that each offer's mark was for; `deaths` are the instants (seconds since 1970) at
    which a gateway ended without order; `cap` is how many messages one of them may leave in doubt; `waits`
    says whom an open offer held, and which offers came to their end.
    """
    return [
        Check("all work is done", [f"{n} {what} left" for what, n in tables.open.items() if n]),
        Check(
            "each emission of the shop made one campaign",
            []
            if len(tables.campaigns) == campaigns
            else [f"{campaigns} were answered, {len(tables.campaigns)} are stored"],
            campaigns,
        ),
        Check("every message has exactly one outcome", some(_outcomes(tables)), len(tables.messages)),
        Check(
            "every recipient is accounted for once", some(_recipients(tables, groups)), len(tables.messages)
        ),
        Check("nobody had two open offers", some(_two_open(smsc, tables, waits)), len(smsc.accepted)),
        Check(
            "who was held got one outcome, and nobody else was", some(_held(tables, waits)), len(waits.held)
        ),
        Check("no offer was sent twice", some(_doubled(smsc)), len(smsc.accepted)),
        Check(
            "what was accepted is what the SMSC accepted", some(_accepted(smsc, tables)), len(smsc.accepted)
        ),
        Check("no death left more in doubt than the cap", some(_unknown(tables, cap, deaths)), len(deaths)),
        Check("ledger = accepted: messages, segments, amounts", _ledger(tables)),
        Check("counters of campaigns are right", some(_counters(tables)), len(tables.campaigns)),
        Check(
            "every receipt that was answered is stored", some(_receipts(smsc, tables)), smsc.receipts.total()
        ),
        Check(
            "every reply that was answered is stored once", some(_replies(smsc, tables)), smsc.taken.total()
        ),
        Check("every order has one reply, and every yes an order or a reason", some(_orders(tables))),
        Check("every order reached the shop under one webhook", some(_webhooks(tables, shop))),
        Check("nobody got an offer after STOP", some(smsc.offers_after_stop), len(smsc.stops_taken)),
        Check(
            "every STOP that was answered is in force",
            some(str(n) for n in smsc.stops_taken if tables.people[n] != "unsubscribed"),
            len(smsc.stops_taken),
        ),
    ]


def some(wrong: Iterable[str]) -> list[str]:
    """Return a few examples and how many more there are."""
    found = list(wrong)
    more = len(found) - SHOWN_MAX
    return [*found[:SHOWN_MAX], *([f"and {more} more"] if more > 0 else [])]


def marks(tables: Tables) -> dict[int, int]:
    """Return campaign -> the number in its offer's text."""
    found = {row["campaign_id"]: OFFER.match(row["text"]) for row in tables.campaigns}
    return {campaign_id: int(match[1]) for campaign_id, match in found.items() if match is not None}


def _outcomes(tables: Tables) -> Iterator[str]:
    rows = Counter(row["message_id"] for row in tables.sent)
    for row in tables.messages:
        if (count := rows.pop(row["message_id"], 0)) != 1:
            yield f"message {row['message_id']} ({row['kind']}) has {count} outcomes"
    for message_id in rows:
        yield f"an outcome of {message_id}, which is no message"
    for row in tables.sent:
        if row["status"] == NOT_SENT and not row["reason"]:
            yield f"message {row['message_id']} was not sent, and nobody says why"


def _recipients(tables: Tables, groups: Mapping[int, Sequence[int]]) -> Iterator[str]:
    """Who was chosen was chosen once; who was not had said STOP."""
    chosen: dict[int, Counter[int]] = defaultdict(Counter)
    for row in tables.messages:
        if row["campaign_id"] is not None:
            chosen[row["campaign_id"]][row["msisdn"]] += 1
    for campaign_id, mark in marks(tables).items():
        group, got = set(groups[mark]), chosen[campaign_id]
        for msisdn, count in got.items():
            if count > 1 or msisdn not in group:
                yield f"offer {mark} has {count} messages to {msisdn}"
        for msisdn in group - got.keys():
            if tables.people[msisdn] == "subscribed":
                yield f"offer {mark} left {msisdn} out, who is subscribed"


def _two_open(smsc: SmscBooks, tables: Tables, waits: Waits) -> Iterator[str]:
    """Between two offers to a person the first was answered, or came to its end."""
    mark_of = marks(tables)
    message_of = {
        (mark_of[row["campaign_id"]], row["msisdn"]): row["message_id"]
        for row in tables.messages
        if row["campaign_id"] in mark_of
    }
    free_at = {key: waits.ended[each] for key, each in message_of.items() if each in waits.ended}
    for row in tables.inbound:
        if row["outcome"] in FREEING and row["campaign_id"] in mark_of:
            key, at = (mark_of[row["campaign_id"]], row["msisdn"]), row["received_at"].timestamp()
            free_at[key] = min(free_at.get(key, at), at)
    last: dict[int, Submit] = {}
    for submit in smsc.accepted:
        if not submit.mark:
            continue
        first = last.get(submit.msisdn)
        if first is not None and first.mark != submit.mark:
            free = free_at.get((first.mark, submit.msisdn))
            if free is None or not first.at <= free <= submit.at:
                yield f"offer {submit.mark} went to {submit.msisdn} while {first.mark} was open"
        last[submit.msisdn] = submit


def _held(tables: Tables, waits: Waits) -> Iterator[str]:
    """Whoever waited for an open offer had one, and got this one later or was told off with a reason."""
    rows = {row["message_id"]: row for row in tables.messages}
    first: dict[int, int] = {}
    for row in tables.messages:
        if row["campaign_id"] is not None:
            first[row["msisdn"]] = min(first.get(row["msisdn"], row["message_id"]), row["message_id"])
    outcomes = Counter(row["message_id"] for row in tables.sent)
    given_up = {row["message_id"] for row in tables.sent if row["reason"] == "open_offer"}
    for message_id in waits.held | given_up:
        if message_id not in rows or outcomes[message_id] != 1:
            yield f"message {message_id} was held, and has {outcomes[message_id]} outcomes"
        elif first[rows[message_id]["msisdn"]] == message_id:
            yield f"message {message_id} was held, and is the first offer to its person"


def _doubled(smsc: SmscBooks) -> Iterator[str]:
    offers = Counter((submit.mark, submit.msisdn) for submit in smsc.accepted if submit.mark)
    for (mark, msisdn), count in offers.items():
        if count > 1:
            yield f"offer {mark} to {msisdn} left {count} times"


def _accepted(smsc: SmscBooks, tables: Tables) -> Iterator[str]:
    """Each accepted row has its submit; each submit has its row, or is an unknown message's."""
    msisdns = {row["message_id"]: row["msisdn"] for row in tables.messages}
    mark_of = marks(tables)
    mark_by_message = {row["message_id"]: mark_of.get(row["campaign_id"] or 0, 0) for row in tables.messages}
    submits = {str(submit.smsc_id): submit for submit in smsc.accepted}
    unknown: Counter[tuple[int, int]] = Counter()
    for row in tables.sent:
        message_id = row["message_id"]
        if row["status"] == UNKNOWN:
            unknown[msisdns.get(message_id, 0), mark_by_message.get(message_id, 0)] += 1
        if row["status"] != 0:
            continue
        submit = submits.pop(row["smsc_id"].decode(), None)
        if submit is None or (submit.msisdn, submit.mark) != (
            msisdns.get(message_id),
            mark_by_message.get(message_id),
        ):
            yield f"message {message_id} counts as accepted, and the SMSC has {submit}"
    for submit in submits.values():
        unknown[submit.msisdn, submit.mark] -= 1
        if unknown[submit.msisdn, submit.mark] < 0:
            yield f"the SMSC accepted {submit}, and no message knows of it"


def _unknown(tables: Tables, cap: int, deaths: Sequence[float]) -> Iterator[str]:
    """Messages that one look called unknown, against the deaths that it can have looked at."""
    at_once = Counter((row["sent_at"], row["reason"]) for row in tables.sent if row["status"] == UNKNOWN)
    before = 0.0
    for (at, reason), count in sorted(at_once.items(), key=lambda item: item[0][0]):
        dead = 1  # a broken connection, which kills nobody
        if reason == OWNER_LOST:
            instant = at.timestamp()
            dead = max(1, sum(max(before, instant - FOUND_WITHIN_S) < each <= instant for each in deaths))
            before = instant
        if count > cap * dead:
            yield f"{count} unknown at once ({reason or 'no answer'}), {dead} died, the cap is {cap}"


def _ledger(tables: Tables) -> list[str]:
    accepted = [row for row in tables.sent if row["status"] == 0]
    sums = {
        "messages": len(accepted),
        "segments": sum(row["segments"] for row in accepted),
        "sell_micros": sum(row["sell_micros"] for row in accepted),
        "cost_micros": sum(row["cost_micros"] for row in accepted),
    }
    wrong = [f"{name}: {tables.ledger[name]} in the ledger, {n} accepted" for name, n in sums.items()
             if tables.ledger[name] != n]  # fmt: skip
    return wrong + ([f"{tables.unbalanced} postings do not sum to 0"] if tables.unbalanced else [])


def _counters(tables: Tables) -> Iterator[str]:
    campaign_of = {row["message_id"]: row["campaign_id"] for row in tables.messages}
    counted: Counter[tuple[int | None, str]] = Counter()
    for row in tables.messages:
        counted[row["campaign_id"], "recipients"] += 1
    for row in tables.sent:
        status = row["status"]
        kind = {0: "accepted", UNKNOWN: "unknown", NOT_SENT: "not_sent"}.get(status, "refused")
        counted[campaign_of.get(row["message_id"]), kind] += 1
    first: dict[int, int] = {}
    for row in tables.receipts:
        if row["state"] in FINAL:
            first.setdefault(row["message_id"], row["state"])
    for message_id, state in first.items():
        kind = "delivered" if state == ReceiptState.DELIVRD else "failed"
        counted[campaign_of.get(message_id), kind] += 1
    for row in tables.inbound:
        counted[row["campaign_id"], "replies"] += row["campaign_id"] is not None
    for row in tables.orders:
        counted[row["campaign_id"], "orders"] += 1
    kinds = {kind for _, kind in counted}
    for row in tables.campaigns:
        for kind in kinds:
            key = (row["campaign_id"], kind)
            if tables.counters.get(key, 0) != counted[key]:
                yield f"{kind} of {key[0]}: counter {tables.counters.get(key, 0)}, rows {counted[key]}"


def _receipts(smsc: SmscBooks, tables: Tables) -> Iterator[str]:
    smsc_ids = {row["message_id"]: row["smsc_id"] for row in tables.sent if row["smsc_id"]}
    stored = {(smsc_ids.get(row["message_id"], b"").decode(), row["state"]) for row in tables.receipts}
    stored |= {(row["smsc_id"].decode(), row["state"]) for row in tables.unmatched}
    for smsc_id, state in smsc.receipts:
        if (smsc_id, state) not in stored:
            yield f"the receipt of {smsc_id} with state {state} was answered"


def _replies(smsc: SmscBooks, tables: Tables) -> Iterator[str]:
    rows: Counter[Said] = Counter()
    anew: Counter[Said] = Counter()
    for row in tables.inbound:
        said = Said(row["msisdn"], row["destination"], row["text"])
        rows[said] += 1
        # STOP is taken however often it is said; a repetition is stored and changes nothing.
        anew[said] += row["outcome"] != "repetition" and row["label"] != "stop"
    for said, taken in smsc.taken.items():
        # The same words twice: after a new connection the second is taken for a deliver_sm that came again.
        if rows[said] < (taken if smsc.said[said] == 1 else 1):
            yield f"{said} was answered {taken} times and is stored {rows[said]} times"
    for said, count in anew.items():
        if count > smsc.said[said]:
            yield f"{said} was said {smsc.said[said]} times and is stored {count} times"


def _orders(tables: Tables) -> Iterator[str]:
    inbound = {row["inbound_id"]: row for row in tables.inbound}
    by_reply: Counter[int] = Counter(row["inbound_id"] for row in tables.orders)
    for row in tables.orders:
        reply = inbound.get(row["inbound_id"])
        if reply is None or reply["order_id"] != row["order_id"] or reply["outcome"] != "ordered":
            yield f"order {row['order_id']} has the reply {reply}"
    for inbound_id, count in by_reply.items():
        if count > 1:
            yield f"reply {inbound_id} made {count} orders"
    for message_id, count in Counter(row["message_id"] for row in tables.orders).items():
        if count > 1:
            yield f"offer message {message_id} was ordered {count} times by one yes"
    for row in tables.inbound:
        if row["label"] in ORDERING and not by_reply[row["inbound_id"]] and row["outcome"] not in TOLD:
            yield f"a yes of {row['msisdn']} came to {row['outcome']!r}"


def _webhooks(tables: Tables, shop: Shop) -> Iterator[str]:
    told: dict[str, set[str]] = defaultdict(set)
    for event in shop.received:
        if event.type == ORDER_CREATED:
            told[event.subject].add(event.webhook_id)
    created: Counter[str] = Counter()
    for (type_, subject), count in tables.events.items():
        if type_ == ORDER_CREATED:
            created[subject] += count
    if len(created) != len(tables.orders):
        yield f"{len(tables.orders)} orders, {len(created)} have an event"
    for subject, count in created.items():
        if count != 1 or len(told[subject]) != 1:
            yield f"{subject}: {count} events, the shop knows {len(told[subject])}"
    for subject in told.keys() - created.keys():
        yield f"the shop heard of {subject}, which is not stored"
    if shop.forged or shop.unreadable:
        yield f"{shop.forged} webhooks forged, {shop.unreadable} unreadable"
    unconfirmed = [row["order_id"] for row in tables.orders if row["state"] != "confirmed"]
    if unconfirmed:
        yield f"{len(unconfirmed)} orders are not confirmed, first {unconfirmed[0]}"


def figures(smsc: SmscBooks, tables: Tables) -> dict[str, Any]:
    """Return what a report is made of."""
    statuses = Counter(row["status"] for row in tables.sent)
    at: Counter[Any] = Counter(row["sent_at"] for row in tables.sent if row["status"] == UNKNOWN)
    offers = {row["message_id"] for row in tables.messages if row["campaign_id"] is not None}
    known = {row["smsc_id"] for row in tables.sent if row["status"] == 0}
    return {
        "messages": len(tables.messages),
        "offers": len(offers),
        "accepted": statuses[0],
        "refused": sum(n for status, n in statuses.items() if status > 0),
        "not_sent": dict(Counter(row["reason"] for row in tables.sent if row["status"] == NOT_SENT)),
        "unknown": statuses[UNKNOWN],
        "unknown_at_once_max": max(at.values(), default=0),
        "unknown_that_left": sum(str(each.smsc_id).encode() not in known for each in smsc.accepted),
        "smsc_accepted": len(smsc.accepted),
        "smsc_refused": {f"0x{status:02x}": n for status, n in smsc.refused.items()},
        "receipts_answered": smsc.receipts.total(),
        "replies_said": smsc.said.total(),
        "replies_answered": smsc.taken.total(),
        "orders": len(tables.orders),
        "stops": len(smsc.stops_taken),
        "ledger_micros": tables.ledger["sell_micros"],
    }
