"""
What flows and their ports hand to each other.

Bulk records are columns: parallel lists, one entry per message, no object per message. Ids are 64-bit
integers (smsgate.ids), MSISDNs are integers, money is micros, instants are aware UTC datetimes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

from smsgate.campaigns.guard import GuardCounts, GuardLimits
from smsgate.campaigns.orders import USUAL_TERMS, OrderTerms
from smsgate.flows.ledger import Charge
from smsgate.flows.mo_header import NO_PDU, MoHeader

STATUS_UNKNOWN: Final = -1  # written to a socket, no answer: in doubt, never resent
STATUS_NOT_SENT: Final = -2  # never written; `reason` says why
KIND_ESME: Final = "esme"  # `message.kind` of what an ESME submitted

# Kinds of campaign_counter.
COUNTERS: Final = (
    "recipients",  # chosen by a claim: message rows
    "accepted",  # submit_sm_resp 0
    "refused",  # another command_status, final
    "unknown",  # no answer
    "not_sent",  # stopped, expired, cancelled, no price, another open offer
    "delivered",  # first final receipt DELIVRD
    "failed",  # first final receipt of another state
    "replies",  # inbound messages that answer the campaign's offer
    "orders",
    "declines",
    "stops",
)


class Lane(StrEnum):
    """Interactive messages never queue behind a campaign."""

    BULK = "bulk"
    INTERACTIVE = "interactive"


@dataclass(frozen=True, slots=True)
class OfferVersion:
    """An offer as one campaign sends it: frozen with the text."""

    merchant_id: int
    offer_id: int
    version: int
    text: str
    shop_name: str
    item: str
    unit_price_minor: int
    currency: str
    quantity_max: int
    language: str
    country: str
    sender: str
    expires_at: datetime
    sender_pool: tuple[str, ...] = ()  # tried in this order where an answer is waited for on `sender`
    ask_above_minor: int | None = None  # a larger total is asked about before it is ordered; None: never
    withdrawal: bool = True  # the buyer may withdraw; False for what the law excepts
    tlvs: bytes = b""  # of its own, encoded, for carriers that let them through
    terms: OrderTerms = USUAL_TERMS  # of its orders


class Hold(NamedTuple):
    """Why a text waits, and until when; `rule`: id in `law/hours.toml`, a cap's, or as `reason` with "-"."""

    reason: str  # quiet_hours | cap | open_offer | unclear_reply | sender_unknown | budget
    rule: str
    until: datetime


@dataclass(slots=True)
class ChunkClaim:
    """
    Recipients of a chunk that this node may send to, durable since the claim's commit; columns.

    Entries are in message id order. Those with `message_id < message_id_base + allowance` may be written
    now; a later flush commits a larger allowance. Of who must not be sent to (a STOP since an earlier
    claim) or not now (hours, caps, another open offer) the claim wrote what becomes; they are not here.
    """

    merchant_id: int
    campaign_id: int
    chunk_no: int
    fence: int
    offer: OfferVersion
    message_id_base: int
    message_count: int
    allowance: int
    message_ids: list[int]
    msisdns: list[int] = field(repr=False)
    # A column for each of the text's fields, in the order of `field_names`.
    fields: list[list[str]] | None = field(repr=False)
    field_names: tuple[str, ...]
    weight: int  # of the merchant, where several share a carrier
    paced: bool  # then nothing may be written before it is granted
    budgeted: bool  # nor before money was set aside for it
    # who moved to another network: MSISDN -> MCC+MNC
    ported: dict[int, str] = field(default_factory=dict, repr=False)
    closes_at: datetime | None = None  # from then on the hours hold somebody of it; None: never


@dataclass(slots=True)
class InteractiveClaim:
    """System messages of one merchant that this node may send now; columns."""

    merchant_id: int
    message_ids: list[int]
    msisdns: list[int] = field(repr=False)
    senders: list[str]
    bodies: list[str | bytes] = field(repr=False)  # bytes: a WSP push PDU
    expires_at: list[datetime]
    refusable: list[bool]  # a STOP concerns it until the octets exist
    reasons: list[str | None]  # why it must not be sent: its person said STOP, or was erased, while it waited
    tlvs: list[bytes]  # of its own, encoded
    ported: dict[int, str] = field(default_factory=dict, repr=False)
    budgeted: bool = False  # then money has to be set aside for what is written


@dataclass(slots=True)
class SubmittedClaim:
    """Messages of one ESME account that this node may send now; columns."""

    merchant_id: int
    account_id: int
    marketing: bool
    message_ids: list[int]
    msisdns: list[int] = field(repr=False)
    senders: list[str]
    bodies: list[bytes] = field(repr=False)  # submit_sm without addresses
    segments: list[int]
    reasons: list[str | None]  # why it must not be sent: marketing without consent, or its person was erased
    expires_at: list[datetime]
    ported: dict[int, str] = field(default_factory=dict, repr=False)
    budgeted: bool = False


@dataclass(slots=True)
class SentColumns:
    """Outcomes of submit_sm; each list has one entry per segment sent (or per message not sent)."""

    merchant_ids: list[int] = field(default_factory=list)
    message_ids: list[int] = field(default_factory=list)
    segments: list[int] = field(default_factory=list)  # 1-based number of this segment
    segment_counts: list[int] = field(default_factory=list)  # what each counts for, and is charged for
    parts: dict[int, int] = field(default_factory=dict)  # place -> of how many it is one; none: it is all
    carrier_ids: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    smsc_ids: list[bytes | None] = field(default_factory=list)
    sell_item_ids: list[int] = field(default_factory=list)
    sell_micros: list[int] = field(default_factory=list)
    cost_item_ids: list[int] = field(default_factory=list)
    cost_micros: list[int] = field(default_factory=list)
    reasons: list[str | None] = field(default_factory=list)
    sent_at: list[datetime] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.message_ids)


@dataclass(slots=True)
class ReceiptColumns:
    """Receipts whose message is known."""

    merchant_ids: list[int] = field(default_factory=list)
    message_ids: list[int] = field(default_factory=list)
    segments: list[int] = field(default_factory=list)
    states: list[int] = field(default_factory=list)
    errors: list[bytes] = field(default_factory=list)
    received_at: list[datetime] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.message_ids)


@dataclass(slots=True)
class UnmatchedColumns:
    """Receipts whose message id is not in memory: after a restart, another node, before the response."""

    carrier_ids: list[int] = field(default_factory=list)
    unmatched_ids: list[int] = field(default_factory=list)
    smsc_ids: list[bytes] = field(default_factory=list)  # empty: nobody can read it
    other_ids: list[bytes] = field(
        default_factory=list
    )  # the text's id where the TLV has another, else empty
    states: list[int] = field(default_factory=list)
    errors: list[bytes] = field(default_factory=list)
    received_at: list[datetime] = field(default_factory=list)
    raws: list[bytes | None] = field(default_factory=list)  # the octets of what nobody can read

    def __len__(self) -> int:
        return len(self.smsc_ids)


@dataclass(slots=True)
class ReportColumns:
    """What became of messages that ESMEs submitted; `states` are numbers of ReceiptState."""

    merchant_ids: list[int] = field(default_factory=list)
    delivery_ids: list[int] = field(default_factory=list)
    message_ids: list[int] = field(default_factory=list)
    states: list[int] = field(default_factory=list)
    errors: list[bytes] = field(default_factory=list)
    happened_at: list[datetime] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.message_ids)

    def add(
        self, merchant_id: int, delivery_id: int, message_id: int, state: int, error: bytes, at: datetime
    ) -> None:
        self.merchant_ids.append(merchant_id)
        self.delivery_ids.append(delivery_id)
        self.message_ids.append(message_id)
        self.states.append(state)
        self.errors.append(error)
        self.happened_at.append(at)


@dataclass(frozen=True, slots=True)
class ChunkKey:
    merchant_id: int
    campaign_id: int
    chunk_no: int
    fence: int


@dataclass(frozen=True, slots=True)
class ChunkProgress:
    """What a flush commits about one chunk; accepted only while owner and fence still match."""

    key: ChunkKey
    allowance: int
    done: bool
    released: bool = False  # given back: what has no outcome by this flush is claimed again


@dataclass(slots=True)
class Flush:
    """
    One transaction: everything that happened since the last one.

    `number` counts the flushes of one owner: the store applies each once, so a flush whose commit
    was not seen to succeed is simply given again.
    """

    number: int
    sent: SentColumns = field(default_factory=SentColumns)
    receipts: ReceiptColumns = field(default_factory=ReceiptColumns)
    unmatched: UnmatchedColumns = field(default_factory=UnmatchedColumns)
    reports: ReportColumns = field(default_factory=ReportColumns)
    # Whose rows those of `sent` are: (chunk, first row, rows). Rows in no chunk are system messages.
    chunk_rows: list[tuple[ChunkKey, int, int]] = field(default_factory=list)
    charges: Counter[Charge] = field(default_factory=Counter)  # of how many messages
    at: datetime | None = None  # when it was closed: its charges are recorded then
    # (merchant, message, part) of final receipts that may charge, and the price items that are charged so.
    by_receipt: list[tuple[int, int, int]] = field(default_factory=list)
    delivered_items: set[int] = field(default_factory=set)
    counters: dict[tuple[int, int, str], int] = field(default_factory=dict)  # (merchant, campaign, kind) -> n
    chunks: list[ChunkProgress] = field(default_factory=list)
    interactive_done: list[tuple[int, int]] = field(default_factory=list)  # (merchant_id, message_id)
    withheld: list[tuple[int, int]] = field(default_factory=list)  # of them, for their persons' silence
    offers_not_opened: list[tuple[int, str, int]] = field(
        default_factory=list
    )  # (msisdn, sender, message_id)


class CampaignState(NamedTuple):
    merchant_id: int
    campaign_id: int
    state: str
    sender: str
    expires_at: datetime
    weight: int  # the merchant's
    messages_per_minute: int | None
    recipients: int  # counted at its start; 0: not known
    budgeted: bool  # its merchant has a budget


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a campaign may send (`campaigns.pacing`)."""

    merchant_id: int
    campaign_id: int
    per_minute: int | None
    paced_until: datetime | None


@dataclass(frozen=True, slots=True)
class GuardedCampaign:
    """A campaign that sends, its own limits or the gateway's, and what it came to so far."""

    merchant_id: int
    campaign_id: int
    limits: GuardLimits
    counts: GuardCounts


@dataclass(frozen=True, slots=True)
class Recovery:
    """What a start found of owners that are gone."""

    chunks_resumed: int
    messages_unknown: int
    interactive_unknown: int
    chunks_cancelled: int


@dataclass(frozen=True, slots=True)
class Resolved:
    """What became of receipts that waited for their message."""

    looked_at: int
    matched: int  # among them those that say nothing new
    # (merchant, message, error) of those that name one
    errors: Sequence[tuple[int, int, bytes]] = ()


@dataclass(frozen=True, slots=True)
class CarrierReceipts:
    """
    Receipts of one read, as links hand them up; `ack` goes back to the link after the commit.

    `smsc_ids` are of the TLV, else of the text; `other_ids` hold the text's where it differs, else are empty.
    `unreadable` are the first octets of bodies that are marked as receipts and name no message.
    """

    carrier_id: int
    smsc_ids: list[bytes]
    other_ids: list[bytes]
    states: list[int]
    errors: list[bytes]
    ack: Ack
    unreadable: Sequence[bytes] = field(default=(), repr=False)
    of_responses: bool = False  # the ids are those of responses: what query_sm was asked by


@dataclass(frozen=True, slots=True)
class Ack:
    """deliver_sm that wait for their deliver_sm_resp: one session, many sequence numbers."""

    carrier_id: int
    session: int  # the link's own token; of a session that is gone the link drops it
    sequence_numbers: list[int]


@dataclass(frozen=True, slots=True)
class MobileOriginated:
    """One MO as the carrier delivered it, decoded; a part of a long one carries its place."""

    carrier_id: int
    msisdn: int = field(repr=False)  # 0: the source is no E.164 number
    source: str = field(repr=False)
    destination: str
    text: str = field(repr=False)
    raw: bytes = field(repr=False)
    data_coding: int
    received_at: datetime
    ref: int = 0  # `ConcatPart.reference`
    total: int = 1
    part: int = 1
    ack: Ack | None = None
    handed_on: Callable[[], bytes] = field(default=bytes, repr=False, compare=False)  # makes `deliver_sm`
    codec: str = "gsm7"  # how `raw` was read, for `protocol.mo_text.decode_text`
    header: MoHeader = field(default=NO_PDU, repr=False)

    @property
    def deliver_sm(self) -> bytes:
        """Return the whole body as it came, for an ESME; empty where it came in parts, or from no carrier."""
        return self.handed_on()

    @property
    def sender(self) -> str:
        """Return whose message it is: a number without its plus, or another address as it came."""
        return str(self.msisdn) if self.msisdn else self.source


@dataclass(frozen=True, slots=True)
class BindStatus:
    """State of one bind, for /v1/carriers, `smsgate check` and metrics."""

    carrier: str
    bind: str  # "trx-1", "tx-1", "rx-1"
    host: str
    state: str  # closed, connecting, binding, bound, unbinding
    since: datetime
    window_used: int
    window_max: int
    last_error: str
