"""The ids that ESMEs get and give back."""

from __future__ import annotations

import pytest

from smsgate.errors import NotFound
from smsgate.flows.esme_message_ids import esme_message_ids, message_of
from smsgate.protocol.gsm0338 import decode_gsm
from smsgate.security.public_ids import KEY_LENGTH, Kind, PublicIds

PUBLIC_IDS = PublicIds(bytes(range(KEY_LENGTH)))


def test_an_id_reads_the_same_as_ascii_and_as_gsm() -> None:
    """npm smpp and aiosmpplib decode a receipt's text by its data_coding: an underscore would become §."""
    for message_id in esme_message_ids(PUBLIC_IDS, range(1000)):
        assert decode_gsm(message_id) == message_id.decode("ascii")
        assert len(message_id) == 22


def test_an_id_is_read_with_the_prefix_of_the_http_api_and_without() -> None:
    (message_id,) = esme_message_ids(PUBLIC_IDS, [7])
    assert message_of(PUBLIC_IDS, message_id) == 7
    assert message_of(PUBLIC_IDS, PUBLIC_IDS.encode(Kind.MESSAGE, 7).encode()) == 7


@pytest.mark.parametrize("message_id", [b"", b"msg_", b"msg_" * 8, b"\xff" * 22, b"A" * 22, b"\0" * 65])
def test_anything_else_is_nobodys(message_id: bytes) -> None:
    with pytest.raises(NotFound):
        message_of(PUBLIC_IDS, message_id)
