"""Whether one submit_sm or data_sm may be taken: by its account, by the senders and by the prices."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from smsgate.billing.networks import NetworkTable
from smsgate.billing.prices import Direction
from smsgate.flows.esme_records import EsmeAccount, Submission
from smsgate.flows.routes import Prices
from smsgate.msisdn import DENIED_CALLING_CODES, is_e164, is_simulated
from smsgate.protocol.commands import CommandId, Status
from smsgate.protocol.pdus import Pdu, encode_body
from smsgate.protocol.submitted_content import content_refusal, passes, segments_of
from smsgate.protocol.times import read_time
from smsgate.protocol.tlvs import Tag, encode_tlvs, tlv_number

VALIDITY_DEFAULT: Final = timedelta(hours=24)
VALIDITY_MAX: Final = timedelta(days=7)  # longer ones are shortened: no carrier keeps a message for more
PRIORITY_MAX: Final = 3  # SMPP 3.4 §5.2.14
REGISTERED: Final = 0x1F  # bits that SMPP 3.4 §5.2.17 gives a meaning
_DENIED: Final = tuple(str(code) for code in DENIED_CALLING_CODES)
# Who and where is kept apart, and written anew for the carrier.
_KEPT: Final[tuple[str, ...]] = (
    "esm_class",
    "protocol_id",
    "priority_flag",
    "registered_delivery",
    "data_coding",
    "short_message",
)


class Judge:
    """Gives no effect and waits for nothing; prices are as fresh as the last `refresh`."""

    def __init__(self, prices: Prices, networks: NetworkTable, may_use: Callable[[str, str], bool]) -> None:
        """`may_use` takes a sender number and a merchant's slug."""
        self._prices = prices
        self._networks = networks
        self._may_use = may_use

    def submission(self, account: EsmeAccount, pdu: Pdu, now: datetime) -> Submission | int:
        """Return what may be taken, or the command_status why not."""
        fields = pdu.fields
        sender = self._sender(account, fields["source_addr"])
        if sender is None:
            return Status.INVSRCADR
        msisdn = self._msisdn(account, fields["destination_addr"], now)
        if msisdn is None:
            return Status.INVDSTADR
        if refusal := form_refusal(fields):
            return refusal
        if refusal := content_refusal(fields, pdu.tlvs, allow_binary=account.allow_binary):
            return refusal
        expires_at = validity_end(pdu, now)
        if expires_at is None:
            return Status.INVEXPIRY
        return Submission(
            account=account,
            msisdn=msisdn,
            sender=sender,
            registered=fields["registered_delivery"] & REGISTERED,
            segments=segments_of(fields, pdu.tlvs),
            body=stored_body(pdu),
            expires_at=expires_at,
        )

    def _sender(self, account: EsmeAccount, octets: bytes) -> str | None:
        """Return the sender of the message; an empty one stands for the account's first."""
        sender = octets.decode("latin-1").removeprefix("+") or (account.senders or ("",))[0]
        return sender if sender in account.senders and self._may_use(sender, account.slug) else None

    def _msisdn(self, account: EsmeAccount, octets: bytes, now: datetime) -> int | None:
        """Return the recipient, whose network must have a price."""
        msisdn = msisdn_of(octets)
        book = self._prices.book_of(account.merchant_id)
        version = None if book is None else book.version_at(now)
        if msisdn is None or version is None:
            return None
        network = self._networks.network_of(str(msisdn)).mccmnc
        return None if version.lookup(Direction.MT, network) is None else msisdn


def msisdn_of(octets: bytes) -> int | None:
    """Return an international number, written with "+", "00" or neither; None: it is none that is served."""
    digits = octets.decode("latin-1").removeprefix("+").removeprefix("00")
    if not is_e164(digits) or digits.startswith(_DENIED):
        return None
    msisdn = int(digits)
    return None if is_simulated(msisdn) else msisdn  # only test keys write to those


def form_refusal(fields: dict[str, Any]) -> int:
    """Return the command_status that refuses what we do not do, or 0."""
    if fields.get("priority_flag", 0) > PRIORITY_MAX:
        return Status.INVPRTFLG
    if fields.get("schedule_delivery_time"):
        return Status.INVSCHED
    if fields.get("replace_if_present_flag"):
        return Status.INVREPFLAG
    if fields.get("sm_default_msg_id"):
        return Status.INVDFTMSGID
    return Status.OK


def stored_body(pdu: Pdu) -> bytes:
    """Return what is kept of a submit_sm or data_sm: a submit_sm body without addresses and times."""
    fields = {name: pdu.fields[name] for name in _KEPT if name in pdu.fields}
    passing = [(tag, value) for tag, value in pdu.tlvs if passes(tag)]
    return encode_body(CommandId.SUBMIT_SM, fields) + encode_tlvs(passing)


def validity_end(pdu: Pdu, now: datetime) -> datetime | None:
    """Return the end of the message's life; None: it is no time, or past."""
    validity: bytes = pdu.fields.get("validity_period", b"")
    seconds = tlv_number(pdu.tlvs, Tag.QOS_TIME_TO_LIVE)
    if validity:
        until = read_time(validity, now)
    elif seconds is not None:
        until = now + timedelta(seconds=min(seconds, VALIDITY_MAX.total_seconds()))
    else:
        until = now + VALIDITY_DEFAULT
    return None if until is None or until <= now else min(until, now + VALIDITY_MAX)
