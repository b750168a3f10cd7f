"""
Message ids as ESMEs see them: the public id without its prefix, so letters and digits only.

The prefix ends in an underscore, and 0x5F is § in GSM 03.38: an ESME that decodes a receipt's text by its
data_coding 0 (npm smpp and aiosmpplib do) would look for an id that it never got.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from smsgate.security.public_ids import Kind, PublicIds

_PREFIX: Final = f"{Kind.MESSAGE}_"


def esme_message_ids(public_ids: PublicIds, ids: Iterable[int]) -> list[bytes]:
    """Return the message_id of each message."""
    return [
        public_id.removeprefix(_PREFIX).encode("ascii")
        for public_id in public_ids.encode_many(Kind.MESSAGE, ids)
    ]


def message_of(public_ids: PublicIds, message_id: bytes) -> int:
    """
    Return whose message_id this is; it may be written as in the HTTP API, prefix and all.

    Raises:
        NotFound: nobody's.
    """
    text = message_id.decode("ascii", "replace").removeprefix(_PREFIX)
    return public_ids.decode(Kind.MESSAGE, _PREFIX + text)
