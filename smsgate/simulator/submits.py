"""submit_sm of one read as columns, and the receipts for them. Source: SMPP 3.4 §4.4, §4.6, Appendix B."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from smsgate.errors import BodyError
from smsgate.protocol.commands import Status
from smsgate.protocol.frames import Frame
from smsgate.protocol.gsm0338 import ESM_CLASS_UDHI
from smsgate.protocol.mo_text import codec_of
from smsgate.protocol.pdus import decode_pdu
from smsgate.protocol.receipt_states import ReceiptState
from smsgate.protocol.segmentation import SEGMENT_OCTETS, SINGLE_SEPTETS
from smsgate.protocol.tlvs import TLV_HEAD, Tag, parse_tlvs, tlv_value

_SUBMIT: Final = re.compile(
    rb"[^\0]{0,5}\0"  # service_type
    rb"(..)([^\0]{0,20})\0(..)([^\0]{0,20})\0"  # ton, npi and address of source and destination
    rb"(.)..[^\0]{0,16}\0[^\0]{0,16}\0"  # esm_class, protocol_id, priority_flag, two times
    rb"(.).(.).(.)",  # registered_delivery, replace, data_coding, default message, sm_length
    re.DOTALL,
)
_MSISDN: Final = re.compile(rb"[1-9][0-9]{6,14}")
_WORDS: Final[dict[int, bytes]] = {
    ReceiptState.DELIVRD: b"DELIVRD",
    ReceiptState.EXPIRED: b"EXPIRED",
    ReceiptState.UNDELIV: b"UNDELIV",
}
_ERRORS: Final[dict[int, bytes]] = {
    ReceiptState.DELIVRD: b"000",
    ReceiptState.EXPIRED: b"027",  # absent subscriber, as many SMSCs number it
    ReceiptState.UNDELIV: b"001",  # unknown subscriber
}
# protocol_id, priority_flag, two empty times, registered_delivery, replace, data_coding, default message.
_AFTER_ESM_CLASS: Final = bytes(8)
_ESM_CLASS_RECEIPT: Final = b"\x04"
_QUOTED_OCTETS: Final = 20  # Appendix B: `text:` holds the first 20 characters


class Submits:
    """
    Messages as columns, all of one account; row i of each list is one submit_sm.

    Addresses are as received: `source_kinds` are the two octets TON and NPI. `message_ids` are numbers.
    """

    __slots__ = (
        "data_codings",
        "destination_kinds",
        "destinations",
        "esm_classes",
        "message_ids",
        "numbers",
        "registered",
        "source_kinds",
        "sources",
        "statuses",
        "texts",
    )

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.source_kinds: list[bytes] = []
        self.sources: list[bytes] = []
        self.destination_kinds: list[bytes] = []
        self.destinations: list[bytes] = []
        self.esm_classes: list[int] = []
        self.registered: list[int] = []
        self.data_codings: list[int] = []
        self.texts: list[bytes] = []
        self.statuses: list[int] = []
        self.message_ids: list[int] = []

    def __len__(self) -> int:
        return len(self.numbers)

    def read(self, frame: Frame) -> None:
        """Append one submit_sm, with the command_status that its form alone deserves."""
        body = frame.body
        match = _SUBMIT.match(body)
        status = 0
        if match is None:
            self._append_refused(frame.sequence_number, _status_of(frame))
            return
        source_kind, source, destination_kind, destination, esm_class, registered, coding, size = (
            match.groups()
        )
        end = match.end() + size[0]
        text = body[match.end() : end]
        if end > len(body):
            status = Status.INVMSGLEN
        elif not size[0] and end < len(body):
            tlvs, _ = parse_tlvs(body, end, len(body))
            text = tlv_value(tlvs, Tag.MESSAGE_PAYLOAD) or b""
        elif size[0] > SEGMENT_OCTETS and (size[0] > SINGLE_SEPTETS or codec_of(coding[0]) != "gsm7"):
            status = Status.INVMSGLEN
        if not status and not _MSISDN.fullmatch(destination):
            status = Status.INVDSTADR
        self.numbers.append(frame.sequence_number)
        self.source_kinds.append(source_kind)
        self.sources.append(source)
        self.destination_kinds.append(destination_kind)
        self.destinations.append(destination)
        self.esm_classes.append(esm_class[0])
        self.registered.append(registered[0])
        self.data_codings.append(coding[0])
        self.texts.append(text)
        self.statuses.append(status)

    def _append_refused(self, number: int, status: int) -> None:
        self.numbers.append(number)
        for column in (
            self.source_kinds,
            self.sources,
            self.destination_kinds,
            self.destinations,
            self.texts,
        ):
            column.append(b"")
        for numbers in (self.esm_classes, self.registered, self.data_codings):
            numbers.append(0)
        self.statuses.append(status)

    def rows(self, indices: Sequence[int]) -> Submits:
        """Return some of the rows, in the order given; all columns but `statuses` must be filled."""
        chosen = Submits()
        for name in self.__slots__:
            column = getattr(self, name)
            setattr(chosen, name, [column[i] for i in indices])
        return chosen


def _status_of(frame: Frame) -> int:
    try:
        decode_pdu(frame)
    except BodyError as exc:
        return exc.status
    return Status.INVSRCADR  # well formed, but an address or a time is longer than the specification allows


def receipt_bodies(
    submits: Submits, states: Sequence[int], id_form: bytes, submitted: bytes, done: bytes
) -> list[bytes]:
    """
    Return a deliver_sm body for each message that asked for a receipt of its outcome.

    `id_form` is a % format of the message id; dates are `YYMMDDhhmm` in UTC.
    """
    bodies: list[bytes] = []
    dates = b" submit date:%b done date:%b stat:" % (submitted, done)
    for i, state in enumerate(states):
        wanted = submits.registered[i] & 3
        delivered = state == ReceiptState.DELIVRD
        if not wanted or (wanted == 2 and delivered) or (wanted == 3 and not delivered):
            continue
        message_id = id_form % submits.message_ids[i]
        plain = not submits.data_codings[i] and not submits.esm_classes[i] & ESM_CLASS_UDHI
        text = b"id:%b sub:001 dlvrd:%b%b%b err:%b text:%b" % (
            message_id,
            b"001" if delivered else b"000",
            dates,
            _WORDS[state],
            _ERRORS[state],
            submits.texts[i][:_QUOTED_OCTETS] if plain else b"",
        )
        bodies.append(
            b"".join(
                (
                    *(b"\0", submits.destination_kinds[i], submits.destinations[i], b"\0"),
                    *(submits.source_kinds[i], submits.sources[i], b"\0"),
                    *(_ESM_CLASS_RECEIPT, _AFTER_ESM_CLASS, bytes((len(text),)), text),
                    *(TLV_HEAD.pack(Tag.RECEIPTED_MESSAGE_ID, len(message_id) + 1), message_id, b"\0"),
                    *(TLV_HEAD.pack(Tag.MESSAGE_STATE, 1), bytes((state,))),
                )
            )
        )
    return bodies
