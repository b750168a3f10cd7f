"""
The text of a deliver_sm, and where it stands in a long one.

Source: SMPP 3.4 §5.2.19 (data_coding), 3GPP TS 23.038 §4 (coding groups), TS 23.040 §9.2.3.24 (user data
header).
Never raises for what the peer sends: what cannot be read shows as U+FFFD.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from smsgate.protocol.gsm0338 import ESM_CLASS_UDHI, Encoding, decode_gsm
from smsgate.protocol.packing import fill_bits_after, unpack
from smsgate.protocol.shift_tables import (
    DEFAULT,
    IEI_LOCKING_SHIFT,
    IEI_SINGLE_SHIFT,
    Shift,
    decode_shifted,
)

# data_coding values with a meaning of their own; the rest is found by the coding group. 2 and 4 are octets,
# no text.
_CODECS: Final[dict[int, str]] = {
    0x01: "latin-1",  # IA5; the upper half is used in the field all the same
    0x03: "latin-1",
    0x05: "shift_jis",
    0x06: "iso8859-5",
    0x07: "iso8859-8",
    0x08: "utf-16-be",
    0x0A: "iso2022_jp",
    0x0D: "euc_jis_2004",
    0x0E: "euc_kr",
}
_BINARY: Final = frozenset({0x02, 0x04})
_GSM: Final = "gsm7"
_IEI_CONCAT_8: Final = 0x00
_IEI_CONCAT_16: Final = 0x08
PARTS_MAX: Final = 255  # TS 23.040 §9.2.3.24.1: one octet counts them


@dataclass(frozen=True, slots=True)
class ConcatPart:
    """
    One of `total` parts that share `ref`.

    `index` counts from 1, `width` is the reference's bits: 8 or 16.
    """

    ref: int
    total: int
    index: int
    width: int

    @property
    def reference(self) -> int:
        """Return a number that tells references of both widths apart: 16-bit ones have bit 16 set."""
        return self.ref | (self.width == 16) << 16


class MoText(NamedTuple):
    """
    `user_data` is the octets without their header, unpacked.

    `codec` is how they were read: join octets, then decode.
    """

    text: str
    concat: ConcatPart | None
    user_data: bytes
    codec: str


class _Header(NamedTuple):
    """What the elements of a user data header say of its text, and how many octets it took."""

    concat: ConcatPart | None = None
    shift: Shift = DEFAULT
    octets: int = 0


def read_mo(
    short_message: bytes,
    data_coding: int,
    esm_class: int,
    *,
    message_payload: bytes | None = None,
    sar: tuple[int, int, int] | None = None,
    default_alphabet: Encoding = "gsm7",
    packed: bool = False,
) -> MoText:
    """
    Read one deliver_sm or data_sm.

    `message_payload` counts when short_message is empty (SMPP 3.4 §5.3.2.32); a header may stand in either.
    `sar` is (sar_msg_ref_num, sar_total_segments, sar_segment_seqnum) when all three TLVs came; a header
    wins. `default_alphabet` is what this carrier means by data_coding 0; `packed`: it packs septets.
    """
    whole = message_payload if message_payload and not short_message else short_message
    header = _read_header(whole) if esm_class & ESM_CLASS_UDHI else _Header()
    user_data = whole[header.octets :]
    concat = header.concat
    if concat is None and sar is not None:
        concat = _concat(*sar, width=16)
    codec = codec_of(data_coding, default_alphabet)
    if codec == _GSM:
        if packed:
            user_data = unpack(user_data, fill_bits_after(header.octets))
        if header.shift != DEFAULT:
            codec = f"{_GSM}/{header.shift.single}/{header.shift.locking}"
    return MoText(decode_text(user_data, codec), concat, user_data, codec)


def codec_of(data_coding: int, default_alphabet: Encoding = "gsm7") -> str:
    """Return the name to give `decode_text`: "gsm7" ("gsm7/3/0" with shift tables), "binary" or a codec."""
    default = {"gsm7": "gsm7", "latin1": "latin-1", "ucs2": "utf-16-be"}[default_alphabet]
    if data_coding in _BINARY:
        return "binary"
    if data_coding in _CODECS:
        return _CODECS[data_coding]
    group, low = data_coding >> 4, data_coding & 0x0F
    if group == 0xF:  # message class: bit 2 chooses between 7 and 8 bits
        return "binary" if low & 0x04 else default
    if group == 0xE:  # message waiting, text in UCS-2
        return "utf-16-be"
    if 0 < group < 0x8:  # general group, and the one marked for deletion: bits 3 and 2 are the alphabet
        return (default, "binary", "utf-16-be", default)[low >> 2]
    return default


def shift_of(codec: str) -> Shift:
    """Return the language tables that a codec names; the default ones for all but GSM 03.38."""
    kind, *tables = codec.split("/")
    return Shift(*map(int, tables)) if kind == _GSM and tables else DEFAULT


def data_coding_of(codec: str, otherwise: int) -> int:
    """Return the number of SMPP 3.4 §5.2.19 for what a default alphabet may be; `otherwise` for the rest."""
    return {_GSM: 0x00, "latin-1": 0x03}.get(codec.partition("/")[0], otherwise)


def decode_text(octets: bytes, codec: str) -> str:
    if codec == _GSM:
        return decode_gsm(octets)
    if codec.startswith(_GSM):
        return decode_shifted(octets, shift_of(codec))
    if codec == "binary":
        return ""
    if codec == "utf-16-be" and len(octets) % 2:
        octets = octets[:-1]  # half a character: a peer that cut or padded by octets
    return octets.decode(codec, "replace")


def _read_header(octets: bytes) -> _Header:
    """Return what the header's elements say, the last of each kind; a header longer than the data is none."""
    if not octets or octets[0] >= len(octets):
        return _Header()
    end = octets[0] + 1
    concat: ConcatPart | None = None
    single = locking = 0
    position = 1
    while position + 2 <= end:
        element, length = octets[position], octets[position + 1]
        value = octets[position + 2 : position + 2 + length]
        position += 2 + length
        if position > end:
            break
        if element == _IEI_CONCAT_8 and length == 3:
            concat = _concat(value[0], value[1], value[2], width=8) or concat
        elif element == _IEI_CONCAT_16 and length == 4:
            concat = _concat(value[0] << 8 | value[1], value[2], value[3], width=16) or concat
        elif element == IEI_SINGLE_SHIFT and length == 1:
            single = value[0]
        elif element == IEI_LOCKING_SHIFT and length == 1:
            locking = value[0]
    return _Header(concat, Shift(single, locking), end)


def _concat(ref: int, total: int, index: int, *, width: int) -> ConcatPart | None:
    """
    Return the part; None for a single one and for what TS 23.040 §9.2.3.24.1 tells to ignore.

    The numbers of TLVs are as long as the SMSC likes: of a reference its last `width` bits count.
    """
    if not 1 < total <= PARTS_MAX or not 1 <= index <= total:
        return None
    return ConcatPart(ref & ((1 << width) - 1), total, index, width)
