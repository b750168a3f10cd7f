"""Cut an octet stream into PDUs by their header. Source: SMPP 3.4 §3.2."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from smsgate.errors import FramingError

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER: Final = struct.Struct(">IIII")  # command_length, command_id, command_status, sequence_number
HEADER_SIZE: Final = 16  # octets
COMMAND_LENGTH_MAX: Final = 70_000  # octets: one 64 KiB message_payload TLV, and change

_LENGTH: Final = struct.Struct(">I")
_TLS_HANDSHAKE: Final = b"\x16\x03"  # RFC 8446 §5.1: content type and legacy version of a record


class Frame(NamedTuple):
    """One PDU with its body unread; `sequence_number` is whatever 32 bits the peer chose."""

    command_id: int
    sequence_number: int
    status: int = 0
    body: bytes = b""

    def __repr__(self) -> str:
        """Leave out the body: passwords, texts and numbers of people stand in it."""
        head = f"command_id=0x{self.command_id:08x}, sequence_number={self.sequence_number}"
        return f"Frame({head}, status={self.status}, body=<{len(self.body)} octets>)"

    def encode(self) -> bytes:
        length = HEADER_SIZE + len(self.body)
        return HEADER.pack(length, self.command_id, self.status, self.sequence_number) + self.body


class FrameDecoder:
    """Cut one peer's stream into frames; holds at most one incomplete frame, and only octets that came."""

    def __init__(self, command_length_max: int = COMMAND_LENGTH_MAX) -> None:
        self._length_max = command_length_max
        self._buffer = bytearray()
        self._broken: int | None = None

    def feed(self, data: bytes) -> Iterator[Frame]:
        """
        Yield the frames that `data` completes, oldest first.

        Raises:
            FramingError: after the last good frame, as soon as the 4 octets of a `command_length` below
                16 or above the limit are there; and again for whatever is fed later.
        """
        if self._broken is not None:
            raise framing_error(self._broken)
        self._buffer += data
        start = 0
        try:
            while len(self._buffer) - start >= _LENGTH.size:
                (length,) = _LENGTH.unpack_from(self._buffer, start)
                if not HEADER_SIZE <= length <= self._length_max:
                    self._broken = length
                    raise framing_error(length)
                if len(self._buffer) - start < length:
                    return
                _, command_id, status, number = HEADER.unpack_from(self._buffer, start)
                body = bytes(self._buffer[start + HEADER_SIZE : start + length])
                start += length
                yield Frame(command_id, number, status, body)
        finally:
            if self._broken is None:
                del self._buffer[:start]
            else:
                self._buffer.clear()


def framing_error(length: int) -> FramingError:
    """Say what was in place of a command_length; its octets often tell which protocol it was."""
    octets = length.to_bytes(4, "big")
    hint = ""
    if octets.startswith(_TLS_HANDSHAKE):
        hint = " (a TLS handshake: the peer speaks TLS, this port does not)"
    elif octets.isascii() and octets.decode().isprintable():
        hint = f" ({octets.decode()!r})"
    return FramingError(f"command_length {length}{hint}")
