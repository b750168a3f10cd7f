"""
One message's money, from the price list to the line of the document, told and computed once more.

Facts are what is stored; what is said of them is derived here, by the rules that the close goes by: the
month of acceptance (R4), the period that takes a charge (R9), the VAT of the day (R6).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from smsgate.billing.charge_facts import BilledLine
from smsgate.billing.network_names import DEFAULT_LANGUAGE, network_name
from smsgate.billing.periods import Month, local_date, month_of, zone
from smsgate.billing.prices import Basis, Direction
from smsgate.errors import Invalid
from smsgate.money import micros_to_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from smsgate.billing.charge_facts import Cut, ExplainFacts, GivenBack, PartFacts, Priced
    from smsgate.billing.vat import Vat

DELIVERED: Final = "delivrd"  # the first final receipt that charges on the delivered basis


class Fact(NamedTuple):
    """`operator`: what the merchant does not see."""

    name: str
    sentence: str
    operator: bool = False


@dataclass(frozen=True, slots=True)
class ExplainedPart:
    """`amount_micros` is 0 where nothing is charged; `period` None: nothing falls into any."""

    facts: PartFacts
    charged: bool
    amount_micros: int
    cost_micros: int
    period: Month | None
    late: bool
    lines: tuple[BilledLine, ...]
    wrong: tuple[str, ...]
    told: tuple[Fact, ...]

    @property
    def margin_micros(self) -> int | None:
        """Return what is left of the price; None: the cost is not known, or of another currency."""
        sell, cost = self.facts.sell, self.facts.cost
        if sell is None or cost is None or sell.currency != cost.currency:
            return None
        return self.amount_micros - self.cost_micros


@dataclass(frozen=True, slots=True)
class Explained:
    facts: ExplainFacts
    origin: Month
    day: date
    vat: Vat | None
    parts: tuple[ExplainedPart, ...]

    @property
    def wrong(self) -> tuple[str, ...]:
        """Return what computing it once more does not confirm."""
        return tuple(sentence for part in self.parts for sentence in part.wrong)


def explain(facts: ExplainFacts) -> Explained:
    """Return every step of what the message is charged and costs."""
    day = local_date(facts.accepted_at, facts.zone_name)
    vat = None
    if facts.vat is not None:
        try:
            vat = facts.vat.on(day)
        except Invalid:
            vat = None  # a rate is never guessed
    origin = month_of(facts.accepted_at, facts.zone_name)
    parts = tuple(_part(part, facts, origin, vat) for part in facts.parts)
    return Explained(facts, origin, day, vat, parts)


def period_of(origin: Month, recorded_at: datetime, cuts: Sequence[Cut]) -> Month:
    """Return the earliest month, from that of acceptance on, that was open when it was recorded (R9)."""
    month = origin
    for cut in cuts:
        if cut.month == month and recorded_at >= cut.cut_at:
            month = month.next()
    return month


def _first_open(facts: ExplainFacts, origin: Month) -> Month:
    """Return the month that takes a charge if nothing is cut: its own, or the first that is billed."""
    return origin if facts.first_month is None else max(origin, facts.first_month)


def _taken_by(facts: ExplainFacts, origin: Month, recorded_at: datetime) -> Month:
    return period_of(_first_open(facts, origin), recorded_at, facts.cuts)


def charged(part: PartFacts, direction: Direction) -> tuple[bool, str]:
    """Return whether the part is charged, and the sentence that says why (R8)."""
    if part.refusal:
        return False, f"Nothing is charged: {part.refusal}."
    if direction is Direction.MO:
        if part.sell is None:
            return False, "Nothing is charged: the list in force had no price for replies of this network."
        return True, f"It was received at {_instant(part.taken_at)}: that charges it."
    if part.sell is None:
        return False, "Nothing is charged: the carrier took it, and it had no price."
    return _by_basis(part, part.sell, "charges")


def _by_basis(part: PartFacts, priced: Priced, verb: str) -> tuple[bool, str]:
    if priced.item.basis is Basis.SUBMIT:
        return True, f"The carrier took it at {_instant(part.taken_at)}: on the submit basis that {verb} it."
    if part.receipt is None:
        return False, f"On the delivered basis nothing {verb} it yet: no final receipt came."
    said = f"Its first final receipt, at {_instant(part.receipt.at)}, says {part.receipt.state}"
    if part.receipt.state == DELIVERED:
        return True, f"{said}: on the delivered basis that {verb} it."
    return False, f"{said}: on the delivered basis nothing {verb} it."


def _part(part: PartFacts, facts: ExplainFacts, origin: Month, vat: Vat | None) -> ExplainedPart:
    is_charged, because = charged(part, facts.direction)
    told = [Fact("charged", because)]
    wrong: list[str] = []
    period: Month | None = None
    late, lines = False, tuple[BilledLine, ...]()
    if part.sell is not None and not part.refusal:
        told = [*_price(part.sell, part, facts), *told]
        wrong += _recomputed(part.sell, part.sell_micros, part, facts.accepted_at, "price")
    if is_charged and part.sell is not None:
        told += _vat(vat, facts)
        period, late, lines = _billing(part, part.sell, facts, origin, vat, told)
        if not part.postings:
            wrong.append("No posting of the ledger holds it.")
    elif part.given_back is not None and part.sell is not None:
        # Charged by a receipt, given back, and then a receipt came of an earlier time.
        told.append(_given_back(part.given_back))
        told += _documents(_lines(facts, part.sell, _taken_by(facts, origin, part.given_back.at), vat))
    costs = part.cost is not None and not part.refusal and _by_basis(part, part.cost, "costs")[0]
    amount = part.sell_micros if is_charged and part.given_back is None else 0
    made = ExplainedPart(
        part, is_charged, amount, part.cost_micros if costs else 0, period, late, lines, tuple(wrong), ()
    )
    told += _cost(made, facts)
    told += [Fact("wrong", sentence) for sentence in wrong]
    if not wrong and part.sell is not None and not part.refusal:
        told.append(Fact("recomputed", "Computed once more: amount, version and ledger agree."))
    return ExplainedPart(
        part, is_charged, amount, made.cost_micros, period, late, lines, tuple(wrong), tuple(told)
    )


def _price(priced: Priced, part: PartFacts, facts: ExplainFacts) -> list[Fact]:
    item, unit = priced.item, micros_to_text(priced.item.unit_micros)
    until = "" if priced.effective_until is None else f" until {_instant(priced.effective_until)}"
    told = [
        Fact(
            "price",
            f"Price list {priced.list_name}, version {priced.version}, valid from "
            f"{_instant(priced.effective_from)}{until}: {item.direction} to {_named(item.network)} at {unit} "
            f"{priced.currency} a segment.",
        ),
        Fact(
            "amount",
            f"{part.segments} x {unit} = {micros_to_text(part.sell_micros)} {priced.currency}, not rounded.",
        ),
    ]
    if item.ladder is not None:
        steps = ", ".join(
            f"from {step.first} at {micros_to_text(step.unit_micros)}" for step in item.ladder.steps
        )
        count = facts.month_segments.get(item.item_id, 0)
        told.append(
            Fact(
                "tier",
                f"Its steps are {item.ladder.mode} ({steps}); {count} segments of it are charged in its "
                f"month so far: the step of {micros_to_text(item.ladder.unit_at(max(count, 1)))}. A message "
                "bears the first step's price; the close bills the difference by the month's count.",
            )
        )
    return told


def _vat(vat: Vat | None, facts: ExplainFacts) -> list[Fact]:
    day = local_date(facts.accepted_at, facts.zone_name)
    if vat is None:
        return [
            Fact("vat", f"What VAT holds on {day} is not said yet: the billing profile or [billing] lacks.")
        ]
    rate = f"{micros_to_text(vat.rate_micros, 0)} %" if vat.has_rate else "without a rate"
    return [Fact("vat", f"VAT {vat.category} {rate}, as on {day}; it is rounded once per invoice and rate.")]


def _billing(
    part: PartFacts,
    sell: Priced,
    facts: ExplainFacts,
    origin: Month,
    vat: Vat | None,
    told: list[Fact],
) -> tuple[Month | None, bool, tuple[BilledLine, ...]]:
    """Say which period takes the charge and why, and the lines that bill it."""
    local = facts.accepted_at.astimezone(zone(facts.zone_name)).replace(microsecond=0)
    told.append(
        Fact("month", f"Accepted at {local.isoformat()} in {facts.zone_name}: its month is {origin}.")
    )
    told += _ledger(part, sell)
    periods = sorted({_taken_by(facts, origin, posted.at) for posted in part.postings})
    if len(periods) != 1:
        return None, False, ()
    [period] = periods
    told.append(Fact("period", _period(origin, period, facts)))
    lines = _lines(facts, sell, period, vat)
    told += _documents(lines)
    later = None if part.given_back is None else _taken_by(facts, origin, part.given_back.at)
    if not lines:
        told.append(Fact("document", f"No line has it: {_no_line(facts, period, undone=later == period)}."))
    if later is not None and later != period:
        told += _documents(_lines(facts, sell, later, vat))
    return period, period != _first_open(facts, origin), lines


def _no_line(facts: ExplainFacts, period: Month, *, undone: bool) -> str:
    if undone:
        return "charge and reversal fall into one period"
    if not any(cut.closed for cut in facts.cuts if cut.month == period):
        return f"{period} is not billed yet"
    return f"{period} is closed, and what it charges and gives back of this price, month and VAT cancels out"


def _lines(facts: ExplainFacts, sell: Priced, period: Month, vat: Vat | None) -> tuple[BilledLine, ...]:
    return tuple(
        line
        for line in facts.lines
        if line.item_id == sell.item.item_id and line.month == period and (vat is None or line.vat == vat)
    )


def _documents(lines: Sequence[BilledLine]) -> list[Fact]:
    told = []
    for line in lines:
        unit = micros_to_text(line.unit_micros)
        told.append(
            Fact(
                "document",
                f"{line.number} of {line.issued_on}, line {line.line}: {line.quantity} x {unit} is "
                f"{line.net} {line.currency} net; it is among them.",
            )
        )
        told += [
            Fact("credit", f"{number} credits {quantity} of that line.") for number, quantity in line.credits
        ]
    return told


def _ledger(part: PartFacts, sell: Priced) -> list[Fact]:
    shown = [
        f"{posted.name} of {_instant(posted.at)} ({posted.messages} messages, {posted.segments} segments, "
        f"{micros_to_text(posted.amount_micros)} {sell.currency})"
        for posted in part.postings
    ]
    told = []
    if len(shown) == 1:
        told.append(Fact("ledger", f"Posting {shown[0]} holds it."))
    elif shown:
        told.append(Fact("ledger", f"One of these postings holds it: {'; '.join(shown)}."))
    if part.given_back is not None:
        told.append(_given_back(part.given_back))
    return told


def _given_back(back: GivenBack) -> Fact:
    return Fact("given_back", f"Given back at {_instant(back.at)} by posting {back.name}: {back.reason}.")


def _period(origin: Month, period: Month, facts: ExplainFacts) -> str:
    found = {cut.month: cut for cut in facts.cuts}
    first = _first_open(facts, origin)
    if period == origin:
        if origin not in found:
            return f"It falls into {origin}, which is not cut yet."
        return f"It falls into {origin}: it was recorded before the cut at {_instant(found[origin].cut_at)}."
    said = f"It falls into {period}, at its own price and VAT"
    if period == first:
        return f"{said}: that is the first month that is billed."
    return f"{said}: {first} was cut at {_instant(found[first].cut_at)}, and it was recorded later."


def _recomputed(priced: Priced, micros: int, part: PartFacts, at: datetime, what: str) -> list[str]:
    """Return what a second computation does not confirm (I3)."""
    wrong = []
    if micros != priced.item.unit_micros * part.segments:
        wrong.append(
            f"Its {what} is {micros_to_text(micros)}, and {part.segments} x "
            f"{micros_to_text(priced.item.unit_micros)} is not that."
        )
    late = priced.effective_until is not None and at >= priced.effective_until
    early = at < priced.effective_from and not priced.is_first
    if early or late:
        wrong.append(f"Version {priced.version} of {priced.list_name} was not in force when it was accepted.")
    return wrong


def _cost(made: ExplainedPart, facts: ExplainFacts) -> list[Fact]:
    part = made.facts
    if facts.direction is Direction.MO or part.refusal:
        return []
    if part.cost is None:
        return [
            Fact("cost", f"What {part.carrier} charges for it is not known: no cost list.", operator=True)
        ]
    cost = part.cost
    _costs, because = _by_basis(part, cost, "costs")
    told = [
        Fact(
            "cost",
            f"Carrier {part.carrier}: list {cost.list_name}, version {cost.version}, "
            f"{_named(cost.item.network)}: {part.segments} x {micros_to_text(cost.item.unit_micros)} = "
            f"{micros_to_text(part.cost_micros)} {cost.currency}. {because}",
            operator=True,
        )
    ]
    if made.margin_micros is not None:
        below = " (below cost)" if made.margin_micros < 0 else ""
        told.append(
            Fact(
                "margin",
                f"Margin: {micros_to_text(made.margin_micros)} {cost.currency}{below}.",
                operator=True,
            )
        )
    return told


def _named(network: str) -> str:
    return network_name(network, DEFAULT_LANGUAGE) if network == "*" else f"network {network}"


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds" if at.microsecond else "seconds")
