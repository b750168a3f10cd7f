"""
Runs of a read: PDUs of one form and length that follow each other, responses alone or receipts alone.

An SMSC writes its receipts in one form, and its ids have one length. So the first of a run says where the
others' fields are: they are cut there by one struct for all of them, and what a field may hold is looked at
for the whole column. `columns.walk` reads PDU by PDU what is no such run.

Source: SMPP 3.4 §4.4.2 (submit_sm_resp), §4.6.1 (deliver_sm), Appendix B (receipt text).
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import chain, repeat
from struct import Struct
from typing import TYPE_CHECKING, Final

from smsgate.protocol.commands import CommandId
from smsgate.protocol.receipt_states import STATE_WORDS

if TYPE_CHECKING:
    from smsgate.protocol.columns import Columns

_ADDRESS: Final = rb"([^\0]{0,20})\0"
# A deliver_sm with esm_class "delivery receipt" and no UDHI, whose text begins as Appendix B has it. Groups:
# source, destination, sm_length, text up to its err, id, both dates, stat, err.
RECEIPT: Final = (
    rb"[^\0]{0,5}\0"  # service_type
    rb".." + _ADDRESS + rb".." + _ADDRESS  # ton and npi first
    + rb"[\x04-\x07\x84-\x87].."  # esm_class, protocol_id, priority_flag
    rb"[^\0]{0,16}\0[^\0]{0,16}\0...."  # times, registered_delivery to sm_default_msg_id
    rb"(.)(id:([^ \0]{1,65}) sub:\d{1,3} dlvrd:\d{1,3}"
    rb" submit date:(\d{10,14}) done date:(\d{10,14}) stat:([A-Za-z]{4,13}) err:([0-9A-Za-z]{1,4}))"
)  # fmt: skip
# Then what the SMSC adds to the text, and the two TLVs that most bring and no other, in this order: the id
# again, and a state. Group 1 is the sequence_number.
_FIRST: Final = re.compile(
    rb".{12}(.{4})" + RECEIPT + rb"(?: ([^\0]*))?(?:\0\x1e\0(.)(\6)\0\x04\x27\0\x01(.))?", re.DOTALL
)
_SIZE, _TEXT, _ADDED, _ID_SIZE = 4, 5, 11, 12
_FIELDS: Final = (1, 2, 3, 6, 7, 8, 9, 10, _ADDED, 13, 14)
_HEAD_SIZE: Final = 12  # octets up to the sequence_number, which are the same in all PDUs of a run
_RESPONSE: Final = CommandId.SUBMIT_SM_RESP.to_bytes(4, "big") + bytes(4)  # with status 0
_RECEIPT: Final = CommandId.DELIVER_SM.to_bytes(4, "big") + bytes(4)
_STATE_MAX: Final = 8  # SMPP 3.4 §5.2.28 message_state
_SHORTEST: Final = 17  # octets: a response without an id

RUN_MIN: Final = 8  # PDUs: fewer cost more together than one by one
LAYOUTS_MAX: Final = 256  # that are kept: one for each carrier's form, by lengths of id and addresses


def read_run(
    data: bytes, start: int, in_flight: dict[int, int], columns: Columns, *, receipts: bool, longest: int
) -> int:
    """Read the run that begins at `start` into `columns` as `columns.walk` does; return how many octets."""
    head = data[start : start + _HEAD_SIZE]
    length, kind = int.from_bytes(head[:4], "big"), head[4:]
    if not _SHORTEST <= length <= min(longest, (len(data) - start) // RUN_MIN):
        return 0
    if kind != _RESPONSE and not (receipts and kind == _RECEIPT):
        return 0
    end = start
    while data.startswith(head, end):
        end += length
    count = min(end - start, len(data) - start) // length
    if count < RUN_MIN:
        return 0
    run = memoryview(data)[start : start + count * length]
    if kind == _RESPONSE:
        taken = _read_responses(run, length, in_flight, columns)
    else:
        first = _FIRST.match(data, start, start + length)
        taken = first is not None and _read_receipts(run, first, columns)
    return len(run) if taken else 0


def _read_responses(run: memoryview, length: int, in_flight: dict[int, int], columns: Columns) -> bool:
    numbers, ids, ends = zip(*_response_layout(length).iter_unpack(run), strict=True)
    known = set(numbers)
    if len(known) < len(numbers) or not in_flight.keys() >= known:  # one of them answers nothing
        return False
    if ends.count(b"\0") < len(ends) or b"\0" in b"".join(ids):  # an id of another length
        return False
    columns.slots.extend(map(in_flight.pop, numbers))
    columns.statuses.extend(repeat(0, len(numbers)))
    columns.message_ids.extend(ids)
    return True


@lru_cache(LAYOUTS_MAX)
def _response_layout(length: int) -> Struct:
    return Struct(f">12xI{length - _SHORTEST}ss")


def _read_receipts(run: memoryview, first: re.Match[bytes], columns: Columns) -> bool:
    spans = _spans(first)
    if spans is None:
        return False
    pieces = tuple(zip(*_layout(spans).iter_unpack(run), strict=True))
    count = len(pieces[0])
    if any(piece.count(piece[0]) < count for piece in pieces[::2]):  # what stands between the fields
        return False
    numbers, sources, destinations, ids, submitted, done, words, errors, _, said_ids, said = pieces[1::2]
    joined = b"".join(ids)
    if b" " in joined or b"\0" in joined or b"\0" in b"".join(chain(sources, destinations)):
        return False
    if not (b"".join(chain(submitted, done)).isdigit() and b"".join(errors).isalnum()):
        return False
    if not STATE_WORDS.keys() >= set(words) or (first[_ID_SIZE] is not None and said_ids != ids):
        return False
    states = b"".join(said) or bytes(map(STATE_WORDS.__getitem__, words))
    if max(states) > _STATE_MAX:
        return False
    if not min(states):  # some SMSCs send 0, which is no state
        states = bytes(state or STATE_WORDS[word] for state, word in zip(states, words, strict=True))
    columns.sequence_numbers.extend(numbers)
    columns.receipt_ids.extend(ids)
    columns.other_ids.extend(repeat(b"", count))
    columns.states.extend(states)
    columns.errors.extend(errors)
    return True


def _spans(first: re.Match[bytes]) -> tuple[int, ...] | None:
    """Return where the fields of a receipt begin and end in its PDU, and its end; None: it is not common."""
    start, end = first.start(), first.endpos
    text_end = first.end(_ADDED) if first[_ADDED] is not None else first.end(_TEXT)
    right_id_size = first[_ID_SIZE] is None or first[_ID_SIZE][0] == len(first[6]) + 1
    if first.end() < end or not right_id_size or text_end - first.start(_TEXT) != first[_SIZE][0]:
        return None
    places = [first.span(field) if first[field] is not None else None for field in _FIELDS]
    found, last = list[int](), start
    for place in places:
        last, until = place or (last, last)  # a field that is not there has no octets
        found += (last - start, until - start)
        last = until
    return (*found, end - start)


@lru_cache(LAYOUTS_MAX)
def _layout(spans: tuple[int, ...]) -> Struct:
    """Return a receipt's pieces: what stands before a field and the field, in turn, and the rest."""
    pieces, last = list[str](), 0
    for begin, end in zip(spans[:-1:2], spans[1::2], strict=False):
        pieces += (f"{begin - last}s", "I" if not last else f"{end - begin}s")  # the first is the number
        last = end
    return Struct(">" + "".join(pieces) + f"{spans[-1] - last}s")
