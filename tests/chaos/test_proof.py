"""The proof can fail: books that agree pass every check, and each thing that goes wrong breaks its own."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from smsgate.billing.budgets import Budget
from smsgate.flows.budget_records import BudgetState
from smsgate.protocol.gsm0338 import encode_gsm
from smsgate.protocol.receipt_states import ReceiptState
from smsgate.simulator.journal import Journal
from smsgate.simulator.mobile_originated import INTERNATIONAL, Mo
from smsgate.simulator.shop import ORDER_CREATED, Shop, ShopEvent
from smsgate.simulator.submits import Submits, receipt_bodies
from tests.chaos.books import Said, SmscBooks, Submit, Tables, read_smsc
from tests.chaos.cashier import PRICE_MICROS, Money, Raised, prove_money
from tests.chaos.proof import OWNER_LOST, prove
from tests.chaos.waiting import Waits

BUYER, LEAVER, SILENT, LOST = 33_600_000_001, 33_600_000_002, 33_600_000_003, 33_600_000_004
PEOPLE = (BUYER, LEAVER, SILENT, LOST)
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
YES, NO_MORE = Said(BUYER, "36111", "OK"), Said(LEAVER, "36111", "STOP")
Books = tuple[SmscBooks, Tables, Shop]


def books_that_agree() -> Books:
    """One campaign to four people: one orders, one stops, one is silent, one message is in doubt."""
    smsc = SmscBooks(
        accepted=[Submit(100 + n, msisdn, 1) for n, msisdn in enumerate(PEOPLE)],
        receipts=Counter({("100", 2): 1}),
        said=Counter([YES, NO_MORE]),
        taken=Counter([YES, NO_MORE]),
        stops_taken={LEAVER},
        starts=1,
    )
    sent = [an_outcome(n, 0, b"%d" % (100 + n)) for n in range(3)]
    tables = Tables(
        messages=[
            {"message_id": n, "campaign_id": 7, "msisdn": m, "kind": "offer"} for n, m in enumerate(PEOPLE)
        ],
        sent=[*sent, an_outcome(3, -1, None, OWNER_LOST)],
        receipts=[{"message_id": 0, "state": 2, "received_at": NOW}],
        unmatched=[],
        campaigns=[{"campaign_id": 7, "state": "finished", "text": "[1] Boxman: ..."}],
        counters={
            (7, kind): n
            for kind, n in {
                "recipients": 4,
                "accepted": 3,
                "unknown": 1,
                "delivered": 1,
                "replies": 2,
                "orders": 1,
            }.items()
        },
        ledger={"messages": 3, "segments": 3, "sell_micros": 135, "cost_micros": 93},
        unbalanced=0,
        inbound=[a_reply(1, YES, "accept", "ordered", 50), a_reply(2, NO_MORE, "stop", "stopped", None)],
        orders=[{"order_id": 50, "campaign_id": 7, "message_id": 0, "inbound_id": 1, "state": "confirmed"}],
        events=Counter({(ORDER_CREATED, "ord_1"): 1}),
        people={BUYER: "subscribed", LEAVER: "unsubscribed", SILENT: "subscribed", LOST: "subscribed"},
        open={"chunks": 0},
    )
    shop = Shop()
    shop.received.append(ShopEvent("evt-1", ORDER_CREATED, "ord_1", {}))
    return smsc, tables, shop


def an_outcome(
    message_id: int, status: int, smsc_id: bytes | None, reason: str | None = None
) -> dict[str, object]:
    charged = status == 0
    return {
        "message_id": message_id, "status": status, "segments": 1, "smsc_id": smsc_id,
        "sell_micros": 45 * charged, "cost_micros": 31 * charged, "reason": reason, "sent_at": NOW,
    }  # fmt: skip


def a_reply(inbound_id: int, said: Said, label: str, outcome: str, order_id: int | None) -> dict[str, object]:
    return {
        "inbound_id": inbound_id, "msisdn": said.msisdn, "destination": said.to, "text": said.text,
        "label": label, "outcome": outcome, "order_id": order_id, "campaign_id": 7, "received_at": NOW,
    }  # fmt: skip


def broken(books: Books, cap: int = 200, waits: Waits | None = None, second: Sequence[int] = ()) -> list[str]:
    """Return what does not hold; `second` are the people of offer 2, if there is one."""
    checks = prove(
        *books,
        groups={1: PEOPLE, 2: second},
        campaigns=2 if second else 1,
        cap=cap,
        deaths=[NOW.timestamp() - 8],
        waits=waits or Waits(),
    )
    return [check.name for check in checks if not check.ok]


def test_books_that_agree_pass_every_check() -> None:
    assert broken(books_that_agree()) == []


ONE_MORE_LEFT = Submit(105, BUYER, 1)
WRONG: dict[str, Callable[[SmscBooks, Tables, Shop], object]] = {
    "all work is done": lambda _s, t, _h: t.open.update(chunks=1),
    "each emission of the shop made one campaign": lambda _s, t, _h: t.campaigns.append(
        {"campaign_id": 8, "state": "finished", "text": "again"}
    ),
    "every message has exactly one outcome": lambda _s, t, _h: t.sent.append(an_outcome(3, -1, None)),
    "every recipient is accounted for once": lambda _s, t, _h: (
        t.people.update({LEAVER: "subscribed"}) or t.messages.pop(1)
    ),
    "no offer was sent twice": lambda s, _t, _h: s.accepted.append(ONE_MORE_LEFT),
    "what was accepted is what the SMSC accepted": lambda s, _t, _h: s.accepted.pop(0),
    "ledger = accepted: messages, segments, amounts": lambda _s, t, _h: t.ledger.update(segments=4),
    "counters of campaigns are right": lambda _s, t, _h: t.counters.update({(7, "accepted"): 4}),
    "every receipt that was answered is stored": lambda _s, t, _h: t.receipts.clear(),
    "every reply that was answered is stored once": lambda _s, t, _h: t.inbound.append(
        a_reply(3, YES, "accept", "repeated", None)
    ),
    "every order has one reply, and every yes an order or a reason": lambda _s, t, _h: t.orders.clear(),
    "every order reached the shop under one webhook": lambda _s, _t, h: h.received.append(
        ShopEvent("evt-2", ORDER_CREATED, "ord_1", {})
    ),
    "nobody got an offer after STOP": lambda s, _t, _h: s.offers_after_stop.append("[1]"),
    "every STOP that was answered is in force": lambda _s, t, _h: t.people.update({LEAVER: "subscribed"}),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_goes_wrong_breaks_its_check(name: str) -> None:
    books = books_that_agree()
    WRONG[name](*books)
    assert name in broken(books)


def test_more_in_doubt_than_the_cap_of_the_one_that_died_is_seen() -> None:
    assert broken(books_that_agree(), cap=0) == ["no death left more in doubt than the cap"]


def test_an_answered_reply_that_is_not_stored_is_seen() -> None:
    smsc, tables, shop = books_that_agree()
    tables.inbound.pop(0)
    tables.orders.clear()
    assert "every reply that was answered is stored once" in broken((smsc, tables, shop))


def a_second_offer(books: Books, to: int, after_s: float) -> Books:
    """Offer 2 left to one of those who had offer 1, so long after it."""
    smsc, tables, _ = books
    smsc.accepted.append(Submit(110, to, 2, after_s))
    tables.campaigns.append({"campaign_id": 8, "state": "finished", "text": "[2] Boxman: ..."})
    tables.messages.append({"message_id": 10, "campaign_id": 8, "msisdn": to, "kind": "offer"})
    tables.sent.append(an_outcome(10, 0, b"110"))
    tables.counters |= {(8, "recipients"): 1, (8, "accepted"): 1}
    tables.ledger.update(messages=4, segments=4, sell_micros=180, cost_micros=124)
    return books


def test_who_was_held_may_get_the_second_offer_after_the_first_ones_end_and_not_before() -> None:
    waits = Waits(held={10}, ended={2: 60.0})
    assert broken(a_second_offer(books_that_agree(), SILENT, 61.0), waits=waits, second=[SILENT]) == []
    early = a_second_offer(books_that_agree(), SILENT, 59.0)
    assert broken(early, waits=waits, second=[SILENT]) == ["nobody had two open offers"]
    never = a_second_offer(books_that_agree(), SILENT, 61.0)
    assert broken(never, waits=Waits(held={10}), second=[SILENT]) == ["nobody had two open offers"]


def test_an_answer_frees_the_place_for_the_second_offer() -> None:
    books = a_second_offer(books_that_agree(), BUYER, NOW.timestamp() + 1)
    assert broken(books, second=[BUYER]) == []
    books[1].inbound[0]["outcome"] = "asked"
    assert "nobody had two open offers" in broken(books, second=[BUYER])


def test_who_was_held_and_has_no_outcome_or_no_earlier_offer_is_seen() -> None:
    name = "who was held got one outcome, and nobody else was"
    assert name in broken(books_that_agree(), waits=Waits(held={99}))
    assert name in broken(books_that_agree(), waits=Waits(held={0}))


# -- money: a merchant that has paid for two offers at 10 s and for two more at 20 s


def money_of(
    cap: int = 4,
    *,
    paid_in_micros: int = 4 * PRICE_MICROS,
    spent_micros: int = 3 * PRICE_MICROS,
    leased_micros: int = 0,
) -> Money:
    budget = Budget(
        True,
        None,
        NOW.date(),
        paid_in_micros=paid_in_micros,
        spent_micros=spent_micros,
        leased_micros=leased_micros,
    )
    return Money(
        paid=[Raised(10.0, 2 * PRICE_MICROS), Raised(20.0, 2 * PRICE_MICROS)],
        cap=[Raised(10.0, cap * PRICE_MICROS)],
        waited=1,
        state=BudgetState(budget, "EUR", 0, 0, short=False),
    )


def broken_money(*offers_at: float, money: Money | None = None, charged: int = 3) -> list[str]:
    smsc = SmscBooks(accepted=[Submit(n, BUYER, 1, at) for n, at in enumerate(offers_at)])
    checks = prove_money(smsc, money or money_of(), charged * PRICE_MICROS)
    return [check.name for check in checks if not check.ok]


def test_an_offer_that_left_before_its_money_came_is_seen() -> None:
    assert broken_money(11.0, 12.0, 20.0) == []
    assert broken_money(11.0, 12.0, 19.0) == ["no offer left that was not paid for"]
    assert broken_money(11.0, 12.0, 20.0, money=money_of(cap=2)) == ["no offer left beyond the cap"]


def test_a_budget_that_says_otherwise_than_cashier_or_ledger_is_seen() -> None:
    name = "what is paid in is available, in doubt or charged"
    assert broken_money(11.0, money=money_of(paid_in_micros=1)) == [name]
    assert broken_money(11.0, money=money_of(leased_micros=PRICE_MICROS)) == [name]
    assert broken_money(11.0, charged=4) == broken_money(11.0, charged=2) == [name]
    silent = money_of()
    silent.waited = 0
    assert broken_money(11.0, money=silent) == ["messages waited for money"]


# -- the journal, from which the SMSC's side is read


def test_an_offer_on_the_connection_that_took_the_stop_is_a_violation(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "smsc.jsonl")
    journal.bound(1, "smsgate")
    stop = Mo(LEAVER, b"36111", "STOP", INTERNATIONAL, 1)
    journal.mo("smsgate", stop)
    journal.submits(1, an_offer_to(LEAVER, 1))
    journal.answered(1, 0, stop.bodies[0], final=True)
    assert read_smsc(tmp_path / "smsc.jsonl").offers_after_stop == []
    journal.submits(1, an_offer_to(LEAVER, 2))
    found = read_smsc(tmp_path / "smsc.jsonl")
    assert len(found.offers_after_stop) == 1
    assert found.stops_taken == {LEAVER}


def test_an_offer_that_crosses_the_stop_on_another_connection_is_none(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "smsc.jsonl")
    journal.bound(1, "smsgate")
    journal.bound(2, "smsgate")
    stop = Mo(LEAVER, b"36111", "STOP", INTERNATIONAL, 1)
    journal.mo("smsgate", stop)
    journal.answered(1, 0, stop.bodies[0], final=True)
    journal.submits(2, an_offer_to(LEAVER, 1))
    assert read_smsc(tmp_path / "smsc.jsonl").offers_after_stop == []
    journal.bound(3, "smsgate")
    journal.submits(3, an_offer_to(LEAVER, 2))
    assert len(read_smsc(tmp_path / "smsc.jsonl").offers_after_stop) == 1


def test_what_an_smsc_could_not_deliver_before_its_kill_goes_out_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / "smsc.jsonl"
    journal = Journal.open(path)
    said = [
        Mo(msisdn, b"36111", text, INTERNATIONAL, 1) for msisdn, text in ((BUYER, "OK"), (SILENT, "x" * 200))
    ]
    for mo in said:
        journal.mo("smsgate", mo)
    receipts = receipt_bodies(
        an_offer_to(LOST, 9), [ReceiptState.DELIVRD], b"%d", b"2611261200", b"2611261200"
    )
    journal.receipts("smsgate", receipts)
    journal.answered(1, 0x14, said[0].bodies[0], final=False)
    journal.answered(1, 0, said[1].bodies[0], final=True)  # one part of two
    with path.open("ab") as torn:
        torn.write(b'{"event":"answered","conn')
    left = Journal.open(path).left["smsgate"]
    assert left.receipts == receipts
    assert [(mo.msisdn, mo.text) for mo in left.mos] == [(BUYER, "OK"), (SILENT, "x" * 200)]
    for mo in said:
        for body in mo.bodies:
            journal.answered(1, 0, body, final=True)
    for body in receipts:
        journal.answered(1, 0, body, final=True)
    assert Journal.open(path).left.get("smsgate") is None
    assert read_smsc(path).receipts == Counter({("9", int(ReceiptState.DELIVRD)): 1})
    assert all(orjson.loads(line)["at"] <= time.time() for line in path.read_bytes().splitlines())


def an_offer_to(msisdn: int, message_id: int) -> Submits:
    submits = Submits()
    columns = {
        "numbers": message_id,
        "source_kinds": b"\x03\0",
        "sources": b"36111",
        "destination_kinds": b"\x01\x01",
        "destinations": b"%d" % msisdn,
        "esm_classes": 0,
        "registered": 1,
        "data_codings": 0,
        "texts": encode_gsm(f"[{message_id}] Boxman: Répondez OK = commande"),
        "statuses": 0,
        "message_ids": message_id,
    }
    for name, value in columns.items():
        getattr(submits, name).append(value)
    return submits
