"""What the use cases of other companies' ESMEs hand to each other and to the store."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

# Receipts and MOs wait so long for an ESME that does not come: what carriers keep a message for.
DELIVERY_LIFE: Final = timedelta(hours=72)

# What an account gets when the operator says nothing.
BINDS_DEFAULT: Final = 4  # sessions at once: two pairs, or four transceivers
WINDOW_DEFAULT: Final = 10  # deliver_sm without an answer, per session
RATE_DEFAULT_PER_S: Final = 50  # segments
QUEUE_DEFAULT: Final = 10_000  # messages that wait to leave: minutes of the rate


class Purpose(StrEnum):
    """What an account sends; marketing goes by the rules of offers, recipient by recipient."""

    TRANSACTIONAL = "transactional"
    MARKETING = "marketing"


class VendorStatus:
    """command_status numbers of our own (SMPP leaves 0x400 to 0x4FF to vendors); see docs/esmes.md."""

    DAILY_LIMIT: Final = 0x401
    NO_CONSENT: Final = 0x402  # marketing to somebody who has not agreed, or who said STOP
    SUSPENDED: Final = 0x403  # the account was disabled, or its merchant suspended, during the session


@dataclass(frozen=True, slots=True)
class EsmeAccount:
    """One company's application, and what it may do."""

    merchant_id: int
    account_id: int
    system_id: str
    purpose: Purpose
    active: bool  # and its merchant is, too
    password_mac: bytes = field(repr=False)
    senders: tuple[str, ...]
    numbers: tuple[str, ...]  # MOs to these go to it
    binds_max: int
    window_max: int  # deliver_sm without an answer, per session
    rate_per_s: int  # segments
    queue_max: int  # messages that wait to leave
    daily_max: int | None  # segments a UTC day
    allow_binary: bool
    join_mo: bool
    slug: str  # its merchant's
    created_at: datetime


@dataclass(frozen=True, slots=True)
class AccountDraft:
    merchant_id: int
    account_id: int
    system_id: str
    purpose: Purpose
    password_mac: bytes = field(repr=False)
    senders: tuple[str, ...]
    numbers: tuple[str, ...] = ()
    binds_max: int = BINDS_DEFAULT
    window_max: int = WINDOW_DEFAULT
    rate_per_s: int = RATE_DEFAULT_PER_S
    queue_max: int = QUEUE_DEFAULT
    daily_max: int | None = None
    allow_binary: bool = False
    join_mo: bool = False


@dataclass(frozen=True, slots=True)
class Submission:
    """One message that an ESME handed in and that may be taken; not durable yet."""

    account: EsmeAccount
    msisdn: int = field(repr=False)
    sender: str
    registered: int
    segments: int
    body: bytes = field(repr=False)  # submit_sm without addresses
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Replacement:
    """What a replace_sm puts in the place of a message that waits; expires_at None: it stays."""

    body: bytes = field(repr=False)  # submit_sm without addresses
    registered: int
    segments: int
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class StoredSubmission:
    """A submission with its id: message_id 0 and a status when it was refused."""

    message_id: int
    status: int


@dataclass(frozen=True, slots=True)
class EsmeDelivery:
    """A receipt or an MO that is due for an ESME. `body` is an MO's deliver_sm; else it is a receipt."""

    merchant_id: int
    delivery_id: int
    account_id: int
    message_id: int | None
    state: int
    error: bytes
    body: bytes | None = field(repr=False)
    happened_at: datetime
    tries: int
    # Of the message that a receipt is about.
    msisdn: int = field(default=0, repr=False)
    sender: str = ""
    submitted: bytes = field(default=b"", repr=False)  # its submit_sm body


@dataclass(frozen=True, slots=True)
class MessageState:
    """What query_sm answers: `state` of SMPP 3.4 §5.2.28."""

    state: int
    error: int
    final_at: datetime | None


@dataclass(frozen=True, slots=True)
class EsmeSession:
    """One bind of an ESME, for the operator."""

    merchant_id: int
    system_id: str
    kind: str  # trx, tx, rx
    peer: str
    version: int
    since: datetime
    submits: int
    refused: int
    delivered: int
    window_used: int
    window_max: int
