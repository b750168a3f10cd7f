"""
Receipts and MOs to ESMEs: from the durable queue to any receiving session of the account, until one says 0.

A delivery that is given to a session stays in the queue, hidden for a while: after a crash it comes again. So
each comes at least once, and those of one message in their order.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from smsgate.clock import Clock
from smsgate.flows.esme_message_ids import esme_message_ids
from smsgate.flows.esme_mos import ALPHANUMERIC, INTERNATIONAL
from smsgate.flows.esme_records import EsmeDelivery
from smsgate.flows.ports_esmes import EsmeDeliveryStore, EsmeSessions
from smsgate.ids import unix_ms_of
from smsgate.protocol.commands import CommandId
from smsgate.protocol.frames import Frame
from smsgate.protocol.gsm0338 import ESM_CLASS_UDHI
from smsgate.protocol.pdus import SHORT_MESSAGE_MAX, Pdu, decode_pdu, encode_body
from smsgate.protocol.receipt_pdus import receipt_body
from smsgate.protocol.receipt_states import ReceiptState
from smsgate.protocol.tlvs import Tag, tlv_value
from smsgate.security.public_ids import PublicIds

log = structlog.get_logger(__name__)

# A session answers within its response time-out (10 s) or is asked no more: what is given to it and was not
# settled after this was lost with the process.
HIDDEN_FOR: Final = timedelta(seconds=60)
CLAIM_MAX: Final = 200  # deliveries of one account taken at once
SHORT_CODE_DIGITS_MAX: Final = 6
SHORT_CODE: Final = (3, 0)
_DEFAULT_ALPHABET: Final = 0
_EMPTY: Final = encode_body(CommandId.SUBMIT_SM, {})  # of a message whose retention is over


class EsmeRelay:
    """`step` is one round of a loop; sessions tell what became of deliveries by the other methods."""

    def __init__(self, store: EsmeDeliveryStore, sessions: EsmeSessions, clock: Clock) -> None:
        self._store = store
        self._sessions = sessions
        self._clock = clock
        self._done: dict[int, list[int]] = defaultdict(list)  # delivery ids by merchant
        self._later: dict[int, list[int]] = defaultdict(list)
        self._again: dict[int, list[int]] = defaultdict(list)
        self.wake = asyncio.Event()
        self.delivered = 0  # since the start, for metrics
        self.refused = 0

    # ------------------------------------------------------------ what sessions tell

    def answered(self, merchant_id: int, delivery_id: int, status: int) -> None:
        """Take a deliver_sm_resp: 0 ends the delivery, anything else tries it again later."""
        if status:
            self.refused += 1
            self._later[merchant_id].append(delivery_id)
        else:
            self.delivered += 1
            self._done[merchant_id].append(delivery_id)
        self.wake.set()

    def unanswered(self, merchant_id: int, delivery_id: int) -> None:
        """No answer came in time: the ESME may have it or not, and gets it again."""
        self._later[merchant_id].append(delivery_id)
        self.wake.set()

    def lost(self, merchant_id: int, delivery_id: int) -> None:
        """The session ended before the answer: another one gets it at once."""
        self._again[merchant_id].append(delivery_id)
        self.wake.set()

    # ------------------------------------------------------------ the loop

    def settled(self) -> bool:
        return not (self._done or self._later or self._again)

    async def step(self) -> bool:
        """Settle what was answered, and give out what is due; True: there may be more."""
        await self.settle()
        rooms = self._sessions.rooms()
        if not rooms:
            return False
        now = self._clock.now()
        more = False
        for merchant_id, account_id in await self._store.due(list(rooms), now):
            limit = min(CLAIM_MAX, rooms[merchant_id, account_id])
            found = await self._store.claim(
                merchant_id, account_id, limit, now=now, again_at=now + HIDDEN_FOR
            )
            taken = self._sessions.deliver(account_id, found)
            for each in found[taken:]:
                self.lost(each.merchant_id, each.delivery_id)
            more = more or taken == limit
        return more

    async def settle(self) -> None:
        """
        Make the answers durable.

        Raises:
            StoreUnavailable: they are kept for the next time.
        """
        if self.settled():
            return
        done, later, again = self._done, self._later, self._again
        self._done, self._later, self._again = defaultdict(list), defaultdict(list), defaultdict(list)
        try:
            await self._store.settle(done, later, again, now=self._clock.now())
        except BaseException:
            for kept, given in ((self._done, done), (self._later, later), (self._again, again)):
                for merchant_id, ids in given.items():
                    kept[merchant_id] += ids
            raise
        log.info(
            "esme_deliveries",
            delivered=sum(map(len, done.values())),
            refused=sum(map(len, later.values())),
            returned=sum(map(len, again.values())),
        )


class DeliveryBodies:
    """deliver_sm bodies for one kind of ESME: with optional parameters, or without (SMPP 3.3)."""

    def __init__(self, public_ids: PublicIds) -> None:
        self._public_ids = public_ids

    def bodies(self, deliveries: Sequence[EsmeDelivery], *, with_tlvs: bool) -> list[bytes]:
        return [self._body(each, with_tlvs=with_tlvs) for each in deliveries]

    def _body(self, delivery: EsmeDelivery, *, with_tlvs: bool) -> bytes:
        if delivery.body is not None:
            return delivery.body if with_tlvs else _without_tlvs(delivery.body)
        assert delivery.message_id is not None
        (message_id,) = esme_message_ids(self._public_ids, [delivery.message_id])
        submitted = decode_pdu(Frame(CommandId.SUBMIT_SM, 0, 0, delivery.submitted or _EMPTY))
        at = _instant(delivery.message_id)
        return receipt_body(
            message_id=message_id,
            state=ReceiptState(delivery.state),
            error=delivery.error,
            submitted_at=at,
            done_at=delivery.happened_at.astimezone(UTC),
            source=(*INTERNATIONAL, b"%d" % delivery.msisdn),
            destination=sender_address(delivery.sender),
            quoted=_quoted(submitted),
            with_tlvs=with_tlvs,
            user_message_reference=tlv_value(submitted.tlvs, Tag.USER_MESSAGE_REFERENCE),
        )


def sender_address(sender: str) -> tuple[int, int, bytes]:
    """Return TON, NPI and octets of a sender, by its form."""
    if not sender.isdigit():
        return (*ALPHANUMERIC, sender.encode("latin-1", "replace"))
    kind = SHORT_CODE if len(sender) <= SHORT_CODE_DIGITS_MAX else INTERNATIONAL
    return (*kind, sender.encode("ascii"))


def _without_tlvs(deliver_sm: bytes) -> bytes:
    """Return an MO for an ESME of SMPP 3.3, as much of message_payload as fits in its place."""
    pdu = decode_pdu(Frame(CommandId.DELIVER_SM, 0, 0, deliver_sm))
    payload = tlv_value(pdu.tlvs, Tag.MESSAGE_PAYLOAD)
    fields = dict(pdu.fields)
    if payload and not fields["short_message"]:
        fields["short_message"] = payload[:SHORT_MESSAGE_MAX]
    return encode_body(CommandId.DELIVER_SM, fields)


def _quoted(submitted: Pdu) -> bytes:
    """Return the text that a receipt may quote: plain text alone, no header and no UCS-2."""
    plain = submitted.fields["data_coding"] == _DEFAULT_ALPHABET
    header = submitted.fields["esm_class"] & ESM_CLASS_UDHI
    text: bytes = submitted.fields["short_message"]
    return text if plain and not header else b""


def _instant(message_id: int) -> datetime:
    return datetime.fromtimestamp(unix_ms_of(message_id) / 1000, UTC)
