"""
Secrets that must be read back (carriers' passwords, webhook secrets), sealed in an envelope.

The master key stays outside the database and wraps data keys; data keys, one line of them per merchant, seal
values with AES-256-GCM. A sealed value is bound to its place: table, merchant, row, column and key number are
associated data, so a value copied to another row does not open there.

    sealed value     format 1 | key number 4 | nonce 12 | cipher text | tag 16        (33 octets more)
    wrapped key      format 1 | master key id 8 | nonce 12 | cipher text 32 | tag 16  (69 octets)

A master key is replaced by re-wrapping the data keys, a data key by adding one with a higher number: the old
ones stay readable. Nonces are random: NIST SP 800-38D 8.3 allows 2**32 seals a key, far beyond our few.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import struct
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from smsgate.errors import SealBroken

KEY_LENGTH: Final = 32  # octets: AES-256
INSTANCE: Final = 0  # merchant_id of keys and rows that belong to no merchant
PLAINTEXT_MAX: Final = 65_536  # octets: a certificate chain with its key, and far above any password
KEY_NUMBER_MAX: Final = (1 << 31) - 1  # a PostgreSQL integer

_FORMAT: Final = 1
_NONCE_LENGTH: Final = 12
_TAG_LENGTH: Final = 16
_SEALED: Final = struct.Struct(">BI12s")
_WRAPPED: Final = struct.Struct(">B8s12s")
_WRAPPED_LENGTH: Final = _WRAPPED.size + KEY_LENGTH + _TAG_LENGTH
_PLACE: Final = struct.Struct(">BIqqHH")  # format, key number, merchant, row, lengths of table and column


class MasterKey:
    """The key-encryption key; `key_id` is a fingerprint that may be shown."""

    __slots__ = ("_aead", "key_id")

    def __init__(self, octets: bytes) -> None:
        assert len(octets) == KEY_LENGTH
        self._aead = AESGCM(octets)
        self.key_id = hmac.digest(octets, b"smsgate master key id", hashlib.sha256)[:8]

    def __repr__(self) -> str:
        return f"MasterKey({self.key_id.hex()})"

    def new_data_key(self) -> bytes:
        """Return a new data key, wrapped: it is to be stored, and given to `Keyring.add`."""
        return self.wrap(secrets.token_bytes(KEY_LENGTH))

    def wrap(self, data_key: bytes) -> bytes:
        assert len(data_key) == KEY_LENGTH
        head = _WRAPPED.pack(_FORMAT, self.key_id, secrets.token_bytes(_NONCE_LENGTH))
        return head + self._aead.encrypt(head[-_NONCE_LENGTH:], data_key, head[:-_NONCE_LENGTH])

    def unwrap(self, wrapped: bytes) -> bytes:
        """
        Return the data key.

        Raises:
            SealBroken: wrapped by another master key, damaged, or of an unknown format.
        """
        if len(wrapped) != _WRAPPED_LENGTH or wrapped[0] != _FORMAT:
            raise SealBroken("wrapped data key has an unknown format")
        _, key_id, nonce = _WRAPPED.unpack_from(wrapped)
        if key_id != self.key_id:
            raise SealBroken(f"data key is wrapped by master key {key_id.hex()}, not by {self.key_id.hex()}")
        try:
            return self._aead.decrypt(
                nonce, wrapped[_WRAPPED.size :], wrapped[: _WRAPPED.size - _NONCE_LENGTH]
            )
        except InvalidTag:
            raise SealBroken("wrapped data key is damaged") from None


def rewrap(wrapped: bytes, old_master: MasterKey, new_master: MasterKey) -> bytes:
    """
    Return the same data key under another master key; values sealed by it stay as they are.

    Raises:
        SealBroken: `wrapped` does not open with `old_master`.
    """
    return new_master.wrap(old_master.unwrap(wrapped))


def key_number(sealed: bytes) -> int:
    """
    Return the number of the data key that `sealed` needs.

    Raises:
        SealBroken: not a sealed value of a known format.
    """
    if len(sealed) < _SEALED.size + _TAG_LENGTH or sealed[0] != _FORMAT:
        raise SealBroken("sealed value has an unknown format")
    return int.from_bytes(sealed[1:5])


class Keyring:
    """
    The data keys read so far; the caller adds a merchant's keys before it seals or opens for that merchant.

    Holds one key per row of the data-key table at most: a few per merchant.
    """

    __slots__ = ("_current", "_keys", "_master")

    def __init__(self, master: MasterKey) -> None:
        self._master = master
        self._keys: dict[int, tuple[int, AESGCM]] = {}  # number -> merchant, key
        self._current: dict[int, int] = {}  # merchant -> its highest number

    def add(self, number: int, merchant_id: int | None, wrapped: bytes) -> None:
        """
        Take one data key; of a merchant's keys the one with the highest number seals, whatever the order.

        Raises:
            SealBroken: the master key does not unwrap it.
        """
        assert 0 < number <= KEY_NUMBER_MAX
        merchant = merchant_id or INSTANCE
        assert number not in self._keys or self._keys[number][0] == merchant, (
            "a key never changes its merchant"
        )
        self._keys[number] = (merchant, AESGCM(self._master.unwrap(wrapped)))
        self._current[merchant] = max(number, self._current.get(merchant, 0))

    def holds(self, number: int) -> bool:
        return number in self._keys

    def current(self, merchant_id: int) -> int | None:
        """Return the number that seals for this merchant; None: its keys were not added."""
        return self._current.get(merchant_id)

    def seal(self, plaintext: bytes, *, table: str, merchant_id: int, row_id: int, column: str) -> bytes:
        """
        Return `plaintext` sealed for one place, 33 octets longer; INSTANCE stands for no merchant.

        Raises:
            SealBroken: no data key of this merchant was added; another's is never used instead.
        """
        assert len(plaintext) <= PLAINTEXT_MAX
        number = self._current.get(merchant_id)
        if number is None:
            raise SealBroken(f"no data key of merchant {merchant_id} is loaded")
        nonce = secrets.token_bytes(_NONCE_LENGTH)
        place = _place(number, table, merchant_id, row_id, column)
        return _SEALED.pack(_FORMAT, number, nonce) + self._keys[number][1].encrypt(nonce, plaintext, place)

    def open(self, sealed: bytes, *, table: str, merchant_id: int, row_id: int, column: str) -> bytes:
        """
        Return the plaintext.

        Raises:
            SealBroken: damaged, of another place, or its key is not loaded or another merchant's.
        """
        number = key_number(sealed)
        owner, key = self._keys.get(number, (None, None))
        if key is None:
            raise SealBroken(f"data key {number} is not loaded")
        if owner != merchant_id:
            raise SealBroken(f"data key {number} is not of merchant {merchant_id}")
        place = _place(number, table, merchant_id, row_id, column)
        try:
            return key.decrypt(sealed[5 : _SEALED.size], sealed[_SEALED.size :], place)
        except InvalidTag:
            raise SealBroken(f"sealed value does not open at {table}.{column}, row {row_id}") from None


def _place(number: int, table: str, merchant_id: int, row_id: int, column: str) -> bytes:
    table_octets, column_octets = table.encode(), column.encode()
    head = _PLACE.pack(_FORMAT, number, merchant_id, row_id, len(table_octets), len(column_octets))
    return head + table_octets + column_octets
