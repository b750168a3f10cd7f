"""Texts of several segments as submit_sm carries them: the parts, and which entries of a batch they are."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from smsgate.campaigns.rendering import one_segment
from smsgate.errors import TextError
from smsgate.protocol.encodings import Alphabet, cheapest
from smsgate.protocol.gsm0338 import Encoding
from smsgate.protocol.segmentation import SEGMENT_OCTETS, Concat, measure, segment
from smsgate.protocol.tlvs import encode_tlvs
from smsgate.protocol.wap_push import push_messages, with_transaction_id

PART_REFUSED: Final = "part_refused"  # why a part is not sent: another one of its text will not arrive
PARTS_MAX: Final = 8  # of one text: the 500 of a claim are one batch of at most 4,096 entries
HEADERS: Final[tuple[Concat, ...]] = ("udh8", "udh16")  # the others leave as much room as the shorter one
REFERENCES_MAX: Final = 100_000  # people written to lately, about 15 MB; the one of longest ago goes


class LongText(NamedTuple):
    """
    One text, ready: an entry of the batch for each of `short_messages`.

    `segments` is what each of them counts for: with message_payload the carrier cuts one into several.
    `tlvs` are encoded, one each, or none at all. `reason` says why the text cannot go: it is one empty entry.
    """

    coding: tuple[int, int]  # data_coding and esm_class
    short_messages: Sequence[bytes]
    segments: int = 1
    tlvs: Sequence[bytes] = ()
    reason: str | None = None


class ConcatReferences:
    """Reference numbers of long texts: two to one person never share one while their parts can meet."""

    def __init__(self, entries_max: int = REFERENCES_MAX) -> None:
        self._entries_max = entries_max
        self._last: OrderedDict[tuple[int, int], int] = OrderedDict()

    def next(self, carrier_id: int, msisdn: int, first: int) -> int:
        """Return the number after the last one of this carrier and person; `first` for somebody new."""
        key = (carrier_id, msisdn)
        number = self._last.pop(key, first - 1) + 1
        self._last[key] = number
        if len(self._last) > self._entries_max:
            self._last.popitem(last=False)
        return number


def long_text(text: str, alphabets: Sequence[Alphabet], concat: Concat, reference: int) -> LongText:
    """Return a text in the alphabet that takes the fewest segments, the first of those that take as many."""
    try:
        alphabet = cheapest(text, alphabets, concat)
        modulus = 1 << 8 if concat == "udh8" else 1 << 16
        sent = segment(
            text,
            reference=reference % modulus,
            concat=concat,
            encoding=alphabet.encoding,
            shift=alphabet.shift,
        )
    except TextError as exc:
        return LongText((0, 0), (b"",), reason=exc.code)
    if len(sent.units) > PARTS_MAX:
        return LongText((0, 0), (b"",), reason="text_too_long")
    return LongText(
        (sent.data_coding, sent.esm_class),
        sent.short_messages,
        len(sent.units) // len(sent.short_messages),
        [encode_tlvs(tlvs) for tlvs in sent.tlvs],
    )


def pushed(pdu: bytes, reference: int) -> LongText:
    """Return a WSP push PDU in parts with headers, whatever the carrier's `concat`: ports need one."""
    number = reference & 0xFF
    sent = push_messages(with_transaction_id(pdu, number), reference=number)
    return LongText((sent.data_coding, sent.esm_class), sent.short_messages)


def measured(
    text: str, alphabets: Sequence[Alphabet], long_alphabets: Sequence[Alphabet], concat: Concat
) -> tuple[Encoding, int]:
    """
    Return in which encoding a carrier takes a system text, and in how many segments.

    Raises:
        TextError: none of the alphabets has every character.
    """
    segment = one_segment(text, alphabets)
    if segment.reason is None:
        return segment.alphabet.encoding, 1
    alphabet = cheapest(text, long_alphabets, concat)
    air = measure(text, encoding=alphabet.encoding, shift=alphabet.shift, concat=concat)
    return alphabet.encoding, air.segments


def segments_max(body: str | bytes) -> int:
    """
    Return how many segments a carrier may make of a text; 1 of a push, which has no alphabet.

    UCS-2 takes the most. A longer header moves the cuts, and what they may not part moves with them: then
    there are more parts, or fewer.
    """
    if isinstance(body, bytes):
        return 1
    if len(body.encode("utf-16-be")) <= SEGMENT_OCTETS:
        return 1
    return max(measure(body, encoding="ucs2", concat=concat).segments for concat in HEADERS)


class Parts:
    """Which entries of a batch are parts of one message; columns as long as the batch."""

    __slots__ = ("_broken", "_messages", "_open", "counts", "numbers", "tlvs")

    def __init__(
        self, messages: Sequence[int], numbers: Sequence[int], counts: Sequence[int], tlvs: Sequence[bytes]
    ) -> None:
        """`messages` has the same number for all parts of one message, another one for each message."""
        assert len(messages) == len(numbers) == len(counts) == len(tlvs)
        self._messages = messages
        self.numbers = numbers  # from 1
        self.counts = counts  # of the parts of this entry's message
        self.tlvs = tlvs  # encoded, b"" for none
        self._open = Counter(messages)
        self._broken: set[int] = set()  # messages of which a part will not arrive

    def settle(self, indexes: Sequence[int]) -> list[int]:
        """Take the outcome of each of these entries; return those that were the last of their message."""
        done = []
        for index in indexes:
            message = self._messages[index]
            self._open[message] -= 1
            if not self._open[message]:
                done.append(index)
        return done

    def breaks(self, indexes: Sequence[int]) -> None:
        """Note that these entries will not arrive: no phone puts their messages together."""
        self._broken.update(self._messages[index] for index in indexes if self.counts[index] > 1)

    def broken(self, indexes: Iterable[int]) -> list[int]:
        """Return those of these entries whose messages lack a part."""
        if not self._broken:
            return []
        return [index for index in indexes if self._messages[index] in self._broken]

    def whole(self, rest: Sequence[int]) -> list[int]:
        """Return those of the entries `rest` whose messages have all their parts among them."""
        messages = self._messages
        left = Counter(messages[index] for index in rest)
        return [index for index in rest if left[messages[index]] == self.counts[index]]

    def firsts(self, indexes: Sequence[int]) -> list[int]:
        """Return one entry for each message of `indexes`, which hold it whole."""
        return [index for index in indexes if self.numbers[index] == 1]
