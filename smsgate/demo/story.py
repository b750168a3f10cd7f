"""The story in numbers, and the checks that they agree: each side counted alone."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any, Final

from smsgate.billing.periods import Month
from smsgate.demo.scene import Cast
from smsgate.money import micros_from_text, micros_to_text
from smsgate.simulator.serve import Simulator
from smsgate.simulator.shop import Shop


@dataclass(frozen=True, slots=True)
class Books:
    """What the gateway's own tables hold about the demonstration's merchant."""

    accepted: int  # sent rows with status 0, offers and answers
    offers_accepted: int
    delivered: int  # offers with a final receipt DELIVRD
    ledger_messages: int  # revenue lines, messages to phones
    ledger_micros: int
    cost_micros: int
    replies: dict[str, int]  # label -> inbound messages
    orders: int
    confirmed: int
    stops: int
    events_pending: int
    open_receipts: int

    def since(self, before: Books) -> Books:
        """Return what came after `before`."""
        counts = {name: getattr(self, name) - getattr(before, name) for name in _NAMES if name != "replies"}
        replies = {label: count - before.replies.get(label, 0) for label, count in self.replies.items()}
        return Books(replies={label: count for label, count in replies.items() if count}, **counts)


_NAMES: Final = tuple(field.name for field in fields(Books))


async def tell(
    cast: Cast, campaign: str, simulator: Simulator, shop: Shop, books: Books, began: Month
) -> dict[str, Any]:
    """Return the numbers and the checks as one JSON object, of the months from `began` on."""
    statement = await all_statements(cast, began)
    progress = (await cast.merchant.call("GET", f"/v1/campaigns/{campaign}"))["progress"]
    log, phones = simulator.smsc.log, simulator.phones
    checks = [
        ("submits seen by the SMSC = messages accepted", log.accepted == books.accepted),
        ("messages accepted = messages in the ledger", books.accepted == books.ledger_messages),
        ("every subscriber got the offer once", books.offers_accepted == len(cast.msisdns)),
        ("orders = phones that said yes", books.orders == len(phones.buyers)),
        ("the shop verified each order event exactly once", _each_once(shop, books.orders)),
        ("the shop confirmed every order", books.confirmed == books.orders == shop.confirmed),
        ("nobody got an offer after STOP", simulator.smsc.judge.offers_after_stop == 0),
        ("every STOP is in force", books.stops == len(phones.stopped)),
        ("statement = ledger", statement.micros == books.ledger_micros),
        (
            "CSV = statement",
            (statement.csv_micros, statement.csv_messages) == (statement.micros, statement.messages),
        ),
    ]
    return {
        "subscribers": len(cast.msisdns),
        "submitted": log.submits,
        "accepted": books.accepted,
        "offers": progress,
        "delivered": books.delivered,
        "replies": books.replies,
        "orders": books.orders,
        "confirmed": books.confirmed,
        "stops": books.stops,
        "currency": statement.currency,
        "cost": micros_to_text(books.cost_micros),
        "charge": micros_to_text(books.ledger_micros),
        "statement": str(statement.total),
        "checks": [{"name": name, "ok": ok} for name, ok in checks],
    }


@dataclass(slots=True)
class Statements:
    """Sums over months: a demonstration around a month's midnight has two."""

    currency: str = ""
    micros: int = 0
    messages: int = 0
    total: Decimal = Decimal()  # rounded month by month
    csv_micros: int = 0
    csv_messages: int = 0


async def all_statements(cast: Cast, began: Month) -> Statements:
    sums = Statements()
    for month in (await cast.merchant.call("GET", "/v1/usage/statements"))["data"]:
        if Month.parse(month["month"]) < began:
            continue
        path = f"/v1/usage/statements/{month['month']}"
        statement = await cast.merchant.call("GET", path)
        micros, messages = csv_sums(await cast.merchant.call("GET", f"{path}.csv"))
        sums.currency = statement["currency"]
        sums.micros += micros_from_text(statement["amount"])
        sums.messages += statement["messages"]
        sums.total += Decimal(statement["total"])
        sums.csv_micros += micros
        sums.csv_messages += messages
    return sums


def csv_sums(octets: bytes) -> tuple[int, int]:
    """Return (micros, messages) of a statement's CSV."""
    rows = list(csv.DictReader(io.StringIO(octets.decode("utf-8-sig"))))
    return (
        sum(micros_from_text(row["amount"]) for row in rows),
        sum(int(row["messages"]) for row in rows),
    )


def _each_once(shop: Shop, orders: int) -> bool:
    return shop.verified_once == orders and shop.verified_more == 0 and shop.forged == 0
