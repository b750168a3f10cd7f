"""What closes and their store hand to each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import NamedTuple

from smsgate.billing.closing import Billed, ItemTerms
from smsgate.billing.commitments import Commitment
from smsgate.billing.invoices import CampaignResult, Party
from smsgate.billing.issuing import Buyer, Draft, ItemText
from smsgate.billing.periods import Month
from smsgate.billing.prices import Basis


@dataclass(frozen=True, slots=True)
class Period:
    """A month that was cut: what was recorded from `cut_at` on is late. `closed_at`: its documents exist."""

    merchant_id: int
    month: Month
    starts_at: datetime
    ends_at: datetime
    cut_at: datetime
    previous_cut_at: datetime | None
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class CutAsked:
    merchant_id: int
    month: Month
    starts_at: datetime
    ends_at: datetime
    cut_at: datetime


class ChargeRow(NamedTuple):
    """Charges less reversals of one price item on one local day of acceptance."""

    item_id: int
    currency: str
    day: date
    segments: int
    amount_micros: int


class ItemSum(NamedTuple):
    item_id: int
    segments: int
    micros: int


class Proof(NamedTuple):
    """One month of acceptance, by two ways: what the ledger says of its MTs, and what their rows say."""

    origin: Month
    ledger: frozenset[ItemSum]
    messages: frozenset[ItemSum]


@dataclass(frozen=True, slots=True)
class BillingMerchant:
    """`buyer` is None as long as nobody told whom documents are written to."""

    merchant_id: int
    name: str
    slug: str
    zone_name: str
    currency: str
    buyer: Buyer | None


@dataclass(frozen=True, slots=True)
class BilledItem:
    terms: ItemTerms
    text: ItemText
    basis: Basis


@dataclass(frozen=True, slots=True)
class CloseFacts:
    """
    All that a close of one month reads, of one snapshot.

    `preceding`: by currency, month and whether of category O, the last invoice that a credit note may refer
    to. `results`: what campaigns brought, by currency.
    """

    charges: Sequence[ChargeRow]
    items: Mapping[int, BilledItem]
    billed: Billed
    vat_entries: Sequence[tuple[date, str, int | None]]
    commitments: Sequence[Commitment]
    proofs: Sequence[Proof]
    preceding: Mapping[tuple[str, Month, bool], tuple[str, date]] = field(default_factory=dict)
    results: Mapping[str, Sequence[CampaignResult]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MonthDraft:
    """What a month's documents would say if it were cut now; `close_at` is when it will be, or was, cut."""

    merchant: BillingMerchant
    period: Period
    close_at: datetime
    drafts: Sequence[Draft]


@dataclass(frozen=True, slots=True)
class CloseState:
    """Where a merchant's closes stand; `open_months` are cut and have no documents yet."""

    merchant_id: int
    zone_name: str
    last_cut: Month | None
    open_months: Sequence[Month]
    first_charge_at: datetime | None
    first_minimum: Month | None


@dataclass(frozen=True, slots=True)
class Issue:
    """Documents that are written in one transaction; `document_ids` and `posting_ids` are made beforehand."""

    merchant_id: int
    month: Month
    series: str
    issued_on: date
    drafts: Sequence[Draft]
    ids: Sequence[int]
    at: datetime
    accepted_at: datetime
    credits_id: int | None = None


@dataclass(frozen=True, slots=True)
class DocumentRow:
    merchant_id: int
    document_id: int
    number: str
    doc_type: str
    month: Month
    currency: str
    issued_on: date
    credits_id: int | None
    net_minor: int
    vat_minor: int
    gross_minor: int
    paid_minor: int
    created_at: datetime


class VatEntry(NamedTuple):
    """
    `rate_micros` is None where the seller's own rate holds, NO_RATE where there is none. `vat_number` is the
    one that category AE stands on.
    """

    valid_from: date
    category: str
    rate_micros: int | None
    exemption: str
    reason: str
    vat_number: str = ""


class Waiting(NamedTuple):
    """A month that is cut and cannot get its documents, and why."""

    merchant_id: int
    month: Month
    code: str
    why: str


@dataclass(frozen=True, slots=True)
class Closed:
    """What a round over all merchants did."""

    documents: list[DocumentRow] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class BillingProfile:
    """Whom documents are written to; `business`: not a consumer."""

    party: Party
    business: bool
    payment_days: int
