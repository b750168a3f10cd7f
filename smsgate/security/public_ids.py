"""
Public ids: a prefix that names the kind, and 22 base-62 characters that say nothing else.

Inside, ids are time-ordered 64-bit numbers: shown as they are they would tell how many orders a merchant
has, when each was made and which ids to try next. So what leaves is one AES-256 block under a key of this
instance: id (8 octets), kind (4 octets), zeros (4 octets).

ECB is right here, though wrong nearly everywhere else. Its fault is that equal blocks of one text show as
equal; here the text is a single block, and one id must give one public id for ever, so being the same each
time is the purpose and not a leak. AES on one block is a keyed permutation: nothing to store, and no
look-up to read it back. The 64 bits of kind and zeros refuse guesses: a random text is an id of the asked
kind with a chance of 2**-64. An id is no permission: every look-up also names the merchant.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from smsgate.errors import NotFound
from smsgate.security import base62

KEY_LENGTH: Final = 32  # octets: AES-256
WORD_LENGTH: Final = base62.WIDTH_128
TEXT_LENGTH: Final = 3 + 1 + WORD_LENGTH
ID_MAX: Final = (1 << 63) - 1  # bigint
_BLOCK: Final = struct.Struct(">Q8s")
_BLOCK_END: Final = 1 << 128
# Of each kind those made last are kept, some 200 octets each: thousands of orders, messages and events name
# one offer, campaign or merchant, and an order's event and its stamp name the same order, reply and texts.
KEPT_MAX: Final = 1_024


class Kind(StrEnum):
    """The value is the prefix of the public id: three letters, for ever."""

    MERCHANT = "mer"
    API_KEY = "key"
    SUBSCRIBER = "sub"
    CONSENT = "con"
    IMPORT = "imp"
    OFFER = "ofr"
    CAMPAIGN = "cmp"
    MESSAGE = "msg"
    INBOUND_MESSAGE = "inb"
    ORDER = "ord"
    EVENT = "evt"
    WEBHOOK_ENDPOINT = "whe"
    DELIVERY = "dlv"
    TRIGGER = "trg"
    PRICE_LIST = "prl"
    PRICE_ITEM = "pri"
    STATEMENT = "stm"
    CARRIER = "car"
    ESME = "esm"
    DATA_REQUEST = "dat"
    DOCUMENT = "doc"
    POSTING = "pst"
    RECONCILIATION = "rec"
    KEYWORD = "kwd"


_PREFIXES: Final = {kind: f"{kind.value}_" for kind in Kind}
_TAGS: Final = {kind: kind.value.encode("ascii").ljust(8, b"\0") for kind in Kind}


class PublicIds:
    """
    Turn ids into public ids and back, under one key that never changes during an instance's life.

    For one thread: the cipher's state is kept between calls, which is most of a call's cost.
    """

    __slots__ = ("_decrypt", "_encrypt", "_kept")

    def __init__(self, key: bytes) -> None:
        assert len(key) == KEY_LENGTH
        cipher = Cipher(algorithms.AES256(key), modes.ECB())  # noqa: S305  # one block: see the module's docstring
        self._encrypt = cipher.encryptor().update
        self._decrypt = cipher.decryptor().update
        self._kept = {kind: _Kept(kind, self._encrypt) for kind in Kind}

    def encode(self, kind: Kind, id_: int) -> str:
        return self._kept[kind][id_]

    def encoder(self, kind: Kind) -> Callable[[int], str]:
        """Return `encode` for one kind: what was made before costs a look-up in C."""
        return self._kept[kind].__getitem__

    def encode_many(self, kind: Kind, ids: Iterable[int]) -> list[str]:
        """Return the public ids of a column, in its order; one call of the cipher for all."""
        tag, pack = _TAGS[kind], _BLOCK.pack
        blocks = self._encrypt(b"".join([pack(id_, tag) for id_ in ids]))
        prefix = _PREFIXES[kind]
        encode, from_bytes = base62.encode_128, int.from_bytes
        return [
            prefix + encode(from_bytes(blocks[start : start + 16])) for start in range(0, len(blocks), 16)
        ]

    def decode(self, kind: Kind, text: str) -> int:
        """
        Return the id.

        Raises:
            NotFound: `text` is no public id of this kind made by this instance; one sentence for every
                reason, the one that a missing object gets.
        """
        if len(text) == TEXT_LENGTH and text.startswith(_PREFIXES[kind]):
            value = base62.decode(text[4:])
            if value is not None and value < _BLOCK_END:
                id_, tag = _BLOCK.unpack(self._decrypt(value.to_bytes(16)))
                if tag == _TAGS[kind] and id_ <= ID_MAX:
                    return int(id_)
        raise NotFound(f"no such object: {kind.value}")


class _Kept(dict[int, str]):
    """Public ids of one kind, made where they are missing."""

    __slots__ = ("_encrypt", "_prefix", "_tag")

    def __init__(self, kind: Kind, encrypt: Callable[[bytes], bytes]) -> None:
        super().__init__()
        self._encrypt, self._prefix, self._tag = encrypt, _PREFIXES[kind], _TAGS[kind]

    def __missing__(self, id_: int) -> str:
        assert 0 <= id_ <= ID_MAX
        if len(self) >= KEPT_MAX:
            self.clear()
        block = self._encrypt(_BLOCK.pack(id_, self._tag))
        made = self[id_] = self._prefix + base62.encode_128(int.from_bytes(block))
        return made
