"""What one message would cost and be charged, told step by step by the code that bills."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from smsgate.billing.prices import ANY_NETWORK, Basis, Direction, PriceBook, PriceItem
from smsgate.money import micros_to_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


class Step(NamedTuple):
    name: str  # network, segments, price_list, version, item, price, cost, margin
    sentence: str


@dataclass(frozen=True, slots=True)
class RateQuestion:
    """`network_because` says how the network was found; `networks` are as `NetworkTable` writes them."""

    msisdn: str
    network: str
    network_because: str
    segments: int
    segments_because: str
    direction: Direction
    at: datetime


class Charge(NamedTuple):
    """`amount_micros` is None when there is no price, which refuses the message."""

    list_name: str
    currency: str
    version: int | None
    item: PriceItem | None
    amount_micros: int | None


@dataclass(frozen=True, slots=True)
class RatedMessage:
    sell: Charge | None  # None: the merchant has no price list
    costs: tuple[tuple[str, Charge], ...]  # by carrier
    steps: tuple[Step, ...]


def rate_message(
    question: RateQuestion, sell: tuple[str, PriceBook] | None, costs: Sequence[tuple[str, str, PriceBook]]
) -> RatedMessage:
    """Return the price of one message; `costs` are (carrier, name of its list, book)."""
    steps = [
        Step("network", f"{question.msisdn} is of network {question.network}: {question.network_because}."),
        Step("segments", f"It counts {_plural(question.segments, 'segment')}: {question.segments_because}."),
    ]
    charge: Charge | None = None
    if sell is None:
        steps.append(Step("price_list", "The merchant has no price list, so nothing is sent."))
    else:
        charge = _charge(question, *sell)
        steps += _told(question, charge, "price")
    carriers: list[tuple[str, Charge]] = []
    for carrier, name, book in costs:
        cost = _charge(question, name, book)
        carriers.append((carrier, cost))
        steps += [
            step._replace(sentence=f"Carrier {carrier}: {step.sentence}")
            for step in _told(question, cost, "cost")
        ]
        if charge is not None and (margin := _margin(charge, cost)) is not None:
            word = "below cost" if margin < 0 else "earned"
            steps.append(
                Step("margin", f"By {carrier} {micros_to_text(margin)} {charge.currency} is left: {word}.")
            )
    return RatedMessage(charge, tuple(carriers), tuple(steps))


def _charge(question: RateQuestion, name: str, book: PriceBook) -> Charge:
    version = book.version_at(question.at)
    item = None if version is None else version.lookup(question.direction, question.network)
    amount = None if item is None else item.unit_micros * question.segments
    return Charge(name, book.currency, None if version is None else version.version, item, amount)


def _told(question: RateQuestion, charge: Charge, what: str) -> list[Step]:
    if charge.version is None:
        return [
            Step(
                "version",
                f"The list {charge.list_name} has no version in force at {question.at.isoformat()}.",
            )
        ]
    steps = [
        Step(
            "version",
            f"The list {charge.list_name} is at version {charge.version} at {question.at.isoformat()}.",
        )
    ]
    if charge.item is None or charge.amount_micros is None:
        consequence = "the cost is not known" if what == "cost" else _refusal(question.direction)
        steps.append(
            Step("item", f"It has no {question.direction} price for {question.network}, so {consequence}.")
        )
        return steps
    item = charge.item
    steps.append(
        Step("item", f"Its {question.direction} price for {_matched(question.network, item)} holds.")
    )
    unit, amount = micros_to_text(item.unit_micros), micros_to_text(charge.amount_micros)
    times = f"{unit} x {question.segments} = {amount} {charge.currency}"
    steps.append(Step(what, f"{times}, {_when(question.direction, item, what)}."))
    return steps


def _refusal(direction: Direction) -> str:
    return "the message is not sent" if direction is Direction.MT else "it is free"


def _matched(network: str, item: PriceItem) -> str:
    if item.network == network:
        return f"the network {network} itself"
    if item.network == ANY_NETWORK:
        return "all others (*)"
    return f"the country {item.network}"


def _when(direction: Direction, item: PriceItem, what: str) -> str:
    if item.ladder is not None:
        return "the first step of its ladder; the close of the month does the rest"
    if direction is Direction.MO:
        return "charged when it is received"
    verb = "costs" if what == "cost" else "is charged"
    return (
        f"{verb} when it is delivered"
        if item.basis is Basis.DELIVERED
        else f"{verb} when the carrier takes it"
    )


def _margin(charge: Charge, cost: Charge) -> int | None:
    if charge.amount_micros is None or cost.amount_micros is None or charge.currency != cost.currency:
        return None
    return charge.amount_micros - cost.amount_micros


def _plural(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
